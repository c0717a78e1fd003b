//! Assembles the service's parts: the trail, the policy and how to load another, tokens, the address, the store.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::checkpoint_job::{CheckpointJob, prepare_checkpoints};
use super::hooks::hooks;
use super::proving::{checking, proving};
use super::reload::Reload;
use super::replicated::{ReplicatedPart, replicated_part};
use super::sync_job::{SyncJob, prepare_copies};
use super::transport::transport;
use crate::checkpoint::Witnesses;
use crate::cli::exit::{UsageError, read_file};
use crate::cli::failure::failure;
use crate::cli::intake::{delivery, door};
use crate::cli::overdue::deadlines;
use crate::cli::policy::needs_signature;
use crate::cli::sealing;
use crate::cli::session::{
    Session, engine, outcome_limits, policy_in_force, policy_limits, read_secret, separate_ref_note,
};
use crate::cli::store::{options_of, place};
use crate::cli::{Failure, Result};
use crate::config::{Settings, repository_file};
use crate::http::{CheckProof, Limits, Listen, Prove, TokenLimits, Tokens, Transport};
use crate::orchestrator::Deadlines;
use crate::orchestrator::{
    self, LEASE_TERM, LoadPolicy, OnPolicyFault, OpenTrail, RequestedPolicy,
};
use crate::outcome;
use crate::policies::PolicyWithSettings;
use crate::policy::{Allocation, Policy, PolicySettings};
use crate::recorder;
use crate::store::{self, StoreUrl};
use crate::trail::{self, InitOptions, Placement, Trail, TrailError};
use ::intake::Map;

/// The service's parts. Everything that can be checked without a side effect is checked.
pub struct Parts {
    /// The address to listen on, as given.
    pub listen_text: String,
    /// The parsed address.
    pub listen: Listen,
    /// The address for probes and metrics only, as given and parsed.
    pub admin: Option<(String, Listen)>,
    pub tokens: Tokens,
    /// What protects requests on their way.
    pub transport: Transport,
    pub limits: Limits,
    pub store: StoreUrl,
    pub store_options: store::Options,
    pub open_trail: OpenTrail,
    pub options: orchestrator::Options,
    /// How this host takes part in a replicated trail, if it does.
    pub replicated: Option<ReplicatedPart>,
    /// How long to wait for a database server at startup.
    pub wait_for_store: Duration,
    /// The settings, and how to read them again.
    pub reload: Reload,
    /// The longest time that the settings allow for one step of the pipeline.
    pub longest: Duration,
    /// How to prove entries.
    pub prove: Option<Prove>,
    /// How pages check a proof; `None` for no pages.
    pub check_proof: Option<CheckProof>,
    /// How long conflicts and refusals stay in the store; `None` means for ever.
    pub turned_down_retention: Option<Duration>,
    /// Within what time announced tasks have to end.
    pub deadlines: Deadlines,
    /// How to make checkpoints while the service runs.
    pub checkpoint_job: Option<CheckpointJob>,
    /// How copies are kept while the service runs.
    pub sync_job: Option<SyncJob>,
    /// Notes for the operator.
    pub notes: Vec<String>,
}

/// Long enough for a database that is started together with this service, or fails over.
const WAIT_FOR_STORE: Duration = Duration::from_secs(60);

/// Long enough for a load balancer that looks every second or two to notice.
pub const DRAIN: Duration = Duration::from_secs(5);

/// The address to listen on by default.
pub const LISTEN: &str = "127.0.0.1:8787";

/// Assembles the parts. Begins a trail in a repository that has none and whose work tree must be left alone.
pub fn gather(
    settings: &Settings,
    flags: Settings,
    witnesses: Witnesses,
    session: &mut Session,
) -> Result<Parts> {
    let listen_text = settings
        .serve_listen
        .clone()
        .unwrap_or_else(|| LISTEN.into());
    let listen = listen(&listen_text)?;
    let admin = settings.service.admin_listen.clone();
    let admin = admin
        .map(|listen_text| Ok::<_, UsageError>((listen_text.clone(), self::listen(&listen_text)?)))
        .transpose()?;
    let mut notes = Vec::new();
    let tokens = tokens(settings, &mut notes)?;
    tokens.suffice_for(&listen, &listen_text)?;
    let transport = transport(&settings.service, session.clock.now(), &mut notes)?;
    transport.suffices_for(&listen, &listen_text)?;
    if let Some((listen_text, admin)) = &admin {
        tokens.suffice_for(admin, listen_text)?;
        transport.suffices_for(admin, listen_text)?;
    }
    let trail = open_or_start_trail(settings, session, &mut notes)?;
    // Everything would wait in the store without end. The successor takes it, with the same store.
    trail.check_not_ended()?;
    let store = match &settings.store {
        Some(url) => place(url, settings)?,
        None => StoreUrl::beside_trail(trail.common_dir()),
    };
    if matches!(store, StoreUrl::Postgres(_)) && sealing::is_configured(settings) {
        let text = "sealing needs a SQLite store: other hosts of a PostgreSQL store would not have the keys (setting seal.pointers)";
        return Err(UsageError(text.into()).into());
    }
    let secret = settings
        .secret_file
        .as_deref()
        .map(read_secret)
        .transpose()?;
    let policy_with_settings = policy_in_force(&trail, settings, Allocation::Pooling, None)?;
    let document_limits = outcome_limits(settings)?;
    let limits = service_limits(settings, &document_limits)?;
    let reload = Reload::new(flags.clone(), settings, session);
    let options = orchestrator::Options {
        recorder: recorder::Options {
            clock: Arc::clone(&session.clock),
            limits: document_limits,
            settings: PolicySettings::default(),
            secret,
            delivery: delivery(settings, maps_of_hooks(&limits))?,
            sealer: sealing::sealer(settings, &trail, session.clock.now())?,
        },
        policy_with_settings,
        load_policy: load_policy(flags, session),
        on_policy_fault: on_policy_fault(settings),
        host: host(),
        lease_term: settings.serve_lease.unwrap_or(LEASE_TERM),
        replication: None,
    };
    let replicated = replicated_part(settings, &trail, &store, session)?;
    let checkpoint_job = prepare_checkpoints(settings, &trail, witnesses, session)?;
    let sync_job = prepare_copies(settings, &trail)?;
    let prove = proving(settings, session)?;
    let check_proof = Some(checking(settings)?);
    let open_options = session.record_options(settings)?;
    let directory = trail.common_dir().to_owned();
    let store_options = store::Options {
        create: true,
        keep_submissions: settings.keep_submissions.unwrap_or(false),
        ..options_of(settings)
    };
    let longest = longest(settings, &store, &store_options, &open_options);
    Ok(Parts {
        wait_for_store: settings.wait_for_store.unwrap_or(WAIT_FOR_STORE),
        reload,
        longest,
        listen_text,
        listen,
        admin,
        tokens,
        transport,
        limits,
        store,
        store_options,
        options,
        replicated,
        prove,
        check_proof,
        turned_down_retention: settings.turned_down_retention,
        deadlines: deadlines(settings),
        checkpoint_job,
        sync_job,
        open_trail: Box::new(move || Trail::open(&directory, open_options.clone())),
        notes,
    })
}

/// The longest time that the settings allow for one step of the pipeline. A step that takes longer has stalled.
fn longest(
    settings: &Settings,
    store: &StoreUrl,
    store_options: &store::Options,
    trail: &trail::OpenOptions,
) -> Duration {
    let signing = trail.signing.as_ref().map(|signing| signing.timeout);
    let times = [
        Some(trail.lock_wait),
        signing,
        Some(policy_limits(settings.policy_limits).wall_time),
        Some(settings.serve_lease.unwrap_or(LEASE_TERM)),
        Some(store.patience(store_options)),
    ];
    times.into_iter().flatten().max().unwrap_or_default()
}

fn listen(listen_text: &str) -> Result<Listen, UsageError> {
    listen_text.parse().map_err(|message| {
        UsageError(format!(
            "the address to listen on, {listen_text:?}, {message}"
        ))
    })
}

/// The maps of the webhooks.
pub fn maps_of_hooks(limits: &Limits) -> impl Iterator<Item = &Map> {
    limits.hooks.values().filter_map(|hook| hook.map.as_deref())
}

/// The limits for clients, from the settings.
pub fn service_limits(settings: &Settings, documents: &outcome::Limits) -> Result<Limits> {
    let door = door(settings)?;
    let hooks = Arc::new(hooks(settings)?);
    let token = TokenLimits {
        rate: settings.token_rate,
        bytes: settings.token_bytes,
    };
    let access_log = settings.access_log.unwrap_or(true);
    let settings = &settings.service;
    let default = Limits::default();
    // A number that does not fit this machine becomes its largest.
    let number = |setting: Option<u64>, default: usize| {
        setting.map_or(default, |number| {
            usize::try_from(number).unwrap_or(usize::MAX)
        })
    };
    // The most that a semaphore can count.
    let count = |setting, default| number(setting, default).min(1 << 24);
    let connections = count(settings.connections, default.connections);
    // All clients have the proxy's address.
    let of_peer = match settings.behind_proxy {
        Some(true) => connections,
        _ => default.connections_per_peer.min(connections),
    };
    Ok(Limits {
        door: Arc::new(door),
        hooks,
        connections,
        connections_per_peer: count(settings.connections_per_peer, of_peer),
        bytes_in_flight: number(settings.bytes_in_flight, default.bytes_in_flight),
        queries: count(settings.queries, default.queries),
        followers: count(settings.followers, default.followers),
        allowed_hosts: settings.allowed_hosts.clone().unwrap_or_default(),
        body: default
            .body
            .max(documents.max_bytes.saturating_add(64 << 10)),
        token,
        access_log,
        ..default
    })
}

/// The repository's trail. If there is none, begins one on a separate ref, because a service leaves work trees alone.
fn open_or_start_trail(
    settings: &Settings,
    session: &Session,
    notes: &mut Vec<String>,
) -> Result<Trail> {
    let directory = &session.directory;
    let trail = session.trail(settings).map_err(|error| match error {
        TrailError::NoRepository(_) => failure!(
            "{error}; `chiffon-audit init --bare {}` creates a trail for a service",
            directory.display()
        ),
        error => error.into(),
    })?;
    if let Some(why) = trail.own_ref_reason() {
        notes.push(separate_ref_note(trail.reference(), why));
    }
    if trail.placement() == Placement::Ref || trail.has_begun()? {
        return Ok(trail);
    }
    let open = session.record_options(settings)?;
    let options = InitOptions {
        bare: false,
        reference: Some("refs/heads/audit".into()),
        layout: open.layout,
        second_trail: false,
        accept_tip: None,
        uuid: Uuid::new_v4().to_string(),
        time: session.clock.now(),
        open,
    };
    drop(trail);
    let (trail, _) = Trail::init(directory, options)?;
    notes.push(format!(
        "this repository had no trail: a trail was started on {}, and the work tree is left alone",
        trail.reference()
    ));
    Ok(trail)
}

/// What happens to outcomes while the policy is in quarantine.
pub fn on_policy_fault(settings: &Settings) -> OnPolicyFault {
    match settings.on_policy_fault.as_deref() {
        Some("builtin") => OnPolicyFault::Builtin,
        _ => OnPolicyFault::Hold,
    }
}

/// The tokens from the settings.
pub fn tokens(settings: &Settings, notes: &mut Vec<String>) -> Result<Tokens> {
    let text = match (&settings.tokens_file, &settings.tokens) {
        (Some(file), _) => {
            if is_readable_by_others(file) {
                notes.push(format!(
                    "{} holds tokens and can be read by every user of this machine: `chmod o= {0}`",
                    file.display()
                ));
            }
            read_file("the tokens", file)?
        }
        (None, Some(tokens)) => tokens.0.clone(),
        (None, None) => return Ok(Tokens::default()),
    };
    let tokens = Tokens::parse(&text).map_err(|error| UsageError(error.to_string()))?;
    if tokens.is_empty() {
        // An operator who names a token file wants tokens to be required.
        return Err(UsageError("there are no tokens in the list of tokens".into()).into());
    }
    for line in tokens.suspicious() {
        notes.push(format!(
            "line {line} of the tokens has a token that looks like a name: is its token missing? Generate random tokens, for example with `openssl rand -base64 24`"
        ));
    }
    Ok(tokens)
}

fn is_readable_by_others(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// Reads the settings again, since the policy file or the activated policy may have changed.
fn load_policy(flags: Settings, session: &Session) -> LoadPolicy {
    let (environment, directory) = (session.environment.clone(), session.directory.clone());
    Box::new(move |trail, wanted| {
        let file = repository_file(&directory);
        let settings = Settings::load(flags.clone(), &environment, file.as_deref())
            .map_err(|error| error.to_string())?;
        let failed = |error: Failure| format!("{error:#}");
        match wanted {
            RequestedPolicy::Configured => {
                policy_in_force(trail, &settings, Allocation::Pooling, None).map_err(failed)
            }
            RequestedPolicy::Given { .. } if settings.policy_override.file => Err(
                "this host was started with its own policy (--policy, or CHIFFON_AUDIT_POLICY_FILE), which would decide again \
                 after a restart: start it without"
                    .into(),
            ),
            RequestedPolicy::Given {
                component,
                settings: given,
                ..
            } => {
                if needs_signature(&settings, component) {
                    return Err(
                        "the setting policy.require_signature is on, and a policy that is sent has no signature: put it in force \
                         with `policy activate`"
                            .into(),
                    );
                }
                let engine = engine(&settings, Allocation::Pooling, None).map_err(failed)?;
                let policy = Policy::load(&engine, "that was sent", component)
                    .map_err(|error| error.to_string())?;
                Ok(PolicyWithSettings {
                    policy,
                    settings: PolicySettings::new(given.clone()),
                })
            }
        }
    })
}

/// This process's name among the hosts of one store: readable and unique.
fn host() -> String {
    let system = rustix::system::uname();
    let random = Uuid::new_v4().simple().to_string();
    format!(
        "{}:{}:{}",
        system.nodename().to_string_lossy(),
        std::process::id(),
        &random[..8]
    )
}

/// How long to keep committing after the last request.
pub fn grace(seconds: u64) -> Duration {
    Duration::from_secs(seconds.min(24 * 3600))
}
