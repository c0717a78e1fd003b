//! The parameters of a URL that concern TLS. Must not know what they mean together.

use std::path::PathBuf;

/// The parameters of TLS, as the URL gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TlsParameters {
    /// `sslmode`.
    pub(super) mode: Option<String>,
    /// `sslrootcert`: a file, or `system`.
    pub(super) root: Option<String>,
    /// `sslcert`.
    pub(super) certificate: Option<PathBuf>,
    /// `sslkey`.
    pub(super) key: Option<PathBuf>,
}

impl TlsParameters {
    /// Splits a URL into the part that the client library knows and the parameters of TLS. As in libpq, the last one of a
    /// name counts.
    ///
    /// # Errors
    ///
    /// A sentence that names the parameter which is not UTF-8.
    pub(super) fn split_off(text: &str) -> Result<(String, TlsParameters), String> {
        let mut taken = TlsParameters::default();
        let Some((before, parameters)) = text.split_once('?') else {
            return Ok((text.to_owned(), taken));
        };
        let mut others = Vec::new();
        for parameter in parameters.split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = || percent_decoded(value).ok_or_else(|| format!("{name} is not UTF-8"));
            // The client library decodes names, so `ssl%6Dode` is one of these, too.
            match percent_decoded(name).as_deref() {
                Some("sslmode") => taken.mode = Some(value()?),
                Some("sslrootcert") => taken.root = Some(value()?),
                Some("sslcert") => taken.certificate = Some(PathBuf::from(value()?)),
                Some("sslkey") => taken.key = Some(PathBuf::from(value()?)),
                _ => others.push(parameter),
            }
        }
        let text = match others.is_empty() {
            true => before.to_owned(),
            false => format!("{before}?{}", others.join("&")),
        };
        Ok((text, taken))
    }

    /// Whether a certificate of the client is named, or a key.
    pub(super) fn has_client_files(&self) -> bool {
        self.certificate.is_some() || self.key.is_some()
    }
}

/// Decodes `%XX`; what is no such sequence stays.
fn percent_decoded(text: &str) -> Option<String> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let decoded = match after {
            [high, low, ..] if *first == b'%' => digit(high).zip(digit(low)),
            _ => None,
        };
        match decoded {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::TlsParameters;

    #[test]
    fn parameters_are_decoded_and_the_last_of_a_name_counts() {
        let url = "postgres://u@h/d?sslmode=disable&connect_timeout=1&ssl%6dode=verify%2Dfull&sslrootcert=%2Fa%20%zz+%+f";
        let (text, parameters) = TlsParameters::split_off(url).expect("parameters");
        assert_eq!(text, "postgres://u@h/d?connect_timeout=1");
        assert_eq!(parameters.mode.as_deref(), Some("verify-full"));
        assert_eq!(parameters.root.as_deref(), Some("/a %zz+%+f"));
        assert!(!parameters.has_client_files());
        let error = TlsParameters::split_off("postgres://u@h/d?sslkey=%ff").expect_err("not UTF-8");
        assert_eq!(error, "sslkey is not UTF-8");
    }
}
