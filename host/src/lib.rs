//! Chiffon Audit: every task outcome becomes exactly one durable git commit, decided by a sandboxed policy.
//!
//! The path of an outcome: [`outcome`] (parsed and checked) → [`recorder`] → [`policy`] (a WebAssembly component
//! decides and formats) → [`trail`] (one commit, durable) → an answer. [`verify`] audits any clone and shares no code
//! with the writer. [`cli`] is the command line, the only part that prints.

pub use ::checkpoint;
pub use ::service::binding;
pub use ::service::replication;
pub mod cli;
pub use ::outcome::clock;
pub mod config;
mod files;
pub use ::http;
pub use ::outcome;
pub use ::pages;
pub use ::policy;
pub use ::recorder;
pub use ::recorder::policies;
pub use ::remotes;
pub use ::reports;
pub use ::sealing;
pub use ::service::orchestrator;
pub use ::service::reconcile;
pub use ::store;
pub use ::trail;
pub use ::verifier;
pub use ::verify;
