//! Policies in OCI registries, in the layout for WebAssembly that `wkg` reads and writes.
//!
//! Owns references, the protocol, and the manifest. Does not trust the registry: everything that it sends is bounded in size and
//! time. A component must match the digest in its manifest, and a manifest the pinned digest. Knows nothing about policies or
//! signatures: a component and a signature are bytes.

mod client;
mod host;
mod manifest;
mod pull;
mod push;
mod quoted;
mod reference;
mod token;

pub use client::{Client, Credentials, Options};
pub use host::Host;
pub use pull::Pulled;
pub use push::{Metadata, Pushed};
pub use reference::{Reference, ReferenceError};

/// Why something could not be fetched from a registry, or sent to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The registry could not be reached, or the connection broke.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable {
        /// The host.
        host: String,
        /// What failed.
        reason: String,
    },
    /// The registry did not answer in time.
    #[error("{host} did not answer within {seconds} s")]
    Timeout {
        /// The host.
        host: String,
        /// The time limit.
        seconds: u64,
    },
    /// The registry sends the client to a host that it was not allowed to use.
    #[error(
        "{host} sends to another host, {other}; if that is expected, allow it with --allow-host {other}"
    )]
    AnotherHost {
        /// The host that was asked.
        host: String,
        /// The other host.
        other: String,
    },
    /// The other host would be used without encryption.
    #[error("{0} is not an address with https, and plain http is only for this machine")]
    NotEncrypted(String),
    /// A body is larger than it may be.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What the body is.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// The registry sent other bytes than those that were asked for.
    #[error("{what} has the digest {found}, expected {expected}: the registry sent other bytes")]
    Digest {
        /// What was asked for.
        what: String,
        /// The digest that named it.
        expected: String,
        /// The digest of what came.
        found: String,
    },
    /// The registry answered with another status than expected.
    #[error("{host} answered {status} to the request for {what}{detail}")]
    Status {
        /// The host.
        host: String,
        /// What was asked for.
        what: String,
        /// The HTTP status.
        status: u16,
        /// What the registry says, after a colon, or nothing.
        detail: String,
    },
    /// There is nothing by this name.
    #[error("{host} has no {what}")]
    NotFound {
        /// The host.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// The registry refused the request.
    #[error("{host} denied {what}: {reason}")]
    Denied {
        /// The host.
        host: String,
        /// The thing that was asked for.
        what: String,
        /// What about the credentials is wrong.
        reason: &'static str,
    },
    /// The artifact is no component in the layout for WebAssembly.
    #[error("it is not a WebAssembly component: {0}")]
    NotAComponent(String),
    /// The registry's answer makes no sense.
    #[error("{host} sent an answer that cannot be used: {reason}")]
    Answer {
        /// The host.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
}
