//! Witnesses (C2SP `tlog-witness`, `tlog-cosignature`): a third party that remembers the last cosigned size of each
//! trail, and signs a checkpoint only if it extends that. Contains the client, and a small server.

mod client;
mod key;
mod logs;
mod proof;
mod request;
mod server;

pub use client::{Cosignatures, Witness, WitnessError, ask};
pub use key::CosignerKey;
pub(super) use key::message;
pub use logs::Logs;
pub use server::serve;

/// A request is a note of at most the size that an auditor reads, and a proof of 63 hashes.
const MAX_BODY: usize = 72 << 10;

/// The media type of an answer that names a size.
const SIZE_TYPE: &str = "text/x.tlog.size";
