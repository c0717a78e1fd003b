//! A policy that keeps secrets out of the trail: `policy.rs` decides, `rules.rs` says what a secret is, the kit performs.

pub mod known;
mod needles;
pub mod policy;
pub mod rules;

#[cfg(feature = "component")]
policy_kit::export!(crate::policy);
