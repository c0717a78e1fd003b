//! Chiffon Audit: every task outcome becomes exactly one durable git commit, decided by a sandboxed policy.
//!
//! An outcome flows so: [`outcome`] (parsed and checked) → [`recorder`] → [`policy`] (a WebAssembly component decides
//! and formats) → [`trail`] (one commit, durable) → an answer. [`verify`] audits any clone and shares no code with the
//! writer. [`cli`] is the command line, the only part that prints.

pub mod binding;
pub mod checkpoint;
pub mod cli;
pub mod clock;
pub mod config;
pub mod http;
pub mod orchestrator;
pub mod outcome;
pub mod policies;
pub mod policy;
pub mod reconcile;
pub mod recorder;
pub mod reports;
pub mod store;
pub mod trail;
pub mod verify;
