//! Policies that compute, grow and write without end, or reach for more than they may: each ends as specified.

use super::guest::{hostile, hostile_with};
use super::*;
use chiffon_audit_cli::policy::{HostCall, Level};
use std::time::Duration;

const ENTRY: &str =
    "{\"task_id\":\"t\",\"status\":\"completed\",\"timestamp\":\"2026-01-21T10:05:02.000123Z\"}\n";

#[test]
fn the_honest_one_is_committed() {
    assert_eq!(committed(ask(&hostile("honest", &[]))), ENTRY);
}

#[test]
fn an_endless_loop_runs_out_of_fuel() {
    let engine = limited(Limits {
        fuel: 10_000_000,
        ..Limits::default()
    });
    let call = ask_in(&engine, &hostile("endless-loop", &[]));
    assert_eq!(call.fuel, 10_000_000);
    assert_eq!(
        fault(call),
        "policy exceeded its fuel limit of 10000000 (setting policy.fuel)"
    );
}

#[test]
fn an_endless_loop_with_fuel_without_end_runs_out_of_time() {
    let wall_time = Duration::from_millis(30);
    let engine = limited(Limits {
        fuel: u64::MAX,
        wall_time,
        ..Limits::default()
    });
    let call = ask_in(&engine, &hostile("endless-loop", &[]));
    assert!(call.duration >= wall_time);
    assert_eq!(
        fault(call),
        "policy exceeded its time limit of 0.03 s (setting policy.wall_time)"
    );
}

#[test]
fn a_host_call_after_the_time_is_over_is_stopped() {
    let engine = limited(Limits {
        wall_time: Duration::ZERO,
        ..Limits::default()
    });
    let call = ask_in(&engine, &hostile("honest", &[]));
    assert_eq!(
        fault(call),
        "policy exceeded its time limit of 0 s (setting policy.wall_time)"
    );
}

#[test]
fn endless_recursion_runs_out_of_stack() {
    let call = ask(&hostile("endless-recursion", &[]));
    assert_eq!(
        fault(call),
        "policy exceeded its stack limit of 524288 bytes (setting policy.stack): endless recursion?"
    );
}

#[test]
fn eight_gibibytes_of_memory_are_denied() {
    let call = ask(&hostile("eight-gibibytes", &[]));
    assert!(call.memory <= 256 << 20, "{}", call.memory);
    assert_eq!(
        fault(call),
        "policy exceeded its memory limit of 268435456 bytes (setting policy.memory)"
    );
}

#[test]
fn a_policy_that_copes_with_denied_memory_is_heard() {
    assert_eq!(committed(ask(&hostile("denied-memory", &[]))), ENTRY);
}

#[test]
fn memory_from_the_start_counts_as_well() {
    let engine = limited(Limits {
        memory: 64 << 10,
        ..Limits::default()
    });
    let call = ask_in(&engine, &hostile("honest", &[]));
    assert_eq!(
        fault(call),
        "policy exceeded its memory limit of 65536 bytes (setting policy.memory)"
    );
}

#[test]
fn a_table_without_end_is_denied() {
    let call = ask(&hostile("large-table", &[]));
    assert_eq!(
        fault(call),
        "policy exceeded its limit of 200000 table elements (setting policy.table_elements)"
    );
}

#[test]
fn too_many_parts_are_named() {
    let engine = limited(Limits {
        instances: 1,
        ..Limits::default()
    });
    let call = ask_in(&engine, &hostile("honest", &[]));
    assert_eq!(
        fault(call),
        "policy exceeded its limit of 1 instances (setting policy.instances)"
    );
}

#[test]
fn a_thousand_commits_are_one_too_many() {
    let call = ask(&hostile("thousand-commits", &[("LEFT", "2")]));
    assert_eq!(fault(call), "policy asked for more than one commit");
    let call = ask(&hostile("thousand-commits", &[("LEFT", "1000")]));
    assert_eq!(call.calls.len(), 1000);
    assert_eq!(
        fault(call),
        "policy exceeded its limit of 1000 host calls (setting policy.host_calls)"
    );
}

#[test]
fn a_megabyte_of_log_is_cut_and_counted() {
    let call = ask(&hostile("megabyte-log", &[]));
    let bytes: usize = call.log.iter().map(|line| line.message.len()).sum();
    assert!(bytes <= 256 << 10, "{bytes}");
    assert_eq!(call.log[0].message.len(), 4 << 10);
    assert_eq!(
        (call.log[0].level, call.log[1].level),
        (Level::Warn, Level::Info)
    );
    assert_eq!(call.log.len() as u64 + call.log_dropped, 601);
    assert_eq!(committed(call), ENTRY);
}

#[test]
fn a_trap_leaves_nothing() {
    assert_eq!(
        fault(ask(&hostile("trap", &[]))),
        "policy trapped: wasm `unreachable` instruction executed"
    );
}

#[test]
fn another_path_than_its_own_cannot_be_named() {
    for path in [
        ".audit/tasks/u.json",
        ".audit/tasks/T.json",
        ".audit/tasks/./t.json",
        ".audit/tasks/../tasks/t.json",
        "/.audit/tasks/t.json",
        ".audit\\tasks\\t.json",
        ".audit/tasks/t.json ",
        ".audit/tasks/t.json\0",
        ".git/config",
        "README.md",
        "",
    ] {
        let call = ask(&hostile_with("other-path", "PATH", path.as_bytes()));
        assert_eq!(
            call.calls[..2],
            ["filesystem.read", "filesystem.write-new"].map(HostCall::Failed)
        );
        assert!(!call.read_entry);
        let expected = "policy answered `committed` without staging an entry: it named another path than its own, ";
        assert_eq!(fault(call), format!("{expected}{path:?}"));
    }
}

#[test]
fn a_very_long_path_is_shortened_in_the_message() {
    let long = "é".repeat(1000);
    let text = fault(ask(&hostile_with("other-path", "PATH", long.as_bytes())));
    assert!(text.ends_with(&format!("{:?}", "é".repeat(128))), "{text}");
}
