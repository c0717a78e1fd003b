//! Operations: the current state, readiness, metrics, and changing the policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::SCHEMA;
use super::path::NoParameters;
use super::problem::{Kind, Problem};
use super::{App, body, query};
use service::orchestrator::{
    self, CheckpointStatus, PolicyInForce, ReplicaStatus, RequestedPolicy, Role,
};
use service::replication::{Replication, lag};
use store::StoreError;

/// The current state of trail, store, backlog and policy.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrailStatus {
    schema: u32,
    /// The git directory.
    repository: String,
    reference: String,
    placement: &'static str,
    /// The trail's newest commit; `null` if there is none or it cannot be read.
    tip: Option<String>,
    /// `starting`, `committing` or `stand-by`.
    role: &'static str,
    /// The host that commits, if it is another one.
    committer: Option<String>,
    /// Whether outcomes wait because of the trail or the policy. They are still accepted.
    degraded: bool,
    /// Why the trail cannot be written.
    trail: Option<Trouble>,
    /// Why the store cannot be used.
    store: Option<Trouble>,
    /// A part of this host that panicked within the last minute and was restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<Trouble>,
    /// A part of this host that makes no progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    stalled: Option<Trouble>,
    /// The process that holds the trail's lock and is stuck.
    #[serde(skip_serializing_if = "Option::is_none")]
    lock_holder: Option<LockHolder>,
    policy: PolicyInfo,
    backlog: Option<Backlog>,
    /// The checkpoints that this host makes; absent if it makes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<Checkpoint>,
    /// The hosts that hold the trail; absent if this one holds it alone, or if the store does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    replicas: Option<Replicas>,
}

/// The hosts that hold the trail.
#[derive(Debug, Serialize, ToSchema)]
pub struct Replicas {
    /// The place of the log's newest record.
    head: i64,
    /// How many hosts must have an entry before it is committed.
    copies: usize,
    hosts: Vec<ReplicaHost>,
}

/// A host that holds the trail.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplicaHost {
    id: String,
    host: String,
    repository: String,
    /// Whether it is the host that answers.
    here: bool,
    /// The place in the log up to which it has everything.
    applied: i64,
    /// How many records it lacks.
    lag: i64,
    /// Seconds since it was heard of.
    silent_seconds: f64,
    /// Why it cannot apply or commit.
    problem: Option<String>,
}

impl Replicas {
    fn of(status: ReplicaStatus, replication: &Replication) -> Replicas {
        let head = status.head;
        let hosts = status.replicas.into_iter().map(|replica| ReplicaHost {
            lag: lag(head, &replica),
            here: replica.report.id == replication.id,
            silent_seconds: replica.silent.as_secs_f64(),
            id: replica.report.id,
            host: replica.report.host,
            repository: replica.report.repository,
            applied: replica.report.applied,
            problem: replica.report.problem,
        });
        Replicas {
            head,
            copies: replication.copies,
            hosts: hosts.collect(),
        }
    }
}

/// The state of the automatic checkpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct Checkpoint {
    /// When the last one was kept; `null` if none was yet.
    kept_at: Option<String>,
    /// The number of entries that it covers.
    entries: Option<u64>,
    age_seconds: f64,
    /// Why there is no newer one: `rolled-back` or `checkpoint`.
    trouble: Option<Trouble>,
}

impl Checkpoint {
    fn of(status: CheckpointStatus) -> Checkpoint {
        Checkpoint {
            kept_at: status.kept.map(|(time, _)| time.to_rfc3339()),
            entries: status.kept.map(|(_, entries)| entries),
            age_seconds: status.age.as_secs_f64(),
            trouble: status.trouble.map(Trouble::of),
        }
    }
}

/// A cause and a reason.
#[derive(Debug, Serialize, ToSchema)]
pub struct Trouble {
    cause: &'static str,
    reason: String,
    since: String,
}

impl Trouble {
    fn of(trouble: orchestrator::Trouble) -> Trouble {
        Trouble {
            cause: trouble.cause.as_str(),
            reason: trouble.reason,
            since: trouble.since.to_rfc3339(),
        }
    }
}

/// Submissions that are not in the trail.
#[derive(Debug, Serialize, ToSchema)]
pub struct Backlog {
    pending: u64,
    blocked: u64,
    /// Kept for a person to review.
    conflicting: u64,
    /// Kept for a person to review.
    refused: u64,
    oldest_pending_seconds: Option<f64>,
}

/// The policy that decides.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyShown)]
pub struct PolicyInfo {
    name: String,
    /// `sha256:…` of the component, as in `Audit-Policy`.
    digest: String,
    /// `sha256:…` of its settings, as in `Audit-Settings`.
    settings: String,
    since: String,
    /// Whether the built-in policy replaces one in quarantine.
    stands_in: bool,
    /// Why the operator's policy is in quarantine.
    quarantined: Option<Trouble>,
}

/// The state of the trail, the backlog and the policy, with any trouble.
#[utoipa::path(get, path = "/api/v1/trail", tag = "operate", responses((status = 200, body = TrailStatus)))]
pub async fn trail(State(app): State<Arc<App>>, _: NoParameters) -> Json<TrailStatus> {
    let status = app.orchestrator.status().await;
    let degraded = status.is_degraded();
    let place = app.orchestrator.place().await;
    let (role, committer) = match status.role {
        Role::Starting => ("starting", None),
        Role::Committing => ("committing", None),
        Role::StandBy { committer } => ("stand-by", Some(committer)),
    };
    // A status without them is more useful than none.
    let replicas = app.orchestrator.replicas().await.ok().flatten();
    let replicas = replicas
        .zip(app.orchestrator.replication())
        .map(|(replicas, replication)| Replicas::of(replicas, replication));
    let policy = status.policy;
    Json(TrailStatus {
        schema: SCHEMA,
        repository: place.repository.display().to_string(),
        reference: place.reference,
        placement: place.placement,
        tip: place.tip,
        role,
        committer,
        degraded,
        trail: status.trail.map(Trouble::of),
        store: status.store.map(Trouble::of),
        failed: status.failed.map(Trouble::of),
        stalled: status.stalled.map(Trouble::of),
        lock_holder: status.lock_holder.map(LockHolder::of),
        policy: PolicyInfo {
            name: policy.name,
            digest: policy.digest,
            settings: policy.settings,
            since: policy.since.to_rfc3339(),
            stands_in: policy.stands_in,
            quarantined: policy.quarantined.map(Trouble::of),
        },
        backlog: status.backlog.map(|backlog| Backlog {
            pending: backlog.pending,
            blocked: backlog.blocked,
            conflicting: backlog.conflicting,
            refused: backlog.refused,
            oldest_pending_seconds: backlog.oldest_pending.map(|age| age.as_secs_f64()),
        }),
        checkpoint: status.checkpoints.map(Checkpoint::of),
        replicas,
    })
}

/// A policy to put in force on this host.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WantedPolicy)]
pub struct PolicyRequest {
    /// The component's bytes in base64. Without it, the policy that settings and trail name now is loaded.
    component: Option<String>,
    /// The policy's settings. If absent, the policy has no settings; those of the policy in force are not inherited.
    settings: Option<BTreeMap<String, String>>,
    /// Put it in force in spite of objections. They are logged, and recorded with the policy in force.
    #[serde(default)]
    force: bool,
}

/// Puts another policy in force, between two calls.
///
/// A component that is sent is first checked as by `policy activate`: the contract, and that it asks for every setting.
/// Without a component, the configured policy is only tried. If that fails, the current policy stays. An uploaded policy is kept with the trail and stays in force after a restart.
#[utoipa::path(post, path = "/api/v1/policy", tag = "operate",
    params(("force" = Option<bool>, Query, description = "put it in force in spite of objections, which are recorded with it")),
    request_body(content((PolicyRequest = "application/json"), (String = "application/wasm"))),
    responses((status = 200, body = PolicyInfo),
        (status = 422, description = "Refused, with the reason; the policy in force stays", body = Problem)))]
pub async fn policy(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<PolicyInfo>, Problem> {
    let uri = request.uri().clone();
    let headers = request.headers();
    let wanted = if body::has_type(headers, "application/wasm") {
        let most = app.limits.now().policy;
        let component = body::read(&app, request, most, &app.uploads).await?;
        RequestedPolicy::Given {
            component: component.to_vec(),
            settings: BTreeMap::new(),
            force: is_forced(&uri)?,
        }
    } else if body::has_type(headers, "application/json") {
        // Base64 makes it a third longer.
        let most = app.limits.now().policy / 3 * 4 + (1 << 16);
        let text = body::read(&app, request, most, &app.uploads).await?;
        wanted(&text, is_forced(&uri)?)?
    } else {
        return Err(Problem::with_detail(
            Kind::MediaType,
            "send a component as application/wasm, or application/json",
        ));
    };
    let changed = app.orchestrator.change_policy(wanted).await;
    let in_force = changed.map_err(|error| Problem::swap(&error))?;
    let PolicyInForce {
        policy_with_settings,
        since,
        stands_in,
        ..
    } = &*in_force;
    Ok(Json(PolicyInfo {
        name: policy_with_settings.policy.name().to_owned(),
        digest: policy_with_settings.policy.digest().to_owned(),
        settings: policy_with_settings.settings.digest(),
        since: since.to_rfc3339(),
        stands_in: *stands_in,
        quarantined: None,
    }))
}

/// Reads the parameter `force`.
fn is_forced(uri: &axum::http::Uri) -> Result<bool, Problem> {
    let parameters = query::read(uri, &["force"])?;
    match parameters.first().map(|(_, value)| value.as_str()) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::parameter("force", "must be true or false")),
    }
}

fn wanted(text: &[u8], force: bool) -> Result<RequestedPolicy, Problem> {
    use base64::Engine as _;
    let text: &[u8] = if text.trim_ascii().is_empty() {
        b"{}"
    } else {
        text
    };
    if !text.trim_ascii_start().starts_with(b"{") {
        // serde would also accept an array of the members without their names.
        return Err(Problem::with_detail(
            Kind::Malformed,
            "the body must be a JSON object",
        ));
    }
    let wanted: PolicyRequest = serde_json::from_slice(text)
        .map_err(|error| Problem::with_detail(Kind::Malformed, error.to_string()))?;
    let Some(component) = wanted.component else {
        if wanted.settings.is_some() {
            let detail = "settings must be given together with their component";
            return Err(Problem::with_detail(Kind::PolicyRefused, detail));
        }
        if force || wanted.force {
            let detail = "force must be given together with a component";
            return Err(Problem::with_detail(Kind::PolicyRefused, detail));
        }
        return Ok(RequestedPolicy::Configured);
    };
    let component = base64::engine::general_purpose::STANDARD
        .decode(component)
        .map_err(|_| Problem::with_detail(Kind::PolicyRefused, "/component: is not base64"))?;
    Ok(RequestedPolicy::Given {
        component,
        settings: wanted.settings.unwrap_or_default(),
        force: force || wanted.force,
    })
}

/// The answer of a live host.
pub const ALIVE: &str = "alive\n";

/// Whether the process is alive and can work. 503 if a part of it has stalled or keeps failing, so that only a
/// restart helps. Failures of git, the policy or the database do not count.
#[utoipa::path(get, path = "/healthz", tag = "operate",
    responses((status = 200, body = String), (status = 503, body = String)))]
pub async fn healthz(State(app): State<Arc<App>>) -> Response {
    match app.orchestrator.is_alive() {
        true => ALIVE.into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "stalled\n").into_response(),
    }
}

/// The answer of a host that is not ready, with the causes.
pub fn not_ready(status: &'static str, causes: Vec<&'static str>) -> Response {
    let ready = Ready {
        schema: SCHEMA,
        status,
        causes,
        lock_holder: None,
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(ready)).into_response()
}

/// Whether this host is ready.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ready {
    schema: u32,
    /// `ready`, `degraded` (outcomes are accepted and wait, or no checkpoint is kept), `unavailable` (outcomes cannot
    /// be accepted) or `stopping`.
    status: &'static str,
    /// The causes, as words for programs.
    causes: Vec<&'static str>,
    /// The process that holds the trail's lock and is stuck, if that is why the cause is `locked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    lock_holder: Option<LockHolder>,
}

/// A stuck process that holds the trail's lock: no host commits until it continues or is killed.
#[derive(Debug, Serialize, ToSchema)]
pub struct LockHolder {
    /// The machine's host name.
    host: String,
    pid: u32,
    /// `stopped` (SIGSTOP, a debugger) or `silent` (it does nothing while others wait).
    state: &'static str,
    since: String,
}

impl LockHolder {
    fn of(holder: orchestrator::LockHolder) -> LockHolder {
        LockHolder {
            host: holder.host,
            pid: holder.pid,
            state: holder.state,
            since: holder.since.to_rfc3339(),
        }
    }
}

/// Whether outcomes can be accepted (200, else 503), and whether they are committed or wait (`degraded`).
#[utoipa::path(get, path = "/readyz", tag = "operate",
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    let accepts = app.orchestrator.ping_store().await;
    // Not the backlog, which may take long to query.
    let status = app.orchestrator.known_status();
    let is_degraded = status.is_degraded();
    let checkpoint = status.checkpoints.and_then(|status| status.trouble);
    let troubles = [
        &status.store,
        &status.trail,
        &status.stalled,
        &status.failed,
        &status.policy.quarantined,
        &checkpoint,
    ];
    let words = troubles
        .into_iter()
        .flatten()
        .map(|trouble| trouble.cause.as_str());
    let locked = status.lock_holder.iter().map(|_| "locked");
    let mut causes: Vec<&'static str> = Vec::new();
    for word in words.chain(locked) {
        // A problem with the trail also affects the checkpoint.
        if !causes.contains(&word) {
            causes.push(word);
        }
    }
    // A trail that was rolled back lacks the commit that the store acknowledged last. That is one cause.
    if matches!(accepts, Err(StoreError::OtherTrail { .. })) && causes.contains(&"rolled-back") {
        causes.retain(|cause| *cause != "store");
    }
    let (code, word) = if app.is_stopping() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else if accepts.is_err() {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    } else if is_degraded || checkpoint.is_some() {
        // Not 503: a load balancer must not remove a host that accepts outcomes because git fails.
        (StatusCode::OK, "degraded")
    } else {
        (StatusCode::OK, "ready")
    };
    let ready = Ready {
        schema: SCHEMA,
        status: word,
        causes,
        lock_holder: status.lock_holder.map(LockHolder::of),
    };
    (code, Json(ready)).into_response()
}

/// Counters, gauges and histograms, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operate",
    responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    // Updates the gauges.
    app.orchestrator.status().await;
    let text = app.orchestrator.metrics().render();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
