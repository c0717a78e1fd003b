//! The trailers of a message as git parses them (trailer.c): the block of lines at its end, and their names and values.

use std::borrow::Cow;

/// The name and value of a trailer, trimmed.
pub(crate) type Trailer<'a> = (&'a [u8], Cow<'a, [u8]>);

/// The prefixes of lines that git itself writes.
const OWN: [&[u8]; 2] = [b"Signed-off-by: ", b"(cherry picked from commit "];

/// The line below which git ignores the rest of a message, as `git commit --verbose` writes it.
const SCISSORS: &[u8] = b"# ------------------------ >8 ------------------------\n";

/// The trailers of a message. The lines of a value are joined with a space.
pub(crate) fn read(message: &[u8]) -> Vec<Trailer<'_>> {
    let mut found: Vec<Trailer<'_>> = Vec::new();
    let mut goes_on = false;
    for line in block(message).split_inclusive(|byte| *byte == b'\n') {
        if goes_on
            && is_space(line[0])
            && let Some((_, value)) = found.last_mut()
        {
            let more = trim(line);
            let value = value.to_mut();
            if !value.is_empty() && !more.is_empty() {
                value.push(b' ');
            }
            value.extend_from_slice(more);
            continue;
        }
        let at = separator(line).filter(|at| *at > 0 && !is_comment(line));
        goes_on = at.is_some();
        found.extend(at.map(|at| {
            let value = Cow::Borrowed(trim(&line[at + 1..]));
            (trim(&line[..at]), value)
        }));
    }
    found
}

/// The lines of the trailer block; empty if there is none.
fn block(message: &[u8]) -> &[u8] {
    let text = &message[..end(message)];
    // The title is not a trailer.
    let mut title = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if is_blank(line) {
            break;
        }
        title += line.len();
    }
    let (mut trailers, mut others, mut continued) = (0_usize, 0_usize, 0_usize);
    let (mut is_own, mut only_blank) = (false, true);
    let mut below = text.len();
    while below > title {
        let begin = text[..below - 1].iter().rposition(|byte| *byte == b'\n');
        let begin = begin.map_or(0, |newline| newline + 1);
        let line = &text[begin..below];
        if is_comment(line) {
            others += continued;
            continued = 0;
        } else if is_blank(line) {
            if !only_blank {
                others += continued;
                let is_block = match is_own {
                    true => trailers * 3 >= others,
                    false => trailers > 0 && others == 0,
                };
                return if is_block { &text[below..] } else { &[] };
            }
        } else {
            only_blank = false;
            if OWN.iter().any(|own| line.starts_with(own)) {
                trailers += 1;
                continued = 0;
                is_own = true;
            } else if is_space(line[0]) {
                continued += 1;
            } else if separator(line).is_some_and(|at| at > 0) {
                trailers += 1;
                continued = 0;
            } else {
                others += 1 + continued;
                continued = 0;
            }
        }
        below = begin;
    }
    &[]
}

/// The end of the message for git: before comments, empty lines and a list of conflicts, all above the scissors.
fn end(message: &[u8]) -> usize {
    let message = &message[..scissors(message)];
    let mut end = None;
    let mut in_conflicts = false;
    let mut at = 0;
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if is_comment(line) || line == b"\n" {
            end.get_or_insert(at);
        } else if line == b"Conflicts:\n" {
            in_conflicts = true;
            end.get_or_insert(at);
        } else if !(in_conflicts && line.starts_with(b"\t")) {
            end = None;
            in_conflicts = false;
        }
        at += line.len();
    }
    end.unwrap_or(message.len())
}

/// The position of the line with scissors, or of the end.
fn scissors(message: &[u8]) -> usize {
    if message.starts_with(SCISSORS) {
        return 0;
    }
    let mut below = 0;
    while let Some(found) = memchr::memmem::find(&message[below..], SCISSORS) {
        let at = below + found;
        if message[..at].ends_with(b"\n") {
            return at;
        }
        below = at + 1;
    }
    message.len()
}

fn is_comment(line: &[u8]) -> bool {
    line.starts_with(b"#")
}

/// Whether a line is blank for git.
pub(super) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| is_space(*byte))
}

/// Whether a byte is white space for git, which does not count form feeds.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// A line without white space at its ends.
fn trim(line: &[u8]) -> &[u8] {
    let begin = line.iter().position(|byte| !is_space(*byte));
    let end = line.iter().rposition(|byte| !is_space(*byte));
    match (begin, end) {
        (Some(begin), Some(end)) => &line[begin..=end],
        _ => &[],
    }
}

/// The position of the colon in `name:`.
fn separator(line: &[u8]) -> Option<usize> {
    let mut is_after_name = false;
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b':' => return Some(at),
            byte if !is_after_name && (byte.is_ascii_alphanumeric() || *byte == b'-') => {}
            b' ' | b'\t' if at > 0 => is_after_name = true,
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn blocks_are_found_as_git_finds_them() {
        let check = |message: &str, expect: &[(&str, &str)]| {
            let found: Vec<(String, String)> = read(message.as_bytes())
                .iter()
                .map(|(name, value)| {
                    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                    (text(name), text(value))
                })
                .collect();
            let expect: Vec<_> = expect
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!(found, expect, "{message:?}");
        };
        check("s\n\nA: 1\nB : 2\n", &[("A", "1"), ("B", "2")]);
        check("s\n\nA: 1\nprose\n", &[]);
        check("s\n\nA: 1\u{c}\n", &[("A", "1\u{c}")]);
        check("s\n\nA:\u{c}1\n 2\u{b}\n", &[("A", "\u{c}1 2\u{b}")]);
        check(
            "s\n\nA: 1\n\u{c}\nSigned-off-by: a <b@c>\n",
            &[("A", "1"), ("Signed-off-by", "a <b@c>")],
        );
        check(
            "s\n\nA: 1\n  and more\nB:\n 2\n",
            &[("A", "1 and more"), ("B", "2")],
        );
        let scissors = "# ------------------------ >8 ------------------------\n";
        check(&format!("s\n\nA: 1\n{scissors}the end\n"), &[("A", "1")]);
        check(&format!("s\n\nA: 1\n {scissors}the end\n"), &[]);
        check(&format!("{scissors}\nA: 1\n"), &[]);
        check("s\n\nA: 1\n\n# comment\n\n", &[("A", "1")]);
        check("s\n\nA: 1\n\nlast\n", &[]);
        check("A: 1\n", &[]);
        check(
            "s\n\nSigned-off-by: x\nA: 1\none\ntwo\nthree\n",
            &[("Signed-off-by", "x"), ("A", "1")],
        );
        check("s\n\nA: 1\n\nConflicts:\n\tfile\n", &[("A", "1")]);
        check("s\n \nA: 1", &[("A", "1")]);
        check(
            "s\n\nA: 1 \u{2014} says: what\n",
            &[("A", "1 \u{2014} says: what")],
        );
        check("", &[]);
        check("\n\n\n", &[]);
    }
}
