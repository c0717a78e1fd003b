//! `report`: what a trail says about the work that was done, for people: counts over time, by service and pool, failures, gaps,
//! which policies decided, and the audit's claims.
//!
//! Pure but for what the audit reads: everything comes from git through `verify`, and nothing here prints.

mod count;
mod csv;
mod facts;
mod gather;
mod html;
mod markdown;
mod picture;
mod time;

pub use csv::csv;
pub use facts::{
    Claimed, Facts, Failure, Gap, Kept, KeptNote, Named, Period, PolicySpan, Span, Tally,
};
pub use gather::{Asked, Gathering};
pub use html::html;
pub use markdown::markdown;

/// A report could not be laid out.
#[derive(Debug, thiserror::Error)]
#[error("the report cannot be laid out")]
pub struct LayoutError(#[from] minijinja::Error);
