//! Certificates that expire or are replaced while a store is in use.

use chiffon_audit_cli::store::Store;

use super::super::run;
use super::FULL;
use super::server::{NAME, TlsServer, open, params_between};
use crate::support::certificates::{Authority, Identity, params};

/// Why no new session can be made. The first calls may get the end of the sessions that there were.
async fn failure(store: &dyn Store) -> String {
    let mut errors = Vec::new();
    while errors.len() < 1_000 {
        let error = store.ping().await.expect_err("no session can be made");
        errors.push(error.to_string());
        if let Some(error) = errors.last().filter(|error| error.contains("cert")) {
            return error.clone();
        }
    }
    panic!("{errors:?}");
}

#[test]
fn a_certificate_that_expires_while_a_store_is_used_stops_only_new_sessions() {
    run(async {
        let Some(server) = TlsServer::start().await else {
            return;
        };
        let store = open(&server.url("scram", FULL)).await.unwrap();
        store.ping().await.unwrap();
        let expired = server.authority.issue_by(params_between(2000, 2001));
        server.present(&expired).await;
        // In the session that there is.
        store.ping().await.unwrap();
        server.end_sessions("scram").await;
        let error = failure(&*store).await;
        assert!(
            error.ends_with("/scram: the server's certificate has expired"),
            "{error}"
        );
        server.present(&server.authority.issue(&[NAME])).await;
        store.ping().await.unwrap();
    });
}

#[test]
fn files_that_are_replaced_are_read_without_a_restart() {
    run(async {
        let Some(server) = TlsServer::start().await else {
            return;
        };
        let put = |identity: &Identity| {
            server.put("client.crt", &identity.certificate);
            server.put("client.key", &identity.key);
        };
        let client = || server.authority.issue_by(params(&[], "certified"));
        put(&client());
        let files = format!(
            "{FULL}&sslcert={}&sslkey={}",
            server.file("client.crt"),
            server.file("client.key")
        );
        let store = open(&server.url("certified", &files)).await.unwrap();
        store.ping().await.unwrap();

        // The server changes to another authority, and then our file does.
        let next = Authority::new("next");
        server.present(&next.issue(&[NAME])).await;
        server.end_sessions("certified").await;
        let error = failure(&*store).await;
        assert!(
            error.contains("an authority that is not trusted"),
            "{error}"
        );
        server.put("ca.pem", &next.pem());
        store.ping().await.unwrap();

        // Half of a renewal: the certificate is new, its key is not there yet.
        let renewed = client();
        server.put("client.crt", &renewed.certificate);
        store.ping().await.unwrap();
        server.end_sessions("certified").await;
        let error = failure(&*store).await;
        assert!(error.contains("sslcert and sslkey"), "{error}");
        put(&renewed);
        store.ping().await.unwrap();

        // A certificate of the client that has expired, and its renewal.
        let mut expired = params_between(2000, 2001);
        expired.distinguished_name = params(&[], "certified").distinguished_name;
        put(&server.authority.issue_by(expired));
        server.end_sessions("certified").await;
        let error = failure(&*store).await;
        assert!(
            error.contains("the server does not accept the client certificate"),
            "{error}"
        );
        put(&client());
        store.ping().await.unwrap();
    });
}
