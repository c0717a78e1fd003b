//! The pages that a running service shows: templates, and the files that they load. Works without scripts.

mod runbook;
mod words;

use std::sync::LazyLock;

use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use serde::Serialize;

use super::{LayoutError, STYLE, VERIFIER, environment};

/// A page of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The list of entries.
    Entries,
    /// One entry, or a task that is not recorded.
    Entry,
    /// The state of the trail.
    Trail,
    /// What is not in the trail.
    Waiting,
    /// The policy in force.
    Policies,
    /// The verifier.
    Verify,
    /// The form that asks for a token.
    Login,
    /// What could not be shown, and why.
    Error,
}

/// The templates: the names under which they find each other, and their texts.
const TEMPLATES: &[(&str, &str)] = &[
    ("layout", include_str!("layout.html")),
    ("macros", include_str!("macros.html")),
    ("entries", include_str!("entries.html")),
    ("entry", include_str!("entry.html")),
    ("trail", include_str!("trail.html")),
    ("waiting", include_str!("waiting.html")),
    ("policies", include_str!("policies.html")),
    ("verify", include_str!("verify.html")),
    ("login", include_str!("login.html")),
    ("error", include_str!("error.html")),
];

const FORM: &str = include_str!("../verifier-form.html");

/// A view in the navigation.
#[derive(Serialize)]
struct Item {
    view: &'static str,
    path: &'static str,
    title: &'static str,
}

const ITEMS: &[Item] = &[
    Item {
        view: "entries",
        path: "/",
        title: "Entries",
    },
    Item {
        view: "trail",
        path: "/trail",
        title: "Trail",
    },
    Item {
        view: "waiting",
        path: "/waiting",
        title: "Waiting",
    },
    Item {
        view: "policies",
        path: "/policies",
        title: "Policy",
    },
    Item {
        view: "verify",
        path: "/verify",
        title: "Verify",
    },
];

impl View {
    fn name(self) -> &'static str {
        match self {
            View::Entries => "entries",
            View::Entry => "entry",
            View::Trail => "trail",
            View::Waiting => "waiting",
            View::Policies => "policies",
            View::Verify => "verify",
            View::Login => "login",
            View::Error => "error",
        }
    }
}

/// What every page of a service says.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// The title of the window.
    pub title: &'a str,
    /// The version of the program.
    pub version: &'a str,
    /// Whether the service has tokens, so that a person can log out.
    pub has_tokens: bool,
}

/// Renders a page from its facts, an object. Everything in them is shown as text.
///
/// # Errors
///
/// The page's template is wrong.
pub fn service_page(
    view: View,
    frame: &Frame<'_>,
    facts: &impl Serialize,
) -> Result<String, LayoutError> {
    static ENVIRONMENT: LazyLock<Result<Environment<'static>, minijinja::Error>> =
        LazyLock::new(service_environment);
    let environment = ENVIRONMENT.as_ref().map_err(|error| {
        let kind = minijinja::ErrorKind::TemplateNotFound;
        LayoutError::from(minijinja::Error::new(kind, error.to_string()))
    })?;
    let own = context! {
        view => view.name(),
        views => Value::from(Serde(ITEMS)),
        title => frame.title,
        version => frame.version,
        has_tokens => frame.has_tokens,
        form => Value::from_safe_string(FORM.to_owned()),
    };
    let template = environment.get_template(view.name())?;
    Ok(template.render(context! { ..Value::from(Serde(facts)), ..own })?)
}

fn service_environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = environment();
    environment.add_filter("second", words::second);
    environment.add_filter("tone", words::tone);
    environment.add_filter("verdict", words::verdict);
    environment.add_filter("segment", words::segment);
    environment.add_filter("section", runbook::section);
    for (name, text) in TEMPLATES {
        environment.add_template(name, text)?;
    }
    Ok(environment)
}

/// A file that pages load.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Its contents.
    pub bytes: &'static [u8],
    /// Its media type.
    pub kind: &'static str,
}

/// The file with this name.
pub fn asset(name: &str) -> Option<Asset> {
    static PAGE_STYLE: LazyLock<String> = LazyLock::new(|| {
        let own = include_str!("page.css");
        let form = include_str!("../verifier.css");
        format!("{STYLE}{form}{own}")
    });
    let (bytes, kind): (&[u8], _) = match name {
        "page.css" => (PAGE_STYLE.as_bytes(), "text/css; charset=utf-8"),
        "page.js" => (include_bytes!("page.js"), "text/javascript; charset=utf-8"),
        "verifier.js" => (
            include_bytes!("../verifier.js"),
            "text/javascript; charset=utf-8",
        ),
        "verifier.wasm" => (VERIFIER, "application/wasm"),
        _ => return None,
    };
    Some(Asset { bytes, kind })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{Frame, ITEMS, View, asset, service_page};
    use serde_json::json;

    // What a person has typed stays as it is in its field.
    const TYPED: &str = "\"><script>alert(1)</script>";
    const SCRIPT: &str = "\"><script>alert(1)</script>\u{202e}<img src=x onerror=alert(1)>";

    fn page(view: View, facts: serde_json::Value) -> String {
        let frame = Frame {
            title: SCRIPT,
            version: "1.2.3",
            has_tokens: true,
        };
        service_page(view, &frame, &facts).unwrap()
    }

    #[test]
    fn markup_in_facts_is_shown_as_text_in_every_view() {
        let trouble = json!({"cause": "git", "reason": SCRIPT, "since": SCRIPT});
        let submission = json!({"sequence": 1, "accepted_at": SCRIPT, "task_id": SCRIPT, "status": SCRIPT,
            "state": "refused", "cause": "document", "reason": SCRIPT, "reporter": SCRIPT, "attempts": 1,
            "errors": [{"pointer": SCRIPT, "detail": SCRIPT}]});
        let entry = json!({"status": SCRIPT, "commit": "c0ffee", "path": SCRIPT, "ref": SCRIPT, "intent": SCRIPT,
            "plan_id": SCRIPT, "agent_pool": SCRIPT, "services_touched": [SCRIPT], "reporter": SCRIPT});
        let views = [
            (
                View::Entries,
                json!({"filter": {"status": TYPED, "task": TYPED}, "wrong": SCRIPT, "next": "/?a=1&b=2",
                "rows": [{"task_id": SCRIPT, "task_path": "x", "status": SCRIPT, "services": [SCRIPT],
                    "recorded_at": SCRIPT, "commit": "c0ffee", "agent_pool": SCRIPT, "reporter": SCRIPT}]}),
            ),
            (
                View::Entry,
                json!({"task": {"task_id": SCRIPT, "state": "committed", "conflicts": 1, "recorded": entry,
                "submissions": [submission]}, "task_path": "x", "raw": SCRIPT, "trailers": [[SCRIPT, SCRIPT]], "can_prove": true,
                "course": [{"what": "planned", "at": SCRIPT, "note": SCRIPT}],
                "claims": [{"verdict": "broken", "title": SCRIPT, "what": SCRIPT}]}),
            ),
            (
                View::Trail,
                json!({"trail": {"repository": SCRIPT, "reference": SCRIPT, "role": "stand-by",
                "committer": SCRIPT, "trail": trouble, "store": trouble, "degraded": true,
                "backlog": {"pending": 1, "oldest_pending_seconds": 1.25}}, "days": []}),
            ),
            (
                View::Waiting,
                json!({"list": {"submissions": [submission], "overdue": [{"task_id": SCRIPT,
                "announced_at": SCRIPT, "due_at": SCRIPT, "plan_id": SCRIPT}]}, "states": ["pending"], "next": "/?a=1&b=2"}),
            ),
            (
                View::Policies,
                json!({"policy": {"name": SCRIPT, "values": {SCRIPT: SCRIPT}, "secrets": [SCRIPT],
                "overridden": [SCRIPT]}, "quarantined": trouble}),
            ),
            (View::Verify, json!({})),
            (View::Login, json!({"next": "/?a=1&b=2", "wrong": SCRIPT})),
            (View::Error, json!({"detail": SCRIPT})),
        ];
        for (view, facts) in views {
            let page = page(view, facts);
            for markup in ["<script>", "<img", "\u{202e}", "style=", "onclick"] {
                assert!(!page.contains(markup), "{view:?}: {markup}\n{page}");
            }
            assert!(page.contains("&lt;script&gt;"), "{view:?}");
        }
    }

    #[test]
    fn pages_load_only_files_that_there_are() {
        for item in ITEMS {
            assert!(item.path.starts_with('/'));
        }
        for view in [View::Verify, View::Login] {
            let page = page(view, json!({}));
            for part in page.split("\"/assets/").skip(1) {
                let name = part.split('"').next().unwrap();
                assert!(asset(name).is_some(), "{name}");
            }
        }
        assert!(asset("../Cargo.toml").is_none());
    }
}
