//! The certificate of a PostgreSQL server that expires under a running host, and its renewal.

use super::*;
use crate::store::run;
use crate::store::tls::server::{NAME, TlsServer, params_between};

#[test]
fn a_certificate_that_expires_stops_new_sessions_and_is_told_until_it_is_renewed() {
    let Some(server) = run(TlsServer::start()) else {
        return;
    };
    let url = server.url("scram", "sslmode=verify-full&sslrootcert=CA");
    let host = Host::with(&["--store", &url]);
    host.commit("a", "completed");
    run(server.present(&server.authority.issue_by(params_between(2000, 2001))));
    // As when they have been idle.
    run(server.end_sessions("scram"));
    host.until("/readyz", |ready| ready["causes"][0] == "store");
    let answer = host.post("/api/v1/outcomes", &outcome("b", "completed"));
    assert_eq!(answer.status, 503, "{answer:?}");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.ends_with("the server's certificate has expired"),
        "{detail}"
    );
    run(server.present(&server.authority.issue(&[NAME])));
    host.until("/readyz", |ready| ready["status"] == "ready");
    host.commit("b", "completed");
    assert_eq!(host.entries(), 2);
}
