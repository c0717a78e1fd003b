//! Reading a trail: one entry, the history, the numbers of entries, the entries of the tip.

pub(crate) mod database;
pub(crate) mod directory;
pub(crate) mod entries;
pub(crate) mod history;
pub(crate) mod imitations;
pub(crate) mod lines;
pub(crate) mod name;
pub(crate) mod order;
pub(crate) mod read_ahead;
pub(crate) mod reading;
pub(crate) mod ref_moves;
pub(crate) mod tree_files;
pub(crate) mod view;
