//! How documents are taken in: status words, tolerance, and what does not decide sameness.

use std::collections::BTreeMap;
use std::time::Duration;

/// Settings for documents as they arrive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntakeSettings {
    /// The words for statuses.
    pub status_map: Option<StatusMap>,
    /// What happens to NaN and infinities.
    pub non_finite: Option<NonFinite>,
    /// The largest document that is taken in, in bytes. Texts of one that is larger than an outcome may be are
    /// shortened.
    pub accept_max_bytes: Option<u64>,
    /// JSON pointers to members that do not decide whether two outcomes are the same.
    pub delivery_members: Option<Vec<String>>,
    /// Sources whose maps say that they may report the end of a task twice. Not a setting: the maps in use add theirs.
    pub echoing: Vec<String>,
}

/// The words for statuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusMap {
    /// The map that is built in.
    Common,
    /// From words to statuses.
    Table(BTreeMap<String, String>),
}

/// Within what time of its announcement a task has to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverdueSettings {
    /// By the pool of agents; `*` is all others.
    pub pools: BTreeMap<String, Duration>,
}

/// What happens to NaN and infinities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonFinite {
    /// The document is refused.
    Refuse,
    /// They become `null`.
    Null,
    /// They become strings.
    String,
}
