//! Configuration in the environment: `GIT_CONFIG_COUNT` with its keys and values, and `GIT_CONFIG_PARAMETERS`, with which
//! `git -c` passes values to the programs that it starts. What git refuses is refused here too (`config.c`,
//! `git_config_from_parameters`).

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

/// A key, and its value. Without a value, it is true.
pub(super) type GivenValue = (Vec<u8>, Option<Vec<u8>>);

/// More values than fit into an environment are a mistake, and would take too long.
const MOST: usize = 100_000;

/// Reads the values in git's order. The error is the reason, in words for the operator.
pub(super) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Vec<GivenValue>, String> {
    let mut values = Vec::new();
    let count = variable("GIT_CONFIG_COUNT").unwrap_or_default();
    let count = match count.to_str().map(str::trim_start) {
        Some("") => 0,
        Some(text) => text
            .parse::<usize>()
            .ok()
            .filter(|count| *count <= MOST)
            .ok_or_else(|| {
                format!(
                    "GIT_CONFIG_COUNT is `{}`, and not a count",
                    text.escape_debug()
                )
            })?,
        None => return Err("GIT_CONFIG_COUNT is not a count".to_owned()),
    };
    for number in 0..count {
        let part = |name: &str| {
            let name = format!("GIT_CONFIG_{name}_{number}");
            variable(&name)
                .ok_or_else(|| format!("GIT_CONFIG_COUNT is {count}, and {name} is missing"))
        };
        let (key, value) = (part("KEY")?, part("VALUE")?);
        values.push((key.as_bytes().to_vec(), Some(value.as_bytes().to_vec())));
    }
    let parameters = variable("GIT_CONFIG_PARAMETERS").unwrap_or_default();
    let wrong = || "GIT_CONFIG_PARAMETERS is not as `git -c` writes it".to_owned();
    values.extend(parameters_of(parameters.as_bytes()).ok_or_else(wrong)?);
    Ok(values)
}

/// Parses `'KEY=VALUE'`, and `'KEY'='VALUE'` or `'KEY'=` of newer versions, separated by blanks.
fn parameters_of(text: &[u8]) -> Option<Vec<GivenValue>> {
    let mut values = Vec::new();
    let mut rest = text.trim_ascii_start();
    while !rest.is_empty() {
        let (first, after) = quoted(rest)?;
        rest = after;
        let value = if let Some(after) = rest.strip_prefix(b"=") {
            rest = after;
            let value = if rest.starts_with(b"'") {
                let (value, after) = quoted(rest)?;
                rest = after;
                Some(value)
            } else {
                None
            };
            (first, value)
        } else {
            match first.iter().position(|byte| *byte == b'=') {
                Some(at) => (first[..at].to_vec(), Some(first[at + 1..].to_vec())),
                None => (first, None),
            }
        };
        if !rest.is_empty() && !rest[0].is_ascii_whitespace() {
            return None;
        }
        values.push(value);
        rest = rest.trim_ascii_start();
    }
    Some(values)
}

/// Reads one word in the quotes of a shell, and returns the text after it. Outside the quotes, only `\'` and `\!` may
/// stand.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut rest = text.strip_prefix(b"'")?;
    loop {
        let end = rest.iter().position(|byte| *byte == b'\'')?;
        word.extend_from_slice(&rest[..end]);
        rest = &rest[end + 1..];
        match rest {
            [b'\\', escaped @ (b'\'' | b'!'), b'\'', ..] => {
                word.push(*escaped);
                rest = &rest[3..];
            }
            _ => return Some((word, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_in_both_forms() {
        let check = |text: &str, expect: Option<&[(&str, Option<&str>)]>| {
            let expect = expect.map(|values| -> Vec<GivenValue> {
                let bytes = |text: &str| text.as_bytes().to_vec();
                let pair = |(key, value): &(&str, Option<&str>)| (bytes(key), value.map(bytes));
                values.iter().map(pair).collect()
            });
            assert_eq!(parameters_of(text.as_bytes()), expect, "{text}");
        };
        check("", Some(&[]));
        check("'user.name=A b'", Some(&[("user.name", Some("A b"))]));
        check(
            "'user.name'='A=b' 'core.bare'  'x.y'=",
            Some(&[
                ("user.name", Some("A=b")),
                ("core.bare", None),
                ("x.y", None),
            ]),
        );
        check("'a.b=it'\\''s'", Some(&[("a.b", Some("it's"))]));
        check("'a.b'='1''c.d'", None);
        check("a.b=1", None);
        check("'a.b=1", None);
    }
}
