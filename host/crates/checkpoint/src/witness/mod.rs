//! Witnesses (C2SP `tlog-witness`, `tlog-cosignature`): somebody else, who remembers how far each trail had come, and signs a checkpoint
//! only where it extends that. Both ends: who asks for a cosignature, and a small service that gives them.

mod client;
mod key;
mod logs;
mod proof;
mod request;
mod server;

pub use client::{Asked, Witness, WitnessError, ask};
pub use key::CosignerKey;
pub(super) use key::message;
pub use logs::Logs;
pub use server::serve;

/// A request is a note of at most as much as an auditor reads, and a proof of 63 hashes.
const MAX_BODY: usize = 72 << 10;

/// What the body of an answer that names a size is said to be.
const SIZE_TYPE: &str = "text/x.tlog.size";
