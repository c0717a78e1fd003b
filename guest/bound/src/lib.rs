//! A policy that keeps long outputs out of the trail: `policy.rs` decides, the kit performs and formats.

pub mod policy;

#[cfg(feature = "component")]
policy_kit::export!(crate::policy);
