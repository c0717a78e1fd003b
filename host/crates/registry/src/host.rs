//! Hosts: their names with ports, and which of them are this machine.

use std::fmt;
use std::net::IpAddr;

/// A host with its port, if it is not the usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// Reads `name`, `name:port`, `127.0.0.1:port` or `[::1]:port`. `None` for any other text.
    pub fn parse(text: &str) -> Option<Host> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']')?;
                address.parse::<std::net::Ipv6Addr>().ok()?;
                let port = match rest {
                    "" => None,
                    rest => Some(rest.strip_prefix(':')?),
                };
                (address, port)
            }
            None => match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            },
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
        let fits = !name.is_empty()
            && name.len() <= 253
            && name.chars().all(is_name)
            && !name.starts_with(['.', '-'])
            && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        fits.then(|| Host(text.to_ascii_lowercase()))
    }

    /// The host of an absolute URL with its scheme. `None` if it has a user, or is no such URL.
    pub fn of_url(url: &str) -> Option<(&str, Host)> {
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        Some((scheme, Host::parse(&rest[..end])?))
    }

    /// Whether it is this machine: nothing on the way can read or change what is sent.
    pub fn is_loopback(&self) -> bool {
        let name = match self.0.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => self.0.split(':').next().unwrap_or_default(),
        };
        name == "localhost"
            || name
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// The scheme for this host.
    pub fn scheme(&self) -> &'static str {
        match self.is_loopback() {
            true => "http",
            false => "https",
        }
    }

    /// The host as it was written, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Host;

    #[test]
    fn only_this_machine_is_reached_without_encryption() {
        let scheme = |text: &str| Host::parse(text).map(|host| host.scheme());
        for text in [
            "localhost:5000",
            "127.0.0.1:5000",
            "127.9.9.9",
            "[::1]:5000",
        ] {
            assert_eq!(scheme(text), Some("http"), "{text}");
        }
        for text in [
            "example.org",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "10.0.0.1:5000",
            "[2001:db8::1]",
        ] {
            assert_eq!(scheme(text), Some("https"), "{text}");
        }
        for text in [
            "",
            ":5000",
            "a:0",
            "a:99999",
            "a:b",
            "user@host",
            "a/b",
            "[::1",
            "[x]:1",
            "a b",
            "-a",
            "::1",
        ] {
            assert_eq!(scheme(text), None, "{text}");
        }
    }

    #[test]
    fn the_host_of_an_address_is_not_what_stands_before_an_at_sign() {
        let host = |url| Host::of_url(url).map(|(scheme, host)| format!("{scheme} {host}"));
        assert_eq!(
            host("https://a.example:443/b?c"),
            Some("https a.example:443".to_owned())
        );
        assert_eq!(host("https://good.example@evil.example/"), None);
        assert_eq!(host("/v2/"), None);
    }
}
