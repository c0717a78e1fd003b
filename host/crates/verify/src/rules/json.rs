//! A strict JSON parser (RFC 8259): rejects duplicate keys at any depth, in any escaped form, lone surrogates, and
//! anything after the document. It does not recurse, and builds only the few strings that are asked for.

use std::borrow::Cow;

/// Outcomes nest at most 64 levels, and entries a few more. The limit bounds memory, and no honest policy reaches it.
const MAX_DEPTH: usize = 1024;

/// The value of a member of the document.
pub(crate) enum Value<'a> {
    Text(Cow<'a, str>),
    /// Any other value than a string, as it is written.
    Other(&'a str),
}

/// The members of a document that were asked for.
pub(crate) struct Members<'a, const N: usize> {
    /// Their values.
    pub(crate) values: [Option<Value<'a>>; N],
    /// A key that differs from a wanted one only by case.
    pub(crate) similar: Option<Cow<'a, str>>,
}

/// Parses a document, which must be an object. Returns its `wanted` members.
///
/// # Errors
///
/// Describes what is wrong with the document.
pub(crate) fn members<'a, const N: usize>(
    document: &'a str,
    wanted: [&str; N],
) -> Result<Members<'a, N>, &'static str> {
    let mut reader = Reader {
        text: document,
        bytes: document.as_bytes(),
        at: 0,
    };
    let mut found = Members {
        values: [const { None }; N],
        similar: None,
    };
    // The open containers: the start of an object's keys, or `None` for an array.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut keys: Vec<Cow<'a, str>> = Vec::new();
    reader.space();
    if reader.peek() != Some(b'{') {
        return Err("is not a JSON object");
    }
    // Where the value of the document's last key starts.
    let mut start = 0;
    loop {
        // A value starts here.
        let mut text = None;
        if open.len() == 1 {
            start = reader.at;
        }
        match reader.next() {
            Some(b'{') => {
                open.push(Some(keys.len()));
                reader.space();
                if reader.peek() != Some(b'}') {
                    keys.push(reader.key()?);
                    continue;
                }
            }
            Some(b'[') => {
                open.push(None);
                reader.space();
                if reader.peek() != Some(b']') {
                    continue;
                }
            }
            Some(b'"') => text = Some(reader.string()?),
            Some(b't') => reader.word("rue")?,
            Some(b'f') => reader.word("alse")?,
            Some(b'n') => reader.word("ull")?,
            Some(first @ (b'-' | b'0'..=b'9')) => reader.number(first)?,
            _ => return Err("is not valid JSON"),
        }
        if open.len() > MAX_DEPTH {
            return Err("is nested too deep");
        }
        if open.len() == 1
            && let Some(place) = keys
                .last()
                .and_then(|key| wanted.iter().position(|name| key == name))
        {
            let raw = &document[start..reader.at];
            found.values[place] = Some(text.map_or(Value::Other(raw), Value::Text));
        }
        // A value has ended here, or a container is empty: next comes the end of containers or another value.
        loop {
            reader.space();
            match (reader.next(), open.last()) {
                (Some(b','), Some(None)) => {
                    reader.space();
                    break;
                }
                (Some(b','), Some(Some(_))) => {
                    reader.space();
                    keys.push(reader.key()?);
                    break;
                }
                (Some(b'}'), Some(Some(first))) => {
                    if has_duplicates(&mut keys[*first..]) {
                        return Err("holds a key twice");
                    }
                    if open.len() == 1 {
                        let mut all = keys.drain(..);
                        found.similar = all.find(|key| is_similar(key, &wanted));
                    }
                    keys.truncate(*first);
                    open.pop();
                }
                (Some(b']'), Some(None)) => {
                    open.pop();
                }
                _ => return Err("is not valid JSON"),
            }
            if open.len() == 1
                && let Some(place) = keys
                    .last()
                    .and_then(|key| wanted.iter().position(|name| key == name))
                && found.values[place].is_none()
            {
                found.values[place] = Some(Value::Other(&document[start..reader.at]));
            }
            if open.is_empty() {
                reader.space();
                return if reader.peek().is_none() {
                    Ok(found)
                } else {
                    Err("continues after its end")
                };
            }
        }
    }
}

/// Whether a key differs from a wanted one, and only by case.
fn is_similar(key: &str, wanted: &[&str]) -> bool {
    !wanted.contains(&key) && wanted.iter().any(|name| key.eq_ignore_ascii_case(name))
}

/// A few keys are compared in pairs, more are sorted: a forged entry may have a million.
fn has_duplicates(keys: &mut [Cow<'_, str>]) -> bool {
    if keys.len() <= 8 {
        return keys
            .iter()
            .enumerate()
            .any(|(place, key)| keys[..place].contains(key));
    }
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Parses a key, its colon, and the space up to its value.
    fn key(&mut self) -> Result<Cow<'a, str>, &'static str> {
        if self.next() != Some(b'"') {
            return Err("is not valid JSON");
        }
        let key = self.string()?;
        self.space();
        if self.next() != Some(b':') {
            return Err("is not valid JSON");
        }
        self.space();
        Ok(key)
    }

    fn word(&mut self, rest: &str) -> Result<(), &'static str> {
        if !self.bytes[self.at..].starts_with(rest.as_bytes()) {
            return Err("is not valid JSON");
        }
        self.at += rest.len();
        Ok(())
    }

    fn digits(&mut self) -> Result<(), &'static str> {
        let begin = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == begin {
            Err("is not valid JSON")
        } else {
            Ok(())
        }
    }

    /// Parses a number after its first character. It must be finite as an IEEE 754 double: others are read as infinite,
    /// as another number, or not at all.
    fn number(&mut self, first: u8) -> Result<(), &'static str> {
        let begin = self.at - 1;
        let first = if first == b'-' {
            self.next()
        } else {
            Some(first)
        };
        match first {
            Some(b'0') => {}
            Some(b'1'..=b'9') => {
                while matches!(self.peek(), Some(b'0'..=b'9')) {
                    self.at += 1;
                }
            }
            _ => return Err("is not valid JSON"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        match self.text[begin..self.at].parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(()),
            _ => Err("holds a number that is not finite as a double"),
        }
    }

    /// Parses a string after its opening quote.
    fn string(&mut self) -> Result<Cow<'a, str>, &'static str> {
        let mut begin = self.at;
        let mut built = String::new();
        loop {
            match self.next() {
                Some(b'"') => {
                    let rest = &self.text[begin..self.at - 1];
                    if built.is_empty() {
                        return Ok(Cow::Borrowed(rest));
                    }
                    built.push_str(rest);
                    return Ok(Cow::Owned(built));
                }
                Some(b'\\') => {
                    built.push_str(&self.text[begin..self.at - 1]);
                    built.push(self.escape()?);
                    begin = self.at;
                }
                Some(0x20..) => {}
                _ => return Err("is not valid JSON"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, &'static str> {
        Ok(match self.next() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let high = self.hex()?;
                let code = match high {
                    0xd800..=0xdbff if self.bytes[self.at..].starts_with(b"\\u") => {
                        self.at += 2;
                        let low = self.hex()?.checked_sub(0xdc00).filter(|low| *low < 0x400);
                        0x10000 + ((high - 0xd800) << 10) + low.ok_or("holds a lone surrogate")?
                    }
                    _ => high,
                };
                char::from_u32(code).ok_or("holds a lone surrogate")?
            }
            _ => return Err("is not valid JSON"),
        })
    }

    fn hex(&mut self) -> Result<u32, &'static str> {
        let digits = self
            .bytes
            .get(self.at..self.at + 4)
            .ok_or("is not valid JSON")?;
        self.at += 4;
        digits
            .iter()
            .try_fold(0, |sum, digit| {
                Some(sum << 4 | char::from(*digit).to_digit(16)?)
            })
            .ok_or("is not valid JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::{Value, members};

    fn check(document: &str, expect: Result<&str, &str>) {
        let found =
            members(document, ["k"]).map(|found| match found.values.into_iter().next().flatten() {
                Some(Value::Text(text)) => text.into_owned(),
                Some(Value::Other(raw)) => format!("other: {raw}"),
                None => "(none)".to_owned(),
            });
        assert_eq!(found.as_deref().map_err(|why| *why), expect, "{document}");
    }

    #[test]
    fn members_of_the_outermost_object_are_found() {
        check(r#"{}"#, Ok("(none)"));
        check(r#" {"k":"v"} "#, Ok("v"));
        check(
            r#"{"a":{"k":"inner"},"k":[1,[],{}]}"#,
            Ok("other: [1,[],{}]"),
        );
        check(
            r#"{"a":[{"k":"inner"},-0.5e+3,true,null],"\u006b":"\ud83d\ude00\n"}"#,
            Ok("\u{1f600}\n"),
        );
        check(r#"{"k":12}"#, Ok("other: 12"));
        check(
            r#"{"k":{"k":{"k":1}} ,"a":{}}"#,
            Ok(r#"other: {"k":{"k":1}}"#),
        );
        check(r#"{"k": {},"a":[]}"#, Ok("other: {}"));
    }

    #[test]
    fn a_key_that_differs_only_by_case_is_returned() {
        for (document, expect) in [
            (r#"{"k":1,"K":2}"#, Some("K")),
            (r#"{"\u004b":[{"k":1}]}"#, Some("K")),
            (r#"{"k":{"K":2},"kk":1}"#, None),
        ] {
            let similar = members(document, ["k"]).map(|found| found.similar);
            assert_eq!(
                similar.as_ref().map(Option::as_deref),
                Ok(expect),
                "{document}"
            );
        }
    }

    #[test]
    fn what_is_no_strict_json_is_refused() {
        for document in [
            "",
            "[]",
            "\"k\"",
            "{",
            "{\"k\"}",
            "{\"k\":}",
            "{\"k\":1,}",
            "{,}",
            "{\"a\":[,1]}",
            "{\"a\":[1,]}",
            "{\"a\":[1}",
            "{\"a\":{]}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":+1}",
            "{\"a\":NaN}",
            "{\"a\":-}",
            "{\"a\":1e}",
            "{\"a\":tru}",
            "{'a':1}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12\"}",
            "{a:1}",
            "{\"a\" 1}",
            "{\"a\":1 \"b\":2}",
            "\u{feff}{}",
            "{\"a\":[[],,1]}",
        ] {
            assert!(members(document, ["k"]).is_err(), "{document}");
        }
        check("{\"a\":\"\\ud800\"}", Err("holds a lone surrogate"));
        check("{\"a\":\"\\ud800\\u0041\"}", Err("holds a lone surrogate"));
        check("{} {}", Err("continues after its end"));
        for number in ["1e999", "-1e400", &"9".repeat(400)] {
            check(
                &format!("{{\"a\":[{number}]}}"),
                Err("holds a number that is not finite as a double"),
            );
        }
        check(
            r#"{"a":[1e308,-1e-999,18446744073709551616]}"#,
            Ok("(none)"),
        );
        check(r#"{"k":"a","\u006b":"b"}"#, Err("holds a key twice"));
        check(r#"{"a":[{"b":1,"c":2,"b":3}]}"#, Err("holds a key twice"));
        let many: String = (0..20).map(|n| format!("\"x{}\":0,", n % 19)).collect();
        check(&format!("{{{many}\"y\":0}}"), Err("holds a key twice"));
        check(
            &format!("{{\"a\":{}{}}}", "[".repeat(2000), "]".repeat(2000)),
            Err("is nested too deep"),
        );
    }
}
