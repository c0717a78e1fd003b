//! SIGHUP: reads settings, tokens and policy again. Either all are valid and take effect, or nothing changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::parts::{self, DRAIN};
use super::transport::transport;
use crate::cli::exit::UsageError;
use crate::cli::intake::delivery;
use crate::cli::overdue::deadlines;
use crate::cli::session::{Session, outcome_limits};
use crate::cli::{Failure, Result};
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::config::{Environment, Settings, repository_file};
use crate::http::{Gate, Limits, Listen, Tokens, Transport};
use crate::orchestrator::{Orchestrator, RequestedPolicy};
use crate::outcome;
use crate::recorder::Delivery;
use crate::store::StoreUrl;

/// The settings, now and at startup.
pub struct Reload {
    flags: Settings,
    environment: Environment,
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    /// The settings at startup. Those that are not reloaded apply until the next start.
    started: Settings,
    /// The settings that were read last.
    last: Settings,
}

/// The settings that take effect without a restart, by name, or by prefix if it ends with a dot.
const LIVE: [&str; 21] = [
    "policy.",
    "tokens",
    "tokens_file",
    "serve.on_policy_fault",
    "serve.drain",
    "serve.tls.",
    "serve.token_rate",
    "serve.token_bytes",
    "serve.access_log",
    "serve.allowed_hosts",
    "serve.connections",
    "serve.connections_per_peer",
    "serve.bytes_in_flight",
    "serve.queries",
    "serve.followers",
    "tasks.",
    "outcome.",
    "statuses",
    "store.keep_turned_down",
    "status_map",
    "hooks",
];

fn is_live(name: &str) -> bool {
    LIVE.iter().any(|live| match live.ends_with('.') {
        true => name.starts_with(live),
        false => name == *live,
    })
}

/// Settings that were read again and are valid.
struct ReloadedSettings {
    settings: Settings,
    tokens: Tokens,
    transport: Transport,
    limits: Limits,
    documents: outcome::Limits,
    delivery: Delivery,
    notes: Vec<String>,
}

impl Reload {
    pub fn new(flags: Settings, settings: &Settings, session: &Session) -> Reload {
        Reload {
            flags,
            environment: session.environment.clone(),
            directory: session.directory.clone(),
            clock: session.clock.clone(),
            started: settings.clone(),
            last: settings.clone(),
        }
    }

    /// How long requests are still accepted after SIGTERM.
    pub fn drain(&self) -> Duration {
        self.last.serve_drain.unwrap_or(DRAIN)
    }

    /// Reads everything again, and logs the result.
    pub async fn reload(&mut self, orchestrator: &Orchestrator, gate: &Gate) {
        let read = match self.read(gate).await {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the reload failed and changed nothing"
                );
                return;
            }
        };
        // The last step that can fail.
        let in_force = match orchestrator
            .change_policy(RequestedPolicy::Configured)
            .await
        {
            Ok(in_force) => in_force,
            Err(error) => {
                tracing::error!(%error, "the reload failed and changed nothing: the policy in force stays");
                return;
            }
        };
        for note in &read.notes {
            tracing::warn!("{note}");
        }
        let mut changed = self.last.changes(&read.settings);
        changed.retain(|name| is_live(name));
        let tokens_changed = gate.change_tokens(read.tokens);
        // First what decides: a document that comes under wider rules is not refused by the former.
        orchestrator.set_limits(read.documents);
        orchestrator.set_delivery(read.delivery);
        gate.change_limits(read.limits);
        match read.transport {
            Transport::Tls(_) if !gate.has_tls() => {
                tracing::warn!(
                    "this host was started without TLS: serve.tls takes effect at the next start"
                );
            }
            Transport::Tls(certificate) => gate.change_certificate(certificate),
            Transport::Clear | Transport::BehindProxy => {}
        }
        orchestrator.retire_turned_down(read.settings.turned_down_retention);
        orchestrator.set_deadlines(deadlines(&read.settings));
        orchestrator.set_on_policy_fault(parts::on_policy_fault(&read.settings));
        let policy = in_force.policy_with_settings.policy.digest();
        let changed = changed.join(", ");
        tracing::info!(
            changed,
            tokens_changed,
            policy,
            "settings, tokens and policy were reloaded"
        );
        let mut later = self.started.changes(&read.settings);
        later.retain(|name| !is_live(name));
        if !later.is_empty() {
            let settings = later.join(", ");
            tracing::warn!(
                settings,
                "these settings have changed and take effect at the next start"
            );
        }
        self.last = read.settings;
    }

    /// Reads everything and checks all that can be checked before it takes effect.
    async fn read(&self, gate: &Gate) -> Result<ReloadedSettings> {
        let (flags, environment) = (self.flags.clone(), self.environment.clone());
        let (directory, now) = (self.directory.clone(), self.clock.now());
        // A file system that does not answer must not keep the service from its other work.
        let reading =
            tokio::task::spawn_blocking(move || read(flags, &environment, &directory, now));
        let read = reading.await.map_err(Failure::new)??;
        let had_tokens = self.last.tokens.is_some() || self.last.tokens_file.is_some();
        if had_tokens && read.tokens.is_empty() {
            return Err(UsageError(
                "the settings name no tokens any more, so anyone could report: to run the service without tokens, \
                 restart it"
                    .into(),
            )
            .into());
        }
        gate.suffices(&read.tokens)?;
        if gate.has_tls() && read.transport.tls().is_none() {
            return Err(UsageError(
                "the settings name no certificate any more: to run the service without TLS, restart it".into(),
            )
            .into());
        }
        Ok(read)
    }
}

/// Reads everything from files, and checks each by itself.
fn read(
    flags: Settings,
    environment: &Environment,
    directory: &Path,
    now: Timestamp,
) -> Result<ReloadedSettings> {
    let file = repository_file(directory);
    let settings = Settings::load(flags, environment, file.as_deref())?;
    let mut notes = Vec::new();
    let tokens = parts::tokens(&settings, &mut notes)?;
    // Settings that take effect later must be valid too: the next start may be in the middle of the night.
    if let Some(url) = &settings.store {
        StoreUrl::parse(&url.0)?;
    }
    for listen in [&settings.serve_listen, &settings.service.admin_listen]
        .into_iter()
        .flatten()
    {
        listen.parse::<Listen>().map_err(Failure::new)?;
    }
    let transport = transport(&settings.service, now, &mut notes)?;
    let documents = outcome_limits(&settings)?;
    let limits = parts::service_limits(&settings, &documents)?;
    Ok(ReloadedSettings {
        delivery: delivery(&settings, parts::maps_of_hooks(&limits))?,
        limits,
        documents,
        settings,
        tokens,
        transport,
        notes,
    })
}

#[cfg(test)]
mod tests {
    use super::is_live;

    #[test]
    fn what_is_bound_to_the_start_is_told_from_what_is_not() {
        for live in [
            "policy.file",
            "policy.fuel",
            "policy.settings",
            "tokens",
            "tokens_file",
            "outcome.max_bytes",
            "serve.followers",
        ] {
            assert!(is_live(live), "{live}");
        }
        for later in [
            "store",
            "serve.listen",
            "signing.key",
            "lock_wait",
            "policy",
        ] {
            assert!(!is_live(later), "{later}");
        }
    }
}
