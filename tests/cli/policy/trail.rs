//! The policies of a trail: one is put in force, decisions are shown, reproduced, and compared with another policy.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::{Machine, outcome};
use crate::policy::builtin;

pub(super) const WITH_SECRET: &str = r#"{"task_id":"leak","status":"failed","execution_result":
    {"outcome":{"log":"psql postgres://shop:hunter2@db/orders","password":"hunter2","n":1.0E+2}}}"#;

#[test]
fn an_activated_policy_decides_until_another_is_and_the_log_shows_the_spans() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "completed"));
    let ran = machine.run(&["-C", "repo", "policy", "activate", "builtin:redact"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(
        ran.out
            .starts_with("in force builtin:redact on refs/heads/main\n"),
        "{ran:?}"
    );
    machine.commit(WITH_SECRET);
    let entry = machine.run(&["-C", "repo", "show", "leak", "--raw"]).out;
    assert!(!entry.contains("hunter2"), "{entry}");
    assert!(
        entry.contains("postgres://shop:[redacted:url-password]@db/orders"),
        "{entry}"
    );
    assert!(entry.contains("1.0E+2"), "{entry}");
    // The same outcome again, with the secret.
    let again = machine.run_with_input(&["-C", "repo", "commit", "-"], WITH_SECRET);
    assert!(again.out.starts_with("already recorded leak"), "{again:?}");
    machine.commit(&outcome("b", "completed"));
    let ran = machine.run(&["-C", "repo", "policy", "activate", "builtin"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    machine.commit(&outcome("c", "completed"));

    let log = machine
        .run(&["-C", "repo", "policy", "log", "--json"])
        .object();
    assert_eq!(log["in_force"]["policy"], builtin().digest());
    assert_eq!(log["in_force"]["since"], json!(null));
    let spans = log["spans"].as_array().unwrap();
    let told: Vec<_> = spans
        .iter()
        .map(|span| {
            json!([
                span["builtin"],
                span["name"],
                span["kept"],
                span["entries"],
                span["first"]["task_id"],
                span["last"]["task_id"]
            ])
        })
        .collect();
    assert_eq!(
        told,
        [
            json!([true, "builtin", true, 1, "c", "c"]),
            json!([false, "builtin:redact", true, 2, "leak", "b"]),
            json!([true, "builtin", true, 1, "a", "a"]),
        ]
    );
    let shown = machine.run(&["-C", "repo", "policy", "log"]);
    assert_eq!(shown.exit, Some(0));
    for name in ["(builtin)", "(builtin:redact)"] {
        assert!(shown.out.contains(name), "{}", shown.out);
    }

    let ran = machine.run(&["-C", "repo", "policy", "reproduce", "--json"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let object = ran.object();
    assert_eq!(
        (&object["entries"], &object["same"]),
        (&json!(4), &json!(4))
    );
}

fn activate_redact(config: &str) -> [&str; 7] {
    [
        "-C",
        "repo",
        "policy",
        "activate",
        "builtin:redact",
        "--config",
        config,
    ]
}

#[test]
fn a_setting_that_the_policy_never_asks_for_is_not_put_in_force() {
    let machine = Machine::with_repository();
    let misspelt = activate_redact(r#"rule={"pointers":["/metadata/card"]}"#);
    let ran = machine.run(&misspelt);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(ran.err.contains("It asked for rules"), "{}", ran.err);
    assert_eq!(machine.git(&["for-each-ref"]), "");
    let forced = [&misspelt[..], &["--allow-unread-settings"]].concat();
    assert_eq!(machine.run(&forced).exit, Some(0));
}

#[test]
fn settings_are_activated_with_the_policy_and_others_are_not_taken_by_half() {
    let machine = Machine::with_repository();
    let rules = r#"rules={"pointers": ["/execution_result/outcome/n"]}"#;
    let activate = activate_redact(rules);
    assert_eq!(machine.run(&activate).exit, Some(0));
    machine.commit(WITH_SECRET);
    let entry = machine.run(&["-C", "repo", "show", "leak", "--raw"]).out;
    assert!(entry.contains("\"n\": \"[redacted]\""), "{entry}");
    let ran = machine.run_with_input(
        &["-C", "repo", "commit", "-", "--policy-setting", "k=v"],
        outcome("x", "completed"),
    );
    assert!(ran.err.contains("its own settings"), "{ran:?}");
    assert_ne!(ran.exit, Some(0));
    // Another policy for one invocation is given with its settings; it is stored too.
    let ran = machine.run_with_input(
        &[
            "-C",
            "repo",
            "commit",
            "-",
            "--policy",
            "builtin:bound",
            "--policy-setting",
            "max_text=600",
        ],
        outcome("y", "completed"),
    );
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let ran = machine.run(&["-C", "repo", "policy", "reproduce"]);
    assert_eq!(ran.out, "reproduced 2 of 2 entries, byte for byte\n");
}

#[test]
fn a_policy_that_breaks_the_contract_is_not_put_in_force() {
    let machine = Machine::with_repository();
    let policy = crate::policy::guest::hostile("endless-loop", &[]);
    machine.write("bad.wasm", policy);
    let ran = machine.run(&["-C", "repo", "policy", "activate", "bad.wasm"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(ran.err.contains("breaks the contract"), "{ran:?}");
    let log = machine
        .run(&["-C", "repo", "policy", "log", "--json"])
        .object();
    assert_eq!(log["in_force"]["builtin"], json!(true));
    assert_eq!(
        machine.git(&["for-each-ref", "refs/heads/audit-policies"]),
        ""
    );
    // Rules that cannot be parsed refuse every outcome, which a policy must not do.
    let rules = [
        "-C",
        "repo",
        "policy",
        "activate",
        "builtin:redact",
        "--config",
        "rules={",
    ];
    assert_eq!(machine.run(&rules).exit, Some(3));
}

#[test]
fn reproduce_names_the_first_entry_that_comes_out_otherwise_and_what_is_missing() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "completed"));
    // The same component with an empty section: another policy, which is not built in.
    let mut other = chiffon_audit_cli::policy::Policy::builtin_component().to_vec();
    other.extend_from_slice(&[0, 2, 1, b'x']);
    machine.write("other.wasm", other);
    for (task, policy) in [("b", "builtin:bound"), ("c", "other.wasm")] {
        let args = ["-C", "repo", "commit", "-", "--policy", policy];
        let ran = machine.run_with_input(&args, outcome(task, "failed"));
        assert_eq!(ran.exit, Some(0), "{ran:?}");
    }
    // Deleted here, as in a clone of the trail alone: the built-in policy is still available, the other one is not.
    let kept = machine.git(&["rev-parse", "refs/heads/audit-policies"]);
    machine.git(&["update-ref", "-d", "refs/heads/audit-policies"]);
    let ran = machine.run(&["-C", "repo", "policy", "reproduce"]);
    assert_eq!(ran.exit, Some(6), "{ran:?}");
    assert!(ran.out.starts_with("reproduced 2 of 3 entries"), "{ran:?}");
    assert!(
        ran.out.contains("not shown 1 entry: the policy sha256:"),
        "{ran:?}"
    );
    machine.git(&["update-ref", "refs/heads/audit-policies", kept.trim()]);
    assert_eq!(
        machine.run(&["-C", "repo", "policy", "reproduce"]).exit,
        Some(0)
    );

    // An attacker commits an entry that the built-in policy would not have made.
    let forged = machine
        .git(&["log", "-1", "--format=%B", "HEAD~2"])
        .replace("task a ", "task f ");
    let forged = forged.replace("Audit-Task: a", "Audit-Task: f");
    machine.write(
        "repo/.audit/tasks/f.json",
        r#"{"task_id":"f","status":"completed","timestamp":"2026-01-21T10:00:00.000000Z"}"#,
    );
    machine.git(&["add", ".audit/tasks/f.json"]);
    machine.git(&["commit", "-q", "-m", forged.trim()]);
    let ran = machine.run(&["-C", "repo", "policy", "reproduce"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    let head = machine.git(&["rev-parse", "HEAD"]);
    assert!(
        ran.out
            .contains(&format!("differs f in commit {}", head.trim())),
        "{ran:?}"
    );
    assert!(ran.out.contains("starting at line 1"), "{ran:?}");
}

#[test]
fn backtest_shows_what_another_policy_would_have_made_of_the_trail() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "completed"));
    machine.commit(WITH_SECRET);
    let ran = machine.run(&[
        "-C",
        "repo",
        "policy",
        "backtest",
        "builtin",
        "--fail-on-diff",
    ]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.out.contains("2 the same"), "{ran:?}");

    let ran = machine.run(&[
        "-C",
        "repo",
        "policy",
        "backtest",
        "builtin:redact",
        "--fail-on-diff",
    ]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(ran.out.starts_with("differs leak\n"), "{ran:?}");
    assert!(
        ran.out.contains("  +      \"password\": \"[redacted]\","),
        "{ran:?}"
    );
    assert!(
        ran.out.contains("1 the same") && ran.out.contains("1 different"),
        "{ran:?}"
    );

    let ran = machine.run(&[
        "-C",
        "repo",
        "policy",
        "backtest",
        "builtin:redact",
        "--json",
    ]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let [difference, summary] = &ran.json()[..] else {
        panic!("{ran:?}")
    };
    assert_eq!(difference["task_id"], "leak");
    assert_eq!(
        difference["would_be"]["execution_result"]["outcome"]["password"],
        "[redacted]"
    );
    assert_eq!(
        (&summary["entries"], &summary["differs"]),
        (&json!(2), &json!(1))
    );

    let ran = machine.run(&[
        "-C",
        "repo",
        "policy",
        "backtest",
        "builtin:redact",
        "--since",
        "2100-01-01",
    ]);
    assert!(ran.out.starts_with("0 entries tried"), "{ran:?}");
    // None of this changed anything.
    assert_eq!(
        machine.git(&["for-each-ref", "--format=%(refname)"]),
        "refs/heads/main\n"
    );
}

#[test]
fn backtest_tries_what_was_submitted_where_the_store_still_has_it() {
    let machine = Machine::with_repository();
    let ran = machine.run_with_input(
        &["-C", "repo", "commit", "-", "--policy", "builtin:redact"],
        WITH_SECRET,
    );
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let backtest = ["-C", "repo", "policy", "backtest", "builtin"];
    let ran = machine.run(&backtest);
    assert!(
        ran.out.contains("0 of them from their submissions"),
        "{ran:?}"
    );
    assert!(ran.out.contains("1 the same"), "{ran:?}");

    keep_submission(&machine);
    let ran = machine.run(&backtest);
    assert!(
        ran.out.contains("1 of them from their submissions"),
        "{ran:?}"
    );
    assert!(
        ran.out.contains("  +      \"password\": \"hunter2\","),
        "{ran:?}"
    );
    let missing = machine.run(&[&backtest[..], &["--store", "sqlite:nowhere.db"]].concat());
    assert_eq!(missing.exit, Some(1), "{missing:?}");
    assert!(missing.err.contains("there is no store"), "{missing:?}");
}

/// The store beside the trail, which keeps submissions, has this one as committed.
pub(super) fn keep_submission(machine: &Machine) {
    use chiffon_audit_cli::outcome::{Limits, TaskOutcome};
    use chiffon_audit_cli::store::*;
    let outcome = TaskOutcome::parse(WITH_SECRET.as_bytes(), &Limits::default()).unwrap();
    let entry = machine.git(&["show", "HEAD:.audit/tasks/leak.json"]);
    let commit = machine.git(&["rev-parse", "HEAD"]);
    let path = ".audit/tasks/leak.json";
    let entry = Entry::read(commit.trim(), path, entry.as_bytes(), None).unwrap();
    let url = StoreUrl::beside_trail(&machine.path("repo/.git"));
    let options = Options {
        keep_submissions: true,
        ..Options::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let store = open(&url, &options).await.unwrap();
        let submission = Submission {
            status: "failed".to_owned(),
            kind: Kind::Outcome,
            text: WITH_SECRET.to_owned(),
            document: None,
            fingerprint: Fingerprint {
                bytes: Sha256::digest(outcome.canonical()).into(),
                keyed: false,
            },
            former: None,
            may_compare: false,
            revision: None,
            trace_id: None,
            reporter: None,
            task_id: outcome.task_id,
        };
        let accepted = store.accept(submission).await.unwrap();
        let term = std::time::Duration::from_secs(60);
        let LeaseAnswer::Held(lease) = store.lease("test", term).await.unwrap() else {
            panic!("another host has the lease");
        };
        let settlement = Settlement {
            sequence: accepted.sequence,
            result: SettlementResult::Committed(Box::new(entry)),
        };
        store.settle(&lease, vec![settlement]).await.unwrap();
    });
}
