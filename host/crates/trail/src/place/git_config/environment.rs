//! The locations of git's configuration files on this machine, by the process's environment.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice as _;

use crate::place::git_config::given::{self, GivenValue};
use crate::place::git_config::{boolean, path};

/// The variables that decide which configuration git reads.
#[derive(Clone, Debug)]
pub struct GitEnvironment {
    home: Option<PathBuf>,
    xdg_config_home: Option<PathBuf>,
    user_file: Option<PathBuf>,
    system_file: Option<PathBuf>,
    no_system: bool,
    /// The values of `GIT_CONFIG_COUNT` and `GIT_CONFIG_PARAMETERS`, or why git refuses them.
    pub(super) given: Result<Vec<GivenValue>, String>,
    /// The directory where git is installed, for `%(prefix)`.
    prefix: Option<PathBuf>,
    /// The current directory, under the name that the user used.
    pub(super) named_directory: Option<PathBuf>,
    /// The user who called `sudo`.
    pub(crate) sudo_user: Option<u32>,
}

impl Default for GitEnvironment {
    fn default() -> GitEnvironment {
        GitEnvironment::from_variables(|_| None)
    }
}

impl GitEnvironment {
    /// Reads the environment of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "these are git's own variables, and say where git's configuration is"
    )]
    pub fn of_process() -> GitEnvironment {
        GitEnvironment::from_variables(|name| std::env::var_os(name))
    }

    /// Reads the variables from any source.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> GitEnvironment {
        let file = |name: &str| variable(name).map(PathBuf::from);
        let set = |name: &str| file(name).filter(|path| !path.as_os_str().is_empty());
        GitEnvironment {
            given: given::read(&variable),
            home: file("HOME"),
            xdg_config_home: set("XDG_CONFIG_HOME"),
            user_file: file("GIT_CONFIG_GLOBAL"),
            system_file: file("GIT_CONFIG_SYSTEM"),
            no_system: variable("GIT_CONFIG_NOSYSTEM")
                .is_some_and(|value| boolean(value.as_bytes()) == Some(true)),
            prefix: variable("PATH").and_then(|path| installed_below(&path)),
            named_directory: set("PWD").filter(|path| path.is_absolute()),
            sudo_user: variable("SUDO_UID").and_then(|uid| uid.to_str()?.parse().ok()),
        }
    }

    /// The machine's configuration file, unless the environment disables it.
    pub(super) fn system_file(&self) -> Option<PathBuf> {
        if self.no_system {
            return None;
        }
        Some(match (&self.system_file, &self.prefix) {
            (Some(file), _) => file.clone(),
            // A git in `/usr` has its configuration in `/etc`; any other has it below the directory where it is
            // installed.
            (None, Some(prefix)) if prefix != Path::new("/usr") => prefix.join("etc/gitconfig"),
            (None, _) => PathBuf::from("/etc/gitconfig"),
        })
    }

    /// The user's configuration files, in git's order.
    pub(super) fn user_files(&self) -> Vec<PathBuf> {
        if let Some(file) = &self.user_file {
            return vec![file.clone()];
        }
        let below_home = |name: &str| self.home.as_ref().map(|home| home.join(name));
        let xdg = self
            .xdg_config_home
            .as_ref()
            .map(|dir| dir.join("git/config"));
        [
            xdg.or_else(|| below_home(".config/git/config")),
            below_home(".gitconfig"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The user's default attributes file.
    pub(super) fn attributes_file(&self) -> Option<PathBuf> {
        let xdg = self.xdg_config_home.clone();
        let dir = xdg.or_else(|| Some(self.home.as_ref()?.join(".config")))?;
        Some(dir.join("git/attributes"))
    }

    /// The machine's attributes file.
    pub(crate) fn system_attributes_file(&self) -> PathBuf {
        match &self.prefix {
            Some(prefix) if prefix != Path::new("/usr") => prefix.join("etc/gitattributes"),
            _ => PathBuf::from("/etc/gitattributes"),
        }
    }

    /// Expands a path in a configuration value: `~/`, `~name/` and `%(prefix)/` stand for directories. `None` if one of
    /// them is not known.
    pub(super) fn expand(&self, value: &[u8], real_home: bool) -> Option<PathBuf> {
        if let Some(rest) = value.strip_prefix(b"%(prefix)/") {
            return Some(self.prefix.as_ref()?.join(OsStr::from_bytes(rest)));
        }
        let Some(rest) = value.strip_prefix(b"~") else {
            return Some(PathBuf::from(OsStr::from_bytes(value)));
        };
        let end = rest.find_byte(b'/').unwrap_or(rest.len());
        let (user, below) = rest.split_at(end);
        let home = if user.is_empty() {
            let home = self.home.clone()?;
            if real_home {
                path::resolve_links(&home)?
            } else {
                home
            }
        } else {
            gix::config::path::interpolate::home_for_user(std::str::from_utf8(user).ok()?)?
        };
        // As text, so that a final slash is kept.
        let mut whole = home.into_os_string();
        whole.push(OsStr::from_bytes(below));
        Some(whole.into())
    }

    /// Whether a value of `safe.directory` names this directory, which is given by its resolved path.
    pub(super) fn names_directory(&self, value: &[u8], directory: &Path) -> bool {
        let Some(named) = self.expand(value, false) else {
            return false;
        };
        if !named.is_absolute() && named != Path::new(".") {
            return false;
        }
        let Some(named) = path::resolve_links(&named) else {
            return false;
        };
        let (named, directory) = (
            named.as_os_str().as_bytes(),
            directory.as_os_str().as_bytes(),
        );
        match named.strip_suffix(b"*") {
            Some(above) if above.ends_with(b"/") => directory.starts_with(above),
            _ => named == directory,
        }
    }
}

/// The directory where git is installed: the parent of the directory of the first `git` on the path. Git has this
/// compiled in; here it is found without running git.
fn installed_below(path: &OsStr) -> Option<PathBuf> {
    let mut programs = std::env::split_paths(path).map(|dir| dir.join("git"));
    let program = programs.find(|program| program.is_file())?;
    let bin = program.canonicalize().ok()?;
    bin.parent()?.parent().map(Path::to_owned)
}
