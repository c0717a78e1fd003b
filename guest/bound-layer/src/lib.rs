//! The policy `bound` as a layer of a stack: the same rules, on an outcome instead of an entry.

pub mod layer;

layer_kit::export!(crate::layer);
