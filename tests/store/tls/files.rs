//! The files of certificates and keys that a URL names: each one that cannot be used is refused with the cause.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::super::run;
use super::FULL;
use super::server::refusal;
use crate::support::certificates::{Authority, params};

#[test]
fn a_file_that_cannot_be_used_is_refused_with_the_cause() {
    let dir = crate::support::temporary();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let put = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    let authority = Authority::new("a");
    let (one, other) = (
        authority.issue_by(params(&[], "one")),
        authority.issue_by(params(&[], "other")),
    );
    put("ca.pem", &authority.pem());
    put("empty.pem", "");
    put("words.pem", "no certificate");
    put("cut.pem", &authority.pem()[..100]);
    put("large.pem", &"-".repeat(2 << 20));
    put("one.crt", &one.certificate);
    for (name, key, mode) in [
        ("one.key", &one.key, 0o600),
        ("other.key", &other.key, 0o600),
        ("open.key", &one.key, 0o604),
        ("group.key", &one.key, 0o620),
    ] {
        put(name, key);
        std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    assert!(
        Command::new("mkfifo")
            .arg(path("pipe"))
            .status()
            .unwrap()
            .success()
    );
    let check = |parameters: &str, expected: &str| {
        let full = FULL.replace("CA", &path("ca.pem"));
        let parameters = match parameters.contains("sslrootcert") {
            true => parameters.to_owned(),
            false => format!("{full}&{parameters}"),
        };
        // Nothing is connected to: the name has no address.
        let url = format!("postgres://u:secret@db.invalid/d?{parameters}");
        let error = run(refusal(&url));
        let expected = format!("postgres://u@db.invalid/d: {expected}");
        assert!(error.ends_with(&expected), "{error}\n{expected}");
    };
    for name in ["empty.pem", "words.pem", "cut.pem"] {
        let file = path(name);
        let expected = format!("sslrootcert: {file} has no certificate in PEM form");
        check(&format!("sslrootcert={file}"), &expected);
    }
    for file in [path("pipe"), path("large.pem"), path("")] {
        let expected = format!("sslrootcert: {file} is not a file of certificates or keys");
        check(&format!("sslrootcert={file}"), &expected);
    }
    let absent = path("absent");
    check(
        &format!("sslrootcert={absent}"),
        &format!("sslrootcert: cannot read {absent}: No such file or directory (os error 2)"),
    );
    let certificate = path("one.crt");
    for name in ["open.key", "group.key"] {
        let key = path(name);
        check(
            &format!("sslcert={certificate}&sslkey={key}"),
            &format!("sslkey: {key} is accessible to other users: run `chmod 600`"),
        );
    }
    let other = path("other.key");
    check(
        &format!("sslcert={certificate}&sslkey={other}"),
        "sslcert and sslkey: keys may not be consistent: KeyMismatch",
    );
    let pipe = path("pipe");
    check(
        &format!("sslcert={certificate}&sslkey={pipe}"),
        &format!("sslkey: {pipe} is not a file of certificates or keys"),
    );
    check(
        &format!("sslcert={certificate}"),
        "sslcert and sslkey are given together or not at all",
    );
}
