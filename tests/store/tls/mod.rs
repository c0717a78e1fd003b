//! TLS to PostgreSQL: which servers are trusted, with a real server and certificates of every kind.

mod clear;
mod files;
mod running;
pub mod server;

use rcgen::KeyPair;

use super::run;
use crate::support::certificates::{Authority, params};
use server::{NAME, TlsServer, open, params_between, refusal, self_signed};

const FULL: &str = "sslmode=verify-full&sslrootcert=CA";
const BY_AUTHORITY: &str = "sslmode=verify-ca&sslrootcert=CA";
const BOUND: &str = "sslmode=require&channel_binding=require";

/// The key of an algorithm to which no digest belongs, so that nothing can be bound to its certificate.
const ED25519: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n";

#[test]
fn a_server_with_the_right_certificate_is_trusted() {
    run(async {
        let Some(server) = TlsServer::start().await else {
            return;
        };
        for parameters in [
            FULL,
            BY_AUTHORITY,
            "sslrootcert=CA",
            "sslmode=require&sslrootcert=CA",
            "sslmode=verify-full&sslrootcert=CA&channel_binding=require",
            BOUND,
        ] {
            let store = open(&server.url("scram", parameters)).await.unwrap();
            store.ping().await.unwrap();
        }
        // The roles that send a password, or none, are fine once the server is known.
        for role in ["cleartext", "md5", "trusted"] {
            open(&server.url(role, FULL)).await.unwrap();
        }
        // The server has no entry for connections without TLS.
        let error = refusal(&server.url("scram", "sslmode=disable")).await;
        assert!(error.contains("no encryption"), "{error}");
    });
}

#[test]
fn a_server_with_another_certificate_is_refused_with_the_cause() {
    run(async {
        let Some(server) = TlsServer::start().await else {
            return;
        };
        let check = async |parameters: &str, expected: &str| {
            let error = refusal(&server.url("scram", parameters)).await;
            assert!(error.ends_with(expected), "{error}");
        };
        let ours = &server.authority;

        // Another name.
        server
            .present(&ours.issue(&["other.example", "10.0.0.1"]))
            .await;
        check(
            FULL,
            "the server's certificate is not for db.example, but for other.example, 10.0.0.1",
        )
        .await;
        open(&server.url("scram", BY_AUTHORITY)).await.unwrap();

        // No name, except the common name, which does not count.
        server.present(&ours.issue_by(params(&[], NAME))).await;
        check(
            FULL,
            "the server's certificate has no subject alternative name, so it is not for db.example",
        )
        .await;
        open(&server.url("scram", BY_AUTHORITY)).await.unwrap();

        server
            .present(&ours.issue_by(params_between(2000, 2001)))
            .await;
        for parameters in [FULL, BY_AUTHORITY] {
            check(parameters, "the server's certificate has expired").await;
        }
        server
            .present(&ours.issue_by(params_between(3000, 3001)))
            .await;
        for parameters in [FULL, BY_AUTHORITY] {
            check(
                parameters,
                "the server's certificate is not valid yet: compare the clocks",
            )
            .await;
        }

        // An unknown authority.
        const UNKNOWN: &str =
            "is of an authority that is not trusted: name a file with the right one in sslrootcert";
        server
            .present(&Authority::new("another").issue(&[NAME]))
            .await;
        for parameters in [FULL, BY_AUTHORITY] {
            check(parameters, UNKNOWN).await;
        }
        server.present(&ours.issue(&[NAME])).await;
        open(&server.url("scram", FULL)).await.unwrap();

        // As `openssl req -x509` makes one, even if it is trusted itself.
        server.present(&ours.own()).await;
        check(
            FULL,
            "the server's certificate is an authority's own: a server needs one that is not an authority's",
        )
        .await;
        server.present(&ours.issue(&[NAME])).await;

        // An address instead of a name.
        let address = server.url_of("127.0.0.1", "scram", FULL);
        let error = refusal(&address).await;
        assert!(
            error.ends_with("is not for 127.0.0.1, but for db.example"),
            "{error}"
        );
        server.present(&ours.issue(&["127.0.0.1"])).await;
        open(&address).await.unwrap();
        // As in libpq, without a host the address is the name.
        open(&server.url_of("", "scram", FULL)).await.unwrap();
    });
}

#[test]
fn an_unknown_certificate_is_accepted_only_if_the_password_is_bound_to_it() {
    run(async {
        let Some(server) = TlsServer::start().await else {
            return;
        };
        let key = KeyPair::generate().unwrap().serialize_pem();
        server.present(&self_signed(&key)).await;
        let error = refusal(&server.url("scram", "sslmode=require")).await;
        assert!(error.contains("sslmode=require alone"), "{error}");
        open(&server.url("scram", BOUND)).await.unwrap();
        const UNBOUND: &str = "the server cannot bind the password to its certificate, as channel_binding=require asks: it \
                               needs the authentication scram-sha-256, and a certificate that is signed with RSA or ECDSA";
        for role in ["cleartext", "md5", "trusted"] {
            let error = refusal(&server.url(role, BOUND)).await;
            assert!(error.ends_with(UNBOUND), "{error}");
        }
        // The passwords are right, so the server would have accepted them.
        let log = server.log();
        for role in ["cleartext", "md5"] {
            assert!(
                !log.contains(&format!("connection authorized: user={role} ")),
                "{log}"
            );
            assert!(
                !log.contains(&format!("failed for user \"{role}\"")),
                "{log}"
            );
        }
        assert!(server.log().contains("connection authorized: user=scram "));
        server.present(&self_signed(ED25519)).await;
        let error = refusal(&server.url("scram", BOUND)).await;
        assert!(error.ends_with(UNBOUND), "{error}");
    });
}

#[test]
fn a_server_that_asks_for_a_certificate_gets_the_named_one() {
    run(async {
        let Some(server) = TlsServer::start().await else {
            return;
        };
        let error = refusal(&server.url("certified", FULL)).await;
        assert!(
            error.ends_with("connection requires a valid client certificate"),
            "{error}"
        );
        let url = |name: &str| {
            let files = format!(
                "{FULL}&sslcert={}&sslkey={}",
                server.file(&format!("{name}.crt")),
                server.file(&format!("{name}.key"))
            );
            server.url("certified", &files)
        };
        let put = |name: &str, identity: crate::support::certificates::Identity| {
            server.put(&format!("{name}.crt"), &identity.certificate);
            server.put(&format!("{name}.key"), &identity.key);
        };
        put("right", server.authority.issue_by(params(&[], "certified")));
        open(&url("right")).await.unwrap().ping().await.unwrap();
        // For another role.
        put("other", server.authority.issue_by(params(&[], "scram")));
        let error = refusal(&url("other")).await;
        assert!(
            error.contains("authentication failed for user \"certified\""),
            "{error}"
        );
    });
}

#[test]
fn of_several_hosts_each_must_be_the_right_one() {
    run(async {
        let (Some(one), Some(other)) = (TlsServer::start().await, TlsServer::start().await) else {
            return;
        };
        let url = |parameters: &str| one.url_with(&other, "scram", parameters);
        // The authority of the other one has the same name, but is not the first one's.
        open(&url(FULL)).await.unwrap();
        one.set_tls(false).await;
        let error = refusal(&url(FULL)).await;
        assert!(
            error.contains("another authority of the same name"),
            "{error}"
        );
        other.present(&one.authority.issue(&[NAME])).await;
        open(&url(FULL)).await.unwrap();
        assert!(other.log().contains("connection authorized: user=scram "));
    });
}
