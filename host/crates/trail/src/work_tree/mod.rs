//! The files and the index of a checkout, kept in step with the trail.

pub(crate) mod attributes;
pub(crate) mod checkout;
