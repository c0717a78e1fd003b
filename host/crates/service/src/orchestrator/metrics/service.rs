//! The numbers of what serves the orchestrator over a network: connections, followers, bytes that wait.

use super::numbers::{Counter, Gauge, Text};

/// The numbers of a service.
#[derive(Default)]
pub struct ServiceNumbers {
    /// Open connections.
    pub connections: Gauge,
    /// Connections for which there was no place.
    pub connections_refused: Counter,
    /// Followers of events.
    pub followers: Gauge,
    /// Followers that were cut because they took too little.
    pub followers_cut: Counter,
    /// Bytes of bodies that were read and are not answered.
    pub bytes_in_flight: Gauge,
    /// Queries that the store is answering.
    pub queries: Gauge,
    /// Requests that were turned away because of a limit of the service.
    pub turned_away: Counter,
}

impl ServiceNumbers {
    pub(super) fn render(&self, text: &mut Text) {
        let mut gauge = |name, says, gauge: &Gauge| {
            text.metric(name, "gauge", says);
            text.value(name, "", gauge.value());
        };
        gauge(
            "chiffon_audit_http_connections",
            "Open connections, without those of followers.",
            &self.connections,
        );
        gauge(
            "chiffon_audit_followers",
            "Followers of events.",
            &self.followers,
        );
        gauge(
            "chiffon_audit_http_bytes_in_flight",
            "Bytes of bodies that were read and are not answered.",
            &self.bytes_in_flight,
        );
        gauge(
            "chiffon_audit_http_queries",
            "Queries that the store is answering.",
            &self.queries,
        );
        let mut counter = |name, says, counter: &Counter| {
            text.metric(name, "counter", says);
            text.value(name, "", counter.value());
        };
        counter(
            "chiffon_audit_http_connections_refused_total",
            "Connections for which there was no place.",
            &self.connections_refused,
        );
        counter(
            "chiffon_audit_followers_cut_total",
            "Followers that were cut because they took too little.",
            &self.followers_cut,
        );
        counter(
            "chiffon_audit_http_turned_away_total",
            "Requests that were turned away because of a limit of the service.",
            &self.turned_away,
        );
    }
}
