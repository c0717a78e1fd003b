//! Audits a trail in any clone. This is deliberately a second implementation: it shares no code with the writer, knows
//! no policy, store or configuration, trusts none of git's caches, and treats every repository as hostile.
//!
//! Without the feature `repository` this is the core that checks proofs: it uses no file, process or git, and compiles
//! to `wasm32-unknown-unknown`. [`check_proof`] is its only function.

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
mod same_checkpoint;
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
mod continuation;
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
mod sample;
#[cfg(feature = "repository")]
mod segments;
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
pub use proven::{ProofAnswer, ProofOptions, ProofReport, check_proof};
pub use report::{AuditResult, Claim, Report, Verdict};
#[cfg(feature = "repository")]
pub use sample::{SampleReport, SampledEntry, verify_sample};
#[cfg(feature = "repository")]
pub use segments::{ChainReport, SegmentReport, verify_chain};
pub use signature::FileSigners;
#[cfg(feature = "repository")]
pub use trust::verify_proof;
#[cfg(feature = "repository")]
pub use visit::{TrailCommit, TrailEntry, Visitor, Walk};

/// Why a repository or a proof could not be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no repository at this path or above it.
    #[error("no git repository at or above {}", .0.display())]
    NoRepository(PathBuf),
    /// The repository uses something that this version cannot read.
    #[error("the repository uses {0}, which is unsupported")]
    Unsupported(String),
    /// A file of the repository cannot be read, or is malformed.
    #[error("{what} {why}")]
    Unreadable {
        /// The file that cannot be read.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such ref.
    #[error("there is no ref {0}; `git for-each-ref` lists all refs")]
    NoReference(String),
    /// A ref does not lead to an object.
    #[error("the ref {name} is broken: {why}")]
    BadReference {
        /// The name of the ref.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A commit is not in the history where it was expected.
    #[error("the commit {0} is not in this history; it was rewritten, or this is another trail")]
    NotInHistory(String),
    /// Several branches hold a trail, or each a part of one that the others lack.
    #[error(
        "several refs have a trail, or part of one that the others lack; name one with --ref: {0}"
    )]
    Ambiguous(String),
}
