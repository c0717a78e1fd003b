//! Objects whose content was replaced, lost or cut beneath their names.

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
fn a_lost_commit_is_named_and_what_lies_before_is_not_shown() {
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
    forge.broken("objects", Some(&commit), "is no regular file");
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
            // An index's checksums of its own are no content; everything else that is read must be right.
            if let Ok(report) = chiffon_audit::verify::verify(&forge.path, &Default::default())
                && extension == "pack"
            {
                assert_ne!(
                    report.outcome(),
                    chiffon_audit::verify::Outcome::Holds,
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

#[test]
fn a_poisoned_commit_graph_is_not_believed() {
    let (mut forge, ..) = victim();
    forge.git(&["commit-graph", "write", "--reachable"]);
    overwrite(
        &forge.git_dir().join("objects/info/commit-graph"),
        b"garbage",
    );
    forge.holds();
    forge.git(&[
        "-c",
        "core.commitGraph=false",
        "repack",
        "-adq",
        "--write-midx",
    ]);
    overwrite(
        &forge.git_dir().join("objects/pack/multi-pack-index"),
        b"garbage",
    );
    forge.holds();
    let tampered = forge.by_person(vec![super::forge::Operation::Delete(flat("b"))]);
    std::fs::remove_file(forge.git_dir().join("objects/pack/multi-pack-index")).unwrap();
    std::fs::remove_file(forge.git_dir().join("objects/info/commit-graph")).unwrap();
    let id = forge.add(&tampered);
    forge.only_broken("append-only", &id, "is deleted");
}

#[test]
fn a_poisoned_multi_pack_index_is_not_believed() {
    let mut forge = Forge::bare(&[]);
    let blobs: Vec<String> = ["a", "b", "c"]
        .iter()
        .map(|task| {
            forge.record(&flat(task));
            forge.git(&["repack", "-dq"]);
            let path = format!("audit:{}", flat(task));
            forge.git(&["rev-parse", &path]).trim().to_owned()
        })
        .collect();
    let honest = forge.holds();
    forge.git(&["multi-pack-index", "write"]);
    let file = forge.git_dir().join("objects/pack/multi-pack-index");
    let mut bytes = std::fs::read(&file).unwrap();
    // Each chunk's name and place follow a head of twelve bytes; names lie in order, and their places beside them.
    let chunk = |bytes: &[u8], name: &[u8]| {
        let row = bytes[12..]
            .chunks(12)
            .find(|row| row.starts_with(name))
            .unwrap();
        u64::from_be_bytes(row[4..].try_into().unwrap()) as usize
    };
    let (names, places) = (chunk(&bytes, b"OIDL"), chunk(&bytes, b"OOFF"));
    let number = |bytes: &[u8], id: &str| {
        let id: Vec<u8> = (0..20)
            .map(|at| u8::from_str_radix(&id[at * 2..at * 2 + 2], 16).unwrap())
            .collect();
        let position = bytes[names..places].chunks(20).position(|name| name == id);
        places + position.unwrap() * 8
    };
    let (one, other) = (number(&bytes, &blobs[0]), number(&bytes, &blobs[1]));
    for at in 0..8 {
        bytes.swap(one + at, other + at);
    }
    overwrite(&file, &bytes);
    // Git shows another task's entry in its place.
    let shown = forge.git(&["cat-file", "blob", &blobs[0]]);
    assert!(shown.contains("\"b\""), "{shown}");
    let audited = forge.holds();
    assert_eq!((audited.tip, audited.objects), (honest.tip, honest.objects));
    // Nor does one that knows of nothing hide what the packs hold.
    for length in [0, 12, bytes.len() / 2] {
        overwrite(&file, &bytes[..length]);
        assert_eq!(forge.holds().objects, honest.objects);
    }
}
