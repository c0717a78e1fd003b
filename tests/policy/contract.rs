//! The contract: two policies that keep it, and policies that break one part of it each.

use super::guest::{hostile, minimal};
use super::*;
use chiffon_audit_cli::policy::{Claim, ClaimResult, Contract, Recording, Report};

fn check(component: &[u8], contract: &Contract) -> Report {
    let policy = Policy::load(engine(), "tried", component).unwrap();
    contract.check(&policy, &mut |_| {})
}

/// The broken claims, with their messages.
fn broken(component: &[u8]) -> Vec<Claim> {
    let contract = Contract {
        repetitions: 3,
        hostile: 50,
        ..Contract::default()
    };
    check(component, &contract).broken().cloned().collect()
}

#[test]
fn the_default_policy_keeps_the_contract() {
    let mut heard = Vec::new();
    let report = Contract::default().check(builtin(), &mut |claim| heard.push(claim.name));
    for claim in &report.claims {
        assert_eq!(
            claim.result,
            ClaimResult::Holds,
            "{}: {}",
            claim.name,
            claim.detail
        );
    }
    assert_eq!(heard.len(), report.claims.len());
    assert!(report.calls > 1_500, "{}", report.calls);
    assert_eq!(report.settings_read, Vec::<String>::new());
}

#[test]
fn so_does_the_smallest_policy() {
    let report = check(&minimal(&[]), &Contract::default());
    for claim in &report.claims {
        // It knows only two times of recording, and all calls are made at these.
        assert_eq!(
            claim.result,
            ClaimResult::Holds,
            "{}: {}",
            claim.name,
            claim.detail
        );
    }
}

#[test]
fn each_way_to_break_the_contract_is_found_and_named() {
    let conflict = "call $error (i32.const 1) (i32.const 0x1250) (i32.const 21)";
    for (replaced, claim, how) in [
        (
            ("ON_SAME", conflict),
            "idempotent",
            "the second time it answered `conflicting` (differs in the status), for an outcome with only the required",
        ),
        (
            ("ON_OTHER", "call $already_recorded"),
            "another-outcome",
            "it answered `fault` (policy answered `already-recorded`, but the trail's entry has another task id or status)",
        ),
        (
            ("ON_OTHER", "unreachable"),
            "lost-race",
            "it answered `fault` (policy trapped: wasm `unreachable` instruction executed) although the trail has ",
        ),
        (
            ("EXTRA", "\\\"note\\\":1,"),
            "fixed-point",
            "its entry is not an outcome: /note: ",
        ),
        (
            ("ON_UNSTAGED", "call $committed"),
            "host-failures",
            "when filesystem.write-new failed (`invalid-path`), it answered `fault` (policy answered `committed` without",
        ),
        (
            ("ON_UNREADABLE", "call $already_recorded"),
            "host-failures",
            "when filesystem.read failed (`invalid-path`), it answered `",
        ),
        (
            ("ON_CANCELLED", "(unreachable)"),
            "hostile-outcomes",
            "policy trapped: wasm `unreachable` instruction executed, for hostile outcome ",
        ),
    ] {
        let found = broken(&minimal(&[replaced]));
        let claim = found
            .iter()
            .find(|found| found.name == claim)
            .unwrap_or_else(|| panic!("{claim} holds: {found:?}"));
        assert!(
            claim.detail.contains(how),
            "{}: {}",
            claim.name,
            claim.detail
        );
        replays(&minimal(&[replaced]), claim.recording.as_ref().unwrap());
    }
}

/// Checks that the recording of a breach reproduces it.
fn replays(component: &[u8], recording: &Recording) {
    let text = recording.to_text();
    let recording = Recording::parse(text.as_bytes()).unwrap();
    let replay = recording.replay(&outcome::Limits::default()).unwrap();
    let policy = Policy::load(engine(), "tried", component).unwrap();
    let call = replay.trial().run_with_exchanges(&policy);
    assert_eq!(recording.differences(&call), Vec::<String>::new(), "{text}");
}

#[test]
fn a_policy_that_records_nothing_is_told_so() {
    let component = hostile(
        "refusal",
        &[("POINTER", "/x"), ("LENGTH", "2"), ("COUNT", "1")],
    );
    let found = broken(&component);
    assert_eq!(found[0].name, "records");
    assert!(
        found[0]
            .detail
            .contains("none of 11 outcomes is recorded; the first: `refused`"),
        "{}",
        found[0].detail
    );
}

#[test]
fn a_policy_that_exceeds_a_limit_or_fills_its_log_is_told_so() {
    let few = limited(Limits {
        fuel: 10_000_000,
        ..Limits::default()
    });
    let policy = Policy::load(&few, "tried", &hostile("endless-loop", &[])).unwrap();
    let report = Contract::default().check(&policy, &mut |_| {});
    assert!(report.calls < 20, "{}", report.calls);
    let found: Vec<Claim> = report.broken().cloned().collect();
    let limits = found.iter().find(|claim| claim.name == "limits").unwrap();
    assert!(
        limits.detail.starts_with(
            "policy exceeded its fuel limit of 10000000 (setting policy.fuel), for an outcome"
        ),
        "{}",
        limits.detail
    );
    let found = broken(&hostile("megabyte-log", &[]));
    let limits = found.iter().find(|claim| claim.name == "limits").unwrap();
    assert!(
        limits.detail.contains("its log was full"),
        "{}",
        limits.detail
    );
}

#[test]
fn outcomes_that_are_given_are_tried_and_the_seed_decides_the_rest() {
    let contract = Contract {
        documents: vec![br#"{"task_id":"mine","status":"rejected"}"#.to_vec()],
        hostile: 20,
        seed: 7,
        ..Contract::default()
    };
    let report = check(&minimal(&[]), &contract);
    assert!(report.holds());
    let detail = |name| {
        let claim = report.claims.iter().find(|claim| claim.name == name);
        claim.unwrap().detail.clone()
    };
    assert_eq!(detail("records"), "12 kinds of outcome");
    assert!(detail("hostile-outcomes").starts_with("20 outcomes from seed 7, "));
}
