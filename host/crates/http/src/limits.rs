//! Limits for clients: values, and their defaults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::allowance::TokenLimits;
use super::doors::Hook;

/// Limits for clients.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Maximum bytes of a body: the largest outcome document with some white space.
    pub body: usize,
    /// Maximum bytes of a policy's component. A Python component has 20 to 40 MB.
    pub policy: usize,
    /// How long a body may take to arrive.
    pub body_time: Duration,
    /// How long `?wait=committed` waits: less than proxies allow.
    pub wait: Duration,
    /// The longest wait granted to `Prefer: wait=N`.
    pub wait_most: Duration,
    /// Maximum simultaneous connections. At the limit, a new connection replaces the one that has been idle for
    /// longest.
    pub connections: usize,
    /// Maximum simultaneous connections from one address, or from one IPv6 network of 64 bits.
    pub connections_per_peer: usize,
    /// Maximum bytes of bodies that were read and not yet answered, over all requests.
    pub bytes_in_flight: usize,
    /// Maximum simultaneous store queries.
    pub queries: usize,
    /// Maximum simultaneous event followers.
    pub followers: usize,
    /// Hosts, besides this machine, that a request may name if there are no tokens.
    pub allowed_hosts: Vec<String>,
    /// On shutdown, how long requests in flight may take.
    pub grace: Duration,
    /// Limits for each token.
    pub token: TokenLimits,
    /// Whether to log a line for each request.
    pub access_log: bool,
    /// How documents are taken in.
    pub door: Arc<intake::Door>,
    /// Webhooks, by name.
    pub hooks: Arc<BTreeMap<String, Hook>>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body: (1 << 20) + (64 << 10),
            policy: 64 << 20,
            body_time: Duration::from_secs(30),
            wait: Duration::from_secs(30),
            wait_most: Duration::from_secs(300),
            // With heads of 16 KiB this is 64 MiB if every client stops in the middle of one.
            connections: 4096,
            connections_per_peer: 1024,
            // Each body is in memory several times: as received, as a document, and on its way into the store.
            bytes_in_flight: 32 << 20,
            // More than processors and disks answer at once; each may take some megabytes.
            queries: 16,
            followers: 512,
            allowed_hosts: Vec::new(),
            grace: Duration::from_secs(10),
            token: TokenLimits::default(),
            access_log: true,
            door: Arc::default(),
            hooks: Arc::default(),
        }
    }
}
