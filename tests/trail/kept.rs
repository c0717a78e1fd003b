//! Policies stored with a trail: the format of their ref, activation, and power cuts at every operation.

use std::fs;
use std::sync::{Arc, OnceLock};

use chiffon_audit_cli::clock::FixedClock;
use chiffon_audit_cli::outcome::Limits;
use chiffon_audit_cli::policies::{self, TrailPolicies};
use chiffon_audit_cli::policy::{Policy, PolicySettings};
use chiffon_audit_cli::recorder::{Answer, AnswerKind, Options, Recorder};
use chiffon_audit_cli::trail::disk::simulated::{Plan, SimulatedDisk};
use chiffon_audit_cli::trail::{POLICIES_REF, PolicyFileKind};

use super::*;
use crate::policy::{NOW, builtin, engine};
use crate::support::try_git;

/// The default policy with unused bytes at its end: another digest, the same decisions.
fn variant(name: u8) -> Policy {
    static VARIANTS: OnceLock<[Policy; 2]> = OnceLock::new();
    let variants = VARIANTS.get_or_init(|| {
        [b'a', b'b'].map(|name| {
            let bytes = [builtin().bytes(), &[0, 2, 1, name]].concat();
            Policy::load(engine(), "variant", &bytes).unwrap()
        })
    });
    variants[usize::from(name - b'a')].clone()
}

fn settings(value: &str) -> PolicySettings {
    PolicySettings::new([("k".to_owned(), value.to_owned())].into())
}

fn record(trail: &Trail, policy: &Policy, settings: &PolicySettings, id: &str) -> Answer {
    let options = Options {
        clock: Arc::new(FixedClock(NOW)),
        limits: Limits::default(),
        settings: settings.clone(),
        secret: None,
        delivery: chiffon_audit_cli::recorder::Delivery::default(),
        sealer: None,
    };
    let recorder = Recorder::new(trail.clone(), policy.clone(), options);
    recorder.record(format!(r#"{{"task_id":"{id}","status":"completed"}}"#).as_bytes())
}

#[test]
fn what_decides_is_kept_before_its_first_entry_one_file_a_commit() {
    let repo = Repo::init(&[]);
    repo.commit_file("readme", "hello");
    let trail = repo.trail();
    let (policy, settings) = (variant(b'a'), settings("v"));
    for id in ["a", "b"] {
        let answer = record(&trail, &policy, &settings, id);
        assert_eq!(answer.result, AnswerKind::Committed, "{answer:?}");
    }
    let log = repo.git(&[
        "log",
        "--reverse",
        "--format=%B",
        "--name-status",
        POLICIES_REF,
    ]);
    let (component, canonical) = (policy.digest(), settings.digest());
    let file = |digest: &str| digest.replace(':', "-");
    assert_eq!(
        log,
        format!(
            "audit: keep policy {component}\n\nAudit-Policies: 1\nAudit-Policy: {component}\n\n\nA\t{}.wasm\n\
             audit: keep settings {canonical}\n\nAudit-Policies: 1\nAudit-Settings: {canonical}\n\n\nA\t{}.json\n",
            file(component),
            file(&canonical)
        )
    );
    assert_eq!(
        repo.git(&["show", &format!("{POLICIES_REF}:{}.json", file(&canonical))]),
        r#"{"k":"v"}"#
    );
    // The person's branch has only the two entries.
    assert_eq!(repo.git(&["rev-list", "--count", "main"]), "3\n");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    repo.fsck();
    let mut policies_of_trail = TrailPolicies::new(&trail, engine());
    assert_eq!(
        policies_of_trail
            .policy(component)
            .unwrap()
            .unwrap()
            .digest(),
        component
    );
    assert_eq!(
        policies_of_trail.settings(&canonical).unwrap().unwrap(),
        settings
    );
    assert!(
        policies_of_trail
            .policy(&"sha256:00".repeat(8))
            .unwrap()
            .is_none()
    );
}

#[test]
fn the_built_in_policy_without_settings_leaves_no_ref() {
    let repo = Repo::bare();
    let trail = repo.trail();
    record(&trail, builtin(), &PolicySettings::default(), "a");
    assert_eq!(repo.git(&["for-each-ref", POLICIES_REF]), "");
    let mut policies_of_trail = TrailPolicies::new(&trail, engine());
    assert!(
        policies_of_trail
            .policy(builtin().digest())
            .unwrap()
            .is_some()
    );
    let none = PolicySettings::default();
    assert_eq!(
        policies_of_trail.settings(&none.digest()).unwrap(),
        Some(none)
    );
}

#[test]
fn a_policy_is_in_force_where_it_was_activated_until_another_is() {
    let repo = Repo::bare();
    let trail = repo.trail();
    assert!(policies::in_force(&trail, engine()).unwrap().is_none());
    for name in [b'a', b'b', b'a'] {
        let policy = variant(name);
        policies::activate(&trail, &policy, &settings("v"), NOW).unwrap();
        let policy_with_settings = policies::in_force(&repo.trail(), engine())
            .unwrap()
            .unwrap();
        assert_eq!(policy_with_settings.policy.digest(), policy.digest());
        assert_eq!(policy_with_settings.settings, settings("v"));
    }
    // Two components and the settings, each once.
    assert_eq!(repo.git(&["rev-list", "--count", POLICIES_REF]), "3\n");
    policies::activate(&trail, builtin(), &PolicySettings::default(), NOW).unwrap();
    assert!(policies::in_force(&trail, engine()).unwrap().is_none());
    repo.fsck();
}

/// In both directions, whichever of the two files could not be written: the policy in force is never a distrusted one.
#[test]
fn a_policy_is_not_in_force_before_its_distrust_has_ended() {
    for (next, settings_of_next) in [
        (variant(b'a'), settings("v")),
        (builtin().clone(), PolicySettings::default()),
    ] {
        for failing in ["used-policies.toml", "policy.toml"] {
            let repo = Repo::bare();
            let disk = Watched::default();
            let trail = open_watched(&repo.path, &disk);
            policies::activate(&trail, &variant(b'b'), &settings("v"), NOW).unwrap();
            trail
                .distrust(next.digest(), builtin().digest(), at(0))
                .unwrap();
            disk.fail(5, move |operation, path| {
                operation != "create" && path.ends_with(failing)
            });
            policies::activate(&trail, &next, &settings_of_next, NOW).unwrap_err();
            let in_force = trail.in_force().unwrap();
            let in_force = in_force.map_or(builtin().digest().to_owned(), |it| it.component);
            assert!(
                !trail.used_policies().unwrap().is_distrusted(&in_force),
                "{failing}"
            );
            disk.heal();
            policies::activate(&trail, &next, &settings_of_next, NOW).unwrap();
            assert!(!trail.used_policies().unwrap().is_distrusted(next.digest()));
        }
    }
}

#[test]
fn a_ref_that_was_fetched_puts_nothing_in_force() {
    let repo = Repo::bare();
    policies::activate(&repo.trail(), &variant(b'a'), &settings("v"), NOW).unwrap();
    record(&repo.trail(), builtin(), &PolicySettings::default(), "a");
    let clone = Repo::bare();
    let refspec = "refs/heads/*:refs/heads/*";
    clone.git(&["fetch", "-q", repo.path.to_str().unwrap(), refspec]);
    assert!(!clone.git(&["for-each-ref", POLICIES_REF]).is_empty());
    assert!(
        policies::in_force(&clone.trail(), engine())
            .unwrap()
            .is_none()
    );
    // Activated here too, from the stored files.
    policies::activate(&clone.trail(), &variant(b'a'), &settings("v"), NOW).unwrap();
    assert!(
        policies::in_force(&clone.trail(), engine())
            .unwrap()
            .is_some()
    );
    assert_eq!(clone.git(&["rev-list", "--count", POLICIES_REF]), "2\n");
}

#[test]
fn in_a_clone_the_policies_of_the_remote_are_read_and_continued() {
    let repo = Repo::bare();
    policies::activate(&repo.trail(), &variant(b'a'), &settings("v"), NOW).unwrap();
    let clone = Repo::bare();
    let refspec = "refs/heads/*:refs/remotes/origin/*";
    let fetch = || clone.git(&["fetch", "-q", repo.path.to_str().unwrap(), refspec]);
    fetch();
    let component = variant(b'a');
    let is_kept = |repo: &Repo| {
        repo.trail()
            .has_policy_file(PolicyFileKind::Component, component.digest())
            .unwrap()
    };
    assert!(is_kept(&clone));
    assert!(
        policies::in_force(&clone.trail(), engine())
            .unwrap()
            .is_none()
    );
    // Its own component follows what the remote has: a push is a fast-forward.
    policies::activate(&clone.trail(), &variant(b'b'), &settings("v"), NOW).unwrap();
    let remote = repo.git(&["rev-parse", POLICIES_REF]);
    assert_eq!(clone.git(&["rev-list", "--count", POLICIES_REF]), "3\n");
    clone.git(&["merge-base", "--is-ancestor", remote.trim(), POLICIES_REF]);
    // The remote has more now: the next file continues that, too.
    clone.git(&[
        "push",
        "-q",
        repo.path.to_str().unwrap(),
        &format!("{POLICIES_REF}:{POLICIES_REF}"),
    ]);
    policies::activate(&repo.trail(), &variant(b'a'), &settings("w"), NOW).unwrap();
    fetch();
    policies::activate(&clone.trail(), &variant(b'b'), &settings("x"), NOW).unwrap();
    assert_eq!(clone.git(&["rev-list", "--count", POLICIES_REF]), "5\n");
    clone.fsck();
}

#[test]
fn a_file_that_only_a_remote_has_is_kept_here_before_an_entry_names_it() {
    let repo = Repo::bare();
    policies::activate(&repo.trail(), &variant(b'a'), &settings("w"), NOW).unwrap();
    let clone = Repo::bare();
    policies::activate(&clone.trail(), &variant(b'b'), &settings("v"), NOW).unwrap();
    let refspec = "refs/heads/*:refs/remotes/origin/*";
    clone.git(&["fetch", "-q", repo.path.to_str().unwrap(), refspec]);
    // The two refs have diverged, so the remote's is not continued, and a prune could remove its files.
    policies::activate(&clone.trail(), &variant(b'b'), &settings("w"), NOW).unwrap();
    assert_eq!(clone.git(&["rev-list", "--count", POLICIES_REF]), "3\n");
    clone.git(&["update-ref", "-d", "refs/remotes/origin/audit-policies"]);
    let digest = settings("w").digest();
    let kept = clone.trail().policy_file(PolicyFileKind::Settings, &digest);
    assert!(kept.unwrap().is_some());
    clone.fsck();
}

#[test]
fn a_remote_s_policies_that_cannot_be_read_block_no_record() {
    let repo = Repo::bare();
    record(&repo.trail(), builtin(), &PolicySettings::default(), "a");
    let tree = repo.git(&["rev-parse", "HEAD^{tree}"]);
    let tracking = "refs/remotes/origin/audit-policies";
    repo.git(&["update-ref", tracking, tree.trim()]);
    policies::activate(&repo.trail(), &variant(b'a'), &settings("v"), NOW).unwrap();
    assert_eq!(repo.git(&["rev-list", "--count", POLICIES_REF]), "2\n");
    repo.fsck();
}

#[test]
fn a_policy_in_force_that_is_gone_is_an_error_and_never_another_policy() {
    let repo = Repo::bare();
    policies::activate(&repo.trail(), &variant(b'a'), &settings("v"), NOW).unwrap();
    repo.git(&["update-ref", "-d", POLICIES_REF]);
    let error = policies::in_force(&repo.trail(), engine()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the policy {} is in force on this trail and is not on {POLICIES_REF}: fetch that ref, or activate a policy again",
            variant(b'a').digest()
        )
    );
}

#[test]
fn a_kept_file_whose_contents_have_another_digest_is_no_policy() {
    let repo = Repo::bare();
    let trail = repo.trail();
    policies::activate(&trail, &variant(b'a'), &PolicySettings::default(), NOW).unwrap();
    let name = variant(b'a').digest().replace(':', "-") + ".wasm";
    let blob = repo.git(&["rev-parse", &format!("{POLICIES_REF}:{name}")]);
    std::fs::write(repo.path.join("forged"), variant(b'b').bytes()).unwrap();
    let forged = repo.git(&["hash-object", "-w", "forged"]);
    assert_ne!(blob, forged);
    repo.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("100644,{},{name}", forged.trim()),
    ]);
    let tree = repo.git(&["write-tree"]);
    let commit = repo.git(&["commit-tree", "-m", "forged", tree.trim()]);
    repo.git(&["update-ref", POLICIES_REF, commit.trim()]);
    let error = policies::in_force(&repo.trail(), engine()).unwrap_err();
    assert!(error.to_string().contains("another digest"), "{error}");
}

#[test]
fn a_persons_files_on_the_ref_stay_and_a_checked_out_ref_is_named() {
    let repo = Repo::init(&[]);
    repo.commit_file("readme", "hello");
    repo.git(&["checkout", "-q", "--orphan", "audit-policies"]);
    repo.git(&["rm", "-q", "-f", "--cached", "readme"]);
    std::fs::create_dir(repo.path.join("t")).unwrap();
    for name in ["a", "sha256-f", "t/below", "zz"] {
        std::fs::write(repo.path.join(name), name).unwrap();
    }
    repo.git(&["add", "a", "sha256-f", "t", "zz"]);
    repo.git(&["commit", "-q", "-m", "mine"]);
    repo.git(&["checkout", "-q", "-f", "main"]);
    policies::activate(&repo.trail(), &variant(b'a'), &settings("v"), NOW).unwrap();
    let names = repo.git(&["ls-tree", "-r", "--name-only", POLICIES_REF]);
    assert_eq!(names.lines().count(), 6, "{names}");
    repo.fsck();
    repo.git(&["worktree", "add", "-q", "beside", "audit-policies"]);
    let error = policies::activate(&repo.trail(), &variant(b'b'), &settings("v"), NOW).unwrap_err();
    assert!(error.to_string().contains("audit-policies"), "{error}");
    // Stored files need not be written again, and the policy is still in force.
    assert_eq!(
        record(&repo.trail(), &variant(b'a'), &settings("v"), "a").result,
        AnswerKind::Committed
    );
}

/// Checks that every entry's policy and settings are stored unchanged.
fn explained(trail: &Trail) -> Result<(), String> {
    for entry in trail.history().map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| error.to_string())?;
        let policy = entry.policy.unwrap_or_default();
        if policy != builtin().digest()
            && trail
                .policy_file(PolicyFileKind::Component, &policy)
                .map_err(|error| error.to_string())?
                .is_none()
        {
            return Err(format!(
                "{} is recorded and {policy} is not kept",
                entry.task_id
            ));
        }
    }
    Ok(())
}

#[test]
fn after_a_power_cut_at_any_operation_every_entry_has_its_policy_and_what_was_activated_is_in_force()
 {
    let template = Repo::bare();
    record(
        &template.trail(),
        builtin(),
        &PolicySettings::default(),
        "z",
    );
    let run = |plan: Plan| {
        let dir = crate::support::temporary();
        let work = dir.path().join("work");
        copy(&template.path, &work);
        let disk = SimulatedDisk::new(&work, plan).unwrap();
        let trail = crash::open(&work, Some(disk.clone()), "first", crash::Kind::Bare).unwrap();
        let policy = variant(b'a');
        let activated = policies::activate(&trail, &policy, &settings("v"), NOW).is_ok();
        let recorded = record(&trail, &policy, &settings("v"), "a").result;
        drop(trail);
        (dir, disk, activated, recorded == AnswerKind::Committed)
    };
    let (_dir, disk, activated, recorded) = run(Plan::default());
    assert!(activated && recorded);
    let operations = disk.operations();
    assert!(operations > 40, "only {operations}");
    // Each third operation, or each where all are asked for.
    for crash in (0..operations).filter(|crash| crash.is_multiple_of(3) || sweeps_are_whole()) {
        let (dir, disk, activated, recorded) = run(Plan {
            crash_at: Some(crash),
            ..Plan::default()
        });
        for seed in 0..2 {
            let kept = dir.path().join(format!("kept-{seed}"));
            let mut dice = crash::dice(crash as u64 * 31 + seed);
            disk.after_power_cut(&kept, &mut dice).unwrap();
            let trail = crash::open(&kept, None, "second", crash::Kind::Bare).unwrap();
            let told = || format!("operation {crash}, seed {seed}\n{}", disk.log().join("\n"));
            explained(&trail).unwrap_or_else(|wrong| panic!("{wrong}: {}", told()));
            // It is not loaded, which would compile it each time; it is there, with the right digest.
            let in_force = trail.in_force().unwrap();
            assert!(in_force.is_some() || !activated, "{}", told());
            if let Some(in_force) = in_force {
                for (kind, digest) in [
                    (PolicyFileKind::Component, &in_force.component),
                    (PolicyFileKind::Settings, &in_force.settings),
                ] {
                    assert!(
                        trail.policy_file(kind, digest).unwrap().is_some(),
                        "{}",
                        told()
                    );
                }
            }
            let found = trail.find(&task("a")).unwrap();
            assert!(found.is_some() || !recorded, "{}", told());
            // The trail continues.
            policies::activate(&trail, &variant(b'b'), &settings("w"), NOW)
                .unwrap_or_else(|error| panic!("{error}: {}", told()));
            let next = record(&trail, &variant(b'b'), &settings("w"), "next");
            assert_eq!(next.result, AnswerKind::Committed, "{next:?} {}", told());
            let fsck = try_git(&kept, &["fsck", "--strict", "--no-dangling"]);
            let said = String::from_utf8_lossy(&fsck.stderr).into_owned();
            assert!(fsck.status.success(), "{said}: {}", told());
            assert!(fs::metadata(kept.join("refs/heads/audit-policies.lock")).is_err());
        }
    }
}
