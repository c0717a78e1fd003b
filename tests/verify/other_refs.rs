//! Refs that git looks for elsewhere than their names say, or takes in place of others: those of work trees, names that
//! lead to the branch, `HEAD`, the list for plain HTTP, a copy whose refs are links.

use std::path::{Path, PathBuf};

use chiffon_audit_cli::verify::{AuditResult, Options, Report, Verdict, VerifyError, verify};

use super::forge::{Forge, Operation, flat, git, holds, sharded, try_git, verdict};

fn put(forge: &Forge, name: &str, contents: &str) {
    let path = forge.git_dir().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("{contents}\n")).unwrap();
}

fn id(forge: &Forge, name: &str) -> String {
    forge.git(&["rev-parse", name]).trim().to_owned()
}

fn audit(path: &Path, reference: Option<&str>) -> Result<Report, VerifyError> {
    let reference = reference.map(str::to_owned);
    verify(
        path,
        &Options {
            reference,
            ..Options::default()
        },
    )
}

#[track_caller]
fn hidden(report: &Report, words: &str) {
    let Verdict::Broken { what, .. } = verdict(report, "hidden") else {
        panic!("{report:#?}");
    };
    assert!(what.contains(words), "{what}");
}

/// A linked work tree beside the repository.
fn linked(forge: &Forge) -> PathBuf {
    let path = forge.beside("linked");
    let name = path.to_str().unwrap();
    forge.git(&["worktree", "add", "-q", "--detach", name, "audit"]);
    path
}

#[test]
fn a_branch_that_leads_to_a_ref_of_a_work_tree_is_named() {
    for kind in ["worktree", "bisect", "rewritten"] {
        for prefix in ["main-worktree/", ""] {
            let forge = Forge::trail();
            let (tip, old) = (id(&forge, "audit"), id(&forge, "audit~2"));
            put(&forge, &format!("main-worktree/refs/{kind}/x"), &tip);
            put(&forge, &format!("refs/{kind}/x"), &old);
            let target = format!("ref: {prefix}refs/{kind}/x");
            put(&forge, "refs/heads/audit", &target);
            assert_eq!(id(&forge, "audit"), old);
            let report = audit(&forge.path, Some("audit")).unwrap();
            assert_eq!(report.tip, Some(old), "{target}");
            hidden(&report, "belongs to one work tree");
        }
    }
}

#[test]
fn a_tag_that_leads_to_a_ref_of_the_main_work_tree_shadows_the_branch() {
    let forge = Forge::trail();
    let old = id(&forge, "audit~2");
    put(&forge, "refs/bisect/x", &old);
    put(
        &forge,
        "refs/tags/audit",
        "ref: main-worktree/refs/bisect/x",
    );
    assert_eq!(id(&forge, "audit"), old);
    forge.broken("hidden", None, "`refs/tags/audit`");
}

#[test]
fn in_a_linked_work_tree_refs_are_read_where_git_reads_them() {
    let forge = Forge::trail();
    let (tip, old) = (id(&forge, "audit"), id(&forge, "audit~2"));
    let linked = linked(&forge);
    // A name of one component is the repository's.
    put(&forge, "audit", &old);
    assert_eq!(git(&linked, &["rev-parse", "audit"]).trim(), old);
    hidden(&audit(&linked, Some("audit")).unwrap(), "the ref `audit`");
    std::fs::remove_file(forge.git_dir().join("audit")).unwrap();
    // The refs of bisections are the work tree's.
    put(&forge, "refs/worktree/t", &tip);
    put(&forge, "worktrees/linked/refs/worktree/t", &old);
    put(&forge, "worktrees/linked/HEAD", "ref: refs/worktree/t");
    assert_eq!(git(&linked, &["rev-parse", "HEAD"]).trim(), old);
    let report = audit(&linked, Some("HEAD")).unwrap();
    assert_eq!(report.tip, Some(old));
    hidden(&report, "belongs to one work tree");
}

#[test]
fn every_name_that_leads_to_the_branch_is_looked_for() {
    let forge = Forge::trail();
    let old = id(&forge, "audit~2");
    forge.git(&["branch", "-q", "-m", "audit", "trunk"]);
    forge.git(&["symbolic-ref", "refs/heads/audit", "refs/heads/trunk"]);
    forge.git(&["symbolic-ref", "HEAD", "refs/heads/audit"]);
    holds(&forge.path);
    forge.git(&["tag", "audit", &old]);
    assert_eq!(id(&forge, "audit"), old);
    for reference in [
        None,
        Some("audit"),
        Some("refs/heads/audit"),
        Some("HEAD"),
        Some("trunk"),
    ] {
        let report = audit(&forge.path, reference).unwrap();
        hidden(&report, "`refs/tags/audit`");
    }
}

#[test]
fn a_ref_that_git_shows_in_place_of_a_head_without_a_commit_is_named() {
    let forge = Forge::trail();
    forge.git(&["symbolic-ref", "HEAD", "refs/heads/none"]);
    holds(&forge.path);
    let old = id(&forge, "audit~2");
    for name in [
        "refs/heads/HEAD",
        "refs/tags/HEAD",
        "refs/HEAD",
        "refs/remotes/HEAD",
    ] {
        put(&forge, name, &old);
        assert_eq!(id(&forge, "HEAD"), old);
        let report = audit(&forge.path, Some("audit")).unwrap();
        hidden(&report, &format!("shows the ref `{name}` in its place"));
        std::fs::remove_file(forge.git_dir().join(name)).unwrap();
    }
    holds(&forge.path);
}

#[test]
fn symbolic_refs_are_followed_as_far_as_git_follows_them() {
    for number in 3..6 {
        let forge = Forge::trail();
        let tip = id(&forge, "audit");
        for hop in 1..=number {
            let target = format!("ref: refs/heads/s{}", hop + 1);
            put(&forge, &format!("refs/heads/s{hop}"), &target);
        }
        put(&forge, &format!("refs/heads/s{}", number + 1), &tip);
        let is_read = try_git(
            &forge.path,
            &["rev-parse", "-q", "--verify", "refs/heads/s1"],
        )
        .is_some();
        let report = audit(&forge.path, Some("s1"));
        assert_eq!(report.is_ok(), is_read, "{number} {report:?}");
    }
}

#[test]
fn a_list_for_plain_http_that_contradicts_the_refs_is_named() {
    let mut forge = Forge::trail();
    forge.git(&["update-server-info"]);
    holds(&forge.path);
    let old = id(&forge, "audit");
    forge.record(&sharded("d"));
    // It is renewed by hand, or by a hook of `git push`.
    let report = holds(&forge.path);
    let claim = report.claims.iter().find(|claim| claim.id == "hidden");
    let notes = &claim.unwrap().notes;
    assert!(notes[0].contains("it is 1 commit behind"), "{notes:?}");
    let tip = id(&forge, "audit");
    forge.git(&["update-ref", "refs/heads/audit", &old]);
    let other = forge.record(&sharded("e"));
    forge.git(&["update-ref", "refs/heads/audit", &tip]);
    put(&forge, "info/refs", &format!("{other}\trefs/heads/audit"));
    forge.broken(
        "hidden",
        None,
        &format!("`info/refs` gives {other} for `refs/heads/audit`"),
    );
    put(&forge, "info/refs", &format!("{tip} refs/heads/audit"));
    forge.broken("hidden", None, "holds the line");
}

#[test]
fn a_list_for_plain_http_may_have_a_persons_commit_that_was_amended() {
    let mut forge = Forge::trail();
    let by_person = |forge: &mut Forge, subject: &str, operations| {
        let mut work = forge.by_person(operations);
        work.message = format!("{subject}\n");
        work
    };
    let before = id(&forge, "audit");
    let work = by_person(&mut forge, "work", Vec::new());
    let work = forge.add(&work);
    // As `git gc` does.
    forge.git(&["update-server-info"]);
    forge.git(&["update-ref", "refs/heads/audit", &before]);
    let amended = by_person(&mut forge, "amended work", Vec::new());
    forge.add(&amended);
    let report = holds(&forge.path);
    let claim = report.claims.iter().find(|claim| claim.id == "hidden");
    let notes = &claim.unwrap().notes;
    assert!(
        notes[0].contains(&work) && notes[0].contains("no longer in this history"),
        "{notes:?}"
    );
    // One that shows other entries is not a person's ordinary work.
    let tip = id(&forge, "audit");
    forge.git(&["update-ref", "refs/heads/audit", &before]);
    let removal = by_person(&mut forge, "removal", vec![Operation::Delete(flat("b"))]);
    let removal = forge.add(&removal);
    forge.git(&["update-ref", "refs/heads/audit", &tip]);
    put(&forge, "info/refs", &format!("{removal}\trefs/heads/audit"));
    forge.broken("hidden", None, "it is not in this history");
}

#[test]
fn a_copy_whose_refs_are_the_audited_ones_shows_nothing() {
    let forge = Forge::trail();
    let copy = forge.beside("copy");
    let name = copy.to_str().unwrap();
    git(&forge.path, &["clone", "-q", "--bare", ".", name]);
    let against = |path: &Path| {
        let options = Options {
            against: vec![path.to_owned()],
            ..Options::default()
        };
        verify(&forge.path, &options).unwrap()
    };
    assert_eq!(against(&copy).result(), AuditResult::Holds);
    std::fs::remove_file(copy.join("packed-refs")).unwrap();
    for linked in ["refs/heads", "refs"] {
        let _ = std::fs::remove_dir_all(copy.join(linked));
        std::os::unix::fs::symlink(forge.path.join(linked), copy.join(linked)).unwrap();
        let report = against(&copy);
        assert!(
            matches!(verdict(&report, "against"), Verdict::NotShown { .. }),
            "{linked} {report:#?}"
        );
    }
    // Links to another directory show nothing, either.
    std::fs::remove_file(copy.join("refs")).unwrap();
    let elsewhere = forge.beside("elsewhere");
    std::fs::create_dir_all(elsewhere.join("x")).unwrap();
    std::fs::write(elsewhere.join("x/audit"), id(&forge, "audit")).unwrap();
    std::fs::create_dir_all(copy.join("refs")).unwrap();
    std::os::unix::fs::symlink(elsewhere.join("x"), copy.join("refs/heads")).unwrap();
    let report = against(&copy);
    assert!(
        matches!(verdict(&report, "against"), Verdict::NotShown { .. }),
        "{report:#?}"
    );
}

#[test]
fn a_copy_is_read_as_git_reads_it_where_its_branch_leads_to_a_ref_of_a_work_tree() {
    let mut forge = Forge::trail();
    forge.record(&sharded("d"));
    let copy = forge.beside("copy");
    let name = copy.to_str().unwrap();
    git(&forge.path, &["clone", "-q", "--bare", ".", name]);
    let (tip, old) = (id(&forge, "audit"), id(&forge, "audit~1"));
    forge.git(&["update-ref", "refs/heads/audit", &old]);
    let other = Forge::at(&copy);
    std::fs::remove_file(copy.join("packed-refs")).unwrap();
    put(&other, "main-worktree/refs/bisect/x", &old);
    put(&other, "refs/bisect/x", &tip);
    put(
        &other,
        "refs/heads/audit",
        "ref: main-worktree/refs/bisect/x",
    );
    let options = Options {
        against: vec![copy],
        ..Options::default()
    };
    let report = verify(&forge.path, &options).unwrap();
    let Verdict::NotShown { missing } = verdict(&report, "against") else {
        panic!("{report:#?}");
    };
    assert!(missing.contains("rolled back"), "{missing}");
}

#[test]
fn files_that_git_takes_from_the_work_tree_or_from_head_are_noted() {
    let notes = |forge: &Forge, reference: &str| {
        let report = audit(&forge.path, Some(reference)).unwrap();
        assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
        let claim = report.claims.into_iter().find(|claim| claim.id == "hidden");
        claim.unwrap().notes
    };
    let mut forge = Forge::checkout();
    forge.genesis();
    forge.record(&sharded("a"));
    assert_eq!(notes(&forge, "audit"), [""; 0]);
    std::fs::write(
        forge.path.join(".mailmap"),
        "Other <o@x> <audit@localhost>\n",
    )
    .unwrap();
    std::fs::write(forge.path.join(".gitattributes"), "*.json -diff\n").unwrap();
    let found = notes(&forge, "audit");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found.iter().all(|note| note.contains("in the work tree")),
        "{found:?}"
    );
    // A bare repository has `.mailmap` in the commit of `HEAD`.
    let mut forge = Forge::trail();
    let work = forge.by_person(vec![super::forge::write(".mailmap", "Other <o@x>\n")]);
    forge.add_to("refs/heads/main", "refs/heads/main", &work);
    forge.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    let found = notes(&forge, "audit");
    assert!(found[0].contains("in the commit of `HEAD`"), "{found:?}");
}

#[test]
fn settings_that_change_what_git_shows_or_serves_are_noted() {
    for (name, value) in [
        ("gpg.ssh.program", "/bin/true"),
        ("gpg.program", "/bin/true"),
        ("transfer.hideRefs", "refs/heads"),
        ("uploadpack.hideRefs", "refs/heads/audit"),
        ("color.diff.new", "white white"),
        ("trailer.separators", "="),
        ("core.commentChar", ";"),
        ("core.bigFileThreshold", "1"),
        ("attr.tree", "refs/attr/x"),
        ("diff.json.binary", "true"),
    ] {
        let forge = Forge::trail();
        forge.git(&["config", name, value]);
        let report = holds(&forge.path);
        let claim = report.claims.iter().find(|claim| claim.id == "hidden");
        let notes = &claim.unwrap().notes;
        assert!(
            notes[0].to_lowercase().contains(&name.to_lowercase()),
            "{name} {notes:?}"
        );
    }
}

#[test]
fn all_of_many_settings_and_extensions_are_read() {
    let forge = Forge::trail();
    let path = forge.path.join("config");
    let mut text = std::fs::read_to_string(&path).unwrap();
    for section in ["pager", "extensions"] {
        text.push_str(&format!("[{section}]\n"));
        (0..20_000).for_each(|number| text.push_str(&format!("\ta{number} = x\n")));
    }
    std::fs::write(&path, text).unwrap();
    forge.not_shown("hidden", "the repository extension");
}
