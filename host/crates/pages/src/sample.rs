//! The report of a sample: what was drawn, for people. A function of the proofs alone, so that it can be made again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{LayoutError, STYLE, environment};

const PAGE: &str = include_str!("sample.html");

const ENTRY_STYLE: &str =
    "pre { margin: .4rem 0; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }\n";

/// A sample of entries.
#[derive(Clone, Debug, Serialize)]
pub struct SampleFacts {
    /// The origin in the checkpoint, which identifies the trail.
    pub origin: String,
    /// The number of entries that the checkpoint covers.
    pub size: u64,
    /// The time of the checkpoint, if it has one.
    pub time: Option<String>,
    /// The nonce that drew the entries.
    pub nonce: String,
    /// The drawn entries, in the order in which they were drawn.
    pub entries: Vec<EntryFacts>,
}

/// An entry of a sample.
#[derive(Clone, Debug, Serialize)]
pub struct EntryFacts {
    index: u64,
    task_id: String,
    status: String,
    time: String,
    commit: String,
    text: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    status: String,
    timestamp: String,
}

impl EntryFacts {
    /// What the entry with this index says.
    pub fn new(index: u64, task_id: &str, commit: &str, entry: &str) -> EntryFacts {
        // What is no entry has no status; `verify` reports it.
        let parsed: Entry = serde_json::from_str(entry).unwrap_or_default();
        EntryFacts {
            index,
            task_id: task_id.to_owned(),
            status: parsed.status,
            time: parsed.timestamp,
            commit: commit.to_owned(),
            text: entry.to_owned(),
        }
    }
}

/// Renders the report: one HTML page without scripts. The same facts always give the same bytes.
///
/// # Errors
///
/// The page's template is wrong; no contents of an entry can cause that.
pub fn sample_report(facts: &SampleFacts) -> Result<String, LayoutError> {
    let style = format!("{STYLE}{ENTRY_STYLE}");
    let mut environment = environment();
    environment.add_template("page", PAGE)?;
    let failed = facts.entries.iter();
    let failed = failed.filter(|entry| entry.status == "failed").count();
    Ok(environment.get_template("page")?.render(context! {
        sample => Value::from(Serde(facts)),
        failed,
        style_digest => STANDARD.encode(Sha256::digest(&style)),
        style => Value::from_safe_string(style),
    })?)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{EntryFacts, SampleFacts, sample_report};

    #[test]
    fn markup_in_an_entry_is_shown_as_text() {
        let script = "<script>alert(1)</script>\u{202e}";
        let entry = format!(r#"{{"status": "{script}", "timestamp": "<b>"}}"#);
        let facts = SampleFacts {
            origin: script.into(),
            size: 7,
            time: Some(script.into()),
            nonce: script.into(),
            entries: vec![EntryFacts::new(3, script, script, &entry)],
        };
        let page = sample_report(&facts).unwrap();
        for markup in ["<script", "<b>\"", "\u{202e}"] {
            assert!(!page.contains(markup), "{markup}");
        }
        assert!(page.contains("&lt;script&gt;"));
        assert!(page.contains("\\u{202e}"));
    }
}
