//! Allowed signers: who may sign and when, in OpenSSH's file format that git uses, and permanently revoked keys.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::pattern::matches_list;
use super::sshsig::{self, NAMESPACE, PublicKey};
use super::time;

/// The only characters that separate words for OpenSSH.
const BLANKS: &[char] = &[' ', '\t'];

/// The keys that may sign.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowedSigners {
    keys: HashMap<Vec<u8>, Key>,
    revoked: HashSet<String>,
}

/// A key and its permissions.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) public: PublicKey,
    pub(crate) fingerprint: String,
    grants: Vec<Grant>,
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Grant {
    principals: String,
    namespaces: Option<String>,
    after: Option<i64>,
    before: Option<i64>,
}

/// Why a key may not sign a commit with this time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// No line has the key.
    Unknown,
    /// The key is revoked.
    Revoked,
    /// Its lines are for other namespaces.
    Namespace(String),
    /// Its lines are for other times.
    Time(String),
}

impl AllowedSigners {
    /// Parses a file of allowed signers.
    ///
    /// # Errors
    ///
    /// Names the malformed line. Skipping it could change the verdict against its author's intent.
    pub(crate) fn parse(text: &str) -> Result<AllowedSigners, String> {
        let mut signers = AllowedSigners::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_matches(BLANKS);
            if !line.is_empty() && !line.starts_with('#') {
                let added = signers.add_line(line);
                added.map_err(|why| format!("line {number}: {why}"))?;
            }
        }
        Ok(signers)
    }

    /// Parses a file of revoked keys: public keys or fingerprints, one a line.
    ///
    /// # Errors
    ///
    /// Names the malformed line.
    pub(crate) fn revoke(&mut self, bytes: &[u8]) -> Result<(), String> {
        if bytes.starts_with(b"SSHKRL") {
            return Err(
                "it is a binary revocation list; list the keys themselves, one a line".into(),
            );
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fingerprint = if line.starts_with("SHA256:") && line.len() == 50 {
                line.to_owned()
            } else {
                let blob = line
                    .split_whitespace()
                    .find_map(|word| key_blob(word).ok())
                    .ok_or_else(|| {
                        format!("line {number}: it has neither a public key nor a fingerprint")
                    })?;
                sshsig::fingerprint(&blob)
            };
            self.revoked.insert(fingerprint);
        }
        Ok(())
    }

    /// The key with this encoding, if a line has it.
    pub(crate) fn key(&self, blob: &[u8]) -> Option<&Key> {
        self.keys.get(blob)
    }

    /// Returns the name of the signer, if this key may sign a commit with this time.
    ///
    /// # Errors
    ///
    /// The reason why it may not.
    pub(crate) fn allows(&self, blob: &[u8], seconds: i64) -> Result<&str, Denied> {
        let key = self.keys.get(blob);
        // Revocation is reported first, whether or not the key is still listed.
        let is_revoked = match key {
            Some(key) => self.revoked.contains(&key.fingerprint),
            None => self.revoked.contains(&sshsig::fingerprint(blob)),
        };
        if is_revoked {
            return Err(Denied::Revoked);
        }
        let key = key.ok_or(Denied::Unknown)?;
        let for_git = |grant: &&Grant| {
            grant
                .namespaces
                .as_deref()
                .is_none_or(|list| matches_list(list, NAMESPACE))
        };
        let of_time = |grant: &&Grant| {
            grant.after.is_none_or(|after| seconds >= after)
                && grant.before.is_none_or(|before| seconds <= before)
        };
        // As in git: the first line for that time gives the name, and then a line with that name, time and namespace
        // must exist. Lines for two people do not combine.
        let Some(first) = key.grants.iter().find(of_time) else {
            return Err(match key.grants.iter().find(for_git) {
                Some(grant) => Denied::Time(grant.window()),
                None => Denied::Namespace(key.grants[0].namespaces.clone().unwrap_or_default()),
            });
        };
        let mut lines = key.grants.iter().filter(for_git).filter(of_time);
        match lines.any(|grant| names(&first.principals).any(|name| grant.is_for(name))) {
            true => Ok(&first.principals),
            false => Err(Denied::Namespace(
                first.namespaces.clone().unwrap_or_default(),
            )),
        }
    }

    fn add_line(&mut self, line: &str) -> Result<(), String> {
        let (principals, rest) = word(line).ok_or("a quotation mark is not closed")?;
        let (second, after) = word(rest).ok_or("a quotation mark is not closed")?;
        let (options, kind, after) = if is_key_type(second) {
            ("", second, after)
        } else {
            let (kind, after) = word(after).ok_or("a quotation mark is not closed")?;
            (second, kind, after)
        };
        let (key, _comment) = word(after).ok_or("a quotation mark is not closed")?;
        let blob = key_blob(key)?;
        if sshsig::kind(&blob) != kind.as_bytes() {
            return Err(format!("its key is not of the type `{kind}`"));
        }
        let mut grant = Grant {
            principals: unquoted(principals)
                .ok_or("its name is not quoted as a whole")?
                .to_owned(),
            namespaces: None,
            after: None,
            before: None,
        };
        if !names(&grant.principals).any(|name| grant.is_for(name)) {
            return Err("it names nobody".into());
        }
        for option in split_options(options).filter(|_| !options.is_empty()) {
            grant.apply(option)?;
        }
        let key = match self.keys.entry(blob) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let key = Key {
                    public: PublicKey::parse(entry.key())?,
                    fingerprint: sshsig::fingerprint(entry.key()),
                    grants: Vec::new(),
                };
                entry.insert(key)
            }
        };
        key.grants.push(grant);
        Ok(())
    }
}

impl Grant {
    fn apply(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let is_quoted = value.len() > 1 && value.starts_with('"');
        let value = unquoted(value).filter(|_| is_quoted);
        let text =
            || value.ok_or_else(|| format!("the value of `{name}` is not in quotation marks"));
        let once = |is_given: bool| match is_given {
            true => Err(format!("`{name}` is given twice")),
            false => Ok(()),
        };
        let at = |value| {
            time::parse(value)
                .map(Some)
                .ok_or_else(|| format!("`{name}` is not a time of the form YYYYMMDD[HHMM[SS]][Z]"))
        };
        if option.is_empty() {
            return Err("one of its options is empty".into());
        }
        match name.to_ascii_lowercase().as_str() {
            "namespaces" => {
                once(self.namespaces.is_some())?;
                self.namespaces = Some(text()?.to_owned());
            }
            "valid-after" => {
                once(self.after.is_some())?;
                self.after = at(text()?)?;
            }
            "valid-before" => {
                once(self.before.is_some())?;
                self.before = at(text()?)?;
            }
            "cert-authority" => {
                return Err(
                    "certificates are not supported: list each signer's own key in place of `cert-authority`".into(),
                );
            }
            _ => {
                return Err(format!(
                    "the option {} is not known",
                    crate::quote::quote(name.as_bytes())
                ));
            }
        }
        if let (Some(after), Some(before)) = (self.after, self.before)
            && after > before
        {
            return Err("it ends before it begins".into());
        }
        Ok(())
    }

    /// Whether the line is for this name.
    fn is_for(&self, name: &str) -> bool {
        matches_list(&self.principals, name.as_bytes())
    }

    fn window(&self) -> String {
        match (self.after, self.before) {
            (Some(after), Some(before)) => {
                format!("from {} to {}", time::show(after), time::show(before))
            }
            (Some(after), None) => format!("from {} on", time::show(after)),
            (None, Some(before)) => format!("until {}", time::show(before)),
            (None, None) => "always".to_owned(),
        }
    }
}

/// The names in a line, split as OpenSSH does.
fn names(principals: &str) -> impl Iterator<Item = &str> {
    principals.split(',').take_while(|name| !name.is_empty())
}

/// The word without its quotation marks; `None` if it has others inside.
fn unquoted(word: &str) -> Option<&str> {
    let inner = word.strip_prefix('"');
    let inner = inner
        .and_then(|word| word.strip_suffix('"'))
        .unwrap_or(word);
    (!inner.contains(['"', '\\'])).then_some(inner)
}

/// Splits off the next word of a line, with its quotation marks. Returns it and the rest.
fn word(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start_matches(BLANKS);
    let mut quoted = false;
    let end = line.char_indices().find(|(_, letter)| {
        quoted ^= *letter == '"';
        BLANKS.contains(letter) && !quoted
    });
    let end = end.map_or(line.len(), |(place, _)| place);
    let whole = line[..end].matches('"').count().is_multiple_of(2);
    whole.then(|| line.split_at(end))
}

fn split_options(options: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    options.split(move |letter| {
        quoted ^= letter == '"';
        letter == ',' && !quoted
    })
}

fn is_key_type(word: &str) -> bool {
    word.starts_with("ssh-") || word.starts_with("ecdsa-") || word.starts_with("sk-")
}

fn key_blob(word: &str) -> Result<Vec<u8>, String> {
    let blob = STANDARD.decode(word).ok();
    let is_key = |blob: &Vec<u8>| std::str::from_utf8(sshsig::kind(blob)).is_ok_and(is_key_type);
    blob.filter(is_key)
        .ok_or_else(|| "it holds no public key".to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{AllowedSigners, Denied, key_blob};

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIAB2xEfFj1pYPg8gfYlRV6cBB1Ar2oyOd4Q0VXLpRK0p";
    const OTHER: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIOtlBqgbnppHWQZB9HOJZgBkzelF3jc1t9ABqYT6p+vK";

    fn check(line: &str, seconds: i64, expect: Result<&str, Denied>) {
        let signers = AllowedSigners::parse(&format!("# comment\n\n{line}\n")).unwrap();
        assert_eq!(
            signers.allows(&key_blob(KEY).unwrap(), seconds),
            expect,
            "{line}"
        );
    }

    #[test]
    fn a_key_is_allowed_for_its_time_and_namespace() {
        let after = || Denied::Time("from 1970-01-02T00:00:00Z on".into());
        check(
            &format!("a@b ssh-ed25519 {KEY} comment words"),
            5,
            Ok("a@b"),
        );
        check(&format!("\"a b\" ssh-ed25519 {KEY}"), 5, Ok("a b"));
        check(
            &format!("a@b namespaces=\"git\" ssh-ed25519 {KEY}"),
            5,
            Ok("a@b"),
        );
        check(
            &format!("a@b namespaces=\"file,g*\" ssh-ed25519 {KEY}"),
            5,
            Ok("a@b"),
        );
        // OpenSSH treats the space as part of the name.
        check(
            &format!("a@b namespaces=\"file, g*\" ssh-ed25519 {KEY}"),
            5,
            Err(Denied::Namespace("file, g*".into())),
        );
        check(
            &format!("a@b namespaces=\"file\" ssh-ed25519 {KEY}"),
            5,
            Err(Denied::Namespace("file".into())),
        );
        check(
            &format!("a@b namespaces=\"*,!git\" ssh-ed25519 {KEY}"),
            5,
            Err(Denied::Namespace("*,!git".into())),
        );
        check(
            &format!("a@b valid-after=\"19700102Z\" ssh-ed25519 {KEY}"),
            86_399,
            Err(after()),
        );
        check(
            &format!("a@b valid-after=\"19700102Z\",valid-before=\"19700103\" ssh-ed25519 {KEY}"),
            172_800,
            Ok("a@b"),
        );
        check(&format!("a@b ssh-ed25519 {OTHER}"), 5, Err(Denied::Unknown));
        let twice = format!(
            "a valid-before=\"19700102Z\" ssh-ed25519 {KEY}\nb valid-after=\"19700103Z\" ssh-ed25519 {KEY}"
        );
        check(&twice, 0, Ok("a"));
        check(&twice, 200_000, Ok("b"));
        check(
            &twice,
            100_000,
            Err(Denied::Time("until 1970-01-02T00:00:00Z".into())),
        );
        let two_people = format!("a namespaces=\"file\" ssh-ed25519 {KEY}\nb ssh-ed25519 {KEY}");
        check(&two_people, 5, Err(Denied::Namespace("file".into())));
        let one = two_people.replace("\nb ", "\nc,a ");
        check(&one, 5, Ok("a"));
    }

    #[test]
    fn a_revoked_key_stays_revoked() {
        let blob = key_blob(KEY).unwrap();
        let mut signers = AllowedSigners::parse(&format!("a ssh-ed25519 {KEY}")).unwrap();
        for list in [
            format!("ssh-ed25519 {KEY} lost\n"),
            super::sshsig::fingerprint(&blob),
        ] {
            signers.revoked.clear();
            signers.revoke(list.as_bytes()).unwrap();
            assert_eq!(signers.allows(&blob, 0), Err(Denied::Revoked));
        }
        assert!(
            signers
                .revoke(b"SSHKRL\n\0")
                .unwrap_err()
                .contains("binary")
        );
        assert!(signers.revoke(b"nothing").is_err());
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        for (line, words) in [
            (
                format!("a cert-authority ssh-ed25519 {KEY}"),
                "line 3: certificates",
            ),
            (
                format!("a no-touch ssh-ed25519 {KEY}"),
                "the option `no-touch`",
            ),
            (
                format!("a namespaces=git ssh-ed25519 {KEY}"),
                "not in quotation marks",
            ),
            (
                format!("a namespaces=\"git\",namespaces=\"file\" ssh-ed25519 {KEY}"),
                "given twice",
            ),
            (format!("!a ssh-ed25519 {KEY}"), "it names nobody"),
            (
                format!("a namespaces=\"git\", ssh-ed25519 {KEY}"),
                "one of its options is empty",
            ),
            (format!("a\u{a0}ssh-ed25519 {KEY}"), "no public key"),
            (format!("a\u{b}ssh-ed25519 {KEY}"), "no public key"),
            (format!("!a,a ssh-ed25519 {KEY}"), "it names nobody"),
            (
                format!("a\"b c\" ssh-ed25519 {KEY}"),
                "not quoted as a whole",
            ),
            (format!("a ssh-rsa {KEY}"), "not of the type"),
            ("a ssh-ed25519 AAAA".into(), "no public key"),
            ("a".into(), "no public key"),
            (
                format!("\"a ssh-ed25519 {KEY}"),
                "a quotation mark is not closed",
            ),
            (
                format!("a valid-after=\"soon\" ssh-ed25519 {KEY}"),
                "is not a time of the form",
            ),
            (
                format!("a valid-after=\"20260102\",valid-before=\"20260101\" ssh-ed25519 {KEY}"),
                "ends before",
            ),
        ] {
            let error = AllowedSigners::parse(&format!("\n\n{line}\n")).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
