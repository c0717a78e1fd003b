//! `policy pull` from registries that send the wrong bytes, too many, none, or elsewhere.

use super::signatures::machine;
use crate::support::registry::{Reply, answer, hostile};

/// A manifest of a component with this digest and size.
pub fn manifest(digest: &str, size: usize) -> String {
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.wasm.config.v0+json","digest":"{digest}","size":2}},
        "layers":[{{"mediaType":"application/wasm","digest":"{digest}","size":{size}}}]}}"#
    )
}

#[test]
fn a_hostile_registry_leaves_nothing_behind_and_is_named() {
    let machine = machine();
    let component = std::fs::read(machine.path("tidy.wasm")).unwrap();
    let digest = chiffon_audit_cli::outcome::digest::sha256(&component);
    let good = manifest(&digest, component.len());
    let with_blob = |blob: fn(&[u8]) -> Reply| {
        let (good, component) = (good.clone(), component.clone());
        hostile(move |path| match path.contains("/manifests/") {
            true => Reply::Bytes(answer("200 OK", "", good.as_bytes())),
            false => blob(&component),
        })
    };
    let always = |reply: fn() -> Reply| hostile(move |_| reply());
    let cut = |mut bytes: Vec<u8>| {
        bytes.pop();
        bytes
    };
    let changed = with_blob(|component| {
        let mut other = component.to_vec();
        *other.last_mut().unwrap() ^= 1;
        Reply::Bytes(answer("200 OK", "", &other))
    });
    let cut_off = with_blob(|component| {
        let mut bytes = answer("200 OK", "", component);
        bytes.truncate(bytes.len() - 100);
        Reply::Bytes(bytes)
    });
    let longer =
        with_blob(|component| Reply::Bytes(answer("200 OK", "", &[component, b"x"].concat())));
    let endless_blob = with_blob(|_| Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()));
    let silent_blob = with_blob(|_| Reply::Silence);
    let moved_blob = with_blob(|_| {
        Reply::Bytes(answer(
            "307 Temporary Redirect",
            "Location: http://169.254.169.254/latest\r\n",
            b"",
        ))
    });
    let endless = always(|| Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()));
    let endless_head = always(|| Reply::Endless(b"HTTP/1.1 200 OK\r\nX: ".to_vec()));
    let silent = always(|| Reply::Silence);
    let moved = always(|| {
        Reply::Bytes(answer(
            "302 Found",
            "Location: https://elsewhere.example/v2/\r\n",
            b"",
        ))
    });
    let circle = always(|| Reply::Bytes(answer("302 Found", "Location: /v2/again\r\n", b"")));
    let token = always(|| {
        let challenge =
            "WWW-Authenticate: Bearer realm=\"https://tokens.example/token\",service=\"x\"\r\n";
        Reply::Bytes(answer("401 Unauthorized", challenge, b""))
    });
    let page = always(|| Reply::Bytes(answer("200 OK", "", b"<html>")));
    let teapot = always(|| {
        Reply::Bytes(answer(
            "418 I'm a teapot",
            "",
            br#"{"errors":[{"message":"short\u001b[31m and stout"}]}"#,
        ))
    });
    let nothing = always(|| Reply::Bytes(Vec::new()));
    let huge = {
        let digest = digest.clone();
        hostile(move |_| Reply::Bytes(answer("200 OK", "", manifest(&digest, 1 << 40).as_bytes())))
    };
    let other = {
        let text = cut(good.clone().into_bytes());
        hostile(move |_| Reply::Bytes(answer("200 OK", "", &text)))
    };
    for (address, exit, why) in [
        (&changed, 4, "the registry sent other bytes"),
        (&cut_off, 1, "cannot be reached: "),
        (&longer, 4, " is larger than "),
        (&endless_blob, 4, " is larger than "),
        (&silent_blob, 1, "did not answer within 1 s"),
        (
            &moved_blob,
            1,
            "sends to another host, 169.254.169.254; if that is expected, allow it with --allow-host",
        ),
        (
            &endless,
            4,
            "the manifest team/tidy:1 is larger than 262144 bytes",
        ),
        (&endless_head, 1, "cannot be reached: "),
        (&silent, 1, "did not answer within 1 s"),
        (&moved, 1, "sends to another host, elsewhere.example"),
        (&circle, 1, "answered 302"),
        (&token, 1, "sends to another host, tokens.example"),
        (&page, 4, "its manifest cannot be read"),
        (
            &teapot,
            1,
            "answered 418 to the request for the manifest team/tidy:1: short[31m and stout",
        ),
        (&nothing, 1, "cannot be reached: "),
        (&huge, 4, " is larger than 33554432 bytes"),
        (&other, 4, "its manifest cannot be read"),
    ] {
        let reference = format!("oci://{address}/team/tidy:1");
        let ran = machine.run(&[
            "policy",
            "pull",
            &reference,
            "-o",
            "got.wasm",
            "--timeout",
            "1",
        ]);
        assert_eq!(ran.exit, Some(exit), "{why}: {ran:?}");
        assert!(ran.err.contains(why), "{why}: {ran:?}");
        for file in ["got.wasm", "got.wasm.sig", "policies.lock"] {
            assert!(!machine.path(file).exists(), "{file}: {why}");
        }
    }
    // Another manifest than the pinned one.
    let reference = format!("oci://{page}/team/tidy@sha256:{}", "0".repeat(64));
    let ran = machine.run(&["policy", "pull", &reference, "-o", "got.wasm"]);
    assert!(ran.err.contains("the registry sent other bytes"), "{ran:?}");
    assert_eq!(ran.exit, Some(4));

    // A redirect to a host that is allowed is followed, without the way back to the registry's own.
    let mirror = {
        let component = component.clone();
        hostile(move |_| Reply::Bytes(answer("200 OK", "", &component)))
    };
    let redirecting = {
        let (good, mirror) = (good.clone(), mirror.clone());
        hostile(move |path| match path.contains("/manifests/") {
            true => Reply::Bytes(answer("200 OK", "", good.as_bytes())),
            false => Reply::Bytes(answer(
                "307 Temporary Redirect",
                &format!("Location: http://{mirror}/x\r\n"),
                b"",
            )),
        })
    };
    let reference = format!("oci://{redirecting}/team/tidy:1");
    let ran = machine.run(&[
        "policy",
        "pull",
        &reference,
        "-o",
        "got.wasm",
        "--allow-host",
        &mirror,
    ]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(std::fs::read(machine.path("got.wasm")).unwrap(), component);
}
