//! Repositories in which something is missing, borrowed, hidden or broken.

use chiffon_audit_cli::verify::{AuditResult, Options, Verdict, VerifyError, verify};

use crate::support::sweeps_are_whole;

use super::forge::{Forge, flat, git, holds, sharded, verdict, write};

fn put(forge: &Forge, name: &str, contents: &str) {
    let path = forge.git_dir().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, contents).unwrap();
}

fn with_ref(forge: &Forge, name: &str) -> Result<chiffon_audit_cli::verify::Report, VerifyError> {
    verify(
        &forge.path,
        &Options {
            reference: Some(name.to_owned()),
            ..Options::default()
        },
    )
}

#[test]
fn a_replace_ref_is_named_and_the_true_objects_are_judged() {
    let mut forge = Forge::trail();
    let victim = forge.record(&sharded("d"));
    let mut other = forge.by_person(vec![write("x", "x\n")]);
    other.merge.clear();
    let other = forge.add_to("refs/heads/other", &format!("{victim}~"), &other);
    forge.git(&["replace", &victim, &other]);
    let report = forge.broken("hidden", None, &format!("refs/replace/{victim}"));
    assert_eq!(
        (verdict(&report, "append-only"), report.entries),
        (&Verdict::Holds, 4)
    );
    forge.git(&["pack-refs", "--all"]);
    forge.broken("hidden", None, &format!("refs/replace/{victim}"));
}

#[test]
fn a_graft_is_named_and_the_true_history_is_judged() {
    let forge = Forge::trail();
    let tip = forge.git(&["rev-parse", "audit"]);
    put(&forge, "info/grafts", &tip);
    let report = forge.broken("hidden", None, tip.trim());
    assert_eq!(report.entries, 3);
}

#[test]
fn a_shallow_clone_is_not_shown() {
    let mut forge = Forge::trail();
    forge.record(&sharded("d"));
    let shallow = forge.beside("shallow");
    let url = format!("file://{}", forge.path.display());
    git(
        &forge.path,
        &[
            "clone",
            "-q",
            "--bare",
            "--depth=2",
            &url,
            shallow.to_str().unwrap(),
        ],
    );
    let report = verify(&shallow, &Options::default()).unwrap();
    assert_eq!(
        (report.result(), report.commits, report.entries),
        (AuditResult::NotShown, 2, 1)
    );
    for claim in [
        "objects",
        "append-only",
        "one-entry",
        "agreement",
        "once",
        "times",
        "hidden",
    ] {
        assert!(
            matches!(verdict(&report, claim), Verdict::NotShown { .. }),
            "{claim}"
        );
    }
    // A cut in a complete repository hides nothing from the audit, but is reported.
    let tip = forge.git(&["rev-parse", "audit"]);
    put(&forge, "shallow", &tip);
    let report = forge.not_shown("hidden", "shallow");
    assert_eq!(
        (verdict(&report, "append-only"), report.entries),
        (&Verdict::Holds, 4)
    );
}

#[test]
fn borrowed_objects_are_not_shown() {
    let forge = Forge::trail();
    let borrower = forge.beside("borrower");
    git(
        &forge.path,
        &[
            "clone",
            "-q",
            "--bare",
            "--shared",
            ".",
            borrower.to_str().unwrap(),
        ],
    );
    let report = verify(&borrower, &Options::default()).unwrap();
    assert_eq!(report.result(), AuditResult::NotShown);
    for claim in ["objects", "hidden"] {
        assert!(
            matches!(verdict(&report, claim), Verdict::NotShown { .. }),
            "{claim}"
        );
    }
    git(&borrower, &["repack", "-adq"]);
    std::fs::remove_file(borrower.join("objects/info/alternates")).unwrap();
    assert_eq!(holds(&borrower).entries, 3);
}

#[test]
fn a_partial_clone_is_not_shown() {
    let forge = Forge::trail();
    forge.git(&["config", "uploadpack.allowFilter", "true"]);
    let partial = forge.beside("partial");
    let url = format!("file://{}", forge.path.display());
    git(
        &forge.path,
        &[
            "clone",
            "-q",
            "--bare",
            "--filter=blob:none",
            &url,
            partial.to_str().unwrap(),
        ],
    );
    let report = verify(&partial, &Options::default()).unwrap();
    assert_eq!(report.result(), AuditResult::NotShown, "{report:#?}");
    assert!(matches!(
        verdict(&report, "objects"),
        Verdict::NotShown { .. }
    ));
}

#[test]
fn an_empty_trail_is_nothing_to_verify() {
    let mut forge = Forge::bare(&[]);
    let report = forge.not_shown("one-entry", "nothing to verify");
    assert_eq!((report.tip, report.commits), (None, 0));
    let work = forge.by_person(vec![write("x", "x\n")]);
    forge.add(&work);
    forge.not_shown("append-only", "nothing to verify");
    forge.genesis();
    forge.not_shown("objects", "nothing to verify");
}

#[test]
fn the_ref_with_the_trail_is_found() {
    let mut forge = Forge::checkout();
    forge.genesis();
    forge.record(&flat("a"));
    forge.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    assert_eq!(forge.holds().reference, "refs/heads/audit");
    let work = forge.by_person(vec![write("x", "x\n")]);
    forge.add_to("refs/heads/main", "refs/heads/main", &work);
    assert_eq!(forge.holds().reference, "refs/heads/audit");
    forge.git(&["pack-refs", "--all"]);
    assert_eq!(forge.holds().reference, "refs/heads/audit");
    forge.git(&["branch", "-q", "copy", "audit"]);
    assert_eq!(forge.holds().reference, "refs/heads/audit");
    for name in ["copy", "refs/heads/copy"] {
        assert_eq!(with_ref(&forge, name).unwrap().reference, "refs/heads/copy");
    }
    forge.git(&["tag", "-a", "-m", "x", "v1", "audit"]);
    assert_eq!(
        with_ref(&forge, "refs/tags/v1").unwrap().result(),
        AuditResult::Holds
    );
    assert!(matches!(
        with_ref(&forge, "nothing"),
        Err(VerifyError::NoReference(_))
    ));
    assert!(matches!(
        with_ref(&forge, "../../x"),
        Err(VerifyError::NoReference(_))
    ));
}

#[test]
fn a_branch_whose_trail_was_removed_is_not_passed_over_for_another() {
    let mut forge = Forge::trail();
    forge.git(&["branch", "-q", "decoy", "audit"]);
    let removal = forge.by_person(vec![super::forge::Operation::Delete(".audit".into())]);
    let id = forge.add(&removal);
    forge.only_broken("append-only", &id, "is deleted");
}

#[test]
fn broken_refs_are_errors() {
    let forge = Forge::trail();
    let broken = |name: &str| {
        matches!(
            with_ref(&forge, name),
            Err(VerifyError::BadReference { .. })
        )
    };
    put(&forge, "refs/heads/loop", "ref: refs/heads/pool\n");
    put(&forge, "refs/heads/pool", "ref: refs/heads/loop\n");
    assert!(broken("loop"));
    put(&forge, "refs/heads/empty", "");
    assert!(broken("empty"));
    put(&forge, "refs/heads/text", "no object id\n");
    assert!(broken("text"));
    put(&forge, "refs/heads/outside", "ref: ../../../etc/passwd\n");
    assert!(broken("outside"));
    put(&forge, "refs/heads/short", "abcdef\n");
    assert!(broken("short"));
    put(&forge, "refs/heads/gone", &"1".repeat(40));
    assert_eq!(
        with_ref(&forge, "gone").unwrap().result(),
        AuditResult::Broken
    );
    let blob = forge.object("blob", b"x");
    put(&forge, "refs/heads/blob", &blob);
    assert_eq!(
        with_ref(&forge, "blob").unwrap().result(),
        AuditResult::Broken
    );
}

#[test]
fn unreadable_files_are_reported() {
    let directory = crate::support::temporary();
    assert!(matches!(
        verify(directory.path(), &Options::default()),
        Err(VerifyError::NoRepository(_))
    ));
    let nowhere = directory.path().join("nowhere");
    assert!(matches!(
        verify(&nowhere, &Options::default()),
        Err(VerifyError::Unreadable { .. })
    ));
    let forge = Forge::trail();
    let config = std::fs::read_to_string(forge.path.join("config")).unwrap();
    let with = |extension: &str| {
        put(
            &forge,
            "config",
            &format!("{config}[extensions]\n\t{extension}\n"),
        );
        verify(&forge.path, &Options::default())
    };
    assert!(matches!(
        with("refStorage = reftable"),
        Err(VerifyError::Unsupported(_))
    ));
    assert!(matches!(
        with("objectFormat = md5"),
        Err(VerifyError::Unsupported(_))
    ));
    assert_eq!(
        with("preciousObjects = true").unwrap().result(),
        AuditResult::Holds
    );
    assert_eq!(
        with("sparkles = true").unwrap().result(),
        AuditResult::NotShown
    );
}

#[test]
fn what_the_configuration_includes_and_names_is_not_believed() {
    let forge = Forge::trail();
    let config = std::fs::read_to_string(forge.path.join("config")).unwrap();
    put(&forge, "evil", "[extensions]\n\tobjectFormat = sha256\n");
    put(
        &forge,
        "config",
        &format!(
            "{config}\tworktree = /nonexistent\n\thooksPath = /tmp\n[include]\n\tpath = evil\n"
        ),
    );
    forge.holds();
}

#[test]
fn a_repository_that_is_written_and_repacked_meanwhile_holds() {
    let mut forge = Forge::trail();
    let path = forge.path.clone();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let auditor = scope.spawn(|| {
            let mut audits = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                holds(&path);
                audits += 1;
            }
            audits
        });
        for number in 0..12 {
            forge.record(&sharded(&format!("x{number}")));
            forge.git(&["repack", "-adq"]);
            forge.git(&["prune", "--expire=now"]);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(auditor.join().unwrap() > 0);
    });
    assert_eq!(forge.holds().entries, 15);
}

#[test]
fn very_many_refs_are_no_burden_and_a_replace_ref_among_them_is_named() {
    let mut forge = Forge::trail();
    let work = forge.by_person(vec![write("x", "x\n")]);
    let other = forge.add_to("refs/heads/other", "refs/heads/other", &work);
    let mut packed = forge.git(&[
        "for-each-ref",
        "--format=%(objectname) %(refname)",
        "refs/heads/audit",
    ]);
    // A million takes two minutes without optimisation.
    let refs = if sweeps_are_whole() {
        1_000_000
    } else {
        100_000
    };
    packed.extend((0..refs).map(|number| format!("{other} refs/heads/r{number:06}\n")));
    put(
        &forge,
        "packed-refs",
        &format!("# pack-refs with: sorted\n{packed}"),
    );
    std::fs::remove_file(forge.git_dir().join("refs/heads/audit")).unwrap();
    forge.holds();
    put(&forge, "HEAD", "ref: refs/heads/nothing\n");
    assert_eq!(forge.holds().reference, "refs/heads/audit");
    forge.ends_within_512_mebibytes(0);
    put(
        &forge,
        "packed-refs",
        &format!("# pack-refs with: sorted\n{packed}{other} refs/replace/{other}\n"),
    );
    forge.broken("hidden", None, "refs/replace/");
    forge.ends_within_512_mebibytes(3);
}

#[test]
fn a_branch_that_cannot_be_read_is_not_passed_over_for_another() {
    let forge = Forge::trail();
    forge.git(&["branch", "-q", "decoy", "audit~"]);
    let tip = forge.git(&["rev-parse", "audit"]).trim().to_owned();
    std::fs::remove_file(
        forge
            .git_dir()
            .join("objects")
            .join(&tip[..2])
            .join(&tip[2..]),
    )
    .unwrap();
    let report = forge.broken("objects", Some(&tip), "is missing");
    assert_eq!(report.reference, "refs/heads/audit");
}

#[test]
fn a_ref_that_git_takes_for_the_branch_is_named() {
    let forge = Forge::trail();
    let (tip, before) = (
        forge.git(&["rev-parse", "audit"]),
        forge.git(&["rev-parse", "audit~1"]),
    );
    // A tag of the same commit hides nothing. The same holds for an annotated tag.
    forge.git(&["tag", "audit", "refs/heads/audit"]);
    forge.holds();
    forge.git(&["tag", "-f", "-a", "-m", "x", "audit", "refs/heads/audit"]);
    forge.holds();
    forge.git(&["tag", "-d", "audit"]);
    for name in ["audit", "refs/audit", "refs/tags/audit"] {
        put(&forge, name, &before);
        assert_eq!(forge.git(&["rev-parse", "audit"]), before, "{name}");
        forge.broken(
            "hidden",
            None,
            &format!("git uses the ref `{name}` for the short name `audit`, and it points to a different commit"),
        );
        put(&forge, name, &tip);
        forge.holds();
        std::fs::remove_file(forge.git_dir().join(name)).unwrap();
    }
    forge.holds();
}
