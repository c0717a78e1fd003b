//! Signatures of the trail's commits: who makes them and what becomes of an entry when nobody does.
//!
//! Owns keys and git's signature header. Is given everything: a repository never says who signs, or with what program.

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
    /// Whose signature it is.
    pub key: SigningKey,
    /// Which commits are signed.
    pub extent: Extent,
    /// What becomes of an entry that could not be signed.
    pub on_failure: OnFailure,
    /// How long an agent or a program may take for one signature.
    pub timeout: Duration,
    /// The file whose first line opens an encrypted SSH key.
    pub passphrase_file: Option<PathBuf>,
}

/// Whose signature it is.
#[derive(Clone, Debug)]
pub enum SigningKey {
    /// An SSH key, ed25519: a private key's file, or a public key's, whose private half an agent at `agent` has.
    Ssh {
        /// The key's file.
        file: PathBuf,
        /// The agent's socket, if there is an agent.
        agent: Option<PathBuf>,
    },
    /// An OpenPGP key, by a program such as `gpg`.
    OpenPgp {
        /// What names the key for the program, best its fingerprint.
        key: String,
        /// The program.
        program: PathBuf,
    },
}

/// Which commits are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// Every one.
    #[default]
    Commit,
    /// The last of each group that becomes durable at once; it names its parents, and they theirs.
    Group,
}

/// What becomes of an entry that could not be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It is not recorded: its caller hears that trying again may help.
    #[default]
    Hold,
    /// It is recorded, and its commit says that nobody signed it.
    Unsigned,
}

/// After a failure nobody is asked again for so long: a signer that hangs would hold up every entry for its timeout.
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

impl Signing {
    /// Reads the key.
    ///
    /// # Errors
    ///
    /// [`TrailError::Invalid`]: the key cannot be used, and why.
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

    /// Whether what nobody can sign is recorded all the same.
    pub(super) fn records_unsigned(&self) -> bool {
        self.on_failure == OnFailure::Unsigned
    }

    /// The commit with its signature in it.
    ///
    /// # Errors
    ///
    /// [`TrailError::Signing`] if there is none to be had now.
    pub(super) fn sign(&self, commit: &[u8], hash: HashKind) -> Result<Vec<u8>, TrailError> {
        let signature = match &self.signer {
            // A key in memory does not fail.
            Signer::Ssh(key) => key.sign(commit),
            Signer::Agent(key) => self.try_sign(|| key.sign(commit))?,
            Signer::OpenPgp(key) => self.try_sign(|| key.sign(commit))?,
        };
        Ok(with_header(commit, &signature, hash))
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
                // From now, not from when the attempt began.
                *failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

/// The trailer that says what a signature is for, or that there is none.
const TRAILER: &str = "Audit-Signature";

/// A commit as it is stored: its name and its contents.
pub(super) type FinishedCommit = (ObjectId, Vec<u8>);

/// Makes of a commit's bytes what is stored, signed if somebody signs. `covers` says for how many
/// commits of the trail the signature is, this one the last of them.
///
/// # Errors
///
/// [`TrailError::Signing`] if nobody signs now and what is unsigned is held; [`TrailError::Collision`].
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
    // The subject is the policy's: somebody else may have chosen these bytes.
    let id = object::name_checked(hash, Kind::Commit, &commit)?;
    Ok((id, commit))
}

/// Whether a commit says that nobody could sign it. A host's last trailer ends it, so no subject can say so.
pub(super) fn is_unavailable(commit: &[u8]) -> bool {
    commit.ends_with(format!("\n{TRAILER}: unavailable\n").as_bytes())
}

/// The message ends with its trailers, and so does the commit.
fn append_trailer(commit: &mut Vec<u8>, value: &str) {
    commit.extend_from_slice(format!("{TRAILER}: {value}\n").as_bytes());
}

impl std::fmt::Debug for Signing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Signing")
    }
}

/// Puts a signature where git has it: behind the headers that it signs, each further line after a space.
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
