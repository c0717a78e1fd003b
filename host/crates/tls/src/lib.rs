//! Certificates and keys in files, and the ciphers of every TLS connection, to PostgreSQL and from clients of the service.
//!
//! Owns how PEM files are read and checked. Must not know what a connection is for.

mod expiry;
mod files;
mod probe;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use expiry::expires_at;
pub use files::{FileStates, UnusableFile, certificates, private_key};
pub use probe::unverified;

/// Returns the implementation of the ciphers.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
