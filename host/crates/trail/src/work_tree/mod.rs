//! The files and the index of a checkout, kept up to date with the trail.

pub(crate) mod attributes;
mod checked_out;
pub(crate) mod checkout;
mod files;
pub(crate) mod left_out;
