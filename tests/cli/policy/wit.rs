//! `policy wit`: the interface files of a project are compared and replaced, and no other file is touched.

use std::os::unix::fs::symlink;

use super::{Machine, machine};

fn project() -> Machine {
    let machine = machine();
    let ran = machine.run(&["policy", "new", "tidy", "--lang", "python"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    machine
}

/// Every file of the project with its bytes.
fn contents(machine: &Machine) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut waiting = vec![machine.path("tidy")];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

#[test]
fn files_that_differ_are_named_and_replaced_and_no_other_file_is_touched() {
    let machine = project();
    machine.write("tidy/wit/mine.wit", "// mine");
    machine.write("tidy/policy.py", "# mine");
    let before = contents(&machine);
    let ran = machine.run(&["policy", "wit", "tidy"]);
    assert_eq!(
        (ran.exit, &*ran.out),
        (Some(0), "up to date tidy/wit (chiffon:audit@0.1.0)\n")
    );

    let log = std::fs::read_to_string(machine.path("tidy/wit/log.wit")).unwrap();
    machine.write(
        "tidy/wit/log.wit",
        format!("{log}// of an earlier version\n"),
    );
    std::fs::remove_file(machine.path("tidy/wit/clock.wit")).unwrap();
    let edited = contents(&machine);
    let ran = machine.run(&["policy", "wit", "tidy", "--verbose"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    for line in [
        "  missing  clock.wit  +",
        "  differs  log.wit  +0 -1 lines\n",
        "    - // of an earlier version\n",
    ] {
        assert!(ran.out.contains(line), "{line}: {ran:?}");
    }
    assert_eq!(contents(&machine), edited);
    let ran = machine.run(&["policy", "wit", "tidy", "--upgrade", "--json"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let upgraded = ran.object();
    assert_eq!(
        (&upgraded["upgraded"], &upgraded["found"]),
        (&true.into(), &"chiffon:audit@0.1.0".into())
    );
    assert_eq!(contents(&machine), before);
}

#[test]
fn the_files_for_layers_are_upgraded_where_a_project_has_them() {
    let machine = project();
    machine.write("tidy/wit/0.2/world.wit", "package chiffon:audit@0.2.0;\n");
    let ran = machine.run(&["policy", "wit", "tidy", "--upgrade"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.out.contains("  changed  0.2/world.wit  "), "{ran:?}");
    assert!(
        ran.out.contains("  added    0.2/rewriting.wit  "),
        "{ran:?}"
    );
    assert_eq!(machine.run(&["policy", "wit", "tidy"]).exit, Some(0));
}

#[test]
fn what_is_no_older_interface_is_left_alone() {
    let machine = project();
    machine.write(
        "other/wit/world.wit",
        "package acme:other@1.0.0;\nworld other {}\n",
    );
    machine.write(
        "newer/wit/world.wit",
        "package chiffon:audit@0.10.0;\nworld policy {}\n",
    );
    machine.write("empty/wit/README.md", "nothing");
    machine.write("linked/outside.wit", "package chiffon:audit@0.0.9;\n");
    machine.write("linked/wit/world.wit", "package chiffon:audit@0.0.9;\n");
    symlink("../outside.wit", machine.path("linked/wit/log.wit")).unwrap();
    std::fs::create_dir_all(machine.path("away")).unwrap();
    symlink("../tidy/wit", machine.path("away/wit")).unwrap();
    machine.write("layered/wit/world.wit", "package chiffon:audit@0.1.0;\n");
    machine.write(
        "layered/wit/0.2/world.wit",
        "package chiffon:audit@0.2.1;\n",
    );
    for (project, exit, why) in [
        (
            "layered",
            2,
            "layered/wit/0.2 has chiffon:audit@0.2.1, which is newer than this program's chiffon:audit@0.2.0",
        ),
        (
            "other",
            2,
            "other/wit has the interface acme:other@1.0.0, not chiffon:audit",
        ),
        (
            "newer",
            2,
            "newer/wit has chiffon:audit@0.10.0, which is newer than this program's chiffon:audit@0.1.0",
        ),
        ("empty", 2, "empty/wit has no interface"),
        ("none", 2, "cannot read the interface none/wit"),
        (
            "linked",
            1,
            "cannot read the interface linked/wit/log.wit: it is not a regular file",
        ),
        (
            "away",
            1,
            "cannot read the interface away/wit: it is not a directory",
        ),
    ] {
        let ran = machine.run(&["policy", "wit", project, "--upgrade"]);
        assert_eq!(ran.exit, Some(exit), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
    }
    let linked = std::fs::read_to_string(machine.path("linked/outside.wit")).unwrap();
    assert_eq!(linked, "package chiffon:audit@0.0.9;\n");

    std::fs::remove_file(machine.path("linked/wit/log.wit")).unwrap();
    let ran = machine.run(&["policy", "wit", "linked", "--upgrade"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(
        ran.out
            .starts_with("upgraded linked/wit (chiffon:audit@0.0.9 to chiffon:audit@0.1.0)\n"),
        "{ran:?}"
    );
    assert!(
        ran.out
            .ends_with("Sources that name chiffon:audit@0.0.9 need to name chiffon:audit@0.1.0.\n"),
        "{ran:?}"
    );
}
