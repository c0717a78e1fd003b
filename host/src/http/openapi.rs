//! The description of the interface, generated from the handlers.

use std::sync::OnceLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{audit, events, operate, submissions, submit};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Chiffon Audit",
        description = "Every task outcome becomes exactly one durable git commit. ACCEPTED (durable in the store) and \
                       COMMITTED (durable in git) are two different answers.",
        license(name = "Apache-2.0 OR MIT")
    ),
    paths(
        submit::outcome, submit::work_result, submit::plan,
        audit::task, submissions::list, audit::failures, audit::by_service, audit::query, events::follow,
        operate::trail, operate::policy, operate::healthz, operate::readyz, operate::metrics, description,
    ),
    modifiers(&Bearer),
    security(("token" = []))
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        description
            .components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "operate", responses((status = 200, content_type = "application/json", body = Object)))]
pub async fn description() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text()).into_response()
}

/// The description as JSON. Made once.
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        Description::openapi()
            .to_json()
            .expect("a description is JSON")
    })
}
