//! Policies stored beside the trail, and the policy in force on this machine. Components and settings are files on a
//! separate ref, each named by its digest.
//!
//! Owns the format of that ref, which is public: the tree is flat; a commit adds one file, `sha256-{hex}.wasm` or
//! `sha256-{hex}.json`. Knows nothing about WebAssembly: a component is bytes with a digest.
//!
//! In a clone, the remote-tracking refs are read as well, and the first file that is stored adopts the remote's history.
//!
//! A stored policy is not in force: the ref can be fetched from anywhere. The policy in force is in a file of this
//! repository's state directory, which only [`Trail::set_policy_in_force`] writes.

use std::fs;
use std::io;
use std::path::PathBuf;

use gix::ObjectId;
use gix::objs::{Kind, TreeRefIter};
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::error::{IoContext, TrailError};
use crate::objects::commit::Commit;
use crate::objects::object::{self, Deflater};
use crate::objects::pack::{PackBuilder, TYPE_BLOB, TYPE_COMMIT, TYPE_TREE};
use crate::place::repository::Repository;
use crate::place::state::{Mark, StateDir};
use crate::setup::locate::tracked_tips;
use crate::setup::remote_trails::is_first_parent_ancestor;
use crate::write::flush::{FlushError, FlushGroup, Flusher};
use crate::write::lock::WriterLock;
use crate::{Placement, Trail, TrailInner};
use outcome::clock::Timestamp;
use outcome::digest::sha256;

/// The ref that stores policies.
pub const POLICIES_REF: &str = "refs/heads/audit-policies";

/// The kinds of policy files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyFileKind {
    /// The component of a policy.
    Component,
    /// The settings of a policy, in canonical form.
    Settings,
}

impl PolicyFileKind {
    fn extension(self) -> &'static str {
        match self {
            PolicyFileKind::Component => "wasm",
            PolicyFileKind::Settings => "json",
        }
    }

    /// The file name for a digest; `None` if the text is not a digest.
    fn file_name(self, digest: &str) -> Option<String> {
        let hex = digest.strip_prefix("sha256:")?;
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (hex.len() == 64 && hex.bytes().all(is_hex))
            .then(|| format!("sha256-{hex}.{}", self.extension()))
    }
}

/// The policy in force on this machine, by the digests of its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyInForce {
    /// The digest of the component, `sha256:…`.
    pub component: String,
    /// The digest of the settings, `sha256:…`.
    pub settings: String,
    /// When the policy was put in force, in RFC 3339.
    pub since: String,
}

impl Trail {
    /// Stores these files. Each file that is not stored yet gets its own commit. On return all of them are durable.
    ///
    /// # Errors
    ///
    /// Those of any write; [`TrailError::Invalid`] if the ref is checked out in a work tree.
    pub fn keep_policy_files(
        &self,
        files: &[(PolicyFileKind, &[u8])],
        time: Timestamp,
    ) -> Result<(), TrailError> {
        let shared = self.shared();
        if shared.all_kept(files)? && shared.known_durable()? {
            return Ok(());
        }
        // Recovery, the check for a roll-back, and the trail's identity come first, as before any other write.
        self.refresh()?;
        let lock = WriterLock::acquire(&shared.state, shared.lock_wait)?;
        let kept = shared.keep_locked(files, time);
        lock.release();
        kept
    }

    /// Reads the stored file with this digest, and checks the digest.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`], also if the file's contents have another digest.
    pub fn policy_file(
        &self,
        kind: PolicyFileKind,
        digest: &str,
    ) -> Result<Option<Vec<u8>>, TrailError> {
        let repository = &self.shared().repository;
        let Some(name) = kind.file_name(digest) else {
            return Ok(None);
        };
        let Some(blob) = find(repository, &name)? else {
            return Ok(None);
        };
        let contents = repository.object(Kind::Blob, &blob)?;
        if sha256(&contents) == digest {
            return Ok(Some(contents));
        }
        Err(TrailError::Unreadable {
            what: format!("{name} on {POLICIES_REF}"),
            cause: "its contents have another digest".into(),
        })
    }

    /// Whether a file with this digest is stored. Does not read the contents.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn has_policy_file(&self, kind: PolicyFileKind, digest: &str) -> Result<bool, TrailError> {
        let name = kind.file_name(digest);
        name.map_or(Ok(false), |name| {
            Ok(find(&self.shared().repository, &name)?.is_some())
        })
    }

    /// The policy in force on this machine; `None` if none was set.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`] if the note cannot be read. The policy is never guessed.
    pub fn in_force(&self) -> Result<Option<PolicyInForce>, TrailError> {
        let path = self.shared().state.in_force_path();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).doing("read", &path),
        };
        toml::from_str(&text)
            .map(Some)
            .map_err(|error| TrailError::Unreadable {
                what: path.display().to_string(),
                cause: error.message().to_owned(),
            })
    }

    /// Puts a stored policy in force; `None` puts the built-in policy in force. Durable on return.
    ///
    /// # Errors
    ///
    /// Those of any write.
    pub fn set_policy_in_force(&self, policy: Option<&PolicyInForce>) -> Result<(), TrailError> {
        self.refresh()?;
        let shared = self.shared();
        let lock = WriterLock::acquire(&shared.state, shared.lock_wait)?;
        let noted = shared.note_in_force(policy);
        lock.release();
        noted
    }
}

impl TrailInner {
    fn all_kept(&self, files: &[(PolicyFileKind, &[u8])]) -> Result<bool, TrailError> {
        for (kind, contents) in files {
            let name = file_name(*kind, contents);
            if find(&self.repository, &name)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the ref is at the tip that this program made durable.
    fn known_durable(&self) -> Result<bool, TrailError> {
        let tip = self.repository.read_ref(POLICIES_REF)?;
        let mark = self.state.read_mark(&self.state.kept_path());
        Ok(tip.is_some() && mark.map(|mark| mark.tip) == tip)
    }

    fn keep_locked(
        &self,
        files: &[(PolicyFileKind, &[u8])],
        time: Timestamp,
    ) -> Result<(), TrailError> {
        let repository = &self.repository;
        let flusher = Flusher {
            reference: POLICIES_REF,
            placement: Placement::Ref,
            ..Flusher::of(self)
        };
        if self.identity.reference == POLICIES_REF {
            return Err(TrailError::Invalid(format!(
                "{POLICIES_REF} holds the trail, so policies cannot be stored there"
            )));
        }
        let mut expected = repository.read_ref(POLICIES_REF)?;
        match expected {
            // The commits may have come from a person's git, which does not sync.
            Some(_) if !self.known_durable()? => flusher.sync_foreign_writes()?,
            Some(_) => {}
            None => repository.check_name_free(POLICIES_REF)?,
        }
        // A remote's ref that cannot be read is not continued.
        if let Ok(Some(remote)) = ahead_of(repository, expected) {
            flusher.fast_forward(expected, remote)?;
            expected = Some(remote);
        }
        let mut builder = PackBuilder::new(repository.hash);
        let tip = self.commits(files, expected, time, &mut builder)?;
        let Some(tip) = tip else { return Ok(()) };
        let mark = Mark {
            tip,
            boot: self.boot.clone(),
            microseconds: time.microseconds(),
        };
        if expected != Some(tip) {
            let group = FlushGroup {
                pack: builder.finish(),
                expected,
                mark: mark.clone(),
                checkout_files: &[],
                committer: &self.author,
                subject: "audit: keep a policy",
                is_trail: false,
            };
            match flusher.flush(&group) {
                Ok(()) => {}
                Err(FlushError::Moved) => {
                    return Err(TrailError::Moved {
                        reference: POLICIES_REF.to_owned(),
                    });
                }
                Err(
                    FlushError::Failed(error)
                    | FlushError::Uncertain(error)
                    | FlushError::Behind(error),
                ) => return Err(error),
            }
        }
        self.state
            .write_mark(self.disk.as_ref(), &self.state.kept_path(), &mark)
    }

    /// Makes a commit for each file that is not stored yet. Returns the id of the last one, or `expected`.
    fn commits(
        &self,
        files: &[(PolicyFileKind, &[u8])],
        expected: Option<ObjectId>,
        time: Timestamp,
        builder: &mut PackBuilder,
    ) -> Result<Option<ObjectId>, TrailError> {
        let repository = &self.repository;
        let mut deflater = Deflater::new();
        let mut tip = expected;
        let mut seconds = time.seconds();
        let mut raw = Vec::new();
        if let Some(parent) = expected {
            let parent = repository.commit(&parent)?;
            seconds = seconds.max(parent.seconds);
            raw = repository.object(Kind::Tree, &parent.tree)?;
            if TreeRefIter::from_bytes(&raw, repository.hash).any(|entry| entry.is_err()) {
                return Err(TrailError::Unreadable {
                    what: format!("the tree of {POLICIES_REF}"),
                    cause: "it is malformed".into(),
                });
            }
        }
        for (kind, contents) in files {
            let digest = sha256(contents);
            let Some(name) = kind.file_name(&digest) else {
                continue;
            };
            let hash = repository.hash;
            let blob = object::name_checked(hash, Kind::Blob, contents)?;
            let Some(with_file) = with_file(&raw, &name, &blob) else {
                continue;
            };
            raw = with_file;
            let tree = object::name_checked(hash, Kind::Tree, &raw)?;
            let commit = Commit {
                tree,
                parent: tip,
                author: &self.author,
                seconds,
                message: &message(*kind, &digest),
            };
            let (id, commit) = commit.make(hash, None)?;
            builder.add(TYPE_BLOB, blob, contents, &mut deflater);
            builder.add(TYPE_TREE, tree, &raw, &mut deflater);
            builder.add(TYPE_COMMIT, id, &commit, &mut deflater);
            tip = Some(id);
        }
        Ok(tip)
    }

    fn note_in_force(&self, policy: Option<&PolicyInForce>) -> Result<(), TrailError> {
        let (disk, state) = (self.disk.as_ref(), &self.state);
        let path = state.in_force_path();
        match policy {
            None => disk::remove_if_present(disk, &path).doing("remove", &path)?,
            Some(policy) => {
                let text = toml::to_string(policy)
                    .map_err(|error| TrailError::Invalid(error.to_string()))?;
                let temporary = state.tmp_dir().join("policy.toml");
                disk::remove_if_present(disk, &temporary).doing("remove", &temporary)?;
                disk::write_synced(disk, &temporary, text.as_bytes()).doing("write", &temporary)?;
                disk.rename(&temporary, &path).doing("replace", &path)?;
            }
        }
        disk.sync_dir(state.root()).doing("sync", state.root())
    }
}

impl StateDir {
    /// The file that names the policy in force on this machine.
    fn in_force_path(&self) -> PathBuf {
        self.root().join("policy.toml")
    }

    /// The file that names the last tip of [`POLICIES_REF`] that this program made durable.
    fn kept_path(&self) -> PathBuf {
        self.root().join("kept")
    }
}

fn file_name(kind: PolicyFileKind, contents: &[u8]) -> String {
    kind.file_name(&sha256(contents))
        .expect("it is made of a digest")
}

/// The message of a commit that stores a file. It is not a trail commit: it has no `Audit-Format`.
fn message(kind: PolicyFileKind, digest: &str) -> String {
    match kind {
        PolicyFileKind::Component => {
            format!("audit: keep policy {digest}\n\nAudit-Policies: 1\nAudit-Policy: {digest}\n")
        }
        PolicyFileKind::Settings => {
            format!(
                "audit: keep settings {digest}\n\nAudit-Policies: 1\nAudit-Settings: {digest}\n"
            )
        }
    }
}

/// Finds a kept file by its name: on the ref itself, otherwise on its remote-tracking refs.
fn find(repository: &Repository, name: &str) -> Result<Option<ObjectId>, TrailError> {
    if let Some(tip) = repository.read_ref(POLICIES_REF)?
        && let Some(blob) = find_at(repository, &tip, name)?
    {
        return Ok(Some(blob));
    }
    // A remote's ref may point at anything. One that cannot be read holds nothing, and blocks no record.
    let tips = tracked_tips(repository, POLICIES_REF)?;
    Ok(tips
        .iter()
        .find_map(|tip| find_at(repository, tip, name).ok().flatten()))
}

fn find_at(
    repository: &Repository,
    tip: &gix::oid,
    name: &str,
) -> Result<Option<ObjectId>, TrailError> {
    let raw = repository.object(Kind::Tree, &repository.commit(tip)?.tree)?;
    Ok(TreeRefIter::from_bytes(&raw, repository.hash)
        .filter_map(Result::ok)
        .find(|entry| entry.filename == name && entry.mode.is_blob())
        .map(|entry| entry.oid.to_owned()))
}

/// The tip of a remote-tracking ref that continues the ref from `here` and contains all other tips that do. `None` if remotes
/// have nothing more, or if they have diverged.
fn ahead_of(
    repository: &Repository,
    here: Option<ObjectId>,
) -> Result<Option<ObjectId>, TrailError> {
    let mut most_complete = here;
    for tip in tracked_tips(repository, POLICIES_REF)? {
        repository.object(Kind::Tree, &repository.commit(&tip)?.tree)?;
        if is_first_parent_ancestor(repository, most_complete, tip)? {
            most_complete = Some(tip);
        } else if !is_first_parent_ancestor(repository, Some(tip), most_complete.unwrap_or(tip))? {
            return Ok(None);
        }
    }
    Ok(most_complete.filter(|tip| Some(*tip) != here))
}

/// Adds a file to a well-formed tree, in git's order; `None` if the tree has a file with that name.
fn with_file(raw: &[u8], name: &str, blob: &gix::oid) -> Option<Vec<u8>> {
    let mut line = format!("100644 {name}\0").into_bytes();
    line.extend_from_slice(blob.as_bytes());
    let mut at = 0;
    while at < raw.len() {
        let space = at + raw[at..].iter().position(|byte| *byte == b' ')?;
        let zero = space + raw[space..].iter().position(|byte| *byte == 0)?;
        let mut there = raw[space + 1..zero].to_vec();
        if there == name.as_bytes() {
            return None;
        }
        // Directories sort as if they ended in a slash. This program makes none, but another could.
        if raw[at..].starts_with(b"40000 ") {
            there.push(b'/');
        }
        if there.as_slice() > name.as_bytes() {
            break;
        }
        at = zero + 1 + blob.as_bytes().len();
    }
    Some([&raw[..at], &line, &raw[at.min(raw.len())..]].concat())
}
