//! WASI in a policy: present, empty, and never waiting.

use super::guest::hostile;
use super::*;
use chiffon_audit_cli::policy::{Level, Source};

#[test]
fn sleeping_on_the_monotonic_clock_takes_no_time() {
    committed(ask(&hostile("sleeper", &[])));
}

#[test]
fn waiting_for_input_or_output_takes_no_time() {
    committed(ask(&hostile("waits-for-input", &[])));
}

#[test]
fn the_clocks_show_the_time_of_recording_or_stand_still() {
    committed(ask(&hostile("clocks", &[])));
}

#[test]
fn there_are_no_files() {
    committed(ask(&hostile("files", &[])));
}

#[test]
fn randomness_repeats_and_is_never_bought_by_the_terabyte() {
    let calls = [(); 2].map(|()| ask(&hostile("random", &[("BYTES", "65536")])));
    assert_eq!(calls[0].log, calls[1].log);
    committed(calls[0].clone());
    let call = ask(&hostile("random", &[("BYTES", "1000000000000")]));
    assert_eq!(
        fault(call),
        "policy misused the host: it asked for more than 65536 random bytes at once"
    );
}

#[test]
fn polling_nothing_is_misuse() {
    assert_eq!(
        fault(ask(&hostile("polls-nothing", &[]))),
        "policy misused the host: it polled an empty list"
    );
}

#[test]
fn an_exit_is_no_answer() {
    for (status, code) in [("0", 0), ("1", 1)] {
        let text = fault(ask(&hostile("exits", &[("STATUS", status)])));
        assert_eq!(
            text,
            format!("policy exited with code {code} instead of answering")
        );
    }
}

#[test]
fn a_panic_is_reported_in_the_policys_words() {
    let call = ask(&hostile("panics", &[]));
    assert_eq!(call.log.len(), 4);
    assert!(
        call.log
            .iter()
            .all(|line| line.source == Source::Stderr && line.level == Level::Warn)
    );
    assert_eq!(
        fault(call),
        "policy panicked: out of luck (at src/lib.rs:4:5)"
    );
}

#[test]
fn what_is_printed_goes_to_the_log_under_its_cap() {
    let call = ask(&hostile("prints", &[]));
    assert!(call.log.len() <= 1000 && call.log_dropped > 0);
    assert!(
        call.log
            .iter()
            .map(|line| line.message.len())
            .sum::<usize>()
            <= 256 << 10
    );
    assert!(call.log.iter().all(|line| line.source == Source::Stdout));
    committed(call);
}

#[test]
fn calling_wasi_without_end_is_stopped() {
    let text = fault(ask(&hostile("wasi-loop", &[])));
    assert_eq!(
        text,
        "policy exceeded its limit of 100000 WASI calls (setting policy.wasi_calls)"
    );
}
