//! Settings of the service: what its clients may use, and where it listens for probes. Plain values.

/// What clients of the service may use: `serve.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Where it listens for probes and metrics alone.
    pub admin_listen: Option<String>,
    /// Hosts that a request may name where there are no tokens.
    pub allowed_hosts: Option<Vec<String>>,
    /// Connections at once.
    pub connections: Option<u64>,
    /// Connections of one address at once.
    pub connections_per_peer: Option<u64>,
    /// Bytes of bodies that were read and are not answered.
    pub bytes_in_flight: Option<u64>,
    /// Questions that the store answers at once.
    pub queries: Option<u64>,
    /// Followers of events at once.
    pub followers: Option<u64>,
}

impl ServiceSettings {
    /// These, and those of `farther` where these say nothing; but limits, which are all treated alike.
    pub(super) fn or(self, farther: ServiceSettings) -> ServiceSettings {
        ServiceSettings {
            admin_listen: self.admin_listen.or(farther.admin_listen),
            allowed_hosts: self.allowed_hosts.or(farther.allowed_hosts),
            ..self
        }
    }
}
