//! OpenPGP signatures in GnuPG's form, and keys that have expired since.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chiffon_audit_cli::trail::SigningKey;
use chiffon_audit_cli::verify::{self, AuditResult, Verdict};

use super::signing::{signatures, signed_trail, with_key};
use crate::support::signers::Signers;
use crate::support::*;

/// A trail that an OpenPGP key signs, with the options to check it.
fn trail(arguments: &[&str], expires: &str) -> (Repo, Signers, verify::Options<'static>) {
    let (repo, mut signers) = (Repo::bare(), Signers::new());
    let (key, program) = signers.openpgp_at(arguments, expires);
    let mut signing = with_key(Path::new(""));
    signing.key = SigningKey::OpenPgp { key, program };
    signed_trail(&repo, &signing);
    let check = verify::Options {
        openpgp_keys: Some(signers.openpgp_public()),
        ..verify::Options::default()
    };
    (repo, signers, check)
}

#[test]
fn what_a_key_signed_before_it_expired_stays_signed() {
    let at = ["--faked-system-time", "20260121T100000!"];
    let (repo, _signers, check) = trail(&at, "seconds=864000");
    let report = verify::verify(&repo.path, &check).unwrap();
    assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
}

/// The checksum of an armour (RFC 4880, section 6.1).
fn crc24(bytes: &[u8]) -> String {
    let mut crc = 0x00b7_04ce_u32;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4cfb;
            }
        }
    }
    STANDARD.encode(&crc.to_be_bytes()[1..])
}

#[test]
fn an_openpgp_signature_that_was_written_otherwise_without_the_key_is_named() {
    let (repo, signers, check) = trail(&[], "0");
    let honest = repo.git(&["cat-file", "commit", "HEAD"]);
    let begin = honest.find("SIGNATURE-----\n \n").unwrap() + "SIGNATURE-----\n \n".len();
    let end = honest.find(" -----END").unwrap();
    let armour = honest[begin..end].replace(['\n', ' '], "");
    let (text, _) = armour.rsplit_once('=').unwrap();
    let packet = STANDARD.decode(text).unwrap();
    let write = |packet: &[u8], width: usize, head: &str, tail: bool| {
        let text = STANDARD.encode(packet);
        let lines = text.as_bytes().chunks(width);
        let lines: String = lines
            .map(|line| format!(" {}\n", std::str::from_utf8(line).unwrap()))
            .collect();
        let sum = match tail {
            true => format!(" ={}\n", crc24(packet)),
            false => String::new(),
        };
        let before = honest[..begin].strip_suffix(" \n").unwrap();
        format!("{before}{head} \n{lines}{sum}{}", &honest[end..])
    };
    assert_eq!(write(&packet, 64, "", true), honest, "as GnuPG writes it");
    let audit = |commit: &str| {
        let file = signers.write("commit", commit);
        let arguments = ["hash-object", "-t", "commit", "-w", file.to_str().unwrap()];
        let id = repo.git(&arguments);
        repo.git(&["update-ref", "HEAD", id.trim()]);
        verify::verify(&repo.path, &check).unwrap()
    };
    let broken = |commit: &str, words: &str| {
        let report = audit(commit);
        let Verdict::Broken { what, .. } = signatures(&report) else {
            panic!("{words}: {report:#?}");
        };
        assert!(what.contains(words), "{what}");
    };
    broken(&write(&packet, 60, "", true), "lines are not of 64 letters");
    for (head, tail, words) in [
        (" Comment: mine\n", true, "the line `Comment: mine`"),
        ("", false, "no checksum"),
    ] {
        let report = audit(&write(&packet, 64, head, tail));
        let Verdict::NotShown { missing } = signatures(&report) else {
            panic!("{words}: {report:#?}");
        };
        assert!(missing.contains(words), "{missing}");
    }
    // The part of the packet that is not signed: more in it, and another prefix of the digest.
    assert_eq!(packet[0], 0x88);
    let hashed = usize::from(u16::from_be_bytes([packet[6], packet[7]]));
    let unhashed = 8 + hashed;
    let mut more = packet.clone();
    more[unhashed + 1] += 3;
    let comment = [2, 100, b'x'];
    more.splice(unhashed + 2..unhashed + 2, comment);
    more[1] += 3;
    broken(&write(&more, 64, "", true), "has data that is not signed");
    let mut digest = packet.clone();
    let left = unhashed + 2 + usize::from(packet[unhashed + 1]);
    digest[left] ^= 1;
    broken(&write(&digest, 64, "", true), "first bytes of its digest");
    let mut twice = packet.clone();
    twice.extend_from_slice(&packet);
    broken(&write(&twice, 64, "", true), "");
}
