//! Attacks on the files around the objects: refs, settings, and where the repository is. None needs the key.

use std::os::unix::ffi::OsStrExt;

use super::{Attack, Given, REFUSED, Scene};
use crate::verify::forge::{self, Operation, flat, git, sharded, write};
use crate::verify::misled::unhex;

const HEADER: &str = "# pack-refs with: peeled fully-peeled sorted \n";

pub(super) const fn attack(
    name: &'static str,
    claim: &'static str,
    words: &'static str,
    run: fn(&mut Scene),
) -> Attack {
    Attack {
        name,
        run,
        given: Given::Nothing,
        claim,
        words,
    }
}

pub(super) const ATTACKS: &[Attack] = &[
    attack(
        "replace ref whose directory is not UTF-8",
        "hidden",
        "refs/replace/",
        |scene| {
            replace(scene, b"refs/replace/\xff/");
        },
    ),
    attack(
        "replace ref forty directories deep",
        "hidden",
        "refs/replace/",
        |scene| {
            replace(scene, &[&b"refs/replace/"[..], &b"a/".repeat(40)].concat());
        },
    ),
    attack(
        "replace ref packed behind a tab",
        "hidden",
        "holds the line",
        |scene| {
            let (victim, evil) = victim(scene);
            pack_refs(scene, &format!("{evil}\trefs/replace/{victim}\n"));
        },
    ),
    attack(
        "branch packed twice",
        "hidden",
        "not in the order",
        |scene| {
            std::fs::remove_file(scene.forge.path.join("refs/heads/audit")).unwrap();
            let before = git(&scene.copy, &["rev-parse", "audit~1"]);
            let before = before.trim();
            pack_refs(scene, &format!("{before} refs/heads/audit\n"));
        },
    ),
    attack(
        "packed refs out of the order that they promise",
        "hidden",
        "not in the order",
        |scene| {
            let tip = id(scene, "audit");
            pack_refs(scene, &format!("{tip} refs/heads/a\n"));
        },
    ),
    attack(
        "first line of packed refs that git does not write",
        "hidden",
        "its first line",
        |scene| {
            let tip = id(scene, "audit");
            let long = "x ".repeat(5000);
            scene.put(
                "packed-refs",
                &format!("# pack-refs with: {long}\n{tip} refs/heads/audit\n"),
            );
        },
    ),
    attack(
        "branch with something behind its commit",
        "hidden",
        "is not as git writes it",
        |scene| {
            let (tip, before) = (id(scene, "audit"), id(scene, "audit~1"));
            scene.put("refs/heads/audit", &format!("{tip} {before}\n"));
        },
    ),
    attack(
        "HEAD with blanks that tools read otherwise",
        "hidden",
        "is not as git writes it",
        |scene| {
            scene.put("HEAD", "ref:  refs/heads/audit\t\n");
        },
    ),
    attack(
        "branch that is a link to another directory's",
        "hidden",
        "symbolic link to a directory",
        |scene| {
            let to = scene.forge.path.join("refs/heads/more");
            std::os::unix::fs::symlink(scene.forge.path.join("refs/tags"), to).unwrap();
        },
    ),
    attack(
        "tag that git takes for the branch",
        "hidden",
        "it points to a different commit than the branch",
        |scene| {
            scene
                .forge
                .git(&["update-ref", "refs/tags/audit", "audit~1"]);
        },
    ),
    attack(
        "symbolic ref that git takes for the branch",
        "hidden",
        "it points to a different commit than the branch",
        |scene| {
            scene.forge.git(&["update-ref", "refs/other", "audit~1"]);
            scene.put("audit", "ref: refs/other\n");
        },
    ),
    attack(
        "made-up record on the default branch",
        REFUSED,
        "`refs/heads/main`",
        |scene| {
            let code = scene.forge.by_person(vec![write("code", "x\n")]);
            scene
                .forge
                .add_to("refs/heads/main", "refs/heads/main", &code);
            let decoy = scene.forge.draft(&sharded("decoy"));
            scene
                .forge
                .add_to("refs/heads/main", "refs/heads/main", &decoy);
            scene
                .forge
                .git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
        },
    ),
    attack(
        "second end of the trail, on another branch",
        REFUSED,
        "`refs/heads/other`",
        |scene| {
            scene.forge.git(&["branch", "-q", "other", "audit~1"]);
            let draft = scene.forge.draft(&sharded("d"));
            scene
                .forge
                .add_to("refs/heads/other", "refs/heads/other", &draft);
        },
    ),
    attack(
        "removal beside a branch that continues without it",
        REFUSED,
        "`refs/heads/decoy`",
        |scene| {
            scene.forge.git(&["branch", "-q", "decoy", "audit"]);
            scene.person(Operation::Delete(flat("b")));
            let draft = scene.forge.draft(&sharded("d"));
            scene
                .forge
                .add_to("refs/heads/decoy", "refs/heads/decoy", &draft);
        },
    ),
    attack(
        "decoy of a repository inside a bare one",
        REFUSED,
        "has another in it",
        |scene| {
            let decoy = scene.forge.path.join(".git");
            git(
                &scene.forge.path,
                &[
                    "init",
                    "-q",
                    "--bare",
                    "-b",
                    "audit",
                    decoy.to_str().unwrap(),
                ],
            );
        },
    ),
    attack(
        "table of refs beside the files",
        REFUSED,
        "reftable",
        |scene| {
            std::fs::create_dir(scene.forge.path.join("reftable")).unwrap();
        },
    ),
    attack(
        "list of shallow commits with another line",
        REFUSED,
        "shallow",
        |scene| {
            let tip = id(scene, "audit");
            scene.put("shallow", &format!("{tip} \n"));
        },
    ),
    attack(
        "alternates whose directory has a blank name",
        "hidden",
        "objects/info/alternates",
        |scene| {
            let other = scene.forge.path.join("objects/ ");
            std::fs::create_dir(other).unwrap();
            scene.put("objects/info/alternates", " \n");
        },
    ),
    attack(
        "modes padded with a zero",
        "objects",
        "modes are not in git's form",
        |scene| {
            let audit = id(scene, "audit:.audit");
            let entries = scene.forge.git(&["rev-parse", "audit:.audit/tasks"]);
            let padded = [&b"040000 tasks\0"[..], &unhex(entries.trim())].concat();
            let padded = scene.forge.object("tree", &padded);
            assert_ne!(padded, audit);
            let root = scene
                .forge
                .git(&["ls-tree", "audit"])
                .replace(&audit, &padded);
            let root = forge::feed(&scene.forge.path, &["mktree"], root.as_bytes());
            let commit = scene.forge.by_person(Vec::new());
            scene
                .forge
                .add_tree(String::from_utf8(root).unwrap().trim(), &commit);
        },
    ),
    attack(
        "subject with characters that are not seen",
        "agreement",
        "its subject",
        |scene| {
            scene.host(&sharded("x"), |commit| {
                commit.message = commit.message.replacen("task x", "task \u{200b}x", 1);
            });
        },
    ),
    attack(
        "header that continues with hidden text",
        "agreement",
        "it has the header",
        |scene| {
            let commit = scene.forge.draft(&sharded("x"));
            scene.forge.add(&commit);
            let text = scene.forge.git(&["cat-file", "commit", "audit"]);
            let text = text.replacen("\n\n", "\n and what git does not show\n\n", 1);
            let made = scene.forge.object("commit", text.as_bytes());
            scene.forge.git(&["update-ref", "refs/heads/audit", &made]);
        },
    ),
    attack(
        "`.mailmap` with other names",
        "hidden",
        ".mailmap",
        |scene| {
            scene.person(write(
                ".mailmap",
                "Nobody <n@x> Chiffon Audit <audit@localhost>\n",
            ));
        },
    ),
    attack(
        "`.gitattributes` that changes what is shown",
        "hidden",
        ".gitattributes",
        |scene| {
            scene.person(write(".gitattributes", ".audit/** -diff export-ignore\n"));
        },
    ),
    attack(
        "`info/attributes` that changes what is shown",
        "hidden",
        "info/attributes",
        |scene| {
            scene.put(
                "info/attributes",
                "*.json -diff working-tree-encoding=UTF-16\n",
            );
        },
    ),
    attack(
        "notes beside the commits",
        "hidden",
        "refs/notes/commits",
        |scene| {
            scene
                .forge
                .git(&["notes", "add", "-m", "it never happened", "audit"]);
        },
    ),
    attack(
        "settings that change what is shown",
        "hidden",
        "format.pretty",
        |scene| {
            scene.forge.git(&["config", "format.pretty", "all is well"]);
        },
    ),
    Attack {
        name: "rolled back behind what a copy has fetched",
        run: |scene| {
            let origin = "refs/remotes/origin/audit";
            git(&scene.copy, &["update-ref", origin, "refs/heads/audit"]);
            git(
                &scene.copy,
                &["update-ref", "refs/heads/audit", "refs/heads/audit~2"],
            );
            scene.back(1);
        },
        given: Given::Copy,
        claim: "against",
        words: "refs/remotes/origin/audit",
    },
    Attack {
        name: "copy that holds another trail in its place",
        run: |scene| {
            let mut other = forge::Forge::bare(&[]);
            other.record(&sharded("a"));
            let from = other.path.to_str().unwrap().to_owned();
            git(
                &scene.copy,
                &[
                    "fetch",
                    "-q",
                    "-f",
                    "--update-head-ok",
                    &from,
                    "audit:audit",
                ],
            );
        },
        given: Given::Copy,
        claim: "against",
        words: "no commit in common",
    },
    Attack {
        name: "copy that is the repository itself",
        run: |scene| {
            std::fs::remove_dir_all(&scene.copy).unwrap();
            std::os::unix::fs::symlink(&scene.forge.path, &scene.copy).unwrap();
        },
        given: Given::Copy,
        claim: "against",
        words: "the audited repository itself",
    },
];

pub(super) fn id(scene: &Scene, name: &str) -> String {
    scene.forge.git(&["rev-parse", name]).trim().to_owned()
}

/// An entry's blob, and one with different content.
fn victim(scene: &Scene) -> (String, String) {
    let victim = id(scene, &format!("audit:{}", flat("b")));
    (victim, scene.forge.object("blob", b"{}\n"))
}

fn replace(scene: &Scene, directory: &[u8]) {
    let (victim, evil) = victim(scene);
    let directory = scene
        .forge
        .path
        .join(std::ffi::OsStr::from_bytes(directory));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join(&victim), format!("{evil}\n")).unwrap();
    assert_eq!(scene.forge.git(&["cat-file", "blob", &victim]), "{}\n");
}

/// Packs the branch, followed by these lines.
fn pack_refs(scene: &Scene, lines: &str) {
    let tip = git(&scene.copy, &["rev-parse", "audit"]);
    scene.put(
        "packed-refs",
        &format!("{HEADER}{} refs/heads/audit\n{lines}", tip.trim()),
    );
}
