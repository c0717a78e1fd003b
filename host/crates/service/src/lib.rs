//! The service behind every door: the outbox, the committer, the feed of events, and what joins a store to its trail.
//!
//! Knows nothing of HTTP, of the command line, and of where its settings come from.

pub mod binding;
pub mod orchestrator;
pub mod reconcile;
pub mod replication;
