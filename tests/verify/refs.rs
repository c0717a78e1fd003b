//! Refs that git reads differently than they look, and refs that hide or shadow the trail: each is made, git shows its
//! result, and the audit must report it.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use chiffon_audit_cli::verify::{AuditResult, Options, Verdict, VerifyError, verify};

use super::forge::{Forge, flat, git, try_git, verdict};

const HEADER: &str = "# pack-refs with: peeled fully-peeled sorted \n";

/// Writes a file with this name in the git directory.
fn put(forge: &Forge, name: &[u8], contents: &[u8]) -> PathBuf {
    let path = forge.git_dir().join(std::ffi::OsStr::from_bytes(name));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, contents).unwrap();
    path
}

fn tip(forge: &Forge) -> String {
    forge
        .git(&["rev-parse", "refs/heads/audit"])
        .trim()
        .to_owned()
}

/// A trail, an entry's blob, and another blob with different content.
fn with_victim() -> (Forge, String, String) {
    let forge = Forge::trail();
    let victim = forge.git(&["rev-parse", &format!("audit:{}", flat("b"))]);
    let evil = forge.object("blob", b"{}\n");
    (forge, victim.trim().to_owned(), evil)
}

#[test]
fn replace_refs_are_named_wherever_they_lie() {
    let deep = ["a"; 40].join("/");
    let long = "d".repeat(200);
    for directory in [
        &b""[..],
        b"\xff/",
        b"odd/name/",
        b"@/",
        b"-/",
        &[deep.as_bytes(), b"/"].concat(),
        &[long.as_bytes(), b"/", long.as_bytes(), b"/"].concat(),
    ] {
        let (forge, victim, evil) = with_victim();
        let name = [b"refs/replace/", directory, victim.as_bytes()].concat();
        put(&forge, &name, format!("{evil}\n").as_bytes());
        assert_eq!(forge.git(&["cat-file", "blob", &victim]), "{}\n");
        forge.broken("hidden", None, "show another object");
        // Packed, as a push or `git pack-refs` leaves it.
        std::fs::remove_dir_all(forge.git_dir().join("refs/replace")).unwrap();
        let head = tip(&forge);
        let begin = format!("{HEADER}{head} refs/heads/audit\n{evil} ");
        let lines = [begin.as_bytes(), &name, b"\n"].concat();
        put(&forge, b"packed-refs", &lines);
        assert_eq!(forge.git(&["cat-file", "blob", &victim]), "{}\n");
        forge.broken("hidden", None, "show another object");
    }
}

#[test]
fn packed_refs_in_any_other_form_are_named() {
    let (forge, victim, evil) = with_victim();
    let head = tip(&forge);
    std::fs::remove_file(forge.git_dir().join("refs/heads/audit")).unwrap();
    for (text, words) in [
        (
            "$H refs/heads/audit\n$E\trefs/replace/$V\n",
            "holds the line",
        ),
        ("$H refs/heads/audit\n$E  refs/heads/x\n", "holds the line"),
        ("$H refs/heads/audit\n$H refs/heads/x y\n", "holds the line"),
        ("$H refs/heads/audit\n$H refs/heads/x\r\n", "holds the line"),
        ("$H refs/heads/audit\n$H refs/heads/x", "no end"),
        ("$H refs/heads/audit\n\n", "holds the line"),
        ("$H refs/heads/audit\n# more\n", "holds the line"),
        ("$H refs/heads/audit\n^$E\n", "belongs to no tag"),
        (
            "$H refs/heads/audit\n$P refs/heads/audit\n",
            "not in the order",
        ),
        ("$H refs/heads/audit\n$H refs/heads/a\n", "not in the order"),
        ("$H refs/heads/audit\n$H HEAD\n", "holds the line"),
        (
            "$H refs/heads/audit\n$H refs/heads/../x\n",
            "holds the line",
        ),
    ] {
        let text = text
            .replace("$H", &head)
            .replace("$E", &evil)
            .replace("$V", &victim)
            .replace("$P", &"1".repeat(40));
        put(&forge, b"packed-refs", format!("{HEADER}{text}").as_bytes());
        let report = forge.broken("hidden", None, words);
        // Which of the two lines counts is not known, so it is not reported.
        let is_twice = text.contains("1111");
        assert!(is_twice || report.tip.as_ref() == Some(&head), "{text}");
        put(
            &forge,
            b"packed-refs",
            format!("{HEADER}{head} refs/heads/audit\n").as_bytes(),
        );
        forge.holds();
    }
    // A first line that is too long, after which another program may read the rest as a new file.
    let long = format!(
        "# pack-refs with: {}\n{head} refs/heads/audit\n",
        "x ".repeat(5000)
    );
    put(&forge, b"packed-refs", long.as_bytes());
    forge.broken("hidden", None, "its first line");
    // The headers of other programs, and none at all.
    for header in [
        "# pack-refs with: peeled \n",
        "# pack-refs with: peeled fully-peeled\n",
        "",
    ] {
        let text = format!("{header}{head} refs/tags/z\n{head} refs/heads/audit\n");
        put(&forge, b"packed-refs", text.as_bytes());
        forge.holds();
    }
}

#[test]
fn loose_refs_in_any_other_form_are_named() {
    let forge = Forge::trail();
    let head = tip(&forge);
    for contents in [
        format!("{head} junk\n"),
        format!("{head}\r\n"),
        format!("{head}\n\n"),
        format!("{head}\t{head}\n"),
        format!("{}\n", head.to_uppercase()),
    ] {
        put(&forge, b"refs/heads/audit", contents.as_bytes());
        let report = forge.broken("hidden", None, "is not as git writes it");
        assert_eq!(report.tip.as_ref(), Some(&head), "{contents:?}");
    }
    put(&forge, b"refs/heads/audit", format!("{head}\n").as_bytes());
    for (name, contents) in [
        (&b"refs/heads/other"[..], &b""[..]),
        (b"refs/heads/other", b"junk\n"),
        (b"refs/heads/other", b"ref: ../../x\n"),
        (b"refs/remotes/o/x", b"ref:  refs/heads/audit\n"),
        (b"HEAD", b"ref:refs/heads/audit\n"),
        (b"HEAD", b"ref: refs/heads/audit \n"),
        (b"refs/heads/a b", b"$\n"),
        (b"refs/heads/a~1", b"$\n"),
        (b"refs/heads/a..b", b"$\n"),
    ] {
        let contents = String::from_utf8(contents.to_vec())
            .unwrap()
            .replace('$', &head);
        let path = put(&forge, name, contents.as_bytes());
        let report = forge.broken("hidden", None, "the ref `");
        assert_eq!(report.tip.as_ref(), Some(&head), "{contents:?}");
        std::fs::remove_file(path).unwrap();
        put(&forge, b"HEAD", b"ref: refs/heads/audit\n");
    }
    std::os::unix::fs::symlink(
        forge.git_dir().join("info"),
        forge.git_dir().join("refs/heads/linked"),
    )
    .unwrap();
    forge.broken("hidden", None, "symbolic link to a directory");
    std::fs::remove_file(forge.git_dir().join("refs/heads/linked")).unwrap();
    // Files that git ignores: leftover locks, and names that start with a dot.
    put(&forge, b"refs/heads/audit.lock", b"");
    put(&forge, b"refs/heads/.DS_Store", b"x");
    forge.holds();
}

#[test]
fn what_a_short_name_is_taken_for_first_is_named() {
    let forge = Forge::trail();
    let before = forge.git(&["rev-parse", "audit~1"]);
    let id = before.trim();
    forge.git(&["update-ref", "refs/other", id]);
    for (name, contents) in [
        (&b"audit"[..], format!("{id}\n")),
        (b"audit", "ref: refs/other\n".to_owned()),
        (b"refs/audit", "ref: refs/other\n".to_owned()),
        (b"refs/tags/audit", "ref: refs/other\n".to_owned()),
    ] {
        let path = put(&forge, name, contents.as_bytes());
        assert_eq!(forge.git(&["rev-parse", "audit"]), before);
        forge.broken(
            "hidden",
            None,
            "it points to a different commit than the branch",
        );
        std::fs::remove_file(path).unwrap();
    }
    // A person calls the branch `heads/audit`.
    let path = put(&forge, b"heads/audit", before.as_bytes());
    assert_eq!(forge.git(&["rev-parse", "heads/audit"]), before);
    forge.broken(
        "hidden",
        None,
        "git uses the ref `heads/audit` for the short name `heads/audit`",
    );
    std::fs::remove_file(path).unwrap();
    // Packed, and a remote-tracking branch after a local one.
    forge.git(&["update-ref", "refs/tags/audit", id]);
    forge.git(&["pack-refs", "--all"]);
    forge.broken(
        "hidden",
        None,
        "git uses the ref `refs/tags/audit` for the short name `audit`, and it points to a different commit",
    );
    forge.git(&["tag", "-d", "audit"]);
    forge.holds();
}

#[test]
fn a_ref_is_named_as_a_branch_or_in_full() {
    let forge = Forge::trail();
    let before = forge.git(&["rev-parse", "audit~1"]);
    forge.git(&["update-ref", "refs/tags/audit", before.trim()]);
    forge.git(&["symbolic-ref", "refs/heads/alias", "refs/heads/audit"]);
    let with = |name: &str| {
        let reference = Some(name.to_owned());
        verify(
            &forge.path,
            &Options {
                reference,
                ..Options::default()
            },
        )
    };
    // Not the tag, which git would use.
    let head = tip(&forge);
    assert_eq!(with("audit").unwrap().tip, Some(head.clone()));
    assert_eq!(
        with("refs/tags/audit").unwrap().tip.as_deref(),
        Some(before.trim())
    );
    assert_eq!(with("HEAD").unwrap().tip, Some(head.clone()));
    let alias = with("alias").unwrap();
    assert_eq!(alias.reference, "refs/heads/audit");
    let hidden = alias
        .claims
        .iter()
        .find(|claim| claim.id == "hidden")
        .unwrap();
    assert!(hidden.notes[0].contains("is a symbolic ref"), "{hidden:?}");
    for name in [
        "tags/audit",
        "heads/audit",
        "../heads/audit",
        "refs/heads/nothing",
        "",
    ] {
        assert!(
            matches!(with(name), Err(VerifyError::NoReference(_))),
            "{name}"
        );
    }
}

#[test]
fn many_symbolic_refs_beside_many_packed_ones_are_no_burden() {
    let forge = Forge::trail();
    let head = tip(&forge);
    let mut packed = HEADER.to_owned();
    packed += &format!("{head} refs/heads/audit\n");
    for number in 0..200_000 {
        packed += &format!("{head} refs/heads/r{number:06}\n");
    }
    std::fs::remove_file(forge.git_dir().join("refs/heads/audit")).unwrap();
    put(&forge, b"packed-refs", packed.as_bytes());
    for number in 0..500 {
        let name = format!("refs/heads/s{number}");
        put(
            &forge,
            name.as_bytes(),
            format!("ref: refs/heads/r{number:06}\n").as_bytes(),
        );
    }
    assert_eq!(forge.holds().reference, "refs/heads/audit");
}

#[test]
fn a_table_of_refs_beside_the_files_is_refused() {
    let forge = Forge::trail();
    std::fs::create_dir(forge.git_dir().join("reftable")).unwrap();
    let error = verify(&forge.path, &Options::default()).err().unwrap();
    assert!(error.to_string().contains("reftable"), "{error}");
}

#[test]
fn settings_that_change_what_git_shows_are_notes() {
    let forge = Forge::trail();
    forge.git(&["config", "format.pretty", "hidden"]);
    forge.git(&["config", "core.pager", "false"]);
    let report = forge.holds();
    let hidden = report
        .claims
        .iter()
        .find(|claim| claim.id == "hidden")
        .unwrap();
    assert_eq!(hidden.notes.len(), 2, "{hidden:?}");
    assert!(hidden.notes[1].contains("format.pretty"), "{hidden:?}");
    assert_eq!(report.result(), AuditResult::Holds);
    assert_eq!(verdict(&report, "hidden"), &Verdict::Holds);
}

#[test]
fn a_bare_trail_takes_along_no_replace_ref_unseen() {
    let (forge, victim, evil) = with_victim();
    let to = forge.beside("pub.git");
    git(
        &forge.path,
        &["init", "-q", "--bare", "-b", "audit", to.to_str().unwrap()],
    );
    let name = [&b"refs/replace/\xff/"[..], victim.as_bytes()].concat();
    put(&forge, &name, format!("{evil}\n").as_bytes());
    let url = to.to_str().unwrap();
    assert!(try_git(&forge.path, &["push", "-q", url, "refs/*:refs/*"]).is_some());
    let report = verify(&to, &Options::default()).unwrap();
    assert!(
        matches!(verdict(&report, "hidden"), Verdict::Broken { .. }),
        "{report:#?}"
    );
}
