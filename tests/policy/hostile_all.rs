//! All hostile policies of the list, and components that are cut or damaged: each ends as specified, and the host
//! continues.

use std::time::Duration;

use super::guest::{file_functions, minimal};
use super::hostile_list::{ALL, bit_flips, end, honest, truncations};
use super::*;

/// An engine with little fuel, so that endless computations end soon.
fn brief() -> Engine {
    limited(Limits {
        fuel: 1_000_000,
        ..Limits::default()
    })
}

/// A tenth of the usual fuel, on which policies that compute for ever spend seconds.
const FUEL: &str = "100000000";

/// The default limits except fuel and time, so that on a busy machine another limit still ends the policy first.
fn patient() -> Limits {
    Limits {
        fuel: FUEL.parse().unwrap(),
        wall_time: Duration::from_secs(300),
        compile_time: Duration::from_secs(600),
        ..Limits::default()
    }
}

#[test]
fn every_hostile_policy_ends_as_the_list_says() {
    for allocation in [Allocation::Pooling, Allocation::OnDemand] {
        let engine = Engine::new(allocation, patient(), None).unwrap();
        let wrong: Vec<String> = ALL
            .iter()
            .filter(|hostile| !hostile.slow)
            .map(|hostile| (hostile, end(&engine, &(hostile.make)())))
            .filter(|(hostile, end)| !end.contains(&hostile.ends.replace("1000000000", FUEL)))
            .map(|(hostile, end)| format!("{}, {allocation:?}: {end}", hostile.name))
            .collect();
        assert_eq!(wrong, Vec::<String>::new());
        assert_eq!(end(&engine, &honest()), "committed");
    }
}

#[test]
fn no_function_of_the_empty_file_system_does_anything() {
    let functions = file_functions();
    assert!(functions.len() > 25, "{}", functions.len());
    for (name, component) in functions {
        let end = end(engine(), &component);
        assert!(end.contains("unknown handle index 0"), "{name}: {end}");
    }
}

#[test]
fn a_component_cut_anywhere_is_refused() {
    let engine = brief();
    let mut cut = 0;
    for component in truncations(Policy::builtin_component()) {
        let end = end(&engine, component);
        assert!(end.starts_with("could not load policy hostile: "), "{end}");
        cut += 1;
    }
    assert!(cut > 100, "{cut}");
}

/// The number of damaged components: the default, unless `.ci/run --full` asks for more.
#[expect(
    clippy::disallowed_methods,
    reason = "`.ci/run --full` asks for more of what takes long"
)]
fn flips(default: usize) -> usize {
    std::env::var("BIT_FLIPS").map_or(default, |count| count.parse().unwrap())
}

#[test]
fn the_default_policy_with_a_bit_turned_over_ends_like_any_other() {
    let engine = brief();
    let count = flips(25);
    let (mut refused, mut ran) = (0, 0);
    for component in bit_flips(Policy::builtin_component(), 1, count) {
        if end(&engine, &component).starts_with("could not load policy") {
            refused += 1;
        } else {
            ran += 1;
        }
    }
    assert!(refused > 0 && ran > 0, "{refused} {ran}");
    assert_eq!(end(&engine, &honest()), "committed");
}

#[test]
fn a_component_with_a_bit_turned_over_ends_like_any_other() {
    let engine = brief();
    let count = flips(300);
    let (mut refused, mut ran) = (0, 0);
    // The damage that a policy's code can do does not depend on its size, and a small one compiles fast.
    for component in bit_flips(&minimal(&[]), 1, count) {
        if end(&engine, &component).starts_with("could not load policy") {
            refused += 1;
        } else {
            ran += 1;
        }
    }
    assert!(refused > 30 && ran > 30, "{refused} {ran}");
    assert_eq!(end(&engine, &honest()), "committed");
}
