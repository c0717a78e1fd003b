//! Files that git reads instead of the objects: pack indexes, the multi-pack-index, the commit-graph and its filters.
//! Each is changed so that git shows something else, and must be reported; git's own files must be accepted.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};

use super::forge::{Forge, flat, sharded, try_git, write};

/// Overwrites a file that git made read-only, with a corrected checksum.
pub fn overwrite(path: &Path, mut bytes: Vec<u8>) {
    let body = bytes.len() - 20;
    let checksum = Sha1::digest(&bytes[..body]);
    bytes[body..].copy_from_slice(&checksum);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(path, bytes).unwrap();
}

pub fn unhex(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

pub fn only_pack(forge: &Forge, end: &str) -> PathBuf {
    let directory = std::fs::read_dir(forge.git_dir().join("objects/pack")).unwrap();
    let mut paths = directory.map(|entry| entry.unwrap().path());
    paths
        .find(|path| path.extension().is_some_and(|found| found == end))
        .unwrap()
}

/// The start of a chunk in a commit-graph or multi-pack-index, whose table of chunks starts at `head`.
pub fn chunk(bytes: &[u8], head: usize, name: &[u8]) -> usize {
    let row = bytes[head..]
        .chunks(12)
        .find(|row| row.starts_with(name))
        .unwrap();
    u64::from_be_bytes(row[4..12].try_into().unwrap()) as usize
}

fn packed() -> Forge {
    let mut forge = Forge::trail();
    for number in 0..20 {
        forge.record(&sharded(&format!("x{number}")));
    }
    let work = forge.by_person(vec![write("code", "x\n")]);
    forge.add(&work);
    forge.git(&["repack", "-adfq"]);
    forge
}

#[test]
fn a_pack_index_in_any_other_form_is_named() {
    let forge = packed();
    let path = only_pack(&forge, "idx");
    let good = std::fs::read(&path).unwrap();
    let count = u32::from_be_bytes(good[8 + 1020..8 + 1024].try_into().unwrap()) as usize;
    let (names, offsets) = (1032, 1032 + count * 24);
    let check = |change: &dyn Fn(&mut Vec<u8>), words: &str| {
        let mut bytes = good.clone();
        change(&mut bytes);
        overwrite(&path, bytes);
        forge.broken("objects", None, words);
    };
    check(
        &|bytes| bytes.copy_within(names..names + 20, names + 20),
        "names an object twice",
    );
    check(
        &|bytes| {
            let (first, second) = bytes[names..].split_at_mut(20);
            first.swap_with_slice(&mut second[..20]);
        },
        "the index of",
    );
    // Git no longer finds any id with the first byte of the first one.
    let first = usize::from(good[names]);
    check(
        &|bytes| bytes[8 + first * 4..12 + first * 4].fill(0),
        "wrong counts of its ids",
    );
    check(
        &|bytes| bytes[offsets..offsets + 4].fill(0),
        "outside of its pack",
    );
    check(
        &|bytes| bytes[offsets..offsets + 4].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]),
        "outside of its pack",
    );
    check(
        &|bytes| bytes[offsets..offsets + 4].copy_from_slice(&[0x80, 0, 0, 9]),
        "outside of its pack",
    );
    overwrite(&path, good.clone());
    forge.holds();
}

#[test]
fn packs_and_indexes_belong_together_and_unexpected_files_are_notes() {
    let forge = packed();
    let (pack, index) = (only_pack(&forge, "pack"), only_pack(&forge, "idx"));
    let directory = pack.parent().unwrap();
    // Git reads an index with any name.
    std::fs::copy(&index, directory.join(".idx")).unwrap();
    std::fs::copy(&pack, directory.join(".pack")).unwrap();
    forge.holds();
    std::fs::remove_file(directory.join(".pack")).unwrap();
    forge.broken("objects", None, ".pack is missing");
    std::fs::remove_file(directory.join(".idx")).unwrap();
    std::fs::copy(&pack, directory.join("pack-other.pack")).unwrap();
    std::fs::write(directory.join("README"), "x").unwrap();
    for passed_over in ["tmp_pack_1", ".tmp-1-pack-x.pack", "x.lock"] {
        std::fs::write(directory.join(passed_over), "x").unwrap();
    }
    let report = forge.holds();
    let objects = report
        .claims
        .iter()
        .find(|claim| claim.id == "objects")
        .unwrap();
    assert_eq!(objects.notes.len(), 2, "{objects:?}");
    std::fs::copy(&index, directory.join("pack-other.idx")).unwrap();
    forge.holds();
    let mut bytes = std::fs::read(&index).unwrap();
    let at = bytes.len() - 30;
    bytes[at] ^= 1;
    overwrite(&directory.join("pack-other.idx"), bytes);
    forge.broken("objects", None, "does not end in the checksum");
}

#[test]
fn a_multi_pack_index_that_misleads_is_named() {
    let mut forge = Forge::bare(&[]);
    let mut blobs = Vec::new();
    for task in ["a", "b", "c"] {
        forge.record(&flat(task));
        forge.git(&["repack", "-dq"]);
        let path = format!("audit:{}", flat(task));
        blobs.push(unhex(forge.git(&["rev-parse", &path]).trim()));
    }
    forge.git(&["multi-pack-index", "write"]);
    forge.holds();
    let path = forge.git_dir().join("objects/pack/multi-pack-index");
    let good = std::fs::read(&path).unwrap();
    let (names, places) = (chunk(&good, 12, b"OIDL"), chunk(&good, 12, b"OOFF"));
    let place = |blob: &[u8]| {
        let place = good[names..places].chunks(20).position(|name| name == blob);
        places + place.unwrap() * 8
    };
    let check = |change: &dyn Fn(&mut Vec<u8>), words: &str| {
        let mut bytes = good.clone();
        change(&mut bytes);
        overwrite(&path, bytes);
        let report = forge.broken("hidden", None, words);
        assert_eq!(report.entries, 3, "the packs themselves are judged");
    };
    // Git shows another task's entry.
    check(
        &|bytes| {
            for at in 0..8 {
                bytes.swap(place(&blobs[0]) + at, place(&blobs[1]) + at);
            }
        },
        "has another offset",
    );
    assert!(
        forge
            .git(&["show", &format!("audit:{}", flat("a"))])
            .contains("\"b\"")
    );
    // It names another object instead, so git does not find the first one.
    check(
        &|bytes| {
            let last = places - 20;
            bytes[last + 19] ^= 1;
        },
        "does not name all objects",
    );
    check(
        &|bytes| bytes.copy_within(names..names + 20, names + 20),
        "names an object twice",
    );
    let fanout = chunk(&good, 12, b"OIDF");
    check(
        &|bytes| bytes[fanout + 400..fanout + 404].fill(0xff),
        "wrong counts of its ids",
    );
    check(&|bytes| bytes[0] = b'X', "is not of version 1");
    // A part that ends before it starts.
    let row = 12
        + good[12..]
            .chunks(12)
            .position(|row| row.starts_with(b"OIDL"))
            .unwrap()
            * 12;
    check(&|bytes| bytes[row + 4..row + 12].fill(0x7f), "lacks a part");
    check(&|bytes| bytes[row + 4..row + 12].fill(0xff), "lacks a part");
    let packs = chunk(&good, 12, b"PNAM");
    check(&|bytes| bytes[packs + 8] ^= 1, "which is not there");
    overwrite(&path, good.clone());
    forge.holds();
    forge.git(&["multi-pack-index", "repack"]);
    forge.git(&["multi-pack-index", "expire"]);
    forge.holds();
    forge.git(&["repack", "-adq", "--write-midx", "--write-bitmap-index"]);
    forge.holds();
}

#[test]
fn a_commit_graph_that_misleads_is_named() {
    let forge = packed();
    forge.git(&["commit-graph", "write", "--reachable"]);
    forge.holds();
    let path = forge.git_dir().join("objects/info/commit-graph");
    let good = std::fs::read(&path).unwrap();
    let (names, rows) = (chunk(&good, 8, b"OIDL"), chunk(&good, 8, b"CDAT"));
    let tip = unhex(forge.git(&["rev-parse", "audit"]).trim());
    let number = good[names..rows]
        .chunks(20)
        .position(|name| name == tip)
        .unwrap();
    let row = rows + number * 36;
    let check = |change: &dyn Fn(&mut Vec<u8>), words: &str| {
        let mut bytes = good.clone();
        change(&mut bytes);
        overwrite(&path, bytes);
        let report = forge.broken("hidden", None, words);
        assert_eq!(report.entries, 23, "the commits themselves are judged");
    };
    check(
        &|bytes| bytes[row..row + 20].copy_from_slice(&[0; 20]),
        "another tree",
    );
    check(
        &|bytes| bytes[row + 20..row + 24].copy_from_slice(&0x7000_0000_u32.to_be_bytes()),
        "",
    );
    assert_eq!(forge.git(&["rev-list", "--count", "audit"]).trim(), "1");
    check(
        &|bytes| bytes[row + 24..row + 28].copy_from_slice(&[0; 4]),
        "",
    );
    check(&|bytes| bytes[row + 31] ^= 4, "wrong generation numbers");
    check(&|bytes| bytes[row + 35] ^= 1, "");
    check(&|bytes| bytes[0] = b'X', "not a commit-graph of version 1");
    check(&|bytes| bytes[names + 19] ^= 1, "");
    overwrite(&path, good.clone());
    forge.holds();
    // In layers, as `git fetch` and maintenance write it.
    std::fs::remove_file(&path).unwrap();
    forge.git(&["commit-graph", "write", "--reachable", "--split=no-merge"]);
    let mut forge = forge;
    forge.record(&sharded("later"));
    forge.git(&["commit-graph", "write", "--reachable", "--split=no-merge"]);
    forge.holds();
    let layers = forge.git_dir().join("objects/info/commit-graphs");
    let layer = std::fs::read_dir(&layers)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let layer = layer.filter(|path| path.extension().is_some_and(|end| end == "graph"));
    let layer = layer
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&layer).unwrap();
    let rows = chunk(&bytes, 8, b"CDAT");
    bytes[rows] ^= 1;
    overwrite(&layer, bytes);
    forge.broken("hidden", None, "another tree");
}

#[test]
fn a_filter_that_hides_a_path_from_git_log_is_named() {
    let forge = packed();
    forge.git(&["commit-graph", "write", "--reachable", "--changed-paths"]);
    forge.holds();
    let log = || try_git(&forge.path, &["log", "--oneline", "audit", "--", ".audit"]).unwrap();
    assert_eq!(log().lines().count(), 23);
    let path = forge.git_dir().join("objects/info/commit-graph");
    let mut bytes = std::fs::read(&path).unwrap();
    let (data, end) = (chunk(&bytes, 8, b"BDAT") + 12, bytes.len() - 20);
    let words = bytes[data..end].len();
    bytes[data..data + words].fill(0);
    overwrite(&path, bytes);
    // Git skips the commits.
    assert!(log().lines().count() < 23);
    forge.broken("hidden", None, "hides from `git log --");
}

#[test]
fn a_reverse_index_in_any_other_form_is_named() {
    const OTHER: &str = "is that of another pack";
    let forge = packed();
    forge.git(&["-c", "pack.writeReverseIndex=true", "repack", "-adfq"]);
    forge.holds();
    let path = only_pack(&forge, "rev");
    let good = std::fs::read(&path).unwrap();
    let check = |change: &dyn Fn(&mut Vec<u8>), words: &str| {
        let mut bytes = good.clone();
        change(&mut bytes);
        overwrite(&path, bytes);
        forge.broken("hidden", None, words);
        // Git's own check ignores the name of the pack.
        let is_sound = try_git(&forge.path, &["fsck", "--full"]).is_some();
        assert_eq!(is_sound, words == OTHER, "{words}");
    };
    let wrong = "differs from the index";
    check(
        &|bytes| {
            let (first, second) = bytes[12..].split_at_mut(4);
            first.swap_with_slice(&mut second[..4]);
        },
        wrong,
    );
    check(&|bytes| bytes.copy_within(12..16, 16), wrong);
    check(&|bytes| bytes[12..16].fill(0xff), wrong);
    check(&|bytes| bytes[0] = b'X', "is not of version 1");
    check(&|bytes| drop(bytes.drain(12..16)), "has the wrong length");
    let checksum = good.len() - 40;
    check(&|bytes| bytes[checksum] ^= 1, OTHER);
    overwrite(&path, good.clone());
    forge.holds();
}

/// Git reads a bitmap only to decide which objects to send or to list, and the receiver checks that all of them arrived. `log`, `show`
/// and the contents of a clone never come from a bitmap, so `verify` does not judge it.
#[test]
fn a_bitmap_may_say_what_it_likes_and_git_shows_the_same() {
    let forge = packed();
    forge.git(&["repack", "-adfqb"]);
    let path = only_pack(&forge, "bitmap");
    let good = std::fs::read(&path).unwrap();
    let log = |place: &Path| super::forge::git(place, &["log", "-p", "--all", "--format=%H%n%B"]);
    let shown = log(&forge.path);
    let mut cloned = 0;
    for at in (32..good.len() - 40).step_by(good.len() / 24) {
        let mut bytes = good.clone();
        for byte in &mut bytes[at..at + 4] {
            *byte ^= 0x5a;
        }
        overwrite(&path, bytes);
        forge.holds();
        assert_eq!(log(&forge.path), shown, "{at}");
        let copy = forge.path.with_extension(format!("copy-{at}"));
        let arguments = [
            "clone",
            "-q",
            "--bare",
            "--no-local",
            ".",
            copy.to_str().unwrap(),
        ];
        if try_git(&forge.path, &arguments).is_some() {
            cloned += 1;
            assert_eq!(log(&copy), shown, "{at}");
        }
        let _ = std::fs::remove_dir_all(&copy);
    }
    assert!(cloned > 0);
}
