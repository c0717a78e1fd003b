//! TLS for clients: certificates, clients' certificates, renewal while running, and that nothing starts in clear text where other
//! machines could listen.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;
use crate::support::certificates::{Authority, Identity};

/// The name that the certificates are for.
const NAME: &str = "audit.example";

/// A host with TLS, its authority, and its files.
struct Encrypted {
    host: Host,
    authority: Authority,
    log: PathBuf,
}

impl Encrypted {
    /// Starts a host. With `client_ca`, clients need a certificate of the same authority.
    fn start(client_ca: bool) -> Encrypted {
        let dir = crate::support::temporary();
        let authority = Authority::new("test authority");
        write_identity(dir.path(), &authority.issue(&[NAME]));
        let mut settings = settings(dir.path());
        if client_ca {
            let file = dir.path().join("ca.pem");
            std::fs::write(&file, authority.pem()).unwrap();
            settings +=
                &format!("tls.client_ca = {file:?}\nadmin_listen = \"unix:admin.socket\"\n");
        }
        let home = dir.path().join("home/.config/chiffon-audit");
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(home.join("config.toml"), settings).unwrap();
        let init = program(dir.path(), &["init", "--bare", "audit.git"]).output();
        assert!(init.unwrap().status.success());
        let log = dir.path().join("log");
        let stderr = std::fs::File::create(&log).unwrap();
        let mut served = Served::start_with(dir.path(), &["--log", "info"], &[], stderr.into());
        let address = served.address.strip_prefix("https://");
        served.address = address.expect("a scheme").to_owned();
        Encrypted {
            host: Host { dir, served },
            authority,
            log,
        }
    }

    fn connect(&self, client: Option<&Identity>) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).unwrap();
        roots.add(root).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate, key }) => {
                let chain = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
        };
        let name = ServerName::try_from(NAME).unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        StreamOwned::new(session, self.host.served.connect())
    }

    /// The answer to a request over TLS.
    fn send(&self, request: &str, client: Option<&Identity>) -> std::io::Result<Answer> {
        let mut stream = self.connect(client);
        stream.write_all(request.as_bytes())?;
        read_answer(stream)
    }
}

/// Writes a certificate, and its key for the owner alone.
fn write_identity(dir: &Path, identity: &Identity) {
    std::fs::write(dir.join("cert.pem"), &identity.certificate).unwrap();
    let key = dir.join("key.pem");
    std::fs::write(&key, &identity.key).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn settings(dir: &Path) -> String {
    let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    format!("[serve]\ntls.certificate = {certificate:?}\ntls.key = {key:?}\n")
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

fn post(body: &str) -> String {
    format!(
        "POST /api/v1/outcomes?wait=committed HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn outcomes_are_reported_and_events_followed_over_tls() {
    let encrypted = Encrypted::start(false);
    // A large document arrives in many records, and its entry leaves in many.
    let text = "x".repeat(700_000);
    let body = format!(
        r#"{{"task_id":"large","status":"completed","execution_result":{{"outcome":{{"log":"{text}"}}}}}}"#
    );
    let answer = encrypted.send(&post(&body), None).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.head);
    let entry = encrypted.send(&get("/api/v1/tasks/large/entry"), None);
    assert!(entry.unwrap().body.len() > 700_000);
    let mut events = encrypted.connect(None);
    events.write_all(get("/api/v1/events").as_bytes()).unwrap();
    let mut lines = BufReader::new(events).lines();
    assert!(lines.next().unwrap().unwrap().contains(" 200 "));
    let answer = encrypted.send(&post(&outcome("followed", "failed")), None);
    assert_eq!(answer.unwrap().status, 200);
    let found = lines.find(|line| line.as_ref().unwrap().contains("followed"));
    assert!(found.is_some());
    let address = &encrypted.host.served.address;
    let ready = ["-C", "audit.git", "ready", "--listen", address];
    let ready = program(encrypted.host.dir.path(), &ready).output().unwrap();
    assert!(ready.status.success(), "{ready:?}");
    let metrics = encrypted.send(&get("/metrics"), None).unwrap().body;
    assert!(
        metrics.contains("\nchiffon_audit_tls_certificate_expires_seconds "),
        "{metrics}"
    );
}

#[test]
fn a_request_without_tls_is_told_so_and_reports_nothing() {
    let encrypted = Encrypted::start(false);
    let served = &encrypted.host.served;
    let answer = served.post(
        "/api/v1/outcomes?wait=committed",
        &outcome("a", "completed"),
    );
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.body.contains("requires TLS"), "{answer:?}");
    assert_eq!(encrypted.host.entries(), 0);
    // Neither TLS nor HTTP: no answer, and the host continues.
    let mut noise = served.connect();
    noise.write_all(&[0, 1, 2]).unwrap();
    assert_eq!(noise.read(&mut [0; 16]).unwrap_or(0), 0);
    let metrics = encrypted.send(&get("/metrics"), None).unwrap().body;
    assert!(
        metrics.contains("\nchiffon_audit_tls_handshakes_failed_total 1\n"),
        "{metrics}"
    );
}

#[test]
fn with_a_client_authority_only_its_clients_connect() {
    let encrypted = Encrypted::start(true);
    let known = encrypted.authority.issue(&["client"]);
    let answer = encrypted.send(&get("/healthz"), Some(&known)).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let unknown = Authority::new("another").issue(&["client"]);
    // A health check has no certificate: it asks at the address for probes.
    let ready = program(encrypted.host.dir.path(), &["-C", "audit.git", "ready"])
        .output()
        .unwrap();
    assert!(ready.status.success(), "{ready:?}");
    for client in [None, Some(&unknown)] {
        let refused = encrypted.send(&get("/healthz"), client);
        assert!(
            !matches!(&refused, Ok(answer) if answer.status > 0),
            "{refused:?}"
        );
    }
}

#[test]
fn a_renewed_certificate_is_shown_after_sighup_and_a_wrong_one_changes_nothing() {
    let encrypted = Encrypted::start(false);
    let dir = encrypted.host.dir.path();
    let shown = || {
        let mut stream = encrypted.connect(None);
        stream.write_all(get("/healthz").as_bytes()).unwrap();
        read_answer(&mut stream).unwrap();
        stream.conn.peer_certificates().unwrap()[0]
            .clone()
            .into_owned()
    };
    let first = shown();
    let renewed = encrypted.authority.issue(&[NAME]);
    // The key of another certificate.
    std::fs::write(dir.join("cert.pem"), &renewed.certificate).unwrap();
    reload_until(
        &encrypted,
        "serve.tls.key is not the key of serve.tls.certificate",
    );
    assert_eq!(shown(), first);
    write_identity(dir, &renewed);
    reload_until(&encrypted, "were reloaded");
    assert_ne!(shown(), first);
}

#[track_caller]
fn reload_until(encrypted: &Encrypted, words: &str) {
    encrypted.host.served.signal("-HUP");
    for _ in 0..6_000 {
        if std::fs::read_to_string(&encrypted.log)
            .unwrap()
            .contains(words)
        {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("{}", std::fs::read_to_string(&encrypted.log).unwrap());
}

/// What `serve` says when it does not start.
#[track_caller]
fn refusal(dir: &Path, settings: &str, args: &[&str]) -> String {
    let home = dir.join("home/.config/chiffon-audit");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join("config.toml"), settings).unwrap();
    let init = program(dir, &["init", "--bare", "audit.git"]).output();
    assert!(init.unwrap().status.success());
    let mut all = vec!["-C", "audit.git", "serve", "--json"];
    all.extend(args);
    let output = program(dir, &all).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!dir.join("audit.git/chiffon-audit/store.sqlite").exists());
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    said["error"].as_str().unwrap().to_owned()
}

#[test]
fn beyond_this_machine_nothing_starts_in_clear_text_unless_a_proxy_is_declared() {
    let dir = crate::support::temporary();
    std::fs::write(dir.path().join("tokens"), "write first-0123456789ab\n").unwrap();
    let beyond = ["--tokens", "tokens", "--listen", "0.0.0.0:0"];
    let said = refusal(dir.path(), "", &beyond);
    assert!(
        said.contains("in clear text") && said.contains("--behind-proxy"),
        "{said}"
    );
    let admin = [
        "--tokens",
        "tokens",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "0.0.0.0:0",
    ];
    let said = refusal(dir.path(), "", &admin);
    assert!(said.contains("in clear text"), "{said}");
    let mut args = beyond.to_vec();
    args.push("--behind-proxy");
    let served = Served::start(dir.path(), &args);
    let port = served.address.rsplit(':').next().unwrap();
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    stream.write_all(get("/healthz").as_bytes()).unwrap();
    assert_eq!(read_answer(stream).unwrap().status, 200);
}

#[test]
fn files_that_cannot_be_used_are_named_with_the_setting() {
    let dir = crate::support::temporary();
    let authority = Authority::new("test authority");
    let identity = authority.issue(&[NAME]);
    write_identity(dir.path(), &identity);
    let at = |name: &str| dir.path().join(name);
    let good = settings(dir.path());
    let cases = [
        (
            format!("[serve]\ntls.certificate = {:?}\n", at("cert.pem")),
            "needs serve.tls.key",
        ),
        (
            format!("[serve]\ntls.key = {:?}\n", at("key.pem")),
            "needs serve.tls.certificate",
        ),
        (
            format!("[serve]\ntls.client_ca = {:?}\n", at("cert.pem")),
            "serve.tls.client_ca needs",
        ),
        (
            good.replace("cert.pem", "absent.pem"),
            "serve.tls.certificate: cannot read",
        ),
        (
            good.replace("cert.pem", "key.pem"),
            "serve.tls.certificate: ",
        ),
        (good.replace("key.pem", "cert.pem"), "serve.tls.key: "),
        (
            format!("{good}tls.client_ca = {:?}\n", at("key.pem")),
            "serve.tls.client_ca: ",
        ),
    ];
    for (settings, words) in cases {
        let said = refusal(dir.path(), &settings, &[]);
        assert!(said.contains(words), "{said}");
        std::fs::remove_dir_all(at("audit.git")).unwrap();
    }
    std::fs::set_permissions(at("key.pem"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = refusal(dir.path(), &good, &[]);
    assert!(said.contains("is accessible to other users"), "{said}");
}
