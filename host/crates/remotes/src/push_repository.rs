//! The temporary bare repository that git runs in.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::error::{RemoteError, classify_fetch};
use crate::git::{self, Ended, NotEnded};
use crate::private_directory::PrivateDirectory;
use crate::{Limits, Remote};

/// Where the objects of a trail are.
#[derive(Clone, Copy, Debug)]
pub struct ObjectSource<'a> {
    /// The directory of the object database.
    pub objects: &'a Path,
    /// The commits whose parents are not there, as git's file `shallow` lists them, if the repository has one.
    pub shallow: Option<&'a Path>,
}

/// A temporary bare repository that borrows the objects of another one. It is removed when it is dropped.
///
/// Only this program writes it, and no other user can. Its configuration turns off what git would otherwise start:
/// hooks, maintenance, and a look at the refs of the repository that objects are borrowed from.
pub struct PushRepository {
    dir: PrivateDirectory,
    limits: Limits,
    cancelled: Arc<AtomicBool>,
}

/// `fetch.unpackLimit` keeps what is fetched in packs, which the trail can take over as they are.
const CONFIG: &str = "\
[core]
\tbare = true
\trepositoryformatversion = 1
\thooksPath = /dev/null
\talternateRefsCommand = true
\tlogAllRefUpdates = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
[fetch]
\tunpackLimit = 1
\tfsckObjects = true
\twriteCommitGraph = false
\trecurseSubmodules = no
[push]
\trecurseSubmodules = no
\tfollowTags = false
\tgpgSign = if-asked
\tpushOption =
[extensions]
";

impl PushRepository {
    /// Creates one whose ids have the hash `format`, git's `sha1` or `sha256`. It is below the system's directory for
    /// temporary files, or below `otherwise` if that cannot be written.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Git`] if it cannot be written.
    pub fn create(
        source: Option<&ObjectSource<'_>>,
        format: &str,
        otherwise: Option<&Path>,
        limits: Limits,
    ) -> Result<PushRepository, RemoteError> {
        let dir = PrivateDirectory::create(otherwise);
        let write = |dir: PrivateDirectory| -> io::Result<PrivateDirectory> {
            let at = dir.path();
            for below in ["objects/info", "objects/pack", "refs/heads"] {
                fs::create_dir_all(at.join(below))?;
            }
            fs::write(at.join("HEAD"), "ref: refs/heads/none\n")?;
            fs::write(
                at.join("config"),
                format!("{CONFIG}\tobjectFormat = {format}\n"),
            )?;
            if let Some(source) = source {
                borrow(at, source)?;
            }
            Ok(dir)
        };
        let dir = dir.and_then(write).map_err(|error| {
            RemoteError::Git(format!("cannot make a temporary repository: {error}"))
        })?;
        Ok(PushRepository {
            dir,
            limits,
            cancelled: Arc::default(),
        })
    }

    /// Begins to borrow objects.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Git`] if that cannot be written.
    pub fn borrow_objects(&self, source: &ObjectSource<'_>) -> Result<(), RemoteError> {
        borrow(self.dir.path(), source)
            .map_err(|error| RemoteError::Git(format!("cannot borrow objects: {error}")))
    }

    /// Ends borrowing, so that only fetched objects are here, and removes all refs.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Git`] if that cannot be written.
    pub fn keep_only_fetched(&self) -> Result<(), RemoteError> {
        let at = self.dir.path();
        let end = || -> io::Result<()> {
            for file in ["objects/info/alternates", "shallow"] {
                match fs::remove_file(at.join(file)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            fs::remove_dir_all(at.join("refs"))?;
            fs::create_dir_all(at.join("refs/heads"))
        };
        end().map_err(|error| RemoteError::Git(format!("cannot end borrowing: {error}")))
    }

    /// Ends what git does here, now and later, when this becomes true.
    #[must_use]
    pub fn cancelled_by(self, cancelled: Arc<AtomicBool>) -> PushRepository {
        PushRepository { cancelled, ..self }
    }

    /// The git directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The directory of the packs that were fetched, or written here.
    pub fn packs(&self) -> PathBuf {
        self.dir.path().join("objects/pack")
    }

    /// The limits that it was created with.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Sets a ref here. Only files of this repository change.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Git`] if it cannot be written.
    pub fn set_ref(&self, name: &str, commit: &str) -> Result<(), RemoteError> {
        let path = self.dir.path().join(name);
        let parent = path.parent().unwrap_or(self.dir.path());
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, format!("{commit}\n")))
            .map_err(|error| RemoteError::Git(format!("cannot write {name}: {error}")))
    }

    /// Sets the branch that is the default here.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Git`] if it cannot be written.
    pub fn set_head(&self, branch: &str) -> Result<(), RemoteError> {
        fs::write(self.dir.path().join("HEAD"), format!("ref: {branch}\n"))
            .map_err(|error| RemoteError::Git(format!("cannot write HEAD: {error}")))
    }

    /// Fetches these commits of the remote, by the names of their refs.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Unreachable`], also if the remote advertises a commit that it does not have.
    pub fn fetch(&self, remote: &Remote, refs: &[&str]) -> Result<(), RemoteError> {
        let fetched: Vec<String> = refs
            .iter()
            .enumerate()
            .map(|(number, name)| format!("+{name}:refs/fetched/{number}"))
            .collect();
        let mut arguments = vec![
            "fetch",
            "--quiet",
            "--progress",
            "--no-tags",
            "--no-write-fetch-head",
            "--",
            remote.url.as_git_takes_it(),
        ];
        arguments.extend(fetched.iter().map(String::as_str));
        let ended = self.git(remote, &arguments)?;
        match ended.status.success() {
            true => Ok(()),
            false => Err(classify_fetch(
                &remote.name,
                &remote.url.redact(&ended.messages),
            )),
        }
    }

    /// Runs git here, for this remote.
    pub(crate) fn git(&self, remote: &Remote, arguments: &[&str]) -> Result<Ended, RemoteError> {
        let ended = git::run(
            self.dir.path(),
            self.limits.silence,
            &self.cancelled,
            arguments,
        );
        ended.map_err(|error| match error {
            NotEnded::NotStarted(error) => RemoteError::Git(error.to_string()),
            NotEnded::Silent(silence) => RemoteError::Unreachable {
                remote: remote.name.clone(),
                said: format!(
                    "git heard nothing from it for {} s (setting sync.timeout)",
                    silence.as_secs_f64()
                ),
            },
            NotEnded::Cancelled => RemoteError::Unreachable {
                remote: remote.name.clone(),
                said: "this process is ending".to_owned(),
            },
            NotEnded::TooMuch => RemoteError::Unreachable {
                remote: remote.name.clone(),
                said: "its answer is larger than 128 MiB".to_owned(),
            },
        })
    }
}

fn borrow(at: &Path, source: &ObjectSource<'_>) -> io::Result<()> {
    let line = alternates_line(source.objects)?;
    fs::write(at.join("objects/info/alternates"), line)?;
    if let Some(shallow) = source.shallow {
        fs::copy(shallow, at.join("shallow"))?;
    }
    Ok(())
}

/// A line of git's file `alternates`. A path that git would read otherwise is quoted as in C.
fn alternates_line(objects: &Path) -> io::Result<Vec<u8>> {
    let objects = objects.canonicalize()?;
    let bytes = objects.as_os_str().as_bytes();
    let is_plain = !bytes.contains(&b'\n') && !bytes.starts_with(b"\"") && !bytes.starts_with(b"#");
    let mut line = match is_plain {
        true => bytes.to_vec(),
        false => {
            let mut quoted = vec![b'"'];
            for byte in bytes {
                match byte {
                    b'"' | b'\\' => quoted.extend([b'\\', *byte]),
                    b'\n' => quoted.extend(b"\\n"),
                    byte => quoted.push(*byte),
                }
            }
            quoted.push(b'"');
            quoted
        }
    };
    line.push(b'\n');
    Ok(line)
}
