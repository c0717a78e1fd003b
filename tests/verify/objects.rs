//! Objects whose content was replaced, lost or cut while their ids stayed.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::forge::{Forge, flat, sharded};

fn loose(forge: &Forge, id: &str) -> PathBuf {
    forge
        .git_dir()
        .join("objects")
        .join(&id[..2])
        .join(&id[2..])
}

fn only_pack(forge: &Forge, extension: &str) -> PathBuf {
    let directory = std::fs::read_dir(forge.git_dir().join("objects/pack")).unwrap();
    let mut paths = directory.map(|entry| entry.unwrap().path());
    paths
        .find(|path| path.extension().is_some_and(|found| found == extension))
        .unwrap()
}

/// Overwrites a file that git made read-only.
fn overwrite(path: &PathBuf, contents: &[u8]) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(path, contents).unwrap();
}

/// The blob of `b` and the commit that added it, in a trail with a later entry.
fn victim() -> (Forge, String, String) {
    let mut forge = Forge::bare(&[]);
    forge.genesis();
    forge.record(&sharded("a"));
    let commit = forge.record(&flat("b"));
    forge.record(&sharded("c"));
    let blob = forge
        .git(&["rev-parse", &format!("audit:{}", flat("b"))])
        .trim()
        .to_owned();
    (forge, commit, blob)
}

#[test]
fn a_loose_object_replaced_by_another_is_named() {
    let (forge, commit, blob) = victim();
    let other = forge.object("blob", b"other");
    let contents = std::fs::read(loose(&forge, &other)).unwrap();
    overwrite(&loose(&forge, &blob), &contents);
    forge.broken(
        "objects",
        Some(&commit),
        &format!("its content is that of {other}"),
    );
}

#[test]
fn a_lost_object_is_named() {
    let (forge, commit, blob) = victim();
    std::fs::remove_file(loose(&forge, &blob)).unwrap();
    forge.broken("objects", Some(&commit), &format!("{blob}: is missing"));
}

#[test]
fn a_lost_commit_is_named_and_the_history_before_it_is_not_shown() {
    let (forge, commit, _) = victim();
    std::fs::remove_file(loose(&forge, &commit)).unwrap();
    let report = forge.broken("objects", Some(&commit), "is missing");
    assert_eq!(report.entries, 0);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["claims"][1]["verdict"], "not-shown");
}

#[test]
fn damaged_loose_objects_are_named() {
    let (forge, commit, blob) = victim();
    let path = loose(&forge, &blob);
    let good = std::fs::read(&path).unwrap();
    for (contents, words) in [
        (Vec::new(), "ends early"),
        (good[..good.len() / 2].to_vec(), "ends early"),
        ([&good[..], b"x"].concat(), "garbage after it"),
        (b"no zlib at all".to_vec(), "corrupt"),
    ] {
        overwrite(&path, &contents);
        forge.broken("objects", Some(&commit), words);
    }
}

#[test]
fn a_pipe_in_place_of_an_object_does_not_stop_the_audit() {
    let (forge, commit, blob) = victim();
    let path = loose(&forge, &blob);
    std::fs::remove_file(&path).unwrap();
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    forge.broken("objects", Some(&commit), "is not a regular file");
}

#[test]
fn a_packed_object_changed_in_place_is_named() {
    let (forge, _, blob) = victim();
    forge.git(&["repack", "-adfq", "--depth=0"]);
    let index = std::fs::read(only_pack(&forge, "idx")).unwrap();
    let listing =
        String::from_utf8(super::forge::feed(&forge.path, &["show-index"], &index)).unwrap();
    let offset: usize = listing
        .lines()
        .find(|line| line.contains(&blob))
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let path = only_pack(&forge, "pack");
    let good = std::fs::read(&path).unwrap();
    for at in 0..30 {
        let mut bytes = good.clone();
        bytes[offset + at] ^= 0x10;
        overwrite(&path, &bytes);
        forge.broken("objects", None, &blob);
    }
}

#[test]
fn a_pack_with_any_byte_changed_never_holds_silently_or_panics() {
    let (forge, ..) = victim();
    forge.git(&["repack", "-adfq"]);
    for extension in ["pack", "idx"] {
        let path = only_pack(&forge, extension);
        let good = std::fs::read(&path).unwrap();
        for at in (0..good.len()).step_by(7) {
            let mut bytes = good.clone();
            bytes[at] = !bytes[at];
            overwrite(&path, &bytes);
            // The checksums of an index itself are not content; everything else that is read must be right.
            if let Ok(report) = chiffon_audit_cli::verify::verify(&forge.path, &Default::default())
                && extension == "pack"
            {
                assert_ne!(
                    report.result(),
                    chiffon_audit_cli::verify::AuditResult::Holds,
                    "{at}"
                );
            }
        }
        overwrite(&path, &good);
    }
    forge.holds();
}

#[test]
fn a_truncated_pack_is_named() {
    let (forge, ..) = victim();
    forge.git(&["repack", "-adfq"]);
    let path = only_pack(&forge, "pack");
    let good = std::fs::read(&path).unwrap();
    for length in [good.len() - 1, good.len() - 20, good.len() / 2, 20, 0] {
        overwrite(&path, &good[..length]);
        forge.broken("objects", None, ".pack");
    }
}

#[test]
fn a_bad_copy_beside_a_good_one_is_named() {
    let (forge, commit, blob) = victim();
    let other = forge.object("blob", b"other");
    let contents = std::fs::read(loose(&forge, &other)).unwrap();
    forge.git(&["repack", "-aq"]);
    forge.holds();
    overwrite(&loose(&forge, &blob), &contents);
    forge.broken("objects", Some(&commit), "one of several copies");
}
