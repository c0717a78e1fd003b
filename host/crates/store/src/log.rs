//! The log of a replicated trail: every move of a ref, in one order for all hosts, and who they are.
//!
//! The log knows no git. It compares texts, and keeps bytes. Each host checks what it reads.

use std::collections::BTreeMap;
use std::time::Duration;

use outcome::clock::Timestamp;

use super::StoreFuture;

/// A move of one ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its place, from 1. The log chooses it.
    pub seq: i64,
    /// The full name of the ref.
    pub reference: String,
    /// The commit from which the ref moves; `None` if it does not exist yet.
    pub parent: Option<String>,
    /// The commit to which it moves. No other record has the same one.
    pub tip: String,
    /// The number of commits.
    pub commits: u32,
    /// The SHA-256 of the pack.
    pub sha256: [u8; 32],
    /// A pack of git.
    pub pack: Vec<u8>,
}

/// The end of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogHead {
    /// The place of the newest record; 0 if there is none.
    pub seq: i64,
    /// The [fence](super::Lease::fence) of the latest turn that has appended.
    pub fence: i64,
    /// The commit of each ref.
    pub tips: BTreeMap<String, String>,
    /// What all hosts must share, by name: fingerprints of settings that decide bytes.
    pub settings: BTreeMap<String, String>,
}

/// The answer to an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendAnswer {
    /// The record has this place, now or since an earlier attempt.
    At(i64),
    /// The ref is not where the record begins. Nothing was appended.
    Moved,
    /// A later turn has begun. Nothing was appended.
    Fenced,
}

/// What a host says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaReport {
    /// The id of its repository.
    pub id: String,
    /// The machine's host name.
    pub host: String,
    /// The path of its repository.
    pub repository: String,
    /// The place up to which it has every record, durable.
    pub applied: i64,
    /// Its clock, in microseconds since 1970.
    pub clock: i64,
    /// Why it cannot apply or commit, if so.
    pub problem: Option<String>,
}

/// A host of a replicated trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// What it said last.
    pub report: ReplicaReport,
    /// When that was, by the database's clock; `None` if its service was never started.
    pub seen_at: Option<Timestamp>,
    /// How long ago that was.
    pub silent: Duration,
    /// How far its clock is ahead of the database's, in microseconds.
    pub clock_ahead: i64,
}

/// A store that keeps a log. Methods follow the contract of [`Store`](super::Store).
pub trait ReplicatedLog: Send + Sync {
    /// The end of the log; `None` if the trail is not replicated.
    fn log_head(&self) -> StoreFuture<'_, Option<LogHead>>;

    /// Begins an empty log. Returns `false` and changes nothing if there is one.
    fn begin_log(&self) -> StoreFuture<'_, bool>;

    /// Ends the log, with all of its records and hosts.
    fn end_log(&self) -> StoreFuture<'_, ()>;

    /// Appends a record by compare-and-swap, in one statement. With a turn, only if no later one has begun. A record whose tip is in the
    /// log already is not appended again.
    fn append_to_log(&self, record: LogRecord, turn: Option<i64>) -> StoreFuture<'_, AppendAnswer>;

    /// The place of the record with this tip.
    fn find_in_log(&self, tip: &str) -> StoreFuture<'_, Option<i64>>;

    /// Records after this place, in order: at least one if there is one, and no more after `bytes` of packs.
    fn read_log(&self, after: i64, bytes: usize) -> StoreFuture<'_, Vec<LogRecord>>;

    /// From now on, no host with an earlier turn appends.
    fn fence_log(&self, turn: i64) -> StoreFuture<'_, ()>;

    /// Adds to what all hosts must share, in one step. Values that are shared already stay, unless `replaces`. Returns all of them.
    fn share_settings(
        &self,
        settings: BTreeMap<String, String>,
        replaces: bool,
    ) -> StoreFuture<'_, BTreeMap<String, String>>;

    /// Lists a host that has not said anything yet. Changes nothing about one that is listed.
    fn introduce_replica(&self, report: ReplicaReport) -> StoreFuture<'_, ()>;

    /// Notes what a host says about itself.
    fn report_replica(&self, report: ReplicaReport) -> StoreFuture<'_, ()>;

    /// Removes a host.
    fn remove_replica(&self, id: &str) -> StoreFuture<'_, ()>;

    /// All hosts, by name.
    fn replicas(&self) -> StoreFuture<'_, Vec<Replica>>;

    /// Warnings about the database that concern copies, such as a primary that waits for no standby.
    fn log_warnings(&self) -> StoreFuture<'_, Vec<String>>;
}
