//! Settings of the service: limits for its clients, and the address for probes. Plain values.

use std::path::PathBuf;

/// Limits for clients of the service: `serve.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceSettings {
    /// The address that serves only probes and metrics.
    pub admin_listen: Option<String>,
    /// The certificate for TLS.
    pub tls_certificate: Option<PathBuf>,
    /// Its key.
    pub tls_key: Option<PathBuf>,
    /// The authorities of clients' certificates.
    pub tls_client_ca: Option<PathBuf>,
    /// Whether this host takes part in a replicated trail.
    pub replicated: Option<bool>,
    /// How many hosts must have an entry before it is acknowledged as committed.
    pub copies: Option<u64>,
    /// Whether a proxy terminates TLS.
    pub behind_proxy: Option<bool>,
    /// Hosts that a request may name if there are no tokens.
    pub allowed_hosts: Option<Vec<String>>,
    /// Maximum number of simultaneous connections.
    pub connections: Option<u64>,
    /// Maximum number of simultaneous connections from one address.
    pub connections_per_peer: Option<u64>,
    /// Maximum bytes of request bodies that were read and not yet answered.
    pub bytes_in_flight: Option<u64>,
    /// Maximum number of simultaneous store queries.
    pub queries: Option<u64>,
    /// Maximum number of simultaneous event followers.
    pub followers: Option<u64>,
}
