//! Whole documents: sealing, opening, comparing, and what an erasure leaves.

use std::sync::Arc;

use super::{Rules, SealError, Sealer};
use crate::keys::{KeyEncryption, KeyStore, NewErasure, Selection};
use crate::pattern::Pattern;

const TRAIL: &str = "b3ecbee0-3548-46a7-8651-485ab5db0a1d";
const DOCUMENT: &str = r#"{ "task_id": "a", "status": "completed",
  "metadata": {"user": "ann", "mail": [ "ann@example.org", 1.50 ] , "x": 1} }"#;

fn sealer(dir: &std::path::Path) -> Sealer {
    let encryption = KeyEncryption::File(dir.join("kek"));
    let keys = KeyStore::open_or_create(&dir.join("keys.db"), TRAIL, &encryption, 1).unwrap();
    let patterns = ["/metadata/user", "/metadata/mail"];
    let rules = Rules {
        patterns: patterns
            .iter()
            .map(|text| Pattern::parse(text).unwrap())
            .collect(),
        subject: Some("/metadata/user".into()),
    };
    Sealer::new(rules, Arc::new(keys))
}

#[test]
fn an_opened_document_is_the_one_that_was_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let sealer = sealer(dir.path());
    let sealed = sealer.seal("a", DOCUMENT, DOCUMENT, 2).unwrap();
    assert!(!sealed.text.contains("ann"));
    assert!(sealed.text.contains(r#" , "x": 1} }"#));
    let secrets: Vec<&str> = sealed.secrets.iter().map(|secret| &***secret).collect();
    assert_eq!(secrets, ["ann", "ann@example.org"]);
    assert_eq!(
        sealer.seal("a", DOCUMENT, DOCUMENT, 3).unwrap().text,
        sealed.text
    );
    // What is sealed already stays.
    assert_eq!(
        sealer.seal("a", DOCUMENT, &sealed.text, 3).unwrap().text,
        sealed.text
    );
    let opened = sealer.open("a", &sealed.text).unwrap();
    assert_eq!(opened.text, DOCUMENT);
    assert_eq!(opened.opened, ["/metadata/user", "/metadata/mail"]);
    // In the entry of another task it does not open.
    assert!(matches!(
        sealer.open("b", &sealed.text),
        Err(SealError::Open { .. })
    ));
}

#[test]
fn the_same_outcome_is_recognised_by_its_commitments() {
    let dir = tempfile::tempdir().unwrap();
    let sealer = sealer(dir.path());
    let sealed = sealer.seal("a", DOCUMENT, DOCUMENT, 2).unwrap().text;
    // Without boxes nothing can be decrypted.
    let commitments = remove_boxes(&sealed);
    let opened = sealer
        .open_beside("a", &commitments, Some(DOCUMENT))
        .unwrap();
    assert_eq!(opened.text, DOCUMENT);
    let other = DOCUMENT.replace("1.50", "1.5");
    assert!(sealer.open_beside("a", &commitments, Some(&other)).is_err());
    assert_eq!(
        sealer.open_beside("a", &sealed, Some(&other)).unwrap().text,
        DOCUMENT
    );
}

fn remove_boxes(sealed: &str) -> String {
    let mut parts = sealed.split(",\"box\":\"");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        text.push_str(part.split_once('"').unwrap().1);
    }
    text
}

#[test]
fn an_erased_value_is_named_and_takes_the_place_of_any() {
    let dir = tempfile::tempdir().unwrap();
    let sealer = sealer(dir.path());
    let sealed = sealer.seal("a", DOCUMENT, DOCUMENT, 2).unwrap().text;
    let erasure = NewErasure {
        selection: Selection::Subject("ann"),
        reason: "request",
        now: 3,
    };
    sealer.keys().erase(&erasure).unwrap();
    let opened = sealer.open("a", &sealed).unwrap();
    assert_eq!(opened.text, sealed);
    assert_eq!(opened.erased.len(), 2);
    let other = DOCUMENT.replace("ann@", "bob@");
    let beside = sealer.open_beside("a", &sealed, Some(&other)).unwrap();
    assert_eq!(beside.text, other);
    assert_eq!(beside.erased.len(), 2);
    assert!(matches!(
        sealer.seal("a", DOCUMENT, DOCUMENT, 4),
        Err(SealError::Erased(_))
    ));
}
