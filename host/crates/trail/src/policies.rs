//! Policies kept beside the trail: their components and settings, each a file named by its digest on a separate ref.
//!
//! Owns the ref's format, which is public: the tree is flat; a commit adds one file, `sha256-{hex}.wasm` or `sha256-{hex}.json`.
//! Knows nothing of WebAssembly: here a component is bytes with a digest.
//!
//! In a clone, files on the ref's remote-tracking refs are read as well. The first file that the clone keeps continues the
//! remote's history.
//!
//! A kept file puts nothing in force: the ref can be fetched from anywhere.

use std::path::PathBuf;

use gix::ObjectId;
use gix::objs::{Kind, TreeRefIter};

use crate::error::TrailError;
use crate::objects::commit::Commit;
use crate::objects::object::{self, Deflater};
use crate::objects::pack::{PackBuilder, TYPE_BLOB, TYPE_COMMIT, TYPE_TREE};
use crate::place::repository::Repository;
use crate::place::state::{Mark, StateDir};
use crate::setup::locate::tracked_tips;
use crate::setup::remote_trails::is_first_parent_ancestor;
use crate::write::flush::{BeforeRef, FlushError, FlushGroup, Flusher};
use crate::write::lock::WriterLock;
use crate::{Placement, Trail, TrailInner};
use outcome::clock::Timestamp;
use outcome::digest::{is_sha256, sha256};

/// The ref on which policies are kept.
pub const POLICIES_REF: &str = "refs/heads/audit-policies";

/// What a kept file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyFileKind {
    /// A policy's component.
    Component,
    /// A policy's settings, in their canonical form.
    Settings,
}

impl PolicyFileKind {
    fn extension(self) -> &'static str {
        match self {
            PolicyFileKind::Component => "wasm",
            PolicyFileKind::Settings => "json",
        }
    }

    /// The name of the file for a digest; nothing, if that is no digest.
    fn file_name(self, digest: &str) -> Option<String> {
        let name = digest.replace(':', "-");
        is_sha256(digest).then(|| format!("{name}.{}", self.extension()))
    }
}

impl Trail {
    /// Keeps these files, with one commit for each new file. On return all of them are durable.
    ///
    /// # Errors
    ///
    /// Those of any writing; [`TrailError::Invalid`] if the ref is checked out somewhere.
    pub fn keep_policy_files(
        &self,
        files: &[(PolicyFileKind, &[u8])],
        time: Timestamp,
    ) -> Result<(), TrailError> {
        let shared = self.shared();
        if shared.all_kept(files)? && shared.known_durable()? {
            return Ok(());
        }
        // Recovery, the check for a rollback, and the trail's own identity come first, as before any other writing.
        self.refresh()?;
        let lock = WriterLock::acquire(&shared.state, shared.lock_wait)?;
        let kept = shared.keep_locked(files, time);
        lock.release();
        kept
    }

    /// A kept file with this digest, checked against it.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`], also where the file is there and its contents have another digest.
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

    /// Whether a file with this digest is kept; its contents are not looked at.
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

    /// The name of a remote to fetch [`POLICIES_REF`] from: one whose copy of it is here, or else one that the repository's
    /// configuration names. `None` if there is no remote.
    pub fn policies_remote(&self) -> Option<String> {
        let repository = &self.shared().repository;
        let copies = repository.refs_below("refs/remotes/").unwrap_or_default();
        let holder = copies.iter().find_map(|(name, _)| {
            let name = name.strip_prefix("refs/remotes/")?;
            name.strip_suffix("/audit-policies").map(str::to_owned)
        });
        holder.or_else(|| {
            repository.fetch_refspecs().iter().find_map(|refspec| {
                let (_, destination) = refspec.split_once(':')?;
                let below = destination.strip_prefix("refs/remotes/")?;
                below.split_once('/').map(|(remote, _)| remote.to_owned())
            })
        })
    }
}

impl TrailInner {
    fn all_kept(&self, files: &[(PolicyFileKind, &[u8])]) -> Result<bool, TrailError> {
        // A remote-tracking ref does not count: a person's git may have written it without syncing, or may prune it.
        let Some(tip) = self.repository.read_ref(POLICIES_REF)? else {
            return Ok(false);
        };
        for (kind, contents) in files {
            let name = file_name(*kind, contents);
            if find_at(&self.repository, &tip, &name)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the ref is where we made it durable ourselves.
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
                "{POLICIES_REF} holds the trail, so that policies cannot be kept there"
            )));
        }
        let mut expected = repository.read_ref(POLICIES_REF)?;
        match expected {
            // What is there may have come from a person's git, which syncs nothing.
            Some(_) if !self.known_durable()? => flusher.sync_foreign_writes()?,
            Some(_) => {}
            None => repository.check_name_free(POLICIES_REF)?,
        }
        // A remote's ref that cannot be read is not continued.
        // A replicated trail follows its log and nothing else.
        if !self.follows_log()?
            && let Ok(Some(remote)) = ahead_of(repository, expected)
        {
            flusher.fast_forward(expected, remote)?;
            expected = Some(remote);
        }
        let mut builder = PackBuilder::new(repository.hash);
        let (tip, made) = self.commits(files, expected, time, &mut builder)?;
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
                before_ref: BeforeRef::Append(made),
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

    /// Makes a commit for each file that is not kept yet; the id of the last, or `expected`, and how
    /// many were made.
    fn commits(
        &self,
        files: &[(PolicyFileKind, &[u8])],
        expected: Option<ObjectId>,
        time: Timestamp,
        builder: &mut PackBuilder,
    ) -> Result<(Option<ObjectId>, usize), TrailError> {
        let repository = &self.repository;
        let mut made = 0;
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
            made += 1;
        }
        Ok((tip, made))
    }
}

impl StateDir {
    /// The tip of [`POLICIES_REF`] that we have made durable.
    fn kept_path(&self) -> PathBuf {
        self.root().join("kept")
    }
}

fn file_name(kind: PolicyFileKind, contents: &[u8]) -> String {
    kind.file_name(&sha256(contents))
        .expect("it is made of a digest")
}

/// The message of a commit that keeps a file. No trail commit: it has no `Audit-Format`.
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
    // A remote's ref can point at anything. If it cannot be read, it counts as empty, so that it cannot stop recording.
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

/// The tip of the remote-tracking ref that continues the ref from `here` and contains all others. `None` if the remotes have
/// nothing new, or if they have diverged.
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

/// A well-formed tree with one more file, in git's order; nothing, if it has one of that name.
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
        // Directories sort as if they ended in a slash. Only another program can have put one here.
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
