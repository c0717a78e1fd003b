//! The policy under test. Every call of the contract is made here, so that its cost is counted and a call that breaks a
//! claim can be recorded.

use super::super::{Call, Fault, HostCall, HostFault, Policy, Recording, Trial};
use super::samples::{self, Sample};
use super::{Breach, Claim, Contract, Report};
use outcome::clock::Timestamp;
use outcome::counted;
use std::time::Duration;

/// The time of recording for every task without an entry.
pub(super) const NOW: Timestamp = Timestamp::from_microseconds(1_768_989_902_000_123);

/// The time of recording for every task that has an entry: a day later.
pub(super) const LATER: Timestamp = Timestamp::from_microseconds(1_769_076_302_000_456);

/// A policy, and what has been found out about it.
pub(super) struct TestedPolicy<'a> {
    pub policy: &'a Policy,
    pub contract: &'a Contract,
    /// The samples that every policy is checked with, and those from the operator.
    pub samples: Vec<Sample>,
    /// The samples that the policy records, with their entries; `None` until that is known.
    pub recorded: Option<Vec<(Sample, Vec<u8>)>>,
    calls: u64,
    fuel: u64,
    memory: usize,
    longest: Duration,
    settings_read: Vec<String>,
    /// The first call that exceeded a limit.
    pub exceeded: Option<(String, Option<Box<Recording>>)>,
}

/// The input of one call.
#[derive(Clone, Copy)]
pub(super) struct CallInput<'q> {
    pub sample: &'q Sample,
    pub existing: Option<&'q [u8]>,
    pub now: Timestamp,
    pub faults: &'q [HostFault],
}

impl<'q> CallInput<'q> {
    /// The input for an outcome without an entry.
    pub fn new(sample: &'q Sample) -> CallInput<'q> {
        CallInput {
            sample,
            existing: None,
            now: NOW,
            faults: &[],
        }
    }

    /// The input for an outcome whose task has this entry.
    pub fn with_entry(sample: &'q Sample, existing: &'q [u8]) -> CallInput<'q> {
        CallInput {
            existing: Some(existing),
            now: LATER,
            ..CallInput::new(sample)
        }
    }
}

impl<'a> TestedPolicy<'a> {
    pub fn new(policy: &'a Policy, contract: &'a Contract) -> TestedPolicy<'a> {
        TestedPolicy {
            policy,
            contract,
            samples: samples::all(&contract.documents, &contract.limits),
            recorded: None,
            calls: 0,
            fuel: 0,
            memory: 0,
            longest: Duration::ZERO,
            settings_read: Vec::new(),
            exceeded: None,
        }
    }

    fn trial<'q>(&self, input: CallInput<'q>) -> Trial<'q>
    where
        'a: 'q,
    {
        Trial {
            outcome: &input.sample.outcome,
            existing: input.existing,
            settings: &self.contract.settings,
            now: input.now,
            faults: input.faults,
        }
    }

    /// Calls the policy and counts the cost.
    pub fn call(&mut self, input: CallInput<'_>) -> Call {
        let call = self.trial(input).run(self.policy);
        self.add_costs(input, &call);
        call
    }

    /// Does the same, and records every host call.
    pub fn call_with_exchanges(&mut self, input: CallInput<'_>) -> Call {
        let call = self.trial(input).run_with_exchanges(self.policy);
        self.add_costs(input, &call);
        call
    }

    fn add_costs(&mut self, input: CallInput<'_>, call: &Call) {
        self.calls += 1;
        self.fuel = self.fuel.max(call.fuel);
        self.memory = self.memory.max(call.memory);
        self.longest = self.longest.max(call.duration);
        for host_call in &call.calls {
            if let HostCall::ConfigGet { key, .. } = host_call
                && !self.settings_read.contains(key)
            {
                self.settings_read.push(key.clone());
            }
        }
        if self.exceeded.is_none() {
            let exceeded = match &call.verdict {
                Err(fault) if is_limit(fault) => Some(fault.to_string()),
                _ if call.log_dropped > 0 => Some(format!(
                    "its log was full, and it lost {} (settings policy.log_lines, policy.log_bytes)",
                    counted(call.log_dropped, "line", "lines")
                )),
                _ => None,
            };
            self.exceeded = exceeded.map(|how| {
                let how = format!("{how}, {}", input.sample.name);
                (how, self.record(input))
            });
        }
    }

    /// Repeats the call with this input, and records it.
    pub fn record(&self, input: CallInput<'_>) -> Option<Box<Recording>> {
        let trial = self.trial(input);
        let call = trial.run_with_exchanges(self.policy);
        let document = input.sample.document.as_bytes();
        Recording::new(self.policy, document, &trial, &call)
            .ok()
            .map(Box::new)
    }

    /// The breach that a call with this input shows.
    pub fn breach(&self, how: String, input: CallInput<'_>) -> Breach {
        (how, self.record(input))
    }

    /// Returns the results.
    pub fn report(self, claims: Vec<Claim>) -> Report {
        let mut settings_read = self.settings_read;
        settings_read.sort_unstable();
        Report {
            claims,
            calls: self.calls,
            fuel: self.fuel,
            memory: self.memory,
            longest: self.longest,
            settings_read,
        }
    }

    /// The most fuel, memory and time that any call has used.
    pub fn costs(&self) -> (u64, usize, Duration) {
        (self.fuel, self.memory, self.longest)
    }
}

fn is_limit(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Fuel(_)
            | Fault::Time(_)
            | Fault::Memory(_)
            | Fault::TableElements(_)
            | Fault::Parts { .. }
            | Fault::Stack(_)
            | Fault::HostCalls(_)
            | Fault::WasiCalls(_)
            | Fault::HostCallBytes(_)
            | Fault::EntryTooLarge(_)
    )
}
