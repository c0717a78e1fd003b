//! Audits a trail in any clone. A second implementation on purpose: it shares no code with the writer, knows no policy, no
//! store and no configuration, believes no cache of git's, and opens every repository as hostile.
//!
//! Without the feature `repository` it is the core that checks proofs: no file, no process, no git, and nothing that
//! `wasm32-unknown-unknown` lacks. [`check_proof`] is its one function.

#![cfg_attr(
    not(feature = "repository"),
    expect(
        dead_code,
        reason = "an audit of a repository uses more of these modules than a proof does"
    )
)]

mod expected;
mod given;
mod merkle;
mod object;
mod proven;
mod quote;
mod report;
mod rules;
mod signature;
mod witnesses;

#[cfg(feature = "repository")]
mod against;
#[cfg(feature = "repository")]
mod audit;
#[cfg(feature = "repository")]
mod checkpoints;
#[cfg(feature = "repository")]
mod claims;
#[cfg(feature = "repository")]
mod findings;
#[cfg(feature = "repository")]
mod freshness;
#[cfg(feature = "repository")]
mod graph;
#[cfg(feature = "repository")]
mod hidden;
#[cfg(feature = "repository")]
mod refs;
#[cfg(feature = "repository")]
mod repository;
#[cfg(feature = "repository")]
mod signatures;
#[cfg(feature = "repository")]
mod since;
#[cfg(feature = "repository")]
mod sources;
#[cfg(feature = "repository")]
mod store;
#[cfg(feature = "repository")]
mod trails;
#[cfg(feature = "repository")]
mod trust;
#[cfg(feature = "repository")]
mod visit;
#[cfg(feature = "repository")]
mod walk;

use std::path::PathBuf;

#[cfg(feature = "repository")]
pub use audit::{Options, Progress, Require, verify};
pub use expected::trail_named;
#[cfg(feature = "repository")]
pub use freshness::Freshness;
pub use object::ObjectId;
pub use proven::{ProofOptions, ProofReport, check_proof};
pub use report::{AuditResult, Claim, Report, Verdict};
#[cfg(feature = "repository")]
pub use trust::verify_proof;
#[cfg(feature = "repository")]
pub use visit::{TrailCommit, TrailEntry, Visitor, Walk};

/// Why nothing could be audited at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no repository.
    #[error("no git repository at or above {}", .0.display())]
    NoRepository(PathBuf),
    /// The repository uses something that this version cannot read.
    #[error("the repository uses {0}, which is unsupported")]
    Unsupported(String),
    /// A file of the repository cannot be read or makes no sense.
    #[error("{what} {why}")]
    Unreadable {
        /// The file.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such ref.
    #[error("there is no ref {0}; `git for-each-ref` lists those that there are")]
    NoReference(String),
    /// A ref leads nowhere.
    #[error("the ref {name} is broken: {why}")]
    BadReference {
        /// The ref.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A commit is not where it was said to be.
    #[error("the commit {0} is not in this history; it was rewritten, or this is another trail")]
    NotInHistory(String),
    /// Several branches hold a trail, or something of one that the others have not.
    #[error(
        "several refs have a trail, or part of one that the others lack; name one with --ref: {0}"
    )]
    Ambiguous(String),
}
