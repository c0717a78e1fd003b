//! The subjects of records: `audit: task ID STATUS at TIME`, or that of a genesis commit, as plain `git log` shows
//! them.

use super::entry::Entry;
use super::message::{is_printable, shown};
use super::path;
use super::time::MAX_ENTRY_AGE;
use super::trailers::is_blank;
use crate::quote::quote;

/// The statuses that every host knows.
const STATUSES: [&str; 4] = ["completed", "failed", "rejected", "cancelled"];

/// A record that a commit resembles, by its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Imitated {
    /// The genesis commit of a trail.
    Genesis,
    /// The record of an entry.
    Record {
        task: String,
        status: String,
        time: String,
    },
    /// Either of these, with characters that are invisible or look blank in some fonts.
    Blurred,
}

/// The record that this message resembles, if git shows a host's subject for it.
pub(crate) fn imitated(message: &[u8]) -> Option<Imitated> {
    let title = title(message);
    let title = without_colours(&title);
    let visible: String = title
        .chars()
        .filter(|letter| letter.is_whitespace() || is_visible(*letter))
        .collect();
    let subject = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    exact(&subject).or_else(|| {
        let is_clear = |letter: char| letter.is_ascii() || is_visible(letter) && is_inked(letter);
        if title.chars().all(is_clear) {
            return None;
        }
        let inked: String = title
            .chars()
            .filter(|letter| !letter.is_whitespace() && is_visible(*letter) && is_inked(*letter))
            .collect();
        is_squeezed(&inked).then_some(Imitated::Blurred)
    })
}

/// Whether git shows exactly a host's subject for this message.
pub(crate) fn is_record(message: &[u8]) -> bool {
    imitated(message).is_some()
}

/// Compares a trail commit's subject with its entry, if it has the form of a record's. Policies may write subjects in
/// other forms.
///
/// # Errors
///
/// Says what differs.
pub(crate) fn check_agrees(message: &[u8], entry: &Entry) -> Result<(), String> {
    let (task, status, time) = match imitated(message) {
        None => return Ok(()),
        Some(Imitated::Record { task, status, time }) => (task, status, time),
        Some(Imitated::Genesis) => {
            let why = "its subject is that of a trail's first commit, and it adds an entry";
            return Err(why.to_owned());
        }
        Some(Imitated::Blurred) => {
            let why = "its subject looks like that of a record, with characters that are not seen";
            return Err(why.to_owned());
        }
    };
    // A policy may write another word than its entry, such as `done`, but not another status.
    let is_status = status == entry.status || !STATUSES.contains(&status.as_str());
    // A policy may have asked for the time twice.
    let apart = seconds(&time).map(|said| said.abs_diff(entry.seconds));
    let is_near = apart.is_some_and(|apart| apart <= MAX_ENTRY_AGE.unsigned_abs());
    let pairs = [
        ("task", &task, &entry.task_id, task == entry.task_id),
        ("status", &status, &entry.status, is_status),
        ("time", &time, &entry.timestamp, is_near),
    ];
    match pairs.into_iter().find(|(.., agrees)| !agrees) {
        None => Ok(()),
        Some((what, said, is, _)) => Err(format!(
            "its subject says that the {what} is {}, and its entry says {}",
            quote(said.as_bytes()),
            quote(is.as_bytes())
        )),
    }
}

/// The first paragraph on one line, as git shows it.
fn title(message: &[u8]) -> String {
    String::from_utf8_lossy(&raw_title(message)).into_owned()
}

/// The first paragraph of a message in any encoding that contains ASCII.
pub(crate) fn raw_title(message: &[u8]) -> Vec<u8> {
    let lines = shown(message).split(|byte| *byte == b'\n');
    let lines = lines.skip_while(|line| is_blank(line));
    let title: Vec<&[u8]> = lines.take_while(|line| !is_blank(line)).collect();
    title.join(&b' ')
}

fn exact(subject: &str) -> Option<Imitated> {
    if subject == "audit: begin trail" {
        return Some(Imitated::Genesis);
    }
    let rest = subject.strip_prefix("audit: task ")?;
    let parts: Vec<&str> = rest.split(' ').collect();
    let [task, status, "at", time] = parts[..] else {
        return None;
    };
    let is_record = path::task_id(task.as_bytes()).is_ok() && is_time(time);
    is_record.then(|| Imitated::Record {
        task: task.to_owned(),
        status: status.to_owned(),
        time: time.to_owned(),
    })
}

/// Whether a record's subject reads like this without its blanks.
fn is_squeezed(subject: &str) -> bool {
    if subject == "audit:begintrail" {
        return true;
    }
    let Some(rest) = subject.strip_prefix("audit:task") else {
        return false;
    };
    let mut ends = rest.match_indices("at").map(|(at, _)| &rest[at + 2..]);
    ends.any(is_time)
}

/// The text without the sequences that change colours and the like in a terminal, which git's pager lets pass.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_start = match letter {
            '\u{1b}' => letters.next_if_eq(&'[').is_some(),
            '\u{9b}' => true,
            _ => {
                plain.push(letter);
                false
            }
        };
        if is_start {
            while letters
                .next_if(|letter| (' '..='?').contains(letter))
                .is_some()
            {}
            letters.next_if(|letter| ('@'..='~').contains(letter));
        }
    }
    plain
}

/// Whether a character is visible: not a control or format character, and not a variation selector or joiner.
fn is_visible(letter: char) -> bool {
    is_printable(letter)
        && !matches!(letter, '\u{34f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Whether a visible character leaves ink: Braille without dots and the fillers of Unicode's
/// `Default_Ignorable_Code_Point` do not, and fonts differ in whether these are as wide as others.
fn is_inked(letter: char) -> bool {
    !matches!(letter,
        '\u{2800}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{2065}' | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e0fff}')
}

/// `YYYY-MM-DDThh:mm:ss`, with or without a fraction, and `Z`.
fn is_time(text: &str) -> bool {
    seconds(text).is_some()
}

/// The seconds since 1970 of a time in a subject, without its fraction.
fn seconds(text: &str) -> Option<i64> {
    let (second, fraction) = text.strip_suffix('Z')?.split_at_checked(19)?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_fraction = fraction.is_empty() || fraction.strip_prefix('.').is_some_and(digits);
    super::time::seconds(&format!("{second}.000000Z")).filter(|_| is_fraction)
}

#[cfg(test)]
mod tests {
    use super::{Imitated, imitated, is_record};

    #[test]
    fn only_the_hosts_form_is_a_records() {
        for good in [
            "audit: task a completed at 2026-01-02T03:04:05.678901Z",
            "\naudit: task a completed\nat 2026-01-02T03:04:05.678901Z\n\nbody\n",
            "audit:  task a.b rolled-back at 2026-01-02T03:04:05Z  ",
            "audit: ta\u{200b}sk a failed at 2026-01-02T03:04:05.678901Z",
            "audit: ta\u{e0061}sk a\u{ad} failed at 2026-01-02T03:04:05.678901Z",
            "audit:\u{1b}[m task a failed at 2026-01-02T03:04:05.678901Z",
            "audit: \u{9b}1;31mtask a failed at 2026-01-02T03:04:05.678901Z",
            "audit:\u{3164}task\u{3164}a\u{3164}failed\u{3164}at\u{3164}2026-01-02T03:04:05.678901Z",
            "audit:\u{2800}task a failed\u{2800}at 2026-01-02T03:04:05.678901Z",
            "audit: ta\u{115f}sk a failed at 2026-01-02T03:04:05.678901Z",
            "audit:\u{3164}begin\u{3164}trail",
            "audit: task a failed at 2026-01-02T03:04:05.678901Z\u{0}more",
            "audit: task a failed\n\u{a0}\nat 2026-01-02T03:04:05.678901Z\n",
            "audit: task a failed\n\u{c}\nat 2026-01-02T03:04:05.678901Z\n",
            "audit: begin trail\n",
        ] {
            assert!(is_record(good.as_bytes()), "{good:?}");
        }
        for other in [
            "Revert \"audit: task a completed at 2026-01-02T03:04:05.678901Z\"",
            "audit: task a completed",
            "audit: task list was completed at last",
            "audit: task a completed at 2026-13-02T03:04:05Z",
            "audit: task a/b completed at 2026-01-02T03:04:05Z",
            "audit: begin trailing",
            "\u{2800}\u{3164}",
            "audit: task \u{e4} failed at 2026-01-02T03:04:05.678901Z later",
            "\u{1b}",
            "",
        ] {
            assert!(!is_record(other.as_bytes()), "{other:?}");
        }
    }

    #[test]
    fn a_subject_names_a_task_a_status_and_a_time() {
        let found = imitated(b"audit: task a failed at 2026-01-02T03:04:05.678901Z\n\nbody\n");
        let expect = Imitated::Record {
            task: "a".to_owned(),
            status: "failed".to_owned(),
            time: "2026-01-02T03:04:05.678901Z".to_owned(),
        };
        assert_eq!(found, Some(expect));
    }
}
