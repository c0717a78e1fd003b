//! Attacks on files that git reads instead of the objects: indexes of packs, the multi-pack-index, the commit-graph.
//! None needs the key.

use std::path::{Path, PathBuf};

use super::files::{attack, id};
use super::{Attack, Scene};
use crate::verify::misled::{chunk, only_pack, overwrite, unhex};

pub(super) const ATTACKS: &[Attack] = &[
    attack(
        "pack index that names an object twice",
        "objects",
        "names an object twice",
        |scene| {
            change_index(scene, |bytes, _| bytes.copy_within(1032..1052, 1052));
        },
    ),
    attack(
        "pack index out of order",
        "objects",
        "the index of",
        |scene| {
            change_index(scene, |bytes, _| {
                let (first, second) = bytes[1032..].split_at_mut(20);
                first.swap_with_slice(&mut second[..20]);
            });
        },
    ),
    attack(
        "pack index that counts its names wrongly",
        "objects",
        "wrong counts",
        |scene| {
            change_index(scene, |bytes, _| bytes[8..8 + 512].fill(0));
        },
    ),
    attack(
        "pack index with two objects exchanged",
        "objects",
        "its content is that of",
        |scene| {
            // Fixed ones: which objects come first depends on the key, and so does what git notices.
            let [commit, tree] =
                ["refs/heads/audit", "refs/heads/audit^{tree}"].map(|name| unhex(&id(scene, name)));
            change_index(scene, |bytes, count| {
                let offsets = 1032 + count * 24;
                let [one, other] = [&commit, &tree].map(|id| {
                    let names = bytes[1032..1032 + count * 20].chunks(20);
                    offsets
                        + 4 * names
                            .into_iter()
                            .position(|name| name == id.as_slice())
                            .unwrap()
                });
                for at in 0..4 {
                    bytes.swap(one + at, other + at);
                }
            });
        },
    ),
    attack(
        "pack index that leads outside of its pack",
        "objects",
        "outside of its pack",
        |scene| {
            change_index(scene, |bytes, count| {
                let offsets = 1032 + count * 24;
                bytes[offsets..offsets + 4].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
            });
        },
    ),
    attack("index without a pack", "objects", "is missing", |scene| {
        scene.forge.git(&["repack", "-adq"]);
        let index = only_pack(&scene.forge, "idx");
        std::fs::copy(&index, index.with_file_name(".idx")).unwrap();
    }),
    attack(
        "multi-pack-index that leads to another object",
        "hidden",
        "another offset",
        |scene| {
            let path = write_midx(scene);
            let mut bytes = std::fs::read(&path).unwrap();
            let places = chunk(&bytes, 12, b"OOFF");
            let (first, second) = bytes[places..].split_at_mut(8);
            first.swap_with_slice(&mut second[..8]);
            overwrite(&path, bytes);
        },
    ),
    attack(
        "multi-pack-index that leaves an object out",
        "hidden",
        "multi-pack-index",
        |scene| {
            let path = write_midx(scene);
            let mut bytes = std::fs::read(&path).unwrap();
            let (names, places) = (chunk(&bytes, 12, b"OIDL"), chunk(&bytes, 12, b"OOFF"));
            let commit = unhex(&id(scene, "refs/heads/audit"));
            let at = bytes[names..places]
                .chunks(20)
                .position(|name| name == commit)
                .unwrap();
            bytes[names + at * 20 + 19] ^= 1;
            overwrite(&path, bytes);
        },
    ),
    attack(
        "commit-graph without parents",
        "hidden",
        "commit-graph",
        |scene| {
            change_graph(scene, &[], |bytes, row| {
                bytes[row + 20..row + 24].copy_from_slice(&0x7000_0000_u32.to_be_bytes());
            });
        },
    ),
    attack(
        "commit-graph with another tree",
        "hidden",
        "another tree",
        |scene| {
            change_graph(scene, &[], |bytes, row| bytes[row] ^= 1);
        },
    ),
    attack(
        "commit-graph with other times",
        "hidden",
        "commit-graph",
        |scene| {
            change_graph(scene, &[], |bytes, row| bytes[row + 35] ^= 1);
        },
    ),
    attack(
        "commit-graph with other generations",
        "hidden",
        "wrong generation numbers",
        |scene| {
            change_graph(scene, &[], |bytes, row| bytes[row + 31] ^= 0x10);
        },
    ),
    attack(
        "commit-graph whose filter hides a path",
        "hidden",
        "hides from `git log --",
        |scene| {
            change_graph(scene, &["--changed-paths"], |bytes, _| {
                let (begin, end) = (chunk(bytes, 8, b"BDAT") + 12, bytes.len() - 20);
                bytes[begin..end].fill(0);
            });
        },
    ),
    attack(
        "layer of a commit-graph with another tree",
        "hidden",
        "another tree",
        |scene| {
            scene
                .forge
                .git(&["commit-graph", "write", "--reachable", "--split=no-merge"]);
            let layers = scene.forge.path.join("objects/info/commit-graphs");
            change_rows(scene, &first_with(&layers, "graph"), |bytes, row| {
                bytes[row] ^= 1
            });
        },
    ),
];

fn change_index(scene: &Scene, change: impl FnOnce(&mut Vec<u8>, usize)) {
    scene.forge.git(&["repack", "-adfq", "--depth=0"]);
    let path = only_pack(&scene.forge, "idx");
    let mut bytes = std::fs::read(&path).unwrap();
    let count = u32::from_be_bytes(bytes[1028..1032].try_into().unwrap());
    change(&mut bytes, count as usize);
    overwrite(&path, bytes);
}

fn write_midx(scene: &Scene) -> PathBuf {
    scene.forge.git(&["repack", "-adfq", "--depth=0"]);
    scene.forge.git(&["multi-pack-index", "write"]);
    scene.forge.path.join("objects/pack/multi-pack-index")
}

/// Changes the data about the tip in a commit-graph.
fn change_graph(scene: &Scene, arguments: &[&str], change: fn(&mut Vec<u8>, usize)) {
    scene
        .forge
        .git(&[&["commit-graph", "write", "--reachable"], arguments].concat());
    let path = scene.forge.path.join("objects/info/commit-graph");
    change_rows(scene, &path, change);
}

fn change_rows(scene: &Scene, path: &Path, change: fn(&mut Vec<u8>, usize)) {
    let mut bytes = std::fs::read(path).unwrap();
    let (names, rows) = (chunk(&bytes, 8, b"OIDL"), chunk(&bytes, 8, b"CDAT"));
    let tip = unhex(&id(scene, "refs/heads/audit"));
    let place = bytes[names..rows].chunks(20).position(|name| name == tip);
    change(&mut bytes, rows + place.unwrap() * 36);
    overwrite(path, bytes);
}

fn first_with(directory: &Path, end: &str) -> PathBuf {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths
        .find(|path| path.extension().is_some_and(|found| found == end))
        .unwrap()
}
