//! Git's configuration as git itself reads it: the system's and the user's files with all that they include, then the
//! repository's own file, then the environment.
//!
//! Owns the order of the files and the includes. The repository's own includes are not followed: an attacker may have
//! written its file, which could then name any file of this machine. Nothing that is read here is executed.

mod condition;
mod environment;
mod file;
mod given;
mod path;

use std::path::{Path, PathBuf};

pub use environment::GitEnvironment;

use crate::error::TrailError;
use crate::place::shared_repository::SharingMode;

/// The origin of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// The machine's file and its includes.
    System,
    /// The user's files and their includes.
    User,
    /// The repository's own file.
    Repository,
    /// The environment.
    Command,
}

/// One value, in the order in which git reads them.
#[derive(Clone, Debug)]
struct Value {
    section: String,
    subsection: Option<Vec<u8>>,
    name: String,
    /// `None` for a key without `=`, which git reads as true.
    value: Option<Vec<u8>>,
    scope: Scope,
}

/// The configuration of one repository.
#[derive(Clone, Debug, Default)]
pub(crate) struct GitConfig {
    values: Vec<Value>,
}

/// The directories that conditional includes refer to.
#[derive(Clone, Copy)]
pub(crate) struct ConfigLocation<'a> {
    /// The git directory of the work tree.
    pub(crate) git_dir: &'a Path,
    /// The directory that all work trees share.
    pub(crate) common_dir: &'a Path,
}

impl GitConfig {
    /// Reads the configuration of a repository.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`] if git would stop too: a file with a bad line, an include that cannot be read, too
    /// many levels of includes.
    pub(crate) fn read(
        environment: &GitEnvironment,
        place: ConfigLocation<'_>,
    ) -> Result<GitConfig, TrailError> {
        file::read(environment, place)
    }

    /// The last value of a key without a subsection.
    pub(crate) fn last(&self, section: &str, name: &str) -> Option<String> {
        let found = self.last_value(section, name);
        found.map(|value| String::from_utf8_lossy(value.text()).into_owned())
    }

    /// The last value of a key without a subsection, as a boolean; `None` if it has none, or if git would reject it.
    pub(crate) fn boolean(&self, section: &str, name: &str) -> Option<bool> {
        self.last_value(section, name)?.boolean()
    }

    fn last_value(&self, section: &str, name: &str) -> Option<&Value> {
        let mut values = self.values.iter().rev();
        values.find(|value| value.is(section, name))
    }

    /// The remote that promises the missing objects, if the repository's own file names one. For each remote the last
    /// value counts, as in git.
    pub(crate) fn promisor(&self) -> Option<String> {
        let values: Vec<&Value> = self
            .values
            .iter()
            .filter(|value| {
                value.section == "remote"
                    && value.name == "promisor"
                    && value.scope == Scope::Repository
            })
            .collect();
        let found = values.iter().enumerate().find(|(at, value)| {
            let later = &values[at + 1..];
            // Git refuses a value that is no boolean.
            value.boolean() != Some(false)
                && later
                    .iter()
                    .all(|later| later.subsection != value.subsection)
        });
        let (_, found) = found?;
        let name = found.subsection.as_ref()?;
        Some(String::from_utf8_lossy(name).into_owned())
    }

    /// Every value of `remote.*.NAME`.
    pub(crate) fn of_remotes(&self, name: &str) -> Vec<String> {
        let is_asked = |value: &&Value| {
            value.section == "remote" && value.subsection.is_some() && value.name == name
        };
        let values = self.values.iter().filter(is_asked);
        values
            .map(|value| String::from_utf8_lossy(value.text()).into_owned())
            .collect()
    }

    /// The last value of `remote.REMOTE.NAME`.
    pub(crate) fn of_remote(&self, remote: &str, name: &str) -> Option<String> {
        let mut values = self.values.iter().rev();
        let value = values.find(|value| {
            value.section == "remote"
                && value.subsection.as_deref() == Some(remote.as_bytes())
                && value.name == name
        })?;
        Some(String::from_utf8_lossy(value.text()).into_owned()).filter(|text| !text.is_empty())
    }

    /// The names of the remotes that have an address, each once.
    pub(crate) fn remote_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .values
            .iter()
            .filter(|value| value.section == "remote" && value.name == "url")
            .filter_map(|value| value.subsection.as_deref())
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether the operator allows a repository at `directory` although another user owns it. The repository's own
    /// configuration does not count.
    pub(crate) fn is_safe_directory(&self, environment: &GitEnvironment, directory: &Path) -> bool {
        let mut safe = false;
        let said = self
            .values
            .iter()
            .filter(|value| value.is("safe", "directory") && value.scope != Scope::Repository);
        for value in said {
            match value.text() {
                b"" => safe = false,
                b"*" => safe = true,
                named => safe |= environment.names_directory(named, directory),
            }
        }
        safe
    }

    /// `Name <email>` of the author, cleaned for a commit as git does it.
    pub(crate) fn author(&self) -> Option<String> {
        let of = |name| {
            let said = self
                .last("author", name)
                .or_else(|| self.last("user", name));
            said.map(|text| without_crud(&text))
        };
        let (name, email) = (of("name")?, of("email")?);
        (!name.is_empty() && !email.is_empty()).then(|| format!("{name} <{email}>"))
    }

    /// The operator's setting for the first branch of new repositories.
    pub(crate) fn default_branch(&self) -> Option<String> {
        self.last("init", "defaultbranch")
            .filter(|name| !name.is_empty())
    }

    /// How the repository is shared. Only its own file decides, as in git.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unsupported`] if git would reject the value too.
    pub(crate) fn sharing(&self) -> Result<SharingMode, TrailError> {
        let said =
            self.values.iter().rev().find(|value| {
                value.scope == Scope::Repository && value.is("core", "sharedrepository")
            });
        said.map_or(Ok(SharingMode::No), |value| {
            let text = value.value.as_deref().unwrap_or(b"true");
            SharingMode::parse(&String::from_utf8_lossy(text)).map_err(TrailError::Unsupported)
        })
    }

    /// Whether a filter has a program that changes files.
    pub(crate) fn has_filter(&self, filter: &str) -> bool {
        self.values.iter().any(|value| {
            value.section == "filter"
                && value.subsection.as_deref() == Some(filter.as_bytes())
                && matches!(value.name.as_str(), "clean" | "process")
                && !value.text().is_empty()
        })
    }

    /// The file of attributes that the operator's configuration names.
    pub(crate) fn attributes_file(&self, environment: &GitEnvironment) -> Option<PathBuf> {
        match self.last("core", "attributesfile") {
            Some(path) => environment.expand(path.as_bytes(), false),
            None => environment.attributes_file(),
        }
    }

    /// Whether `core.sparseCheckout` is set: a person chooses which files the work tree has.
    pub(crate) fn has_sparse_checkout(&self) -> bool {
        self.boolean("core", "sparsecheckout").unwrap_or(false)
    }

    /// Whether git keeps reflogs for branches, by `core.logAllRefUpdates`; `None` if that is not set.
    pub(crate) fn logs_ref_updates(&self) -> Option<bool> {
        let value = self.last_value("core", "logallrefupdates")?;
        Some(value.text().eq_ignore_ascii_case(b"always") || value.boolean().unwrap_or(true))
    }
}

impl Value {
    fn is(&self, section: &str, name: &str) -> bool {
        self.section == section && self.subsection.is_none() && self.name == name
    }

    /// The value as text, which is empty for a key without `=`.
    fn text(&self) -> &[u8] {
        self.value.as_deref().unwrap_or_default()
    }

    fn boolean(&self) -> Option<bool> {
        self.value.as_deref().map_or(Some(true), boolean)
    }
}

/// Parses a boolean as git does (`parse.c`, `git_parse_maybe_bool`): a word, or a number with an optional unit.
pub(crate) fn boolean(text: &[u8]) -> Option<bool> {
    match text.to_ascii_lowercase().as_slice() {
        b"true" | b"yes" | b"on" => Some(true),
        b"" | b"false" | b"no" | b"off" => Some(false),
        number => {
            let number = number
                .strip_suffix(b"k")
                .or_else(|| number.strip_suffix(b"m"))
                .or_else(|| number.strip_suffix(b"g"))
                .unwrap_or(number);
            let number: i32 = std::str::from_utf8(number).ok()?.parse().ok()?;
            Some(number != 0)
        }
    }
}

/// A name or address as git writes it into a commit (`ident.c`): without characters that would end it early, and
/// without surrounding punctuation and blanks.
fn without_crud(text: &str) -> String {
    let is_crud = |letter: char| letter <= ' ' || ".,:;<>\"\\'".contains(letter);
    text.trim_matches(is_crud)
        .chars()
        .filter(|letter| !matches!(letter, '\n' | '<' | '>' | '\0' | '\r'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::boolean;

    #[test]
    fn booleans_are_parsed_as_git_parses_them() {
        for (text, expect) in [
            ("true", Some(true)),
            ("Yes", Some(true)),
            ("ON", Some(true)),
            ("2", Some(true)),
            ("-1", Some(true)),
            ("1k", Some(true)),
            ("", Some(false)),
            ("no", Some(false)),
            ("0", Some(false)),
            ("00", Some(false)),
            ("0M", Some(false)),
            ("t", None),
            ("k", None),
            ("truefalse", None),
        ] {
            assert_eq!(boolean(text.as_bytes()), expect, "{text}");
        }
    }
}
