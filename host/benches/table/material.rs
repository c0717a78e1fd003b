//! The outcomes to record, and the entries for baselines: made from a number, always the same.
//!
//! A document has about 900 bytes and compresses about as well as real ones: words, identifiers, numbers and times.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use chiffon_audit_cli::clock::Timestamp;
use chiffon_audit_cli::outcome::{self, TaskOutcome};
use chiffon_audit_cli::policy::{self, Allocation, Engine, Policy, PolicySettings, Verdict};
use sha2::{Digest, Sha256};

/// The length to which documents are filled.
const DOCUMENT_BYTES: usize = 900;

const WORDS: [&str; 48] = [
    "reservation",
    "cancelled",
    "because",
    "the",
    "customer",
    "asked",
    "for",
    "a",
    "refund",
    "to",
    "original",
    "payment",
    "method",
    "flight",
    "delayed",
    "agent",
    "confirmed",
    "policy",
    "allows",
    "change",
    "cabin",
    "economy",
    "business",
    "basic",
    "insurance",
    "not",
    "eligible",
    "transfer",
    "human",
    "certificate",
    "issued",
    "amount",
    "baggage",
    "added",
    "passenger",
    "updated",
    "with",
    "new",
    "date",
    "and",
    "airport",
    "search",
    "returned",
    "direct",
    "results",
    "after",
    "retry",
    "timeout",
];

/// A small random number generator (splitmix64).
struct Mix(u64);

impl Mix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The id of one task.
pub fn task_id(number: u64) -> String {
    format!("bench-{number:08}")
}

/// The outcome of one task, on one line.
pub fn document(number: u64) -> String {
    let mut mix = Mix(number);
    let (agent, plan) = (mix.next() % 24, mix.next() % 100_000);
    let status = ["completed", "completed", "completed", "failed"][(mix.next() % 4) as usize];
    let (second, minute) = (mix.next() % 60, mix.next() % 60);
    let mut text = format!(
        "{{\"task_id\":\"{}\",\"status\":\"{status}\",\"plan_id\":\"plan-{plan:05}\",\"plan_steps\":[\"fetch\",\"decide\",\"apply\"],\
         \"dispatch_info\":{{\"agent_pool\":\"pool-{}\",\"agent_id\":\"agent-{agent}\",\
         \"dispatch_timestamp\":\"2026-11-24T08:{minute:02}:{second:02}Z\"}},\
         \"execution_result\":{{\"outcome\":{{\"trace\":\"{:016x}\",\"reward\":0.{},\"message\":\"",
        task_id(number),
        agent % 4,
        mix.next(),
        mix.next() % 1000,
    );
    let end = format!(
        "\"}},\"resources_used\":{{\"tokens\":{},\"seconds\":{}.{}}},\"services_touched\":[\"booking\",\"payments\"],\
         \"start_time\":\"2026-11-24T08:{minute:02}:{second:02}Z\",\"end_time\":\"2026-11-24T09:{minute:02}:{second:02}Z\"}}}}",
        mix.next() % 20_000,
        mix.next() % 90,
        mix.next() % 1000,
    );
    while text.len() + end.len() < DOCUMENT_BYTES - 8 {
        text.push_str(WORDS[(mix.next() % WORDS.len() as u64) as usize]);
        text.push(' ');
    }
    text + &end
}

/// Writes the outcomes of these tasks to a file, one a line, unless it exists.
pub fn write_documents(path: &Path, tasks: Range<u64>) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut out = BufWriter::new(fs::File::create(path)?);
    for number in tasks {
        writeln!(out, "{}", document(number))?;
    }
    out.flush().context("cannot write outcomes")
}

/// What the trail would record for one task: the path, the entry and the commit's message.
pub struct Recorded {
    pub path: String,
    pub entry: Vec<u8>,
    pub message: String,
}

/// Makes entries as the product does, with the built-in policy.
pub struct Entries {
    policy: Policy,
    settings: PolicySettings,
    limits: outcome::Limits,
}

/// A task without an entry in the trail.
pub struct Nothing;

impl policy::Snapshot for Nothing {
    fn read_entry(&mut self) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }
}

/// The time of the baselines' entries: after all entries of a trail. If it were before, fast-import would walk the
/// whole history to check whether its commits continue it.
pub const NOW: Timestamp = Timestamp::from_microseconds(1_950_000_000_123_456);

impl Entries {
    pub fn new(cache: &Path) -> Result<Entries> {
        let engine = Engine::new(Allocation::Pooling, policy::Limits::default(), Some(cache))?;
        let (policy, settings) = (Policy::builtin(&engine)?, PolicySettings::default());
        Ok(Entries {
            policy,
            settings,
            limits: outcome::Limits::default(),
        })
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Parses the document of one task.
    pub fn parse(&self, number: u64) -> Result<TaskOutcome> {
        let document = document(number);
        TaskOutcome::parse(document.as_bytes(), &self.limits)
            .map_err(|rejection| anyhow!("{rejection}"))
    }

    /// The record of one task.
    pub fn recorded(&self, number: u64, sharded: bool) -> Result<Recorded> {
        let outcome = self.parse(number)?;
        let Ok(Verdict::Commit { entry, subject }) = self
            .policy
            .call(&outcome, Box::new(Nothing), NOW, &self.settings)
            .verdict
        else {
            bail!("the default policy does not commit {}", task_id(number));
        };
        let id = task_id(number);
        let mut path = String::from(".audit/tasks/");
        if sharded {
            let digest = Sha256::digest(id.as_bytes());
            write!(
                path,
                "{:x}/{:x}/{:x}/{:x}/",
                digest[0] >> 4,
                digest[0] & 15,
                digest[1] >> 4,
                digest[1] & 15
            )?;
        }
        write!(path, "{id}.json")?;
        let message = format!(
            "{subject}\n\nAudit-Format: 1\nAudit-Task: {id}\nAudit-Interface: {}\nAudit-Policy: {}\nAudit-Settings: {}\n",
            self.policy.built_for(),
            self.policy.digest(),
            self.settings.digest(),
        );
        Ok(Recorded {
            path,
            entry,
            message,
        })
    }
}
