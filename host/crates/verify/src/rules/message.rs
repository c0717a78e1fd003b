//! The messages of trail commits: one line from the policy, and the host's trailers.

use super::trailers;
use crate::quote::quote;

/// The role of a commit, by its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A commit by a person.
    Person,
    /// The genesis commit of a trail.
    Genesis,
    /// The commit of an entry.
    Entry,
}

/// The trailers of a trail commit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Trailers<'a> {
    pub(crate) task: Option<&'a str>,
    pub(crate) trail: Option<&'a str>,
    pub(crate) placement: Option<&'a str>,
    pub(crate) policy: Option<&'a str>,
    pub(crate) settings: Option<&'a str>,
    pub(crate) reporter: Option<&'a str>,
}

/// Why no host writes this message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MessageError {
    /// It breaks a rule.
    Broken(String),
    /// Its format is newer than this version.
    Later(String),
}

/// The longest subject, in bytes.
const MAX_SUBJECT: usize = 200;

/// The role of a commit. A trail commit has a number in `Audit-Format` and a word in `Audit-Task` or `Audit-Trail`, in
/// the trailers that git finds. People may write about trailers elsewhere in their messages. Git ignores the case of
/// trailers, and so does this: a forged trailer counts as what a reader would take it for.
pub(crate) fn role(message: &[u8]) -> Role {
    let message = shown(message);
    if let Some(role) = role_of_hosts(message) {
        return role;
    }
    let (mut format, mut is_later, mut task, mut trail) = (false, false, false, false);
    for (name, value) in trailers::read(message) {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        let is_word = !value.is_empty() && !value.iter().any(u8::is_ascii_whitespace);
        if is("Audit-Format") && is_word && value.iter().all(u8::is_ascii_digit) {
            format = true;
            // The other trailers of a newer format are not known.
            is_later |= *value != b"1"[..];
        }
        task |= is_word && is("Audit-Task");
        trail |= is_word && is("Audit-Trail");
    }
    match (format, trail) {
        (true, true) => Role::Genesis,
        (true, false) if task || is_later => Role::Entry,
        _ => Role::Person,
    }
}

/// The part of a message that git shows: it stops at a zero byte.
pub(crate) fn shown(message: &[u8]) -> &[u8] {
    &message[..memchr::memchr(0, message).unwrap_or(message.len())]
}

/// The role of a message in the host's own form, which nearly all messages of a trail have. This avoids finding the
/// trailers as git does.
fn role_of_hosts(message: &[u8]) -> Option<Role> {
    const OTHERS: [&[u8]; 7] = [
        b"Audit-Interface: ",
        b"Audit-Policy: ",
        b"Audit-Settings: ",
        b"Audit-Outcome: ",
        b"Audit-Reporter: ",
        b"Audit-Signature: ",
        b"Audit-Placement: ",
    ];
    let at = memchr::memmem::find(message, b"\n\n")?;
    let block = message[at + 2..].strip_prefix(b"Audit-Format: 1\n")?;
    let mut role = None;
    for line in block.strip_suffix(b"\n")?.split(|byte| *byte == b'\n') {
        let (found, value) = match (
            line.strip_prefix(b"Audit-Task: "),
            line.strip_prefix(b"Audit-Trail: "),
        ) {
            (Some(task), _) => (Role::Entry, task),
            (_, Some(trail)) => (Role::Genesis, trail),
            _ if OTHERS.iter().any(|name| line.starts_with(name)) => continue,
            _ => return None,
        };
        // A repeated value, or one that is not a word, is handled as git does.
        if role.is_some() || value.is_empty() || value.iter().any(u8::is_ascii_whitespace) {
            return None;
        }
        role = Some(found);
    }
    role
}

/// Checks the message of a trail commit.
///
/// # Errors
///
/// Describes what no host writes.
pub(crate) fn check(message: &[u8], role: Role) -> Result<Trailers<'_>, MessageError> {
    let broken = |why: String| Err(MessageError::Broken(why));
    let Ok(text) = std::str::from_utf8(message) else {
        return broken("its message is not UTF-8".to_owned());
    };
    let Some((subject, rest)) = text.split_once('\n') else {
        return broken("its message is one line".to_owned());
    };
    if subject.is_empty() || subject.len() > MAX_SUBJECT || !subject.chars().all(is_printable) {
        return broken("its subject is not one printable line of at most 200 bytes".to_owned());
    }
    let Some(body) = rest
        .strip_prefix('\n')
        .and_then(|rest| rest.strip_suffix('\n'))
    else {
        return broken("its trailers are not in one paragraph after its subject".to_owned());
    };
    let mut trailers = Trailers::default();
    let mut seen: Vec<&str> = Vec::new();
    for line in body.split('\n') {
        let Some((key, value)) = line.split_once(": ") else {
            return broken(format!(
                "its trailers hold the line {}",
                quote(line.as_bytes())
            ));
        };
        if key == "Audit-Format"
            && value != "1"
            && !value.is_empty()
            && !value.starts_with('0')
            && value.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(MessageError::Later(format!(
                "it is of format {}, which this version does not know",
                quote(value.as_bytes())
            )));
        }
        match known(role, key) {
            None => {
                return broken(format!(
                    "it has the trailer {}, which no host writes there",
                    quote(key.as_bytes())
                ));
            }
            Some(_) if seen.contains(&key) => {
                return broken(format!("it has the trailer `{key}` twice"));
            }
            Some(check) if !check(value) => {
                return broken(format!(
                    "its trailer `{key}` is malformed: {}",
                    quote(value.as_bytes())
                ));
            }
            Some(_) => {
                if let Some(last) = seen.last()
                    && place(last) > place(key)
                {
                    return broken(format!(
                        "its trailer `{key}` is after `{last}`; a host writes it before"
                    ));
                }
                seen.push(key);
            }
        }
        match key {
            "Audit-Task" => trailers.task = Some(value),
            "Audit-Trail" => trailers.trail = Some(value),
            "Audit-Placement" => trailers.placement = Some(value),
            "Audit-Policy" => trailers.policy = Some(value),
            "Audit-Settings" => trailers.settings = Some(value),
            "Audit-Reporter" => trailers.reporter = Some(value),
            _ => {}
        }
    }
    let required: &[&str] = match role {
        Role::Genesis => &["Audit-Format", "Audit-Trail", "Audit-Placement"],
        _ => &[
            "Audit-Format",
            "Audit-Task",
            "Audit-Interface",
            "Audit-Policy",
            "Audit-Settings",
        ],
    };
    match required.iter().find(|key| !seen.contains(key)) {
        Some(key) => broken(format!("the trailer `{key}` is missing")),
        None => Ok(trailers),
    }
}

/// The order of trailers in a host's message.
const ORDER: [&str; 10] = [
    "Audit-Format",
    "Audit-Trail",
    "Audit-Placement",
    "Audit-Task",
    "Audit-Interface",
    "Audit-Policy",
    "Audit-Settings",
    "Audit-Outcome",
    "Audit-Reporter",
    "Audit-Signature",
];

fn place(key: &str) -> Option<usize> {
    ORDER.iter().position(|known| *known == key)
}

/// The check for a trailer's value; `None` if such a commit has no trailer with this name.
fn known(role: Role, key: &str) -> Option<fn(&str) -> bool> {
    Some(match (role, key) {
        (_, "Audit-Format") => |value| value == "1",
        (Role::Genesis, "Audit-Trail") => is_uuid,
        (Role::Genesis, "Audit-Placement") => |value| matches!(value, "checkout" | "ref"),
        (Role::Entry, "Audit-Task") => |value| super::path::task_id(value.as_bytes()).is_ok(),
        (Role::Entry, "Audit-Interface") => is_interface,
        (Role::Entry, "Audit-Policy" | "Audit-Settings") => |value| is_digest(value, "sha256:"),
        (Role::Entry, "Audit-Outcome") => |value| is_digest(value, "hmac-sha256:"),
        (Role::Entry, "Audit-Reporter") => is_reporter,
        (_, "Audit-Signature") => is_extent,
        _ => return None,
    })
}

fn is_digest(value: &str, algorithm: &str) -> bool {
    value
        .strip_prefix(algorithm)
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(is_hex))
}

/// A name of 1 to 64 lower-case letters, digits, `.`, `_` and `-` that starts with a letter or a digit.
fn is_reporter(value: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let mut bytes = value.bytes();
    value.len() <= 64
        && bytes.next().is_some_and(is_plain)
        && bytes.all(|byte| is_plain(byte) || matches!(byte, b'.' | b'_' | b'-'))
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// The extent of a signature, or its absence.
fn is_extent(value: &str) -> bool {
    let number = |number: &str| {
        (1..=9).contains(&number.len())
            && !number.starts_with('0')
            && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    value == "unavailable" || value.strip_prefix("covers ").is_some_and(number)
}

fn is_uuid(value: &str) -> bool {
    let dash = |place| matches!(place, 8 | 13 | 18 | 23);
    value.len() == 36
        && value.bytes().enumerate().all(|(place, byte)| {
            if dash(place) {
                byte == b'-'
            } else {
                is_hex(byte)
            }
        })
}

fn is_interface(value: &str) -> bool {
    let Some(version) = value.strip_prefix("chiffon:audit@") else {
        return false;
    };
    let number = |part: &str| {
        (1..=9).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    version.split('.').count() == 3 && version.split('.').all(number)
}

/// Whether a character is visible and changes no others: not a control character, and not in Unicode's category `Cf` or
/// the two separators. Otherwise two different subjects could look the same.
pub(crate) fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::{Role, check, role};

    fn message() -> String {
        let digest = format!("sha256:{}", "0".repeat(64));
        format!(
            "audit: task a completed\n\nAudit-Format: 1\nAudit-Task: a\nAudit-Interface: \
             chiffon:audit@0.1.0\nAudit-Policy: {digest}\nAudit-Settings: {digest}\n"
        )
    }

    #[test]
    fn roles_are_read_from_the_last_paragraph() {
        let genesis =
            "audit: begin trail\n\nAudit-Format: 1\nAudit-Trail: x\nAudit-Placement: ref\n";
        for (text, expect) in [
            (message().as_str(), Role::Entry),
            (genesis, Role::Genesis),
            ("x\n\nAudit-Trail: x\nAudit-Format: 1\n", Role::Genesis),
            ("x\n\naudit-format : 1\nAUDIT-TASK:a", Role::Entry),
            (
                "x\n\nbody\n \nAudit-Task: a\nAudit-Format: 1\n\n\n",
                Role::Entry,
            ),
            ("x\n\nAudit-Task: ../a\nAudit-Format: 1\n", Role::Entry),
            ("x\n\nAudit-Format: 2\n", Role::Entry),
            ("x\n\nAudit-Format: 01\nAudit-Task: a\n", Role::Entry),
            ("Audit-Format: 1\nAudit-Task: a\n", Role::Person),
            (
                "x\n\nAudit-Format: 1\nAudit-Task: a\n\nlast\n",
                Role::Person,
            ),
            ("x\n\n  Audit-Format: 1\n  Audit-Task: a\n", Role::Person),
            // Text of people about trailers.
            (
                "x\n\nAudit-Format: says which version it is\n",
                Role::Person,
            ),
            ("x\n\nAudit-Format: 1\n", Role::Person),
            (
                "x\n\nAudit-Format: 1\nAudit-Task: names the task\n",
                Role::Person,
            ),
            (
                "x\n\nThe lines are\nAudit-Format: 1\nAudit-Task: a\n",
                Role::Person,
            ),
            ("", Role::Person),
            ("\n\n\n", Role::Person),
        ] {
            assert_eq!(role(text.as_bytes()), expect, "{text:?}");
        }
    }

    #[test]
    fn only_what_a_host_writes_is_accepted() {
        let good = message();
        assert_eq!(
            check(good.as_bytes(), Role::Entry).map(|trailers| trailers.task),
            Ok(Some("a"))
        );
        let other_subject = good.replace("audit: task a completed", "aufgezeichnet: \u{e4}");
        assert!(check(other_subject.as_bytes(), Role::Entry).is_ok());
        let longest = "x".repeat(64);
        for reporter in ["deploy-bot", "0", "a._-", longest.as_str()] {
            let text = format!("{good}Audit-Reporter: {reporter}\nAudit-Signature: covers 2\n");
            let trailers = check(text.as_bytes(), Role::Entry);
            assert_eq!(
                trailers.map(|trailers| trailers.reporter),
                Ok(Some(reporter))
            );
        }
        for reporter in [
            "",
            "-a",
            "A",
            "a b",
            " a",
            "a ",
            "a\t",
            "a\u{e4}",
            "a\r",
            &"x".repeat(65),
        ] {
            let text = format!("{good}Audit-Reporter: {reporter}\n");
            assert!(check(text.as_bytes(), Role::Entry).is_err(), "{reporter:?}");
        }
        let genesis = "audit: begin trail\n\nAudit-Format: 1\nAudit-Trail: \
             00000000-0000-4000-8000-000000000000\nAudit-Placement: ref\n";
        assert!(check(genesis.as_bytes(), Role::Genesis).is_ok());
        for bad in [
            format!("{genesis}Audit-Reporter: a\n"),
            "audit: begin trail\n\nAudit-Format: 1\nAudit-Placement: ref\nAudit-Trail: \
             00000000-0000-4000-8000-000000000000\n"
                .to_owned(),
        ] {
            assert!(check(bad.as_bytes(), Role::Genesis).is_err(), "{bad}");
        }
        for extent in ["covers 12", "unavailable"] {
            let text = format!("{good}Audit-Signature: {extent}\n");
            assert!(check(text.as_bytes(), Role::Entry).is_ok(), "{extent}");
        }
        for bad in [
            good.replace("Audit-Task: a\n", ""),
            good.replace("Audit-Task: a\n", "Audit-Task: a\nAudit-Task: b\n"),
            good.replace("Audit-Task: a\n", "Audit-Task: a b\n"),
            good.replace("Audit-Task", "audit-task"),
            good.replace("Audit-Format: 1\n", "Audit-Format: 1\nSigned-off-by: x\n"),
            good.replace("\n\n", "\n\nbody\n\n"),
            good.replace("\n\n", "\n"),
            good.replace("sha256:0", "sha256:X"),
            good.replace("@0.1.0", "@0.1"),
            good.replace("@0.1.0", "@0.01.0"),
            good.replace("Format: 1", "Format: 01"),
            good.replace("task a", "task\u{202e}a"),
            good.replace("task a", "task\u{0}a"),
            good.replace("task a", "task \u{200b}a"),
            good.replace("task a", "task a\u{e0061}"),
            good.replace("task a", "task\u{ad} a"),
            good.replace("task a", &"x".repeat(200)),
            good.trim_end().to_owned(),
            format!("{good}\n"),
            format!("{good} Audit-Outcome: x\n"),
            format!("{good}Audit-Reporter: a\nAudit-Reporter: a\n"),
            format!("{good}Audit-Reporter: a\nAudit-Reporter: b\n"),
            format!("{good}audit-reporter: a\n"),
            format!("{good}Audit-Reporter:a\n"),
            format!("{good}Audit-Reporter : a\n"),
            format!("{good}Audit-Signature: covers 1\nAudit-Reporter: a\n"),
            good.replace("Audit-Task: a\n", "Audit-Task: a\nAudit-Reporter: a\n"),
            good.replace(
                "Audit-Format: 1\nAudit-Task: a\n",
                "Audit-Task: a\nAudit-Format: 1\n",
            ),
            format!(
                "{good}Audit-Reporter: a\nAudit-Outcome: hmac-sha256:{}\n",
                "0".repeat(64)
            ),
            format!("{good}Audit-Signature: covers 01\n"),
        ] {
            assert!(check(bad.as_bytes(), Role::Entry).is_err(), "{bad}");
        }
    }
}
