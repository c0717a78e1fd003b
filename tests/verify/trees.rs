//! Trees that no git writes.

use crate::support::sweeps_are_whole;

use super::forge::{Forge, Operation, feed, flat, git, sharded, write};

fn node(mode: &str, name: &str, id: &str) -> Vec<u8> {
    let id = (0..40)
        .step_by(2)
        .map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap());
    [mode.as_bytes(), b" ", name.as_bytes(), b"\0"]
        .concat()
        .into_iter()
        .chain(id)
        .collect()
}

fn id(forge: &Forge, revision: &str) -> String {
    forge.git(&["rev-parse", revision]).trim().to_owned()
}

#[test]
fn a_directory_that_is_there_twice_is_named() {
    let mut forge = Forge::trail();
    let audit = id(&forge, "audit:.audit");
    let empty = forge.object("tree", b"");
    for (first, second) in [(&audit, &empty), (&empty, &audit)] {
        let root = forge.object(
            "tree",
            &[
                node("40000", ".audit", first),
                node("40000", ".audit", second),
            ]
            .concat(),
        );
        let commit = forge.by_person(Vec::new());
        let before = id(&forge, "audit");
        let forged = forge.add_tree(&root, &commit);
        forge.broken("objects", Some(&forged), "a name twice");
        forge.git(&["update-ref", "refs/heads/audit", &before]);
    }
}

#[test]
fn malformed_trees_are_named() {
    let mut forge = Forge::trail();
    let audit = id(&forge, "audit:.audit");
    let blob = forge.object("blob", b"x");
    for (tree, words) in [
        (
            [node("100644", "x", &blob), node("40000", ".audit", &audit)].concat(),
            "not in order",
        ),
        (
            [
                node("40000", ".audit", &audit),
                node("40000", ".git", &audit),
            ]
            .concat(),
            "name that is not allowed",
        ),
        (
            [
                node("40000", ".audit", &audit),
                node("100644", "a/b", &blob),
            ]
            .concat(),
            "not a well-formed tree",
        ),
        (
            [node("40000", ".audit", &audit), node("140000", "x", &blob)].concat(),
            "not a well-formed tree",
        ),
        (
            [node("40000", ".audit", &audit), node("40000", "x", &blob)].concat(),
            "is a blob where a tree is named",
        ),
        (
            [node("40000", ".audit", &audit), node("100644", "x", &audit)].concat(),
            "is a tree where a blob is named",
        ),
        (
            node("40000", ".audit", &audit)[..20].to_vec(),
            "not a well-formed tree",
        ),
    ] {
        let root = forge.object("tree", &tree);
        let commit = forge.by_person(Vec::new());
        let before = id(&forge, "audit");
        let forged = forge.add_tree(&root, &commit);
        forge.broken("objects", Some(&forged), words);
        forge.git(&["update-ref", "refs/heads/audit", &before]);
    }
}

#[test]
fn a_name_that_shadows_the_trail_is_named() {
    for name in [
        ".AUDIT",
        ".au\u{200c}dit",
        ".audit.",
        "AUDIT~1",
        "audit~4",
        ".audit\\tasks\\x.json",
        ".audit::$INDEX_ALLOCATION",
    ] {
        let mut forge = Forge::trail();
        let root = git(&forge.path, &["ls-tree", "audit"]);
        let blob = forge.object("blob", b"x");
        let listing = format!("{root}100644 blob {blob}\t{name}\n");
        let tree = super::forge::feed(&forge.path, &["mktree"], listing.as_bytes());
        let commit = forge.by_person(Vec::new());
        let forged = forge.add_tree(String::from_utf8(tree).unwrap().trim(), &commit);
        forge.only_broken("hidden", &forged, "on some systems");
    }
}

#[test]
fn a_name_that_only_resembles_that_of_the_trail_holds() {
    for name in ["AUDIT~5", "AUDIT~10", "audit", ".audit2", "docs.audit"] {
        let mut forge = Forge::checkout();
        forge.genesis();
        forge.record(&flat("x"));
        let commit = forge.by_person(vec![write(name, "x")]);
        forge.add(&commit);
        forge.holds();
    }
}

#[test]
fn a_name_that_was_there_before_the_trail_is_named_unless_it_was_removed() {
    for removed in [false, true] {
        let mut forge = Forge::checkout();
        let commit = forge.by_person(vec![write(".AUDIT/f", "x")]);
        forge.add(&commit);
        if removed {
            let commit = forge.by_person(vec![Operation::Delete(".AUDIT/f".to_owned())]);
            forge.add(&commit);
        }
        forge.genesis();
        let first = forge.record(&flat("x"));
        forge.record(&flat("y"));
        match removed {
            true => drop(forge.holds()),
            false => forge.only_broken("hidden", &first, "on some systems"),
        }
    }
}

#[test]
fn an_empty_directory_added_beside_an_entry_is_named() {
    let mut forge = Forge::trail();
    let commit = forge.draft(&flat("x"));
    let honest = forge.add(&commit);
    let empty = forge.object("tree", b"");
    let tasks = git(&forge.path, &["ls-tree", "audit:.audit/tasks"])
        + &format!("040000 tree {empty}\tzz\n");
    let make = |listing: String| {
        String::from_utf8(super::forge::feed(
            &forge.path,
            &["mktree"],
            listing.as_bytes(),
        ))
        .unwrap()
    };
    let tasks = make(tasks);
    let audit = make(format!("040000 tree {}\ttasks\n", tasks.trim()));
    let root = make(format!("040000 tree {}\t.audit\n", audit.trim()));
    forge.git(&["update-ref", "refs/heads/audit", &format!("{honest}~")]);
    let forged = forge.add_tree(root.trim(), &commit);
    forge.only_broken("one-entry", &forged, "adds 2 files");
}

#[test]
fn a_bomb_of_trees_is_walked_once() {
    let mut forge = Forge::trail();
    let blob = forge.object("blob", b"x");
    // Ten names for each of thirty levels: ten to the thirtieth paths, thirty-one objects.
    let mut below = node("100644", "x", &blob);
    for _ in 0..30 {
        let tree = forge.object("tree", &below);
        below = (0..10)
            .flat_map(|digit| node("40000", &digit.to_string(), &tree))
            .collect();
    }
    let bomb = forge.object("tree", &below);
    let audit = id(&forge, "audit:.audit");
    let root = forge.object(
        "tree",
        &[
            node("40000", ".audit", &audit),
            node("40000", "bomb", &bomb),
        ]
        .concat(),
    );
    let commit = forge.by_person(Vec::new());
    forge.add_tree(&root, &commit);
    // The same with another leaf: as many pairs to compare.
    let mut below = node("100644", "y", &blob);
    for _ in 0..30 {
        let tree = forge.object("tree", &below);
        below = (0..10)
            .flat_map(|digit| node("40000", &digit.to_string(), &tree))
            .collect();
    }
    let bomb = forge.object("tree", &below);
    let root = forge.object(
        "tree",
        &[
            node("40000", ".audit", &audit),
            node("40000", "bomb", &bomb),
        ]
        .concat(),
    );
    let commit = forge.by_person(Vec::new());
    forge.add_tree(&root, &commit);
    forge.record(&sharded("after"));
    forge.holds();
    // Within the trail it is not an honest change, and ends as well.
    let root = forge.object("tree", &node("40000", ".audit", &bomb));
    let commit = forge.by_person(Vec::new());
    let forged = forge.add_tree(&root, &commit);
    forge.broken("append-only", Some(&forged), "is deleted");
}

#[test]
fn names_and_commits_beyond_all_measure_end_as_claims() {
    let mut forge = Forge::trail();
    let blob = forge.object("blob", b"x");
    let long = "x".repeat(8 << 20);
    let files = forge.object(
        "tree",
        &(0..2000)
            .flat_map(|number| node("100644", &format!("{number:04}"), &blob))
            .collect::<Vec<_>>(),
    );
    let tree = forge.object("tree", &node("40000", &long, &files));
    let root = forge.object("tree", &node("40000", ".audit", &tree));
    let commit = forge.by_person(Vec::new());
    let forged = forge.add_tree(&root, &commit);
    forge.broken("append-only", Some(&forged), "is deleted");

    let mut forge = Forge::trail();
    let mut commit = forge.by_person(Vec::new());
    commit.message = "x".repeat(17 << 20);
    forge.add(&commit);
    forge.not_shown("objects", "longer than");
}

#[test]
fn many_long_commits_are_not_held_at_once() {
    let mut forge = Forge::trail();
    let mut script = String::new();
    // All of them together take longer than the audit may.
    let commits = if sweeps_are_whole() { 36 } else { 6 };
    for number in 0..commits {
        let commit = forge.by_person(Vec::new());
        let message = format!("{number}\n{}", "x".repeat(15 << 20));
        script += &format!(
            "commit refs/heads/audit\nauthor {}\ncommitter {}\ndata {}\n{message}\n",
            commit.author,
            commit.committer,
            message.len()
        );
        if number == 0 {
            script += "from refs/heads/audit^0\n";
        }
        script.push('\n');
    }
    let arguments = [
        "-c",
        "core.compression=1",
        "fast-import",
        "--quiet",
        "--date-format=raw-permissive",
    ];
    feed(&forge.path, &arguments, script.as_bytes());
    forge.ends_within_512_mebibytes(0);
}
