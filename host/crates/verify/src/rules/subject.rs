//! The subjects of records: `audit: task ID STATUS at TIME`, or that of a genesis commit, as plain `git log` shows
//! them.

use super::message::is_printable;
use super::path;

/// Whether git shows exactly a host's subject for this message.
pub(crate) fn is_record(message: &[u8]) -> bool {
    let subject = displayed_subject(message);
    if subject == "audit: begin trail" {
        return true;
    }
    let Some(rest) = subject.strip_prefix("audit: task ") else {
        return false;
    };
    let parts: Vec<&str> = rest.split(' ').collect();
    let [task, status, "at", time] = parts[..] else {
        return false;
    };
    path::task_id(task.as_bytes()).is_ok() && !status.is_empty() && is_time(time)
}

/// How git decodes the ASCII bytes of a message in some encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// ASCII letters, digits and punctuation stand for themselves.
    Plain,
    /// They may stand for other characters after an escape sequence.
    Shifting,
    /// They stand for other characters.
    Other,
}

/// How this encoding treats ASCII.
pub(crate) fn encoding(name: &[u8]) -> Encoding {
    const PLAIN: [&str; 16] = [
        "utf-8", "utf8", "us-ascii", "ascii", "iso-8859", "iso8859", "latin", "windows-", "cp125",
        "cp93", "koi8", "euc", "gb", "big5", "shift", "sjis",
    ];
    const OTHER: [&str; 10] = [
        "utf-7", "utf7", "utf-16", "utf16", "utf-32", "utf32", "ucs", "unicode", "ibm", "ebcdic",
    ];
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let name = name.trim().replace('_', "-");
    let begins = |beginnings: &[&str]| beginnings.iter().any(|begin| name.starts_with(begin));
    match (begins(&PLAIN), begins(&OTHER)) {
        (true, _) => Encoding::Plain,
        (_, true) => Encoding::Other,
        _ => Encoding::Shifting,
    }
}

/// The first paragraph on one line, as git shows it, without invisible characters and with plain spaces.
fn displayed_subject(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let lines = text.lines().skip_while(|line| line.trim().is_empty());
    let title: Vec<&str> = lines.take_while(|line| !line.trim().is_empty()).collect();
    let visible: String = title
        .join(" ")
        .chars()
        .filter(|letter| letter.is_whitespace() || is_visible(*letter))
        .collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a character is visible: not a control or format character, and not a variation selector or joiner.
fn is_visible(letter: char) -> bool {
    is_printable(letter)
        && !matches!(letter, '\u{34f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// `YYYY-MM-DDThh:mm:ss`, with or without a fraction, and `Z`.
fn is_time(text: &str) -> bool {
    let Some((second, fraction)) = text
        .strip_suffix('Z')
        .and_then(|text| text.split_at_checked(19))
    else {
        return false;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    super::time::seconds(&format!("{second}.000000Z")).is_some()
        && (fraction.is_empty() || fraction.strip_prefix('.').is_some_and(digits))
}

#[cfg(test)]
mod tests {
    use super::{Encoding, encoding, is_record};

    #[test]
    fn encodings_that_write_ascii_differently_are_distinguished() {
        for (name, expect) in [
            ("UTF-8", Encoding::Plain),
            ("ISO-8859-15", Encoding::Plain),
            ("Shift_JIS", Encoding::Plain),
            ("GB18030", Encoding::Plain),
            ("Windows-1252", Encoding::Plain),
            ("ISO-2022-JP", Encoding::Shifting),
            ("HZ", Encoding::Shifting),
            ("", Encoding::Shifting),
            ("UTF-7", Encoding::Other),
            ("UTF-16", Encoding::Other),
            ("IBM037", Encoding::Other),
        ] {
            assert_eq!(encoding(name.as_bytes()), expect, "{name}");
        }
    }

    #[test]
    fn only_the_hosts_form_is_a_records() {
        for good in [
            "audit: task a completed at 2026-01-02T03:04:05.678901Z",
            "\naudit: task a completed\nat 2026-01-02T03:04:05.678901Z\n\nbody\n",
            "audit:  task a.b rolled-back at 2026-01-02T03:04:05Z  ",
            "audit: ta\u{200b}sk a failed at 2026-01-02T03:04:05.678901Z",
            "audit: ta\u{e0061}sk a\u{ad} failed at 2026-01-02T03:04:05.678901Z",
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
            "",
        ] {
            assert!(!is_record(other.as_bytes()), "{other:?}");
        }
    }
}
