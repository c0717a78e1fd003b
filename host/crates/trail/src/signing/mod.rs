//! Signatures of the trail's commits: how they are made, and what happens to an entry if none can be made.
//!
//! Owns keys and git's signature header. The caller configures everything: a repository never decides who signs, or
//! with which program.

mod agent;
mod openpgp;
mod ssh;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::objs::Kind;

use crate::error::TrailError;
use crate::objects::object;
use agent::AgentKey;
use openpgp::OpenPgpKey;
use ssh::SshKey;

/// How the trail's commits are signed.
#[derive(Clone, Debug)]
pub struct SigningOptions {
    /// The key that signs.
    pub key: SigningKey,
    /// Which commits are signed.
    pub extent: Extent,
    /// What happens to an entry that cannot be signed.
    pub on_failure: OnFailure,
    /// The time limit of an agent or a program for one signature.
    pub timeout: Duration,
    /// The file whose first line is the passphrase of an encrypted SSH key.
    pub passphrase_file: Option<PathBuf>,
}

/// The key that signs commits.
#[derive(Clone, Debug)]
pub enum SigningKey {
    /// An SSH key (ed25519): the file of a private key, or of a public key whose private half the agent at `agent`
    /// holds.
    Ssh {
        /// The file of the key.
        file: PathBuf,
        /// The socket of the agent, if there is one.
        agent: Option<PathBuf>,
    },
    /// An OpenPGP key, used through a program such as `gpg`.
    OpenPgp {
        /// The name of the key for the program, preferably its fingerprint.
        key: String,
        /// The program that signs.
        program: PathBuf,
    },
}

/// Which commits are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// Every commit.
    #[default]
    Commit,
    /// The last commit of each group that becomes durable together. It names its parent, which names the next, and so
    /// on.
    Group,
}

/// What happens to an entry that cannot be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It is not recorded: its caller learns that trying again may help.
    #[default]
    Hold,
    /// It is recorded, and its commit says that it is not signed.
    Unsigned,
}

/// How long the signer is not called after a failure. Otherwise a signer that hangs would delay every entry by its
/// timeout.
const PAUSE: Duration = Duration::from_secs(5);

/// A signer, ready to sign.
pub struct Signing {
    signer: Signer,
    pub(super) extent: Extent,
    on_failure: OnFailure,
    failed: Mutex<Option<(Instant, TrailError)>>,
}

enum Signer {
    Ssh(SshKey),
    Agent(AgentKey),
    OpenPgp(OpenPgpKey),
}

/// Signs a file's bytes as they are, as `ssh-keygen -Y sign -n git` does with an SSH key. Returns the armoured signature.
///
/// # Errors
///
/// [`TrailError::Invalid`] if the key cannot be used, [`TrailError::Signing`] if no signature can be made now.
pub fn sign_file(options: &SigningOptions, contents: &[u8]) -> Result<String, TrailError> {
    Signing::open(options)?.armoured(contents)
}

/// Names a signing key without its private half: `openpgp:` and its fingerprint, or `ssh:` and the SHA-256 of the public key.
///
/// # Errors
///
/// [`TrailError::Invalid`] if the key cannot be used.
pub fn key_name(options: &SigningOptions) -> Result<String, TrailError> {
    let public = match &options.key {
        SigningKey::OpenPgp { key, .. } => return Ok(format!("openpgp:{key}")),
        SigningKey::Ssh { file, .. } => match ssh::read(file, options)? {
            ssh::KeyFile::Private(key) => key.public().to_vec(),
            ssh::KeyFile::Public(public) => public,
        },
    };
    Ok(format!("ssh:{}", outcome::digest::sha256(&public)))
}

impl Signing {
    /// Reads the key.
    ///
    /// # Errors
    ///
    /// [`TrailError::Invalid`] if the key cannot be used, with the reason.
    pub fn open(options: &SigningOptions) -> Result<Signing, TrailError> {
        let signer = match &options.key {
            SigningKey::Ssh { file, agent } => match ssh::read(file, options)? {
                ssh::KeyFile::Private(key) => Signer::Ssh(*key),
                ssh::KeyFile::Public(blob) => Signer::Agent(AgentKey::new(
                    blob,
                    agent.as_deref(),
                    file,
                    options.timeout,
                )?),
            },
            SigningKey::OpenPgp { key, program } => {
                Signer::OpenPgp(OpenPgpKey::new(key, program, options)?)
            }
        };
        Ok(Signing {
            signer,
            extent: options.extent,
            on_failure: options.on_failure,
            failed: Mutex::new(None),
        })
    }

    /// The armoured signature of these bytes.
    fn armoured(&self, contents: &[u8]) -> Result<String, TrailError> {
        match &self.signer {
            // A key in memory does not fail.
            Signer::Ssh(key) => Ok(key.sign(contents)),
            Signer::Agent(key) => self.try_sign(|| key.sign(contents)),
            Signer::OpenPgp(key) => self.try_sign(|| key.sign(contents)),
        }
    }

    /// Whether entries that cannot be signed are recorded.
    pub(super) fn records_unsigned(&self) -> bool {
        self.on_failure == OnFailure::Unsigned
    }

    /// Returns the commit with its signature.
    ///
    /// # Errors
    ///
    /// [`TrailError::Signing`] if no signature can be made now.
    pub(super) fn sign(&self, commit: &[u8], hash: HashKind) -> Result<Vec<u8>, TrailError> {
        Ok(with_header(commit, &self.armoured(commit)?, hash))
    }

    fn try_sign(
        &self,
        sign: impl FnOnce() -> Result<String, String>,
    ) -> Result<String, TrailError> {
        let mut failed = self.failed.lock().expect("nothing panics while it signs");
        if let Some((when, error)) = &*failed
            && when.elapsed() < PAUSE
        {
            return Err(error.clone());
        }
        match sign() {
            Ok(signature) => {
                *failed = None;
                Ok(signature)
            }
            Err(why) => {
                let error = TrailError::Signing(why);
                // The pause starts after the attempt.
                *failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

/// The trailer for the extent of a signature, or for its absence.
const TRAILER: &str = "Audit-Signature";

/// The id and contents of a commit as it is stored.
pub(super) type FinishedCommit = (ObjectId, Vec<u8>);

/// Signs a commit if signatures are configured, and returns what is stored. The signature covers this many commits of
/// the trail, of which this is the last.
///
/// # Errors
///
/// [`TrailError::Signing`] if no signature can be made now and unsigned entries are held; [`TrailError::Collision`].
pub(super) fn finish_commit(
    signing: Option<&Signing>,
    mut commit: Vec<u8>,
    hash: HashKind,
    covers: usize,
) -> Result<FinishedCommit, TrailError> {
    if let Some(signing) = signing {
        if covers > 1 {
            append_trailer(&mut commit, &format!("covers {covers}"));
        }
        match signing.sign(&commit, hash) {
            Ok(signed) => commit = signed,
            Err(error) if signing.on_failure == OnFailure::Unsigned => {
                tracing::warn!(%error, "a commit is recorded unsigned");
                if covers > 1 {
                    commit.truncate(commit.len() - format!("{TRAILER}: covers {covers}\n").len());
                }
                append_trailer(&mut commit, "unavailable");
            }
            Err(error) => return Err(error),
        }
    }
    // The policy chose the subject, so an attacker may have chosen these bytes.
    let id = object::name_checked(hash, Kind::Commit, &commit)?;
    Ok((id, commit))
}

/// Whether a commit says that it could not be signed. The host's trailer is the last one, so a subject cannot imitate
/// it.
pub(super) fn is_unavailable(commit: &[u8]) -> bool {
    commit.ends_with(format!("\n{TRAILER}: unavailable\n").as_bytes())
}

/// Appends a trailer to the message, which ends the commit.
fn append_trailer(commit: &mut Vec<u8>, value: &str) {
    commit.extend_from_slice(format!("{TRAILER}: {value}\n").as_bytes());
}

impl std::fmt::Debug for Signing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Signing")
    }
}

/// Inserts a signature as git does: after the headers that it covers, each further line after a space.
fn with_header(commit: &[u8], signature: &str, hash: HashKind) -> Vec<u8> {
    let name = match hash {
        HashKind::Sha256 => "gpgsig-sha256",
        _ => "gpgsig",
    };
    let end = commit
        .windows(2)
        .position(|pair| pair == b"\n\n")
        .expect("a commit has an empty line after its headers");
    let header = signature.trim_end_matches('\n').replace('\n', "\n ");
    let mut signed = Vec::with_capacity(commit.len() + header.len() + 32);
    signed.extend_from_slice(&commit[..=end]);
    signed.extend_from_slice(name.as_bytes());
    signed.push(b' ');
    signed.extend_from_slice(header.as_bytes());
    signed.extend_from_slice(&commit[end..]);
    signed
}
