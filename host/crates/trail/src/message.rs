//! Commit messages: the policy's subject, the host's trailers. Public format, never edited in place.

use std::fmt::Write;
use std::ops::RangeInclusive;

use crate::Placement;
use outcome::Reporter;

/// The versions of the trail's format that can be read. The last is the one that is written.
pub const FORMAT_VERSIONS: RangeInclusive<u32> = 1..=VERSION;

/// The version of the trail's format that is written.
const VERSION: u32 = 1;

/// The trailer that makes a commit a trail commit. Its value is the version of the format.
pub(super) const FORMAT: &str = "Audit-Format";
/// The trailer for the task whose entry the commit adds.
pub(super) const TASK: &str = "Audit-Task";
/// The trailer for the version of the interface that the policy was built for.
pub(super) const INTERFACE: &str = "Audit-Interface";
/// The trailer for the digest of the policy that decided.
pub(super) const POLICY: &str = "Audit-Policy";
/// The trailer for the digest of the policy's settings.
pub(super) const SETTINGS: &str = "Audit-Settings";
/// The trailer for the reporter of the outcome, if the report named one.
pub(super) const REPORTER: &str = "Audit-Reporter";
/// The trailer for the trail's uuid, in the genesis commit.
pub(super) const TRAIL: &str = "Audit-Trail";
/// The trailer for the trail's placement, in the genesis commit.
pub(super) const PLACEMENT: &str = "Audit-Placement";

/// What a commit says in its trailers, besides the task.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// The version of the interface that the policy was built for, `chiffon:audit@X.Y.Z`.
    pub interface: String,
    /// The digest of the policy component, `sha256:…`.
    pub policy: String,
    /// The digest of the policy's settings, `sha256:…`.
    pub settings: String,
    /// The keyed digest of the submission, `hmac-sha256:…`, if the operator has configured a secret.
    pub outcome: Option<String>,
    /// The reporter of the outcome, if known.
    pub reporter: Option<Reporter>,
}

/// The message of a commit that adds an entry.
pub(super) fn entry_message(subject: &str, task_id: &str, provenance: &Provenance) -> String {
    let Provenance {
        interface,
        policy,
        settings,
        outcome,
        reporter,
    } = provenance;
    let mut message = String::with_capacity(subject.len() + 320);
    let _ = write!(
        message,
        "{subject}\n\n{FORMAT}: {VERSION}\n{TASK}: {task_id}\n{INTERFACE}: {interface}\n{POLICY}: {policy}\n{SETTINGS}: {settings}\n"
    );
    if let Some(outcome) = outcome {
        let _ = writeln!(message, "Audit-Outcome: {outcome}");
    }
    if let Some(reporter) = reporter {
        let _ = writeln!(message, "{REPORTER}: {reporter}");
    }
    message
}

/// The message of a genesis commit, the first commit of a trail with a uuid.
pub(super) fn genesis_message(uuid: &str, placement: Placement) -> String {
    format!(
        "audit: begin trail\n\n{FORMAT}: {VERSION}\n{TRAIL}: {uuid}\n{PLACEMENT}: {placement}\n"
    )
}

/// The trailers of a message: the lines of its last paragraph, unless that is the subject.
pub(super) fn trailers(message: &str) -> impl Iterator<Item = (&str, &str)> {
    let body = message.trim_end_matches('\n');
    let last = body.rsplit_once("\n\n").map_or("", |(_, last)| last);
    last.lines().filter_map(|line| line.split_once(": "))
}

/// Whether this is the message of a trail commit: it has a format with a version number, and a task or a trail. People
/// may write about trailers in their own commits.
pub(super) fn is_of_trail(message: &str) -> bool {
    let is_number =
        |value: &str| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let is_word = |value: &str| !value.is_empty() && !value.contains(char::is_whitespace);
    trailer(message, FORMAT).is_some_and(is_number)
        && [TASK, TRAIL]
            .iter()
            .any(|name| trailer(message, name).is_some_and(is_word))
}

/// The value of one trailer.
pub(super) fn trailer<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    trailers(message)
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// The reporter that a message names. `None` if the value is not in the form that a host writes; `verify` reports
/// those.
pub(super) fn reporter(message: &str) -> Option<Reporter> {
    Reporter::parse(trailer(message, REPORTER)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_the_public_format() {
        let mut provenance = Provenance {
            interface: "chiffon:audit@0.1.7".into(),
            policy: "sha256:aa".into(),
            settings: "sha256:bb".into(),
            outcome: Some("hmac-sha256:cc".into()),
            reporter: Reporter::parse("deploy-bot").ok(),
        };
        let message = entry_message("audit: task a completed at T", "a", &provenance);
        assert_eq!(
            message,
            "audit: task a completed at T\n\nAudit-Format: 1\nAudit-Task: a\nAudit-Interface: chiffon:audit@0.1.7\n\
             Audit-Policy: sha256:aa\nAudit-Settings: sha256:bb\nAudit-Outcome: hmac-sha256:cc\nAudit-Reporter: deploy-bot\n"
        );
        assert_eq!(trailer(&message, TASK), Some("a"));
        assert_eq!(reporter(&message), provenance.reporter);
        provenance.reporter = None;
        let nameless = entry_message("audit: task a completed at T", "a", &provenance);
        assert_eq!(
            nameless,
            message.replace("Audit-Reporter: deploy-bot\n", "")
        );
        assert_eq!(reporter(&nameless), None);
        assert_eq!(reporter(&message.replace("deploy-bot", "Deploy Bot")), None);
    }

    #[test]
    fn what_people_write_about_trailers_is_no_record() {
        for (message, expect) in [
            ("s\n\nAudit-Format: 1\nAudit-Task: a\n", true),
            ("s\n\nAudit-Format: 1\nAudit-Trail: x\n", true),
            ("s\n\nAudit-Format: says which it is\n", false),
            ("s\n\nAudit-Format: 1\nAudit-Task: names the task\n", false),
        ] {
            assert_eq!(is_of_trail(message), expect, "{message:?}");
        }
    }

    #[test]
    fn a_subject_is_no_trailer() {
        assert_eq!(trailer("Audit-Format: 1\n", FORMAT), None);
    }
}
