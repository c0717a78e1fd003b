//! The parameters of a URL that concern TLS. Must not know what they mean together.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

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
            let value = || {
                let decoded = percent_decode_str(value).decode_utf8();
                let text = decoded.map_err(|_| format!("{name} is not UTF-8"))?;
                Ok::<String, String>(text.into_owned())
            };
            // The client library decodes names, so `ssl%6Dode` is one of these, too.
            match percent_decode_str(name).decode_utf8().as_deref() {
                Ok("sslmode") => taken.mode = Some(value()?),
                Ok("sslrootcert") => taken.root = Some(value()?),
                Ok("sslcert") => taken.certificate = Some(PathBuf::from(value()?)),
                Ok("sslkey") => taken.key = Some(PathBuf::from(value()?)),
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
