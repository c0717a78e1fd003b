//! `report`: a trail's contents for people. Counts over time, by service and by pool, failures, gaps, which policies
//! decided, and the audit's claims.
//!
//! Pure except for the audit's reads: everything comes from git through `verify`, and nothing here prints.

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
    ClaimRow, Facts, Failure, Gap, Kept, KeptNote, NamedTally, Period, PolicySpan, Span, Tally,
};
pub use gather::{ReportContext, ReportCounter};
pub use html::html;
pub use markdown::markdown;

/// The template could not be rendered.
#[derive(Debug, thiserror::Error)]
#[error("the report cannot be laid out")]
pub struct LayoutError(#[from] minijinja::Error);
