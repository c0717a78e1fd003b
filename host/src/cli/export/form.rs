//! The forms of an exported entry. Public, like all JSON output: members are added, never changed.

use std::borrow::Cow;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::cli::Result;
use crate::cli::output::{SCHEMA, write_object};
use crate::cli::sealed_view::SealedView;
use crate::cli::show::EntryJson;
use crate::clock::Timestamp;
use crate::verify::TrailCommit;

/// An entry and the data to verify it.
pub(super) struct Entry<'a> {
    commit: String,
    path: Cow<'a, str>,
    blob: String,
    leaf: Option<String>,
    position: u64,
    policy: &'a str,
    settings: &'a str,
    reporter: Option<&'a str>,
    task_id: String,
    timestamp: String,
    bytes: Cow<'a, [u8]>,
    raw: Option<(String, String)>,
    pub(super) time: Timestamp,
}

/// The members that accompany the entry.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    task_id: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
}

#[derive(Serialize)]
struct Exported<'a> {
    schema: u32,
    position: u64,
    task_id: &'a str,
    time: &'a str,
    commit: &'a str,
    path: &'a str,
    blob: &'a str,
    leaf: Option<&'a str>,
    policy: &'a str,
    settings: &'a str,
    reporter: Option<&'a str>,
    entry: EntryJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_base64: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_base64: Option<&'a str>,
}

/// An event in the structured mode of CloudEvents 1.0. The specification allows only lower-case letters in extension
/// names. Its integers end at 2147483647, so ours are texts.
#[derive(Serialize)]
struct Event<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: &'static str,
    subject: &'a str,
    time: &'a str,
    datacontenttype: &'static str,
    auditposition: String,
    auditcommit: &'a str,
    auditpath: &'a str,
    auditblob: &'a str,
    auditleaf: &'a str,
    auditpolicy: &'a str,
    auditsettings: &'a str,
    /// CloudEvents has no empty attribute values, so this is absent if the commit names nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    auditreporter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auditcommitobject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<EntryJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<&'a str>,
}

impl<'a> Entry<'a> {
    /// `None` if the commit adds no entry that names its task and time; the audit reports why.
    pub(super) fn new(commit: &'a TrailCommit<'_>, raw: bool) -> Option<Entry<'a>> {
        let entry = commit.entry.filter(|_| !commit.is_genesis)?;
        let members: Members<'_> = serde_json::from_slice(entry.bytes).ok()?;
        let time = Timestamp::parse_rfc3339(&members.timestamp)?;
        let time = commit
            .seconds
            .map_or(time, |seconds| time.bounded_by_commit(seconds));
        Some(Entry {
            commit: commit.id.to_string(),
            path: String::from_utf8_lossy(entry.path),
            blob: entry.blob.to_string(),
            leaf: commit.leaf(),
            position: commit.position,
            policy: commit.policy,
            settings: commit.settings,
            reporter: commit.reporter,
            task_id: members.task_id.into_owned(),
            timestamp: members.timestamp.into_owned(),
            bytes: Cow::Borrowed(entry.bytes),
            raw: raw.then(|| (STANDARD.encode(entry.bytes), STANDARD.encode(commit.raw))),
            time,
        })
    }

    /// Opens sealed members, if the view does that. The raw bytes stay sealed: the proof is about them.
    pub(super) fn open(&mut self, view: &SealedView) -> Result<()> {
        let opened = match view.show(&self.task_id, &self.bytes)?.bytes {
            Cow::Owned(opened) => opened,
            Cow::Borrowed(_) => return Ok(()),
        };
        self.bytes = Cow::Owned(opened);
        Ok(())
    }

    /// Writes the entry as a line of NDJSON.
    pub(super) fn write_line(&self, out: impl io::Write) -> io::Result<()> {
        write_object(
            out,
            &Exported {
                schema: SCHEMA,
                position: self.position,
                task_id: &self.task_id,
                time: &self.timestamp,
                commit: &self.commit,
                path: &self.path,
                blob: &self.blob,
                leaf: self.leaf.as_deref(),
                policy: self.policy,
                settings: self.settings,
                reporter: self.reporter,
                entry: EntryJson::new(&self.bytes),
                entry_base64: self.raw.as_ref().map(|(entry, _)| entry.as_str()),
                commit_base64: self.raw.as_ref().map(|(_, commit)| commit.as_str()),
            },
        )
    }

    /// Writes the entry as a CloudEvent.
    pub(super) fn write_event(&self, source: &str, out: impl io::Write) -> io::Result<()> {
        let raw = self.raw.as_ref();
        write_object(
            out,
            &Event {
                specversion: "1.0",
                id: &self.commit,
                source,
                r#type: "chiffon.audit.entry.v1",
                subject: &self.task_id,
                time: &self.timestamp,
                datacontenttype: "application/json",
                auditposition: self.position.to_string(),
                auditcommit: &self.commit,
                auditpath: &self.path,
                auditblob: &self.blob,
                auditleaf: self.leaf.as_deref().unwrap_or_default(),
                auditpolicy: self.policy,
                auditsettings: self.settings,
                auditreporter: self.reporter,
                auditcommitobject: raw.map(|(_, commit)| commit.as_str()),
                data: raw.is_none().then(|| EntryJson::new(&self.bytes)),
                data_base64: raw.map(|(entry, _)| entry.as_str()),
            },
        )
    }
}
