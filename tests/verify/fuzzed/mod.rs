//! Mutates the files of small repositories, and compares what git shows with the verdict of `verify`.
//!
//! The rule: if `verify` finds that every claim holds, git shows the history of the tip that `verify` names, and
//! nothing else. Git may fail; it must not show another history. `GIT_MUTANTS` sets the number of mutants,
//! `GIT_MUTANTS_SEED` the first seed.

mod bases;
mod indexes;
mod mutate;
mod view;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use chiffon_audit_cli::verify::{AuditResult, Options, verify};

use bases::Base;

/// The default number of mutants: ten seconds on one processor. `.ci/run` makes 2,000.
const MUTANTS: u64 = 300;

fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}

#[test]
fn git_shows_what_verify_judged_or_verify_says_that_something_is_wrong() {
    let (count, seed) = (
        number("GIT_MUTANTS", MUTANTS),
        number("GIT_MUTANTS_SEED", 1),
    );
    let place = crate::support::temporary();
    let bases = bases::all(place.path());
    for base in &bases {
        let report = verify(&base.path, &Options::default()).unwrap();
        assert_eq!(
            report.result(),
            AuditResult::Holds,
            "{}: {report:#?}",
            base.name
        );
        assert!(view::difference(base, &base.path, &report).is_none());
    }
    let (next, held) = (AtomicU64::new(seed), AtomicU64::new(0));
    let failures: Vec<String> = std::thread::scope(|scope| {
        let work = |thread: usize| {
            let (bases, next, held) = (&bases, &next, &held);
            let place = place.path().join(format!("thread-{thread}"));
            move || {
                let mut failures = Vec::new();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count + number("GIT_MUTANTS_SEED", 1) {
                        return failures;
                    }
                    match try_one(bases, &place, seed) {
                        Ok(holds) => held.fetch_add(u64::from(holds), Ordering::Relaxed),
                        Err(what) => {
                            failures.push(format!("GIT_MUTANTS=1 GIT_MUTANTS_SEED={seed}: {what}"));
                            0
                        }
                    };
                }
            }
        };
        let threads: Vec<_> = (0..2).map(|thread| scope.spawn(work(thread))).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(
        failures.is_empty(),
        "{} of {count} mutants:\n{}",
        failures.len(),
        failures.join("\n")
    );
    // A run in which all mutants hold, or none, compares nothing.
    let held = held.into_inner();
    assert!(
        count < 100 || (held > count / 50 && held < count),
        "{held} of {count} hold"
    );
}

/// Makes one mutant and judges it; returns whether every claim holds.
fn try_one(bases: &[Base], place: &Path, seed: u64) -> Result<bool, String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let base = &bases[random.usize(..bases.len())];
    let _ = std::fs::remove_dir_all(place);
    crate::support::copy(&base.path, place);
    let mut done = Vec::new();
    for _ in 0..random.u32(1..4) {
        done.push(mutate::mutate(&mut random, base, place));
    }
    let told = || format!("{}: {}", base.name, done.join("; "));
    let report = catch_unwind(AssertUnwindSafe(|| verify(place, &Options::default())))
        .map_err(|_| format!("{}: verify panicked", told()))?;
    let Ok(report) = report else {
        return Ok(false);
    };
    if report.result() != AuditResult::Holds {
        return Ok(false);
    }
    match view::difference(base, place, &report) {
        Some(difference) => Err(format!("{}: {difference}", told())),
        None => Ok(true),
    }
}
