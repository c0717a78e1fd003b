//! The encodings that commits name for their messages, and whether git may show a message in one as a record.

/// How git decodes the ASCII bytes of a message in some encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// The message is UTF-8 or ASCII, and shown as it is.
    Utf8,
    /// Each ASCII byte is that character, unless it is part of a longer character.
    Extended,
    /// As `Extended`, except in escape sequences and in the text between them.
    Shifting,
    /// ASCII bytes can be other characters, or the encoding is unknown.
    Other,
}

/// Encodings that contain ASCII, by the names that the C library knows, in lower case and with `-` for `_`.
const EXTENDED: [&str; 33] = [
    "big5",
    "big5-hkscs",
    "big5hkscs",
    "cp874",
    "cp932",
    "cp936",
    "cp949",
    "cp950",
    "euc-cn",
    "euc-jp",
    "euc-kr",
    "euc-tw",
    "euccn",
    "eucjp",
    "euckr",
    "euctw",
    "gb18030",
    "gb2312",
    "gbk",
    "koi8-r",
    "koi8-u",
    "koi8r",
    "koi8u",
    "latin-1",
    "latin-9",
    "mac",
    "macintosh",
    "shift-jis",
    "sjis",
    "tis-620",
    "tis620",
    "windows-31j",
    "windows-936",
];

/// Families of encodings that contain ASCII: the beginning of their names, and the numbers that may follow.
const FAMILIES: [(&str, &[u16]); 10] = [
    ("iso-8859-", PARTS),
    ("iso8859-", PARTS),
    ("latin", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ("l", &[1, 2, 3, 4, 5, 6, 7, 8, 10]),
    ("windows-", WINDOWS),
    ("cp", WINDOWS),
    ("cp", DOS),
    ("ibm", DOS),
    ("iso-ir-", &[100, 101, 109, 110, 126, 138, 144, 148]),
    ("iso8859", PARTS),
];

const PARTS: &[u16] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16];
const WINDOWS: &[u16] = &[1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258];
const DOS: &[u16] = &[
    437, 737, 775, 850, 852, 855, 857, 860, 861, 862, 863, 865, 866, 869,
];

/// How this encoding treats ASCII.
pub(crate) fn encoding(name: &[u8]) -> Encoding {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let name = name.replace('_', "-");
    let is_of = |(begin, numbers): &(&str, &[u16])| {
        let rest = name.strip_prefix(begin);
        rest.is_some_and(|rest| numbers.iter().any(|number| rest == number.to_string()))
    };
    match name.as_str() {
        "utf-8" | "utf8" | "us-ascii" | "ascii" => Encoding::Utf8,
        "hz" | "hz-gb-2312" => Encoding::Shifting,
        name if EXTENDED.contains(&name) => Encoding::Extended,
        name if name.starts_with("iso-2022-jp") => Encoding::Shifting,
        "iso-2022-kr" | "iso-2022-cn" => Encoding::Shifting,
        _ if FAMILIES.iter().any(is_of) => Encoding::Extended,
        _ => Encoding::Other,
    }
}

/// The message without escape sequences (ISO 2022) and marks (HZ) that change what its bytes stand for.
pub(crate) fn without_shifts(message: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(message.len());
    let mut rest = message;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after.first()) {
            (0x1b, _) => {
                let is_middle = |byte: &u8| (0x20..0x30).contains(byte);
                let length = rest.iter().take_while(|byte| is_middle(byte)).count();
                rest = rest.get(length + 1..).unwrap_or_default();
            }
            (0x0e | 0x0f, _) => {}
            (b'~', Some(b'{' | b'}' | b'\n')) => rest = &after[1..],
            _ => plain.push(*first),
        }
    }
    plain
}

/// Whether the characters of a record's subject are in this title, in order. Everything between them may be part of
/// characters that are not seen.
pub(crate) fn may_show_record(title: &[u8]) -> bool {
    let contains = |form: &[u8]| {
        let mut left = form;
        for byte in title {
            let Some((wanted, rest)) = left.split_first() else {
                break;
            };
            if byte == wanted || *wanted == b'0' && byte.is_ascii_digit() {
                left = rest;
            }
        }
        left.is_empty()
    };
    contains(b"audit:taskat0000-00-00T00:00:00Z") || contains(b"audit:begintrail")
}

#[cfg(test)]
mod tests {
    use super::{Encoding, encoding, may_show_record, without_shifts};

    #[test]
    fn encodings_that_write_ascii_differently_are_distinguished() {
        for (name, expect) in [
            ("UTF-8", Encoding::Utf8),
            ("ISO-8859-1", Encoding::Extended),
            ("ISO8859-15", Encoding::Extended),
            ("latin1", Encoding::Extended),
            ("latin-1", Encoding::Extended),
            ("Shift_JIS", Encoding::Extended),
            ("GB18030", Encoding::Extended),
            ("Windows-1252", Encoding::Extended),
            ("CP932", Encoding::Extended),
            ("CP850", Encoding::Extended),
            ("ISO-2022-JP", Encoding::Shifting),
            ("HZ", Encoding::Shifting),
            ("", Encoding::Other),
            ("UTF-7", Encoding::Other),
            ("UTF-16", Encoding::Other),
            ("IBM037", Encoding::Other),
            ("CP037", Encoding::Other),
            ("CP500", Encoding::Other),
            ("CP1047", Encoding::Other),
            ("CP930", Encoding::Other),
            ("CP933", Encoding::Other),
            ("CP939", Encoding::Other),
            ("ISO-8859-12", Encoding::Other),
            ("mine", Encoding::Other),
        ] {
            assert_eq!(encoding(name.as_bytes()), expect, "{name}");
        }
    }

    #[test]
    fn a_title_may_be_a_records_if_its_letters_are_there_in_order() {
        for title in [
            &b"audit:\xa0task\xa0a\xa0completed\xa0at\xa02026-01-02T03:04:05.678901Z"[..],
            b"au\xaddit: ta\x81\x30sk a failed at 2026-01-02T03:04:05Z",
            b"audit: begin\xa0trail",
        ] {
            assert!(may_show_record(title), "{}", title.escape_ascii());
        }
        for title in [
            &b"f\xfcr das audit: Tasks bis 2026-01-02"[..],
            b"audit: task a completed",
            b"",
        ] {
            assert!(!may_show_record(title), "{}", title.escape_ascii());
        }
    }

    #[test]
    fn shifts_are_left_out() {
        assert_eq!(
            without_shifts(b"a\x1b(Bb\x1b$Bc~{d~}e~\nf~g\x1b"),
            b"abcdef~g"
        );
    }
}
