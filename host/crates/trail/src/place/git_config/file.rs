//! Reading the files in git's order, each include at its place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{IoContext, TrailError};
use crate::place::git_config::condition::IncludeContext;
use crate::place::git_config::{ConfigLocation, GitConfig, GitEnvironment, Scope, Value};

/// The limit of nested includes, as in git (`MAX_INCLUDE_DEPTH`).
const MAX_DEPTH: usize = 10;

/// The longest file, in bytes, so that reading a special file such as `/dev/zero` ends.
const MAX_BYTES: u64 = 16 << 20;

pub(super) fn read(
    environment: &GitEnvironment,
    place: ConfigLocation<'_>,
) -> Result<GitConfig, TrailError> {
    // `hasconfig:` refers to remotes in any file, so the remotes are read first.
    let before = Reader::new(environment, place, None).all()?;
    let remotes: Vec<Vec<u8>> = before
        .values
        .iter()
        .filter(|value| {
            value.section == "remote" && value.subsection.is_some() && value.name == "url"
        })
        .map(|value| value.text().to_vec())
        .collect();
    Reader::new(environment, place, Some(&remotes)).all()
}

struct Reader<'a> {
    judge: IncludeContext<'a>,
    values: Vec<Value>,
}

impl<'a> Reader<'a> {
    fn new(
        environment: &'a GitEnvironment,
        place: ConfigLocation<'a>,
        remotes: Option<&'a [Vec<u8>]>,
    ) -> Reader<'a> {
        let judge = IncludeContext {
            environment,
            place,
            remotes,
        };
        Reader {
            judge,
            values: Vec::new(),
        }
    }

    fn all(mut self) -> Result<GitConfig, TrailError> {
        let (environment, place) = (self.judge.environment, self.judge.place);
        if let Some(file) = environment.system_file() {
            self.file(&file, Scope::System)?;
        }
        for file in environment.user_files() {
            self.file(&file, Scope::User)?;
        }
        self.file(&place.common_dir.join("config"), Scope::Repository)?;
        if self.has_work_tree_file() {
            self.file(&place.git_dir.join("config.worktree"), Scope::Repository)?;
        }
        let unreadable = |cause: String| TrailError::Unreadable {
            what: "git's configuration in the environment".to_owned(),
            cause,
        };
        let given = environment.given.as_ref();
        for (key, value) in given.map_err(|cause| unreadable(cause.clone()))? {
            let key = key.as_slice();
            let value = from_environment(key, value.clone());
            let no_key = || unreadable(format!("`{}` is not a key", key.escape_ascii()));
            self.value(value.ok_or_else(no_key)?, None, 0)?;
        }
        Ok(GitConfig {
            values: self.values,
        })
    }

    fn has_work_tree_file(&self) -> bool {
        let said = self.values.iter().rev().find(|value| {
            value.scope == Scope::Repository && value.is("extensions", "worktreeconfig")
        });
        said.and_then(Value::boolean).unwrap_or(false)
    }

    /// Reads one of git's standard files. A file that is missing or unreadable has no values.
    fn file(&mut self, path: &Path, scope: Scope) -> Result<(), TrailError> {
        match contents(path) {
            Ok(text) => self.text(&text, path, scope, 0),
            Err(_) => Ok(()),
        }
    }

    fn text(
        &mut self,
        text: &[u8],
        path: &Path,
        scope: Scope,
        depth: usize,
    ) -> Result<(), TrailError> {
        let parsed = gix::config::File::from_bytes_no_includes(
            text,
            gix::config::file::Metadata::api(),
            gix::config::file::init::Options::default(),
        );
        let parsed = parsed.map_err(|error| TrailError::Unreadable {
            what: format!("git's configuration {}", path.display()),
            cause: error.to_string(),
        })?;
        for section in parsed.sections() {
            let header = section.header();
            for (name, value) in section.body() {
                let is_implicit =
                    value.is_empty() && section.body().value_implicit(&name) == Some(None);
                let value = Value {
                    section: header.name().to_string().to_ascii_lowercase(),
                    subsection: header.subsection_name().map(|name| name.to_vec()),
                    name: name.to_ascii_lowercase(),
                    value: (!is_implicit).then(|| value.into()),
                    scope,
                };
                self.value(value, Some(path), depth)?;
            }
        }
        Ok(())
    }

    /// Adds a value, and the files that it includes.
    fn value(
        &mut self,
        value: Value,
        in_file: Option<&Path>,
        depth: usize,
    ) -> Result<(), TrailError> {
        let includes = value.name == "path"
            && value.scope != Scope::Repository
            && match (value.section.as_str(), &value.subsection) {
                ("include", None) => true,
                ("includeif", Some(condition)) => self.judge.is_met(condition, in_file),
                _ => false,
            };
        if includes {
            self.include(&value, in_file, depth)?;
        } else {
            self.values.push(value);
        }
        Ok(())
    }

    fn include(
        &mut self,
        value: &Value,
        in_file: Option<&Path>,
        depth: usize,
    ) -> Result<(), TrailError> {
        let named = String::from_utf8_lossy(value.text());
        let wrong = |cause: &str| TrailError::Unreadable {
            what: format!("`{named}`, which git's configuration includes"),
            cause: cause.to_owned(),
        };
        let path = self.judge.environment.expand(value.text(), false);
        let path = path.ok_or_else(|| wrong("it cannot be expanded"))?;
        let path = match in_file.and_then(Path::parent) {
            _ if path.is_absolute() => path,
            Some(dir) => dir.join(path),
            None => return Err(wrong("a relative path must come from a file")),
        };
        let text = match contents(&path) {
            Ok(text) => text,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(());
            }
            Err(error) => return Err(error).doing("read", &path),
        };
        if depth >= MAX_DEPTH {
            return Err(wrong("there are more than 10 levels of includes"));
        }
        self.text(&text, &path, value.scope, depth + 1)
    }
}

/// A value from the environment; its key is `section.name` or `section.subsection.name`.
fn from_environment(key: &[u8], value: Option<Vec<u8>>) -> Option<Value> {
    let first = key.iter().position(|byte| *byte == b'.')?;
    let last = key.iter().rposition(|byte| *byte == b'.')?;
    let text = |part: &[u8]| String::from_utf8_lossy(part).to_ascii_lowercase();
    Some(Value {
        section: text(&key[..first]),
        subsection: (first < last).then(|| key[first + 1..last].to_vec()),
        name: text(&key[last + 1..]),
        value,
        scope: Scope::Command,
    })
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let path: PathBuf = path.to_owned();
    let mut text = Vec::new();
    fs::File::open(path)?
        .take(MAX_BYTES)
        .read_to_end(&mut text)?;
    // Some editors start a file with a byte order mark.
    Ok(text
        .strip_prefix(b"\xef\xbb\xbf")
        .map(<[u8]>::to_vec)
        .unwrap_or(text))
}
