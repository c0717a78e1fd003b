//! Intake: what other systems report about finished tasks, made into outcome documents.
//!
//! Owns ids, status words, units of time, maps, and what is tolerated in a document. Pure: no input or output, and no
//! decision about an outcome. The path of a document: [`Door::take`] → treatment → map or rewriting → outcome.

mod door;
pub mod ids;
pub mod map;
mod object;
mod report;
mod source_ids;
mod time;
pub mod treat;
pub mod words;

pub use door::{ACCEPT_MAX_BYTES, Door, Taken, TakenKind};
pub use map::Map;
pub use object::Object;
pub use report::{NoReport, Report, listed_id};
pub use source_ids::{candidates, source_id_of};
