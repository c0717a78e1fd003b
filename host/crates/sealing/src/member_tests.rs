//! Golden bytes of a sealed member, from the reference in another language, and what must not open.

use super::{OpenError, Place, SealedMember, disclosure, padded_length, seal};
use crate::key::{KeyId, SecretKey};

const TRAIL: &str = "b3ecbee0-3548-46a7-8651-485ab5db0a1d";

fn key() -> SecretKey {
    let bytes: Vec<u8> = (0..32).collect();
    SecretKey::from_bytes(&bytes).unwrap()
}

fn id() -> KeyId {
    KeyId::parse("k1.AAAAAAAAAAAAAAAAAAAAAA").unwrap()
}

fn place(pointer: &str) -> Place<'_> {
    Place {
        trail: TRAIL,
        task: "deploy-42",
        pointer,
    }
}

#[test]
fn the_bytes_match_the_reference() {
    let check = |pointer: &str, value: &str, expected_disclosure: &str, sealed: &str| {
        let place = place(pointer);
        assert_eq!(disclosure(&key(), &place, value), expected_disclosure);
        let made = seal(&key(), &id(), &place, value);
        assert_eq!(made.to_json(), sealed);
        let read = SealedMember::parse(sealed).unwrap();
        assert_eq!(read, made);
        assert_eq!(&**read.open(&key(), &place).unwrap(), value);
        assert!(read.commits_to(&key(), &place, value));
    };
    check(
        "/execution_result/outcome",
        r#"{"card": "4111 1111 1111 1111", "note": 1.0E+2}"#,
        "WyI0WTNKVTdOVEVsc09kN2hsOGxXeXBnIiwiL2V4ZWN1dGlvbl9yZXN1bHQvb3V0Y29tZSIseyJjYXJkIjogIjQxMTEgMTExMSAxMTExIDExMTEiLCAibm90ZSI6IDEuMEUrMn1d",
        r#"{"$sealed":{"v":1,"key":"k1.AAAAAAAAAAAAAAAAAAAAAA","digest":"sha-256:lrXlTyVj9t4ln3rdepvdQ02K5_b5Ei18OcrxtXi36xI","box":"8DbkIxa9kE3pAZ1p8brawwxiVBB4CxIc20_EctyVy2R_b86wge-0Wbe2Bq40JFjC-iPECygdNwePjltQAxUul1H0QeAhUYGLHqUw96YAWHGUZY-hhfzJitErkGwceNQvS87r1JRDAuc5R1Pxoo2m8PdouNB25O3z"}}"#,
    );
    check(
        "/metadata/prüfer/\"x\"",
        r#""Ä\u0001ß""#,
        "WyJic2h6eXpHbGc2aHJmNENELUJzUElRIiwiL21ldGFkYXRhL3Byw7xmZXIvXCJ4XCIiLCLDhFx1MDAwMcOfIl0",
        r#"{"$sealed":{"v":1,"key":"k1.AAAAAAAAAAAAAAAAAAAAAA","digest":"sha-256:2qD-_wZr6ILZXLgmMUWlKK_zaqe16SX7rT1WHBd1kvU","box":"LGcd2SGKz7cJLxfpmnrMVCnYt0KTtna4zp3bD7HhcgJeDS-8P4olhdKCjVf0VmQObYESbw7PvnWwAfff6TFBECyYLztzKoki2LQiZ5wx16CqH8mMknJurQ"}}"#,
    );
}

#[test]
fn a_box_opens_only_at_its_place_and_with_its_key() {
    let sealed = seal(&key(), &id(), &place("/metadata/a"), "\"secret\"");
    let altered = Err(OpenError::Altered);
    let opened = |sealed: &SealedMember, key: &SecretKey, place: &Place<'_>| {
        sealed.open(key, place).map(|value| value.to_string())
    };
    let other_key = SecretKey::from_bytes(&[9; 32]).unwrap();
    assert_eq!(opened(&sealed, &other_key, &place("/metadata/a")), altered);
    for other in [
        place("/metadata/b"),
        Place {
            trail: "another",
            ..place("/metadata/a")
        },
        Place {
            task: "deploy-43",
            ..place("/metadata/a")
        },
    ] {
        assert_eq!(opened(&sealed, &key(), &other), altered);
        assert!(!sealed.commits_to(&key(), &other, "\"secret\""));
    }
    let mut renamed = sealed.clone();
    renamed.key = KeyId::random().unwrap();
    assert_eq!(opened(&renamed, &key(), &place("/metadata/a")), altered);
    // A digest of something else: the key is derived from it, so the box does not open.
    let mut other_digest = sealed.clone();
    other_digest.digest[0] ^= 1;
    assert_eq!(
        opened(&other_digest, &key(), &place("/metadata/a")),
        altered
    );
    let mut unboxed = sealed.clone();
    unboxed.boxed = None;
    assert_eq!(
        opened(&unboxed, &key(), &place("/metadata/a")),
        Err(OpenError::NoBox)
    );
    assert!(unboxed.commits_to(&key(), &place("/metadata/a"), "\"secret\""));
    assert_eq!(SealedMember::parse(&unboxed.to_json()), Some(unboxed));
}

#[test]
fn short_values_have_one_length_and_long_ones_few() {
    let check = |length, padded| assert_eq!(padded_length(length), padded, "{length}");
    check(1, 64);
    check(64, 64);
    check(65, 72);
    check(100, 104);
    check(1000, 1024);
    check(1025, 1088);
    let length = |value: &str| {
        seal(&key(), &id(), &place("/metadata/a"), value)
            .to_json()
            .len()
    };
    assert_eq!(length("1"), length("\"a longer text\""));
}

#[test]
fn what_is_no_sealed_value_is_not_read_as_one() {
    for text in [
        "1",
        "\"$sealed\"",
        "{}",
        r#"{"$sealed":1}"#,
        r#"{"$sealed":{"v":2,"key":"k1.AAAAAAAAAAAAAAAAAAAAAA","digest":"sha-256:2qD-_wZr6ILZXLgmMUWlKK_zaqe16SX7rT1WHBd1kvU"}}"#,
        r#"{"$sealed":{"v":1,"key":"k1.AAAAAAAAAAAAAAAAAAAAAA","digest":"sha-256:2qD"}}"#,
        r#"{"$sealed":{"v":1,"key":"k1.AAAAAAAAAAAAAAAAAAAAAA"}}"#,
        r#"{"$sealed":{"v":1,"key":"k1.AAAAAAAAAAAAAAAAAAAAAA","digest":"sha-256:2qD-_wZr6ILZXLgmMUWlKK_zaqe16SX7rT1WHBd1kvU"},"x":1}"#,
    ] {
        assert_eq!(SealedMember::parse(text), None, "{text}");
    }
}
