//! Servers without TLS, and ends that are no server: nothing that must be secret reaches them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::super::run;
use super::server::{NAME, PASSWORD, TlsServer, open, refusal};
use super::{BOUND, FULL};

/// The request for TLS: its length and its code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Answers each connection's request for TLS with these bytes, and returns the bytes that follow the first one's request.
fn answered_with(answer: &'static [u8], parameters: &str) -> (String, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 8];
        stream.read_exact(&mut request).unwrap();
        assert_eq!(request, SSL_REQUEST);
        stream.write_all(answer).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        // An error ends what is sent, as the end does.
        let _ = stream.read_to_end(&mut rest);
        rest
    });
    let url = format!("postgres://u:{PASSWORD}@{NAME}:{port}/d?hostaddr=127.0.0.1&{parameters}");
    let error = run(refusal(&url));
    (error, heard.join().unwrap())
}

#[test]
fn nothing_is_sent_to_a_server_that_declines_tls() {
    let dir = crate::support::temporary();
    let file = dir.path().join("ca.pem");
    std::fs::write(
        &file,
        crate::support::certificates::Authority::new("a").pem(),
    )
    .unwrap();
    let ca = file.display().to_string();
    for parameters in [FULL, super::BY_AUTHORITY, BOUND, "sslrootcert=CA"] {
        let (error, sent) = answered_with(b"N", &parameters.replace("CA", &ca));
        assert!(
            error.ends_with(
                "the server has no TLS; sslmode=disable connects without it where the network is trusted"
            ),
            "{error}"
        );
        assert_eq!(sent, b"", "{parameters}");
    }
}

#[test]
fn nothing_but_the_handshake_is_sent_to_an_end_that_does_not_complete_it() {
    // It ends the connection, or sends in clear text what a server sends after a login.
    for answer in [&b"S"[..], b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"] {
        let (error, sent) = answered_with(answer, BOUND);
        assert!(error.contains("TLS"), "{error}");
        // A handshake record, and at most an alert after it.
        assert_eq!(sent.first(), Some(&22), "{sent:?}");
        let has = |text: &str| sent.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(!has(PASSWORD) && !has("client_encoding") && !has("user"));
        assert!(has(NAME));
    }
}

#[test]
fn a_server_that_has_tls_no_longer_is_refused() {
    run(async {
        let Some(server) = TlsServer::start().await else {
            return;
        };
        let store = open(&server.url("scram", FULL)).await.unwrap();
        server.set_tls(false).await;
        for parameters in [FULL, BOUND] {
            let error = refusal(&server.url("scram", parameters)).await;
            assert!(error.contains("the server has no TLS"), "{error}");
        }
        server.end_sessions("scram").await;
        assert!(store.ping().await.is_err());
        server.set_tls(true).await;
        store.ping().await.unwrap();
    });
}
