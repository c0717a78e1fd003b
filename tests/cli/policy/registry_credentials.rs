//! The hosts to which `policy push` and `policy pull` send credentials, and the path of their requests.

use std::sync::{Arc, Mutex};

use super::hostile_registry::manifest;
use super::signatures::machine;
use super::{Machine, Ran};
use crate::support::registry::{Reply, answer, hostile_with_head};

/// `user:secret` in base64.
const BASIC: &str = "authorization: basic dxnlcjpzzwnyzxq=";

/// The heads of the requests to one server, in lower case.
type Heads = Arc<Mutex<Vec<String>>>;

/// Starts a server that answers as the function says, and keeps the heads of its requests.
fn server(reply: impl Fn(&str) -> Vec<u8> + Send + 'static) -> (String, Heads) {
    let heads = Heads::default();
    let kept = Arc::clone(&heads);
    let address = hostile_with_head(move |head| {
        kept.lock().unwrap().push(head.to_lowercase());
        Reply::Bytes(reply(head))
    });
    (address, heads)
}

fn has_credentials(heads: &Heads) -> bool {
    let heads = heads.lock().unwrap();
    heads.iter().any(|head| head.contains("authorization"))
}

fn ok(body: &[u8]) -> Vec<u8> {
    answer("200 OK", "", body)
}

fn unauthorized(challenge: &str) -> Vec<u8> {
    let header = format!("WWW-Authenticate: {challenge}\r\n");
    answer("401 Unauthorized", &header, b"")
}

fn redirect(url: &str) -> Vec<u8> {
    answer(
        "307 Temporary Redirect",
        &format!("Location: {url}\r\n"),
        b"",
    )
}

/// A machine with a component and credentials, and the component with its manifest.
fn with_credentials() -> (Machine, Vec<u8>, Vec<u8>) {
    let machine = machine();
    machine.write("credentials", "user:secret\n");
    let component = std::fs::read(machine.path("tidy.wasm")).unwrap();
    let digest = chiffon_audit_cli::outcome::digest::sha256(&component);
    let manifest = manifest(&digest, component.len()).into_bytes();
    (machine, component, manifest)
}

fn pull(machine: &Machine, address: &str, more: &[&str]) -> Ran {
    let reference = format!("oci://{address}/team/tidy:1");
    let pull = ["policy", "pull", &reference, "-o", "got.wasm"];
    machine.run(&[&pull, more].concat())
}

#[test]
fn basic_credentials_are_sent_only_after_a_challenge() {
    let (machine, component, manifest) = with_credentials();
    let (address, heads) = server(move |head| match head.to_lowercase().contains(BASIC) {
        false => unauthorized("Basic realm=\"x\""),
        true if head.contains("/manifests/") => ok(&manifest),
        true => ok(&component),
    });
    let ran = pull(&machine, &address, &[]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    let denied = "denied the manifest team/tidy:1: it requires credentials";
    assert!(ran.err.contains(denied), "{ran:?}");
    machine.write("wrong", "user:other\n");
    let ran = pull(&machine, &address, &["--credentials", "wrong"]);
    assert!(
        ran.err.contains("it did not accept the credentials"),
        "{ran:?}"
    );
    heads.lock().unwrap().clear();
    let ran = pull(&machine, &address, &["--credentials", "credentials"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let heads = heads.lock().unwrap();
    let are_sent: Vec<bool> = heads.iter().map(|head| head.contains(BASIC)).collect();
    assert_eq!(are_sent, [false, true, true]);
}

#[test]
fn a_token_is_for_one_repository_and_one_action() {
    let (machine, component, manifest) = with_credentials();
    let (address, heads) = server(move |head| {
        let host = head.lines().find_map(|line| {
            let (name, host) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("host").then_some(host)
        });
        let host = host.unwrap();
        let has_token = head.to_lowercase().contains("authorization: bearer t0ken");
        match head {
            _ if head.starts_with("GET /token") => ok(br#"{"token":"T0ken"}"#),
            _ if !has_token => unauthorized(&format!(
                "Bearer realm=\"http://{host}/token\",service=\"x y\""
            )),
            _ if head.contains("/manifests/") => ok(&manifest),
            _ => ok(&component),
        }
    });
    let ran = pull(&machine, &address, &["--credentials", "credentials"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let heads = heads.lock().unwrap();
    let tokens: Vec<&String> = heads
        .iter()
        .filter(|head| head.starts_with("get /token"))
        .collect();
    assert_eq!(tokens.len(), 1, "{heads:?}");
    assert!(tokens[0].contains(BASIC), "{tokens:?}");
    assert!(
        tokens[0].starts_with(
            "get /token?scope=repository%3ateam%2ftidy%3apull&service=x%20y http/1.1\r\n"
        ),
        "{tokens:?}"
    );
}

#[test]
fn a_redirect_never_takes_the_credentials_along() {
    let (machine, component, manifest) = with_credentials();
    for demands in [false, true] {
        let component = component.clone();
        let (mirror, at_mirror) = server(move |_| match demands {
            true => unauthorized("Basic realm=\"x\""),
            false => ok(&component),
        });
        let (manifest, target) = (manifest.clone(), format!("http://{mirror}/blob"));
        let (address, heads) = server(move |head| match head.to_lowercase().contains(BASIC) {
            false => unauthorized("Basic realm=\"x\""),
            true if head.contains("/manifests/") => ok(&manifest),
            true => redirect(&target),
        });
        let more = [
            "--credentials",
            "credentials",
            "--allow-host",
            &mirror,
            "--update",
        ];
        let ran = pull(&machine, &address, &more);
        assert_eq!(ran.exit, Some(i32::from(demands)), "{ran:?}");
        assert_eq!(
            demands,
            ran.err.contains(&format!("{mirror} denied the component")),
            "{ran:?}"
        );
        assert!(has_credentials(&heads));
        assert!(!at_mirror.lock().unwrap().is_empty());
        assert!(!has_credentials(&at_mirror), "{at_mirror:?}");
    }
}

#[test]
fn a_host_for_uploads_cannot_ask_for_the_credentials() {
    let (machine, ..) = with_credentials();
    for scheme in ["Basic", "Bearer"] {
        // It names itself as the place of tokens, which --allow-host would permit.
        let own = Arc::new(Mutex::new(String::new()));
        let realm = Arc::clone(&own);
        let (mirror, at_mirror) = server(move |head| match head.starts_with("GET /token") {
            true => ok(br#"{"token":"t"}"#),
            false => {
                let host = realm.lock().unwrap();
                unauthorized(&format!("{scheme} realm=\"http://{host}/token\""))
            }
        });
        own.lock().unwrap().clone_from(&mirror);
        let target = format!("Location: http://{mirror}/upload\r\n");
        let (address, _) = server(move |head| match head.starts_with("POST") {
            true => answer("202 Accepted", &target, b""),
            false => answer("404 Not Found", "", b""),
        });
        let reference = format!("oci://{address}/team/tidy:1");
        let ran = machine.run(&[
            "policy",
            "push",
            "tidy.wasm",
            &reference,
            "--credentials",
            "credentials",
            "--allow-host",
            &mirror,
        ]);
        assert_eq!(ran.exit, Some(1), "{ran:?}");
        let why = "credentials are sent only to the registry";
        assert!(
            ran.err.contains(&mirror) && ran.err.contains(why),
            "{ran:?}"
        );
        assert_eq!(at_mirror.lock().unwrap().len(), 1);
        assert!(!has_credentials(&at_mirror), "{at_mirror:?}");
    }
}

/// The program with this proxy for all requests.
fn through(proxy: &str, machine: &Machine, args: &[&str]) -> Ran {
    let mut command = machine.command(args);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(name, format!("http://{proxy}"));
    }
    Ran::of(command.output().unwrap())
}

#[test]
fn a_redirect_of_a_registry_on_this_machine_to_another_one_uses_the_proxy_and_tls() {
    let (machine, ..) = with_credentials();
    let (proxy, at_proxy) = server(|_| answer("403 Forbidden", "", b""));
    let (plain, _) = server(|_| ok(b""));
    for (host, reaches_proxy) in [("elsewhere.example", true), (&*plain, false)] {
        let url = format!("https://{host}/v2/");
        let (address, _) = server(move |_| redirect(&url));
        let reference = format!("oci://{address}/team/tidy:1");
        let pull = ["policy", "pull", &reference, "-o", "got.wasm"];
        let ran = through(
            &proxy,
            &machine,
            &[&pull[..], &["--allow-host", host]].concat(),
        );
        assert_eq!(ran.exit, Some(1), "{ran:?}");
        let why = format!("{host} cannot be reached: ");
        assert!(ran.err.contains(&why), "{ran:?}");
        let heads = std::mem::take(&mut *at_proxy.lock().unwrap());
        assert_eq!(
            heads.iter().any(|head| head.starts_with("connect ")),
            reaches_proxy,
            "{heads:?}"
        );
    }
}

#[test]
fn a_host_that_is_allowed_is_a_host_and_not_a_url() {
    let machine = machine();
    for host in ["https://cdn.example.org", "cdn.example.org/x", ""] {
        let ran = pull(&machine, "127.0.0.1:1", &["--allow-host", host]);
        assert_eq!(ran.exit, Some(2), "{ran:?}");
        assert!(ran.err.contains("must be HOST or HOST:PORT"), "{ran:?}");
    }
}
