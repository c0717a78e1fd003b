//! `POST` and `GET /api/v1/policy`: what may be put in force over HTTP, and what is.

use super::*;

const REDACT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../host/prebuilt/redact.wasm");

fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

const ADMIN: &str = "Authorization: Bearer admin-0123456789abcdef";

/// A host with one token, and the file that holds it.
fn host() -> (Host, tempfile::NamedTempFile) {
    let tokens = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(tokens.path(), "admin admin-0123456789abcdef\n").unwrap();
    let host = Host::with(&["--tokens", tokens.path().to_str().unwrap()]);
    (host, tokens)
}

/// The policy in force, as `GET /api/v1/policy` shows it.
fn in_force(host: &Host) -> Value {
    host.served
        .send("GET", "/api/v1/policy", &[ADMIN], b"")
        .json()
}

fn send_policy(host: &Host, query: &str, kind: &str, body: &[u8]) -> Answer {
    let kind = format!("Content-Type: {kind}");
    let path = format!("/api/v1/policy{query}");
    host.served.send("POST", &path, &[ADMIN, &kind], body)
}

#[test]
fn a_posted_policy_passes_the_gate_of_activate_and_force_is_recorded() {
    let (host, _tokens) = host();
    let credulous = crate::policy::guest::hostile("already-recorded", &[]);
    let refused = send_policy(&host, "", "application/wasm", &credulous);
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(
        refused.json()["detail"]
            .as_str()
            .unwrap()
            .contains("breaks the contract")
    );
    // A setting that the policy does not ask for may be misspelt.
    let redact = std::fs::read(REDACT);
    let component = base64(&redact.unwrap());
    let misspelt = format!(r#"{{"component":"{component}","settings":{{"rule":"{{}}"}}}}"#);
    let refused = send_policy(&host, "", "application/json", misspelt.as_bytes());
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(
        refused.json()["detail"]
            .as_str()
            .unwrap()
            .contains("`rule`"),
        "{refused:?}"
    );
    assert_eq!(in_force(&host)["builtin"], true);

    assert_eq!(
        send_policy(&host, "?force=maybe", "application/wasm", &credulous).status,
        422
    );
    let forced = send_policy(&host, "?force=true", "application/wasm", &credulous);
    assert_eq!(forced.status, 200, "{forced:?}");
    let shown = in_force(&host);
    let overridden = shown["overridden"][0].as_str().unwrap();
    assert!(
        overridden.starts_with("it breaks the contract"),
        "{overridden}"
    );
}

#[test]
fn a_policy_never_inherits_the_settings_of_the_one_before() {
    let (host, _tokens) = host();
    let redact = std::fs::read(REDACT).unwrap();
    let component = base64(&redact);
    let rules = r#"{\"pointers\":[\"/plan_id\"]}"#;
    let with_rules = format!(r#"{{"component":"{component}","settings":{{"rules":"{rules}"}}}}"#);
    assert_eq!(
        send_policy(&host, "", "application/json", with_rules.as_bytes()).status,
        200
    );
    let shown = in_force(&host);
    assert_eq!(shown["values"]["rules"], r#"{"pointers":["/plan_id"]}"#);
    assert_eq!(shown["builtin"], false);
    for (kind, body) in [
        ("application/wasm", redact.clone()),
        (
            "application/json",
            format!(r#"{{"component":"{component}"}}"#).into_bytes(),
        ),
    ] {
        assert_eq!(
            send_policy(&host, "", "application/json", with_rules.as_bytes()).status,
            200
        );
        assert_eq!(send_policy(&host, "", kind, &body).status, 200);
        let shown = in_force(&host);
        assert_eq!(shown["values"], serde_json::json!({}), "{kind}");
    }
}

#[test]
fn a_policy_that_is_sent_has_no_signature_and_is_refused_where_one_is_required() {
    let tokens = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(tokens.path(), "admin admin-0123456789abcdef\n").unwrap();
    let settings = "[policy]\nrequire_signature = true\n";
    let host = Host::with_settings(settings, &["--tokens", tokens.path().to_str().unwrap()]);
    let honest = crate::policy::guest::hostile("honest", &[]);
    let refused = send_policy(&host, "?force=true", "application/wasm", &honest);
    assert_eq!(refused.status, 422, "{refused:?}");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("policy.require_signature"), "{detail}");
    assert_eq!(in_force(&host)["builtin"], true);
    // What comes with the program needs none.
    let redact = std::fs::read(REDACT).unwrap();
    let sent = send_policy(&host, "", "application/wasm", &redact);
    assert_eq!(sent.status, 200, "{sent:?}");
}
