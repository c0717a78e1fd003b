//! Parameters of the query: read strictly, so that nothing is asked that the caller did not mean.
//!
//! What is no text, is given twice or is not known is refused by name. A lenient reader would ask for another service, or drop half of
//! what was said.

use axum::http::Uri;

use super::problem::Problem;

/// The parameters of a request, each once, by the names that are known.
///
/// # Errors
///
/// [`Kind::Parameter`](super::problem::Kind::Parameter), with the name.
pub fn read(uri: &Uri, known: &[&str]) -> Result<Vec<(String, String)>, Problem> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    for (name, value) in pairs(uri)? {
        let wrong = |detail: &str| Err(Problem::parameter(&name, detail));
        if !known.contains(&name.as_str()) {
            return wrong("is not a parameter of this");
        }
        if parameters.iter().any(|(given, _)| *given == name) {
            return wrong("is given twice");
        }
        parameters.push((name, value));
    }
    Ok(parameters)
}

/// Holds a query to text, whatever its parameters mean.
///
/// # Errors
///
/// As [`read`].
pub fn check_text(uri: &Uri) -> Result<(), Problem> {
    pairs(uri).map(drop)
}

/// A whole number in decimal digits and nothing else; no sign, no space.
pub fn number<N: std::str::FromStr>(value: &str) -> Option<N> {
    let is_plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| value.parse().ok()).flatten()
}

fn pairs(uri: &Uri) -> Result<Vec<(String, String)>, Problem> {
    let query = uri.query().unwrap_or_default();
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decoded(name).map_err(|detail| {
                let shown = name.chars().take(SHOWN).collect::<String>();
                Problem::parameter(&shown, detail)
            })?;
            let value = decoded(value).map_err(|detail| Problem::parameter(&name, detail))?;
            Ok((name, value))
        })
        .collect()
}

/// Characters of a name that is shown although it is no text.
const SHOWN: usize = 64;

/// A text from `application/x-www-form-urlencoded`.
fn decoded(encoded: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let code = high.zip(low).map(|(high, low)| high * 16 + low);
                let code = code.and_then(|code| u8::try_from(code).ok());
                bytes.push(code.ok_or("holds a `%` without two hexadecimal digits")?);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8")
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;

    use super::{number, read};

    fn check(query: &str, expected: Result<&[(&str, &str)], &str>) {
        let uri: Uri = format!("/x?{query}").parse().expect("a target");
        let found = read(&uri, &["a", "b", "é"]).map_err(|problem| {
            let error = &problem.errors[0];
            format!(
                "{}: {}",
                error.parameter.as_deref().unwrap_or_default(),
                error.detail
            )
        });
        let expected = expected.map(|pairs| {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<Vec<_>>()
        });
        assert_eq!(found, expected.map_err(str::to_owned), "{query}");
    }

    #[test]
    fn what_is_no_text_twice_or_unknown_is_refused_by_name() {
        check("", Ok(&[]));
        check("&&", Ok(&[]));
        check("a=1&b=2", Ok(&[("a", "1"), ("b", "2")]));
        check("a", Ok(&[("a", "")]));
        check("a=x+y%20z%2B%26%3d", Ok(&[("a", "x y z+&=")]));
        check("a=b=c", Ok(&[("a", "b=c")]));
        check("%C3%A9=%f0%9f%98%80", Ok(&[("é", "😀")]));
        check("a=%00", Ok(&[("a", "\0")]));
        check("a=%ff", Err("a: is not UTF-8"));
        check("a=%ed%a0%80", Err("a: is not UTF-8"));
        check("a=1&b=%c3", Err("b: is not UTF-8"));
        check("%ff=1", Err("%ff: is not UTF-8"));
        check("a=%", Err("a: holds a `%` without two hexadecimal digits"));
        check("a=%f", Err("a: holds a `%` without two hexadecimal digits"));
        check(
            "a=%+1",
            Err("a: holds a `%` without two hexadecimal digits"),
        );
        check("a=1&a=1", Err("a: is given twice"));
        check("a=1&%61=2", Err("a: is given twice"));
        check("c=1", Err("c: is not a parameter of this"));
        check("A=1", Err("A: is not a parameter of this"));
    }

    #[test]
    fn a_number_has_digits_and_nothing_else() {
        for (value, expected) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("99999999999999999999999", None),
            ("+1", None),
            ("-1", None),
            ("1.0", None),
            ("1e2", None),
            (" 1", None),
            ("1 ", None),
            ("٣", None),
            ("0x1", None),
            ("", None),
        ] {
            assert_eq!(number::<u32>(value), expected, "{value:?}");
        }
    }
}
