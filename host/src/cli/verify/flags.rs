//! The questions of an audit: flags that `verify` and `report` share.

use std::path::{Path, PathBuf};

use crate::cli::Result;
use crate::cli::exit::{UsageError, cannot_read, check_exists};
use crate::cli::session::Session;
use crate::cli::time;
use crate::config::{Settings, Signing};
use crate::outcome::counted;
use crate::verifier::TRAIL_RULE;
use crate::verify::{self, Freshness, Options, Require};

/// What to check besides the structural claims.
#[derive(clap::Args, Debug)]
pub struct AuditFlags {
    /// The ref that holds the trail: a branch, or a ref's full name [default: the branch that holds one]
    #[arg(long = "ref", value_name = "REF")]
    pub reference: Option<String>,
    /// Who may sign, and when: a file in the format of git's gpg.ssh.allowedSignersFile
    #[arg(long, value_name = "FILE")]
    pub allowed_signers: Option<PathBuf>,
    /// OpenPGP keys that may sign: a file as gpg --export writes it
    #[arg(long, value_name = "FILE")]
    pub openpgp_keys: Option<PathBuf>,
    /// Keys whose signatures are no longer valid: public keys or fingerprints, one per line
    #[arg(long, value_name = "FILE", requires = "allowed_signers")]
    pub revoked_signers: Option<PathBuf>,
    /// The key that signs the trail's checkpoints, name+id+base64, or a file with it
    #[arg(long, value_name = "KEY")]
    pub checkpoint_key: Option<String>,
    /// The witnesses' keys, one name+id+base64 per line: they must have cosigned the newest checkpoint
    #[arg(long, value_name = "FILE")]
    pub witness_keys: Option<PathBuf>,
    /// How many different witnesses must have cosigned it [default: 1]
    #[arg(long, value_name = "NUMBER", requires = "witness_keys", value_parser = clap::value_parser!(u16).range(1..))]
    pub witness_quorum: Option<u16>,
    /// The expected trail: its uuid, or commit- and the id of its first entry's commit, as checkpoints name it
    #[arg(long, value_name = "TRAIL")]
    pub trail: Option<String>,
    /// Claims that must be shown: signed, checkpoint
    #[arg(long, value_name = "CLAIM", value_delimiter = ',')]
    pub require: Vec<Required>,
    /// A checkpoint that the trail must extend (a file, or a repository that keeps it), or another copy of the trail
    /// (a directory, or remote:NAME for a git remote); can be repeated
    #[arg(long, value_name = "CHECKPOINT|TRAIL")]
    pub against: Vec<PathBuf>,
    /// The newest checkpoint must be no older than this, such as 1h or 30 minutes; this detects a frozen trail
    #[arg(long, value_name = "DURATION")]
    pub max_age: Option<String>,
}

/// Claims that are checked only on request. The variants have no documentation, so that the help lists them on one
/// line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Required {
    Signed,
    Checkpoint,
}

impl AuditFlags {
    /// The audit's options. Relative file names start at the current directory, unlike the repository's.
    ///
    /// # Errors
    ///
    /// The checkpoint key or the settings cannot be read.
    pub fn options<'a>(&self, session: &Session) -> Result<Options<'a>> {
        let named = [
            ("the allowed signers", &self.allowed_signers),
            ("the OpenPGP keys", &self.openpgp_keys),
            ("the revoked signers", &self.revoked_signers),
            ("the keys of witnesses", &self.witness_keys),
        ];
        for (what, file) in named {
            file.as_deref()
                .map_or(Ok(()), |file| check_exists(what, file))?;
        }
        let files = self
            .against
            .iter()
            .filter(|path| remote_name(path).is_none());
        for file in files.filter(|file| !file.is_dir()) {
            check_exists("the checkpoint or trail", file)?;
        }
        let openpgp = self.openpgp(session)?;
        Ok(Options {
            reference: self.reference.clone(),
            allowed_signers: self.allowed_signers.clone(),
            openpgp_keys: self.openpgp_keys.clone(),
            openpgp_program: openpgp.program,
            openpgp_timeout: openpgp.timeout,
            revoked_signers: self.revoked_signers.clone(),
            checkpoint_key: self.checkpoint_key.as_deref().map(key).transpose()?,
            witness_keys: self.witness_keys.clone(),
            witness_quorum: self.witness_quorum.map(usize::from),
            trail: self.trail()?,
            require: Require {
                signed: self.require.contains(&Required::Signed),
                checkpoint: self.require.contains(&Required::Checkpoint),
            },
            against: files_and_directories(&self.against),
            fresh: self.fresh(session)?,
            now: Some(session.clock.now().seconds()),
            ..Options::default()
        })
    }

    fn trail(&self) -> Result<Option<String>, UsageError> {
        let named = self.trail.as_deref().map(|text| {
            verify::trail_named(text).ok_or_else(|| UsageError(format!("--trail {TRAIL_RULE}")))
        });
        named.transpose()
    }

    fn fresh(&self, session: &Session) -> Result<Option<Freshness>, UsageError> {
        let Some(text) = &self.max_age else {
            return Ok(None);
        };
        let now = session.clock.now();
        let since = time::ago(text, now).ok_or_else(|| {
            UsageError("--max-age must be a time span such as 1h or 30 minutes".into())
        })?;
        Ok(Some(Freshness {
            now: now.seconds(),
            since: since.seconds(),
        }))
    }

    /// The operator's OpenPGP program and its time limit. They are read only if needed, since an audit needs no
    /// configuration.
    fn openpgp(&self, session: &Session) -> Result<Signing> {
        if self.openpgp_keys.is_none() {
            return Ok(Signing::default());
        }
        Ok(session.settings(Settings::default())?.signing)
    }

    /// Describes the questions in words.
    pub fn describe(&self) -> Vec<String> {
        let mut words = vec!["the structural claims".to_owned()];
        if let Some(file) = &self.allowed_signers {
            words.push(format!("signatures of {}", file.display()));
        }
        if let Some(file) = &self.openpgp_keys {
            words.push(format!("OpenPGP signatures of {}", file.display()));
        }
        if let Some(file) = &self.revoked_signers {
            words.push(format!("but not of {}", file.display()));
        }
        if let Some(file) = &self.witness_keys {
            let number = self.witness_quorum.unwrap_or(1);
            words.push(format!(
                "cosignatures of {} of {}",
                counted(number, "witness", "witnesses"),
                file.display()
            ));
        }
        if let Some(trail) = &self.trail {
            words.push(format!("that it is the trail {trail}"));
        }
        let against = self.against.iter();
        words.extend(against.map(|path| format!("against {}", path.display())));
        let age = self.max_age.iter();
        words.extend(age.map(|age| format!("the newest checkpoint no older than {age}")));
        for required in &self.require {
            words.push(match required {
                Required::Signed => "every entry signed".to_owned(),
                Required::Checkpoint => "a checkpoint".to_owned(),
            });
        }
        words
    }
}

/// The name in `remote:NAME`.
pub fn remote_name(path: &Path) -> Option<&str> {
    path.to_str()?.strip_prefix("remote:")
}

fn files_and_directories(against: &[PathBuf]) -> Vec<PathBuf> {
    let own = against.iter().filter(|path| remote_name(path).is_none());
    own.cloned().collect()
}

/// Reads a key, given directly or as a file that holds it.
fn key(given: &str) -> Result<String> {
    if given.contains('+') {
        return Ok(given.to_owned());
    }
    std::fs::read_to_string(given)
        .map_err(|error| cannot_read("the checkpoint key", Path::new(given), error))
}
