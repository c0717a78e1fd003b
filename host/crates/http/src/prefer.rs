//! Preferences (RFC 7240): how long a caller is willing to wait.

use axum::http::HeaderMap;

/// The seconds of the preference `wait`; `None` if it is missing or not a number.
pub fn wait(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all("prefer").iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    // Several headers form one list, and only the first preference of a name counts.
    let mut preferences = texts.flat_map(|text| split(text, ','));
    let (_, value) = preferences.find_map(|preference| {
        let preference = split(preference, ';').next()?;
        let (name, value) = match preference.split_once('=') {
            Some((name, value)) => (name, unquoted(value.trim())),
            None => (preference, String::new()),
        };
        let is_wait = name.trim().eq_ignore_ascii_case("wait");
        is_wait.then_some(((), value))
    })?;
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    // A number that is too large to parse becomes the maximum.
    is_number.then(|| value.parse().unwrap_or(u64::MAX))
}

/// Splits at separators that are not inside quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return character == separator && !quoted,
        }
        false
    })
}

fn unquoted(value: &str) -> String {
    let inner = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    let Some(inner) = inner else {
        return value.to_owned();
    };
    let mut escaped = false;
    inner
        .chars()
        .filter(|character| {
            escaped = *character == '\\' && !escaped;
            !escaped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::wait;

    #[test]
    fn a_wait_is_found_however_it_is_written() {
        for (headers, expected) in [
            (&["wait=5"][..], Some(5)),
            (&["WAIT=1"], Some(1)),
            (&["wait=1; x=y"], Some(1)),
            (&["wait = 7 ;a"], Some(7)),
            (&["wait=\"8\""], Some(8)),
            (&["wait=\"\\8\""], Some(8)),
            (&["respond-async, wait=10"], Some(10)),
            (&["respond-async; wait=10"], None),
            (&["respond-async", "Wait=3"], Some(3)),
            (&["foo=\"a, wait=9\", wait=2"], Some(2)),
            (&["foo=\"\\\", wait=9\", wait=2"], Some(2)),
            (&["wait=1, wait=2"], Some(1)),
            (&["wait=soon, wait=2"], None),
            (&["wait"], None),
            (&["wait="], None),
            (&["wait=-1"], None),
            (&["wait=+1"], None),
            (&["wait=1.5"], None),
            (&["waiting=1"], None),
            (&["wait=99999999999999999999"], Some(u64::MAX)),
            (&[""], None),
            (&[], None),
        ] {
            let mut map = HeaderMap::new();
            for header in headers {
                map.append("prefer", HeaderValue::from_static(header));
            }
            assert_eq!(wait(&map), expected, "{headers:?}");
        }
    }
}
