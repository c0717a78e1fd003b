//! The metrics of the service in front of the orchestrator: connections, followers, bytes in flight.

use super::numbers::{Counter, Gauge, Text};

/// The metrics of a service.
#[derive(Default)]
pub struct ServiceNumbers {
    /// Open connections, without those of followers.
    pub connections: Gauge,
    /// Connections refused because all places were taken.
    pub connections_refused: Counter,
    /// Clients that failed to set up TLS.
    pub handshakes_failed: Counter,
    /// When the certificate of this host expires, in seconds since 1970; 0 without a certificate.
    pub certificate_expires: Gauge,
    /// Followers of events.
    pub followers: Gauge,
    /// Followers disconnected because they read too slowly.
    pub followers_cut: Counter,
    /// Bytes of bodies that were read and not yet answered.
    pub bytes_in_flight: Gauge,
    /// Store queries in progress.
    pub queries: Gauge,
    /// Requests refused because of a limit of the service.
    pub turned_away: Counter,
}

impl ServiceNumbers {
    pub(super) fn render(&self, text: &mut Text) {
        let mut gauge = |name, help, gauge: &Gauge| {
            text.metric(name, "gauge", help);
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
            "Bytes of bodies that were read and not yet answered.",
            &self.bytes_in_flight,
        );
        gauge(
            "chiffon_audit_http_queries",
            "Queries that the store is answering.",
            &self.queries,
        );
        if self.certificate_expires.value() > 0.0 {
            gauge(
                "chiffon_audit_tls_certificate_expires_seconds",
                "When the certificate of this host expires, in seconds since 1970.",
                &self.certificate_expires,
            );
        }
        let mut counter = |name, help, counter: &Counter| {
            text.metric(name, "counter", help);
            text.value(name, "", counter.value());
        };
        counter(
            "chiffon_audit_http_connections_refused_total",
            "Connections refused because all places were taken.",
            &self.connections_refused,
        );
        counter(
            "chiffon_audit_tls_handshakes_failed_total",
            "Clients that failed to set up TLS.",
            &self.handshakes_failed,
        );
        counter(
            "chiffon_audit_followers_cut_total",
            "Followers disconnected because they read too slowly.",
            &self.followers_cut,
        );
        counter(
            "chiffon_audit_http_turned_away_total",
            "Requests refused because of a limit of the service.",
            &self.turned_away,
        );
    }
}
