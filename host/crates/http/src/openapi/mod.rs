//! The OpenAPI description: generated from the handlers, with additions that apply to all of them.

mod documents;

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::problem::Problem;
use super::{App, audit, doors, events, operate, policy, proof, submissions, task};
use outcome::Statuses;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Chiffon Audit",
        description = "Every task outcome becomes exactly one durable git commit. ACCEPTED (durable in the store) and \
                       COMMITTED (durable in git) are two different answers.",
        license(name = "Apache-2.0 OR MIT")
    ),
    paths(
        doors::outcomes,
        doors::lineage,
        doors::cloudevents,
        doors::handshake,
        doors::hook,
        doors::by_source_id,
        doors::work_result,
        doors::plan,
        task::task,
        task::entry,
        proof::proof,
        submissions::list,
        audit::failures,
        audit::by_service,
        audit::query,
        events::follow,
        operate::trail,
        operate::policy,
        policy::in_force,
        operate::healthz,
        operate::readyz,
        operate::metrics,
        description,
    ),
    components(schemas(Problem))
)]
struct Description;

/// Serves the OpenAPI description.
#[utoipa::path(get, path = "/openapi.json", tag = "operate", responses((status = 200, content_type = "application/json", body = Object)))]
pub async fn description(State(app): State<Arc<App>>) -> Response {
    /// The last, and for which statuses it is.
    static LAST: Mutex<Option<(Statuses, Bytes)>> = Mutex::new(None);
    let statuses = app.orchestrator.limits().statuses.clone();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let text = match &*last {
        Some((of, text)) if *of == statuses => text.clone(),
        _ => {
            let text = Bytes::from(text_for(&statuses));
            *last = Some((statuses, text.clone()));
            text
        }
    };
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// The description as JSON, without added statuses.
pub fn text() -> String {
    text_for(&Statuses::default())
}

fn text_for(statuses: &Statuses) -> String {
    let mut description =
        serde_json::to_value(Description::openapi()).expect("a description is JSON");
    let statuses: Vec<&str> = statuses.names().collect();
    let components = &mut description["components"];
    components["securitySchemes"] = json!({"token": {"type": "http", "scheme": "bearer"}});
    for (name, schema) in documents::all(&statuses) {
        components["schemas"][name] = schema;
    }
    if let Some(paths) = description["paths"].as_object_mut() {
        for (path, methods) in paths {
            for (method, operation) in methods.as_object_mut().into_iter().flatten() {
                complete(path, method, operation);
            }
        }
    }
    description.to_string()
}

/// Adds the parts that apply to all operations of a kind.
fn complete(path: &str, method: &str, operation: &mut Value) {
    let is_open = matches!(path, "/healthz" | "/readyz" | "/openapi.json");
    operation["security"] = match is_open {
        true => json!([]),
        false => json!([{"token": []}]),
    };
    let parameters = operation.get_mut("parameters");
    let parameters = parameters.and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        bound(path, parameter);
    }
    if let Some(document) = documents::of_body(path) {
        operation["requestBody"]["content"]["application/json"]["schema"] =
            json!({"$ref": format!("#/components/schemas/{document}")});
    }
    let has_body = method == "post";
    let is_asked = operation.get("parameters").is_some() || has_body;
    let mut problems = vec![(400, "The request cannot be read")];
    if !is_open {
        problems.push((401, "A token is needed"));
        problems.push((403, "The token does not give this right"));
    }
    if path.contains('{') {
        problems.push((404, "Not found"));
    }
    problems.push((408, "The request did not arrive in time"));
    if has_body {
        problems.push((413, "The body is too large"));
        problems.push((415, "The body has another media type, or is encoded"));
    }
    problems.push((421, "The request is for another host"));
    if is_asked {
        problems.push((422, "Refused, with the fields or parameters at fault"));
    }
    if !is_open {
        problems.push((429, "The token has reached its limit for now"));
    }
    problems.push((500, "An internal error"));
    problems.push((503, "Temporarily unavailable; try again"));
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    for (status, detail) in problems {
        let status = status.to_string();
        let known = responses.entry(status).or_insert_with(|| json!({}));
        if known["description"].as_str().unwrap_or_default().is_empty() {
            known["description"] = detail.into();
        }
    }
    for (status, response) in responses {
        if response.get("description").is_none() {
            response["description"] = "Answered".into();
        }
        complete_response(path, status, response);
    }
}

/// Every error is a problem document, whatever the operation; `/readyz` has its own form when it is not ready.
fn complete_response(path: &str, status: &str, response: &mut Value) {
    if !status.starts_with(['4', '5']) {
        return;
    }
    let mut content = Map::new();
    if (path, status) == ("/readyz", "503") {
        let ready = json!({"$ref": "#/components/schemas/Ready"});
        content.insert("application/json".into(), json!({"schema": ready}));
    }
    let problem = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
    content.insert("application/problem+json".into(), problem);
    response["content"] = content.into();
}

/// Adds a parameter's bounds, which are the same for every operation.
fn bound(path: &str, parameter: &mut Value) {
    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
    let is_header = parameter["in"] == "header";
    parameter["schema"] = match name.as_str() {
        "limit" => json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
        "days" => json!({"type": "integer", "minimum": 1, "maximum": 90}),
        "offset" => {
            json!({"type": "integer", "minimum": 0, "maximum": u32::MAX, "default": 0})
        }
        "total" => json!({"type": "boolean"}),
        "status" => json!({"type": "string", "pattern": "^[a-z0-9_-]{1,32}$"}),
        "reporter" => json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"}),
        "since" | "until" => json!({"type": "string", "pattern": documents::TIME}),
        "ids" => json!({"type": "string", "enum": ["encode"]}),
        "source_id" | "source" => json!({"type": "string", "minLength": 1, "maxLength": 4096}),
        "wait" => json!({"type": "string", "enum": ["committed", "accepted"]}),
        "state" => json!({"type": "string", "pattern": documents::STATES}),
        "cursor" if path.ends_with("/submissions") => {
            json!({"type": "string", "pattern": documents::SEQUENCE})
        }
        "cursor" => json!({"type": "string", "pattern": documents::CURSOR}),
        "after" | "Last-Event-ID" => json!({"type": "string", "pattern": documents::EVENT_ID}),
        "id" => json!({"type": "string", "minLength": 1}),
        "name" => json!({"type": "string", "minLength": 1}),
        _ if is_header => json!({"type": "string"}),
        _ => return,
    };
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::text;

    #[test]
    fn every_problem_is_declared_as_what_it_is() {
        let description: Value = serde_json::from_str(&text()).expect("JSON");
        let paths = description["paths"].as_object().expect("paths");
        for (path, methods) in paths {
            for (method, operation) in methods.as_object().expect("methods") {
                let responses = operation["responses"].as_object().expect("responses");
                let is_open = ["/healthz", "/readyz", "/openapi.json"].contains(&path.as_str());
                for status in ["400", "421", "500", "503"] {
                    assert!(responses.contains_key(status), "{method} {path} {status}");
                }
                assert_eq!(responses.contains_key("401"), !is_open, "{path}");
                assert_eq!(responses.contains_key("415"), method == "post", "{path}");
                for (status, response) in responses {
                    let content = &response["content"]["application/problem+json"];
                    let is_problem = status.starts_with(['4', '5']);
                    assert_eq!(content.is_object(), is_problem, "{method} {path} {status}");
                }
                let parameters = operation.get("parameters").map(|given| given.as_array());
                let parameters = parameters.map(|given| given.expect("a list, where there is one"));
                for parameter in parameters.into_iter().flatten() {
                    if parameter["name"] == "limit" {
                        assert_eq!(parameter["schema"]["maximum"], 1000, "{path}");
                    }
                }
            }
        }
    }
}
