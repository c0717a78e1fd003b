//! wip
#![allow(missing_docs)]
pub mod plan;
pub mod work_result;
