//! The normal operations of stock git and of people around a trail are not attacks: maintenance, branches, notes,
//! clones of every kind.

use chiffon_audit_cli::verify::{self, AuditResult, Options};

use super::forge::{Forge, flat, git, holds, sharded, try_git, write};

/// Code, a trail in it, and a branch with other work.
fn with_branches() -> Forge {
    let mut forge = Forge::checkout();
    let work = forge.by_person(vec![write("code", "1\n")]);
    forge.add(&work);
    forge.genesis();
    for number in 0..8 {
        forge.record(&sharded(&format!("t{number}")));
    }
    let work = forge.by_person(vec![write("code", "2\n")]);
    forge.add_to("refs/heads/feature", "audit~2", &work);
    forge.git(&["reset", "-q", "--hard"]);
    forge
}

#[test]
fn what_git_does_to_a_repository_by_itself_holds() {
    let mut forge = with_branches();
    holds(&forge.path);
    for (number, arguments) in [
        &["tag", "-a", "-m", "x", "v1"][..],
        &["notes", "add", "-m", "note"],
        &["stash", "list"],
        &["pack-refs", "--all"],
        &["repack", "-dq"],
        &["commit-graph", "write", "--reachable", "--split"],
        &["commit-graph", "write", "--reachable", "--changed-paths"],
        &["repack", "-dq", "--geometric=2", "--write-midx"],
        &["multi-pack-index", "write", "--bitmap"],
        &["multi-pack-index", "repack"],
        &["multi-pack-index", "expire"],
        &["repack", "-q", "--cruft", "-d"],
        &["maintenance", "run", "--task=loose-objects"],
        &["maintenance", "run", "--task=incremental-repack"],
        &["maintenance", "run", "--task=commit-graph"],
        &["repack", "-adq", "--write-bitmap-index"],
        &["gc", "-q"],
        &["reflog", "expire", "--expire=now", "--all"],
        &["worktree", "add", "-q", "--detach", "../linked"],
        &["config", "extensions.worktreeConfig", "true"],
        &["sparse-checkout", "set", "--no-cone", ".audit"],
        &["update-server-info"],
        &["fsck", "--full"],
    ]
    .into_iter()
    .enumerate()
    {
        forge.git(arguments);
        let report = verify::verify(&forge.path, &Options::default()).unwrap();
        assert_eq!(
            report.result(),
            AuditResult::Holds,
            "{arguments:?} {report:#?}"
        );
        forge.record(&flat(&format!("after{number}")));
        holds(&forge.path);
    }
    // Newer than the oldest supported git, so it may not exist.
    if try_git(&forge.path, &["multi-pack-index", "write", "--incremental"]).is_some() {
        holds(&forge.path);
    }
    holds(&forge.beside("linked"));
}

#[test]
fn every_kind_of_clone_holds_or_says_what_is_elsewhere() {
    let mut forge = with_branches();
    forge.git(&["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", forge.path.display());
    let path = forge.path.to_str().unwrap().to_owned();
    let bundle = forge.beside("bundle");
    let bundle = bundle.to_str().unwrap();
    forge.git(&["bundle", "create", "-q", bundle, "audit", "feature"]);
    for (name, arguments, expect) in [
        ("plain", &[path.as_str()][..], AuditResult::Holds),
        ("far", &["--no-local", &path], AuditResult::Holds),
        ("bare", &["--bare", &path], AuditResult::Holds),
        ("mirror", &["--mirror", &path], AuditResult::Holds),
        ("single", &["--single-branch", &url], AuditResult::Holds),
        ("bundled", &["-b", "audit", bundle], AuditResult::Holds),
        (
            "whole",
            &["--reference", &path, "--dissociate", &path],
            AuditResult::Holds,
        ),
        ("shared", &["--shared", &path], AuditResult::NotShown),
        ("shallow", &["--depth=2", &url], AuditResult::NotShown),
        (
            "blobless",
            &["--filter=blob:none", "-n", &url],
            AuditResult::NotShown,
        ),
        (
            "treeless",
            &["--filter=tree:0", "-n", &url],
            AuditResult::NotShown,
        ),
    ] {
        let to = forge.beside(name);
        let arguments = [&["clone", "-q"], arguments, &[to.to_str().unwrap()]].concat();
        git(&forge.path, &arguments);
        let report = verify::verify(&to, &Options::default()).unwrap();
        assert_eq!(report.result(), expect, "{name} {report:#?}");
    }
    forge.record(&flat("later"));
    for name in ["plain", "far", "mirror", "single"] {
        git(&forge.beside(name), &["fetch", "-q", &path, "feature"]);
        git(&forge.beside(name), &["fetch", "-q"]);
        holds(&forge.beside(name));
    }
    let clone = forge.beside("plain");
    git(&clone, &["maintenance", "run", "--task=prefetch"]);
    git(&clone, &["checkout", "-q", "--detach"]);
    holds(&clone);
    git(&clone, &["merge", "-q", "--ff-only", "origin/audit"]);
    holds(&clone);
}
