//! The address of a remote: which ones git is given, and how they are shown without their credentials.

use std::fmt;
use std::path::Path;

use percent_encoding::percent_decode_str;

/// The address of a remote, as git takes it.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl {
    text: String,
    /// The part of the text that holds the credentials.
    secret: Option<std::ops::Range<usize>>,
}

/// Why an address is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is empty, begins with `-`, or has control characters.
    #[error("is not an address")]
    Malformed,
    /// Its protocol is not one of those that are allowed.
    #[error("uses the protocol {0}: only https, ssh, git, file and paths are allowed")]
    Protocol(String),
}

impl RemoteUrl {
    /// Parses an address: `https://…`, `ssh://…`, `git://…`, `file://…`, `host:path`, or a path. A relative path starts at
    /// `directory`.
    ///
    /// # Errors
    ///
    /// Those of [`UrlError`].
    pub fn parse(text: &str, directory: &Path) -> Result<RemoteUrl, UrlError> {
        if text.is_empty() || text.starts_with('-') || text.chars().any(char::is_control) {
            return Err(UrlError::Malformed);
        }
        // Everything before a slash: a path with a colon in a later part is a path.
        let head = text.split('/').next().unwrap_or(text);
        if let Some((helper, _)) = head.split_once("::") {
            return Err(UrlError::Protocol(helper.escape_debug().to_string()));
        }
        if let Some(rest) = text.strip_prefix("file://") {
            // As git reads it: without the host, and decoded.
            let path = rest.find('/').map_or("/", |slash| &rest[slash..]);
            let path = percent_decode_str(path).decode_utf8();
            let path = path.map_err(|_| UrlError::Malformed)?;
            return RemoteUrl::parse(&path, directory);
        }
        if let Some((scheme, rest)) = text.split_once("://")
            && !scheme.contains('/')
        {
            if !["https", "ssh", "git"].contains(&scheme) {
                return Err(UrlError::Protocol(scheme.escape_debug().to_string()));
            }
            let authority = rest.split('/').next().unwrap_or(rest);
            let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            let user = match (authority.rsplit_once('@'), authority.rsplit_once(':')) {
                (Some((user, _)), _) => Some(user),
                // A password with a slash that is not encoded.
                (None, Some((_, after))) if !is_port(after) && !after.ends_with(']') => {
                    rest.rsplit_once('@').map(|(user, _)| user)
                }
                _ => None,
            };
            let start = scheme.len() + "://".len();
            // The user name of an HTTPS address is often the token itself.
            let is_secret = |user: &&str| scheme == "https" || user.contains(':');
            let secret = user.filter(is_secret).map(|user| start..start + user.len());
            return Ok(RemoteUrl {
                text: text.to_owned(),
                secret,
            });
        }
        let is_remote_path = head.contains(':');
        let text = match is_remote_path {
            true => text.to_owned(),
            false => directory.join(text).to_string_lossy().into_owned(),
        };
        Ok(RemoteUrl { text, secret: None })
    }

    /// The directory that it names, if it is on this machine.
    pub fn directory(&self) -> Option<&Path> {
        let path = Path::new(&self.text);
        path.is_absolute().then_some(path)
    }

    /// The address with its credentials, for git only.
    pub(crate) fn as_git_takes_it(&self) -> &str {
        &self.text
    }

    /// A text of git's, without the credentials of this address.
    pub(crate) fn redact(&self, said: &str) -> String {
        let mut words = Vec::new();
        if let Some(secret) = self.secret.clone().map(|range| &self.text[range]) {
            let password = secret
                .split_once(':')
                .map_or(secret, |(_, password)| password);
            words.extend([secret.to_owned(), password.to_owned()]);
        }
        if let Some((_, query)) = self.text.split_once('?') {
            words.push(query.to_owned());
            let values = query.split('&').filter_map(|pair| pair.split_once('='));
            words.extend(values.map(|(_, value)| value.to_owned()));
        }
        let decoded: Vec<String> = words
            .iter()
            .map(|word| percent_decode_str(word).decode_utf8_lossy().into_owned())
            .collect();
        words.extend(decoded);
        words.retain(|word| !word.is_empty());
        // The longest first: a shorter one may be a part of it.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        words
            .iter()
            .fold(said.to_owned(), |said, word| said.replace(word, "***"))
    }

    /// A digest that changes with the address, so that what is known about one is not believed about another.
    pub fn digest(&self) -> String {
        let without_secret = self.to_string();
        outcome::digest::sha256(without_secret.as_bytes())
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = match &self.secret {
            Some(secret) => format!(
                "{}***{}",
                &self.text[..secret.start],
                &self.text[secret.end..]
            ),
            None => self.text.clone(),
        };
        match shown.split_once('?') {
            Some((before, _)) if self.text.contains("://") => write!(out, "{before}?***"),
            _ => out.write_str(&shown),
        }
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parse(text: &str) -> Result<RemoteUrl, UrlError> {
        RemoteUrl::parse(text, Path::new("/work tree"))
    }

    #[test]
    fn credentials_are_shown_nowhere() {
        for (text, shown) in [
            ("https://me:s3cret@host/a.git", "https://***@host/a.git"),
            ("https://ghp_token@host/a.git", "https://***@host/a.git"),
            ("ssh://git:pw@host:22/a", "ssh://***@host:22/a"),
            ("ssh://git@host/a", "ssh://git@host/a"),
            ("git@host:a/b.git", "git@host:a/b.git"),
            ("https://host/@/a", "https://host/@/a"),
            ("https://host:443/@/a", "https://host:443/@/a"),
            ("https://me:s3/cret@host/a.git", "https://***@host/a.git"),
            (
                "https://host/a.git?private_token=s3cret",
                "https://host/a.git?***",
            ),
        ] {
            let url = parse(text).expect("an address");
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
            assert_eq!(url.as_git_takes_it(), text);
        }
        let url = parse("ssh://me:p%40ss@host/a").expect("an address");
        assert_eq!(url.redact("me:p@ss@host: no p@ss"), "***@host: no ***");
        let url = parse("https://me:s3cret@host/a.git").expect("an address");
        let said = "fatal: unable to access 'https://me:s3cret@host/a.git/': s3cret is wrong";
        assert_eq!(
            url.redact(said),
            "fatal: unable to access 'https://***@host/a.git/': *** is wrong"
        );
    }

    #[test]
    fn only_known_protocols_are_used() {
        for (text, expected) in [
            ("ext::sh -c true", "ext"),
            ("fd::17", "fd"),
            ("http://host/a", "http"),
            ("ftp://host/a", "ftp"),
            ("persistent-https://host/a", "persistent-https"),
        ] {
            assert_eq!(
                parse(text),
                Err(UrlError::Protocol(expected.to_owned())),
                "{text}"
            );
        }
        for text in ["", "-u", "--upload-pack=touch x", "a\nb", "a\u{1b}[2J"] {
            assert_eq!(parse(text), Err(UrlError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn a_relative_path_starts_at_the_directory() {
        for (text, path) in [
            ("../copy.git", "/work tree/../copy.git"),
            ("/srv/copy.git", "/srv/copy.git"),
            ("./a:b", "/work tree/./a:b"),
            ("file:///srv/copy.git", "/srv/copy.git"),
            ("file://localhost/srv/%63opy.git", "/srv/copy.git"),
            ("host:copy.git", "host:copy.git"),
        ] {
            assert_eq!(parse(text).expect("an address").as_git_takes_it(), path);
        }
    }
}
