//! A policy for Chiffon Audit. `policy.rs` decides, and is the file to edit; the crate `policy-kit` performs and formats.

pub mod policy;

policy_kit::export!(crate::policy);
