//! An audit trail for programs that run tasks: every outcome becomes exactly one durable git commit.
//!
//! [`Orchestrator`] accepts the outcomes of finished tasks into a store, where they survive a crash, and commits each of them to
//! a git repository. A WebAssembly policy in a sandbox formats the entry and decides whether an outcome is already recorded.
//! Trouble with git never blocks a report: what is accepted is committed later.
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), chiffon_audit::Error> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let directory = directory.path().join("audit.git");
//! use chiffon_audit::{Orchestrator, State};
//!
//! let audit = Orchestrator::builder(&directory).create(true).start().await?;
//! let state = audit
//!     .record(br#"{"task_id": "deploy-1", "status": "completed"}"#)
//!     .await?;
//! assert!(matches!(state, State::Committed { .. }));
//!
//! let report = audit.verify().await?;
//! assert!(report.holds());
//! audit.shut_down().await;
//! # Ok(())
//! # }
//! ```
//!
//! The directory is any git repository, bare or with a work tree; anyone can read it with plain git, and audit it with
//! `chiffon-audit verify`. Several programs and hosts may write to one trail at the same time.
//!
//! All methods need a tokio runtime with time and I/O enabled.

#![warn(unreachable_pub)]

mod builder;
mod error;
mod orchestrator;
mod state;

pub use ::outcome::Cause;
pub use builder::Builder;
pub use error::Error;
pub use orchestrator::{Orchestrator, Report};
pub use state::{Receipt, State, Violation};
