//! Commit messages: the policy's subject, the host's trailers. Public format, never edited in place.

use std::fmt::Write;

use crate::Placement;
use outcome::Reporter;

/// The trailer that makes a commit a trail commit; its value is the version of the format.
pub(super) const FORMAT: &str = "Audit-Format";
/// Names the task whose entry the commit adds.
pub(super) const TASK: &str = "Audit-Task";
/// Names the version of the interface that the policy was built for.
pub(super) const INTERFACE: &str = "Audit-Interface";
/// Names the policy that decided.
pub(super) const POLICY: &str = "Audit-Policy";
/// Names the settings that it decided by.
pub(super) const SETTINGS: &str = "Audit-Settings";
/// Names who reported the outcome, if the report came with a name.
pub(super) const REPORTER: &str = "Audit-Reporter";
/// Gives the trail its identity, in the genesis commit.
pub(super) const TRAIL: &str = "Audit-Trail";
/// Says what kind of trail the genesis commit began.
pub(super) const PLACEMENT: &str = "Audit-Placement";

/// What a commit says beside its subject.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// The version of the interface that the policy was built for, `chiffon:audit@X.Y.Z`.
    pub interface: String,
    /// Digest of the policy component, `sha256:…`.
    pub policy: String,
    /// Digest of the policy's settings, `sha256:…`.
    pub settings: String,
    /// Keyed digest of the submission, `hmac-sha256:…`, where the operator has given the trail a secret.
    pub outcome: Option<String>,
    /// Who reported the outcome, if that is known.
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
        "{subject}\n\n{FORMAT}: 1\n{TASK}: {task_id}\n{INTERFACE}: {interface}\n{POLICY}: {policy}\n{SETTINGS}: {settings}\n"
    );
    if let Some(outcome) = outcome {
        let _ = writeln!(message, "Audit-Outcome: {outcome}");
    }
    if let Some(reporter) = reporter {
        let _ = writeln!(message, "{REPORTER}: {reporter}");
    }
    message
}

/// The message of the commit that begins a trail.
pub(super) fn genesis_message(uuid: &str, placement: Placement) -> String {
    format!("audit: begin trail\n\n{FORMAT}: 1\n{TRAIL}: {uuid}\n{PLACEMENT}: {placement}\n")
}

/// The trailers of a message: the lines of its last paragraph, if that is not the subject's.
pub(super) fn trailers(message: &str) -> impl Iterator<Item = (&str, &str)> {
    let body = message.trim_end_matches('\n');
    let last = body.rsplit_once("\n\n").map_or("", |(_, last)| last);
    last.lines().filter_map(|line| line.split_once(": "))
}

/// Whether this is the message of a commit of the trail: a format by its number, and a task or a trail. People may write about trailers.
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

/// Who reported, as far as a message says so in form; `verify` calls anything else by its name.
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
