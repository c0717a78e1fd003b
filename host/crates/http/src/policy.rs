//! `GET /api/v1/policy`: the policy in force, with its settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::answers::SCHEMA;
use super::path::NoParameters;

/// The policy that decides, with its settings.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyInForce {
    schema: u32,
    name: String,
    /// `sha256:…` of the component, as in `Audit-Policy`.
    digest: String,
    /// `sha256:…` of its settings, as in `Audit-Settings`.
    settings: String,
    /// The settings that are not secret.
    values: BTreeMap<String, String>,
    /// The names of its secret settings.
    secrets: Vec<String>,
    /// Whether it is the built-in policy of this program.
    builtin: bool,
    since: String,
    /// Whether the built-in policy replaces one in quarantine.
    stands_in: bool,
    /// The objections that an operator overrode to put it in force.
    overridden: Vec<String>,
}

/// The policy that decides, and its settings.
#[utoipa::path(get, path = "/api/v1/policy", tag = "operate",
    responses((status = 200, body = PolicyInForce)))]
pub async fn in_force(State(app): State<Arc<App>>, _: NoParameters) -> Json<PolicyInForce> {
    let in_force = app.orchestrator.in_force();
    let policy_with_settings = &in_force.policy_with_settings;
    let values = policy_with_settings.settings.iter();
    Json(PolicyInForce {
        schema: SCHEMA,
        name: policy_with_settings.policy.name().to_owned(),
        digest: policy_with_settings.policy.digest().to_owned(),
        settings: policy_with_settings.settings.digest(),
        values: values
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        secrets: policy_with_settings
            .settings
            .secrets()
            .map(|(name, _)| name.to_owned())
            .collect(),
        builtin: policy_with_settings.policy.is_builtin(),
        since: in_force.since.to_rfc3339(),
        stands_in: in_force.stands_in,
        overridden: in_force.overridden(),
    })
}
