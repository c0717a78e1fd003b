//! Where a new trail starts: on the default branch, or on a ref that nobody deletes after a merge.

use chiffon_audit_cli::trail::{GitEnvironment, Placement};

use super::*;

/// Opens a trail with the operator's `init.defaultBranch`.
fn opened(dir: &Path, default: Option<&str>) -> Trail {
    let pairs: Vec<(String, String)> = default
        .into_iter()
        .flat_map(|name| {
            [
                ("GIT_CONFIG_COUNT", "1"),
                ("GIT_CONFIG_KEY_0", "init.defaultBranch"),
                ("GIT_CONFIG_VALUE_0", name),
            ]
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let variable = |name: &str| {
        let found = pairs.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.into())
    };
    let options = OpenOptions {
        environment: GitEnvironment::from_variables(variable),
        ..OpenOptions::default()
    };
    Trail::open(dir, options).unwrap()
}

#[track_caller]
fn begins(dir: &Path, default: Option<&str>, reference: &str, placement: Placement) {
    let trail = opened(dir, default);
    assert_eq!(
        (trail.reference(), trail.placement()),
        (reference, placement)
    );
    let apart = placement == Placement::Ref && reference == "refs/heads/audit";
    assert_eq!(
        trail.own_ref_reason().is_some(),
        apart,
        "{:?}",
        trail.own_ref_reason()
    );
}

const OWN: &str = "refs/heads/audit";

#[test]
fn on_the_default_branch_it_starts_there_and_on_another_on_a_separate_ref() {
    // Without a commit, the branch that is checked out is the only one.
    let repo = Repo::init(&[]);
    repo.git(&["symbolic-ref", "HEAD", "refs/heads/anything"]);
    begins(&repo.path, None, "refs/heads/anything", Placement::Checkout);
    let repo = checkout();
    begins(&repo.path, None, "refs/heads/main", Placement::Checkout);
    repo.git(&["switch", "-q", "-c", "agent/task-1"]);
    begins(&repo.path, None, OWN, Placement::Ref);
    // The operator's default branch precedes `main`, if it exists.
    begins(
        &repo.path,
        Some("agent/task-1"),
        "refs/heads/agent/task-1",
        Placement::Checkout,
    );
    begins(&repo.path, Some("trunk"), OWN, Placement::Ref);
    // `origin/HEAD` precedes both.
    repo.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    repo.git(&[
        "symbolic-ref",
        "refs/remotes/origin/HEAD",
        "refs/remotes/origin/main",
    ]);
    begins(&repo.path, Some("agent/task-1"), OWN, Placement::Ref);
    repo.git(&["switch", "-q", "main"]);
    begins(
        &repo.path,
        Some("agent/task-1"),
        "refs/heads/main",
        Placement::Checkout,
    );
    // Packed as well.
    repo.git(&["pack-refs", "--all"]);
    begins(&repo.path, None, "refs/heads/main", Placement::Checkout);
}

#[test]
fn among_branches_of_other_names_only_a_single_one_is_the_default() {
    let repo = checkout();
    repo.git(&["branch", "-m", "main", "develop"]);
    begins(&repo.path, None, "refs/heads/develop", Placement::Checkout);
    repo.git(&["branch", "other"]);
    begins(&repo.path, None, OWN, Placement::Ref);
    repo.git(&["branch", "master"]);
    begins(&repo.path, None, OWN, Placement::Ref);
    repo.git(&["switch", "-q", "master"]);
    begins(&repo.path, None, "refs/heads/master", Placement::Checkout);
}

#[test]
fn with_linked_work_trees_it_starts_on_a_separate_ref_wherever_it_is_recorded_from() {
    let repo = checkout();
    let linked = repo.path.with_file_name("linked");
    repo.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "agent/1",
        linked.to_str().unwrap(),
    ]);
    begins(&repo.path, None, OWN, Placement::Ref);
    begins(&linked, None, OWN, Placement::Ref);
    record_at(&linked, "sub-1", 0).unwrap();
    assert_eq!(git(&linked, &["status", "--porcelain"]), "");
    // The usual end of a task: a squash merge, and branch and work tree deleted.
    repo.git(&["merge", "-q", "--squash", "agent/1"]);
    repo.git(&["worktree", "remove", "--force", linked.to_str().unwrap()]);
    repo.git(&["branch", "-qD", "agent/1"]);
    record_at(&repo.path, "sub-2", 1).unwrap();
    let trail = open(&repo.path).unwrap();
    assert_eq!((trail.reference(), trail.own_ref_reason()), (OWN, None));
    assert_eq!(tasks(&trail), ["sub-1", "sub-2"]);
    repo.fsck();
    // A work tree that was deleted by hand and not pruned does not count.
    let repo = checkout();
    repo.git(&["worktree", "add", "-q", linked.to_str().unwrap()]);
    std::fs::remove_dir_all(&linked).unwrap();
    begins(&repo.path, None, "refs/heads/main", Placement::Checkout);
}

#[test]
fn a_branch_of_a_person_that_has_the_name_is_left_alone_and_the_way_out_is_named() {
    let repo = checkout();
    repo.git(&["branch", "audit"]);
    repo.git(&["switch", "-q", "-c", "side"]);
    let said = refusal(open(&repo.path).map(drop));
    assert!(said.contains("init --ref refs/heads/NAME"), "{said}");
    repo.git(&["branch", "-m", "audit", "audit/of/something"]);
    let said = refusal(open(&repo.path).map(drop));
    assert!(said.contains("refs/heads/audit/of/something"), "{said}");
    let options = InitOptions {
        reference: Some("refs/heads/trail".into()),
        ..init_options()
    };
    let (trail, made) = Trail::init(&repo.path, options).unwrap();
    assert_eq!(
        (trail.reference(), made.own_ref_reason),
        ("refs/heads/trail", None)
    );
}

#[test]
fn init_says_why_it_begins_apart_and_a_second_time_nothing() {
    let repo = checkout();
    repo.git(&["switch", "-q", "-c", "side"]);
    let (trail, made) = Trail::init(&repo.path, init_options()).unwrap();
    assert_eq!(trail.reference(), OWN);
    let why = made.own_ref_reason.unwrap();
    assert!(why.contains("`side`") && why.contains("`main`"), "{why}");
    let (_, made) = Trail::init(&repo.path, init_options()).unwrap();
    assert_eq!(made.own_ref_reason, None);
}

#[test]
fn a_trail_that_is_settled_stays_on_its_branch() {
    let repo = checkout();
    record_at(&repo.path, "a", 0).unwrap();
    repo.git(&["switch", "-q", "-c", "side"]);
    let trail = open(&repo.path).unwrap();
    assert_eq!(trail.reference(), "refs/heads/main");
    assert_eq!(trail.other_default_branch().unwrap(), None);
    record(&trail, "b", 1).unwrap();
    assert_eq!(tasks(&trail), ["a", "b"]);
    repo.git(&["switch", "-q", "main"]);
    check(&repo, &["a", "b"]);
}

#[test]
fn a_trail_whose_ref_is_gone_is_not_opened_and_the_way_back_is_named() {
    let repo = checkout();
    let tip = record_at(&repo.path, "a", 0).unwrap().commit;
    repo.git(&["switch", "-q", "-c", "other"]);
    repo.git(&["branch", "-qD", "main"]);
    let said = refusal(open(&repo.path).map(drop));
    let remedy = format!("git update-ref refs/heads/main {tip}");
    assert!(said.contains("is gone") && said.contains(&remedy), "{said}");
    repo.git(&["update-ref", "refs/heads/main", &tip]);
    assert_eq!(tasks(&open(&repo.path).unwrap()), ["a"]);
}

/// Git knows it without storing it.
#[test]
fn an_empty_tree_that_is_not_stored_is_known_as_git_knows_it() {
    for format in ["sha1", "sha256"] {
        let repo = Repo::init(&[&format!("--object-format={format}")]);
        let empty = repo.git(&["hash-object", "-t", "tree", "/dev/null"]);
        let root = repo.git(&["commit-tree", empty.trim(), "-m", "root"]);
        repo.git(&["update-ref", "refs/heads/main", root.trim()]);
        record_at(&repo.path, "a", 0).unwrap();
        // `git fsck` alone reports it as missing, before and after.
        assert_eq!(repo.git(&["status", "--porcelain"]), "");
        assert_eq!(tasks(&open(&repo.path).unwrap()), ["a"]);
        let report = chiffon_audit_cli::verify::verify(&repo.path, &Default::default()).unwrap();
        let objects = report.claims.iter().find(|claim| claim.id == "objects");
        assert_eq!(
            objects.map(|claim| &claim.verdict),
            Some(&chiffon_audit_cli::verify::Verdict::Holds),
            "{report:?}"
        );
    }
}
