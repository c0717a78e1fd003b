//! Checks a proof by itself: without a repository or a network, years later.

use std::path::Path;

use serde::Serialize;

use super::given::{self, GivenCheckpoint, unreadable};
use super::merkle::note::NoteKey;
use super::merkle::proof::Proof;
use super::object::{self, Algorithm, Kind};
use super::quote::quote;
use super::report::{self, AuditResult, Claim, Verdict};
use super::rules::commit::Commit;
use super::rules::message::{self, MessageError, Role};
use super::rules::{entry, path, subject, time};
use super::signature::{self, AllowedSigners, Signers};
use super::witnesses::Witnesses;
use super::{VerifyError, expected, same_checkpoint};

/// The result of checking a proof file.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ProofReport {
    /// The task of the entry, if the path names one.
    pub task_id: Option<String>,
    /// The entry's path in the trail.
    pub path: String,
    /// The commit that added the entry.
    pub commit: Option<String>,
    /// The entry as it was recorded.
    pub entry: String,
    /// The number of entries before it.
    pub index: u64,
    /// The number of entries that the checkpoint covers.
    pub size: u64,
    /// The origin in the checkpoint, which identifies the trail.
    pub origin: String,
    /// The time of the checkpoint, if it has one.
    pub time: Option<String>,
    /// The claims about the proof.
    pub claims: Vec<Claim>,
}

impl ProofReport {
    /// The overall result.
    pub fn result(&self) -> AuditResult {
        report::result(&self.claims)
    }
}

/// The answer about a proof as JSON: the same on the command line and in a browser.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ProofAnswer<'a> {
    /// The version of this form.
    pub schema: u32,
    /// The overall result.
    #[serde(rename = "outcome")]
    pub result: AuditResult,
    /// The facts and claims.
    #[serde(flatten)]
    pub report: &'a ProofReport,
}

impl<'a> ProofAnswer<'a> {
    /// The answer with these facts and claims.
    pub fn new(report: &'a ProofReport) -> ProofAnswer<'a> {
        ProofAnswer {
            schema: 1,
            result: report.result(),
            report,
        }
    }
}

/// The keys and expectations for a proof: the contents of files, not their names. Without a key a proof only shows that
/// its parts belong together.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ProofOptions<'a> {
    /// The name of the proof's file, for reasons; `proof` by default.
    pub file: Option<&'a str>,
    /// The key that signs the trail's checkpoints, as `name+id+base64`.
    pub checkpoint_key: Option<&'a str>,
    /// The expected trail, as [`trail_named`](crate::trail_named) parses it.
    pub trail: Option<&'a str>,
    /// The SSH keys whose signatures count, and when: git's format of allowed signers.
    pub allowed_signers: Option<&'a str>,
    /// SSH keys whose signatures no longer count: public keys or fingerprints, one a line.
    pub revoked_signers: Option<&'a str>,
    /// The keys of witnesses, `name+id+base64`, one a line.
    pub witness_keys: Option<&'a str>,
    /// How many witnesses must have cosigned the checkpoint; one by default.
    pub witness_quorum: Option<usize>,
    /// Checkpoints that the auditor keeps: the name and the contents of each file.
    pub against: &'a [(&'a str, &'a str)],
}

/// Checks a proof. Reads no file.
///
/// # Errors
///
/// The bytes are not a proof, or an option cannot be used.
pub fn check_proof(proof: &[u8], options: &ProofOptions<'_>) -> Result<ProofReport, VerifyError> {
    let bad = |what: &str| {
        let what = format!("{what}:");
        move |why| VerifyError::Unreadable { what, why }
    };
    let mut signers = None;
    if let Some(text) = options.allowed_signers {
        let mut allowed = AllowedSigners::parse(text).map_err(bad("the allowed signers"))?;
        if let Some(revoked) = options.revoked_signers {
            let revoked = allowed.revoke(revoked.as_bytes());
            revoked.map_err(bad("the revoked signers"))?;
        }
        signers = Some(Signers::with_ssh_keys(allowed));
    }
    let quorum = options.witness_quorum.unwrap_or(1);
    let witnesses = options
        .witness_keys
        .map(|text| Witnesses::parse(text, quorum).map_err(bad("the witnesses' keys")))
        .transpose()?;
    let mut against = Vec::new();
    for (name, text) in options.against {
        let name = Path::new(name);
        let found = GivenCheckpoint::parse_all(name, text.as_bytes());
        against.extend(found.map_err(|why| unreadable(name, why))?);
    }
    let trust = Trust {
        key: options.checkpoint_key.map(given::parse_key).transpose()?,
        trail: options.trail,
        signers,
        asks_for_signatures: options.revoked_signers.is_some(),
        witnesses,
        against,
    };
    match options.file.map(Path::new) {
        Some(file) => check(file, proof, &trust).map_err(|why| unreadable(file, why)),
        None => check(Path::new("proof"), proof, &trust).map_err(bad("the proof")),
    }
}

/// The parsed options.
pub(crate) struct Trust<'a> {
    pub(crate) key: Option<NoteKey>,
    pub(crate) trail: Option<&'a str>,
    pub(crate) signers: Option<Signers>,
    /// Whether a signature is required even if no signers are given.
    pub(crate) asks_for_signatures: bool,
    pub(crate) witnesses: Option<Witnesses>,
    /// The checkpoints that the auditor keeps.
    pub(crate) against: Vec<GivenCheckpoint>,
}

/// Checks the proof in a file with this name.
///
/// # Errors
///
/// The bytes are not a proof.
pub(crate) fn check(file: &Path, bytes: &[u8], trust: &Trust<'_>) -> Result<ProofReport, String> {
    let proof = Proof::parse(bytes)?;
    let is_sha256 = proof.commit.starts_with(b"tree ") && proof.commit.get(69) == Some(&b'\n');
    let algorithm = if is_sha256 {
        Algorithm::Sha256
    } else {
        Algorithm::Sha1
    };
    let id = object::id_of(algorithm, Kind::Commit, proof.commit);
    let commit = Commit::parse(proof.commit, algorithm.len_in_hex());
    let inclusion = match proof.leads_to_root() {
        true => Verdict::Holds,
        false => broken("entry, commit and hashes lead to another root: one of them was changed"),
    };
    let agreement = match commit
        .as_ref()
        .map(|commit| check_commit_matches(&proof, commit))
    {
        Some(Ok(())) => Verdict::Holds,
        Some(Err(verdict)) => verdict,
        None => broken("its commit is malformed"),
    };
    let seconds = commit.as_ref().and_then(Commit::time);
    let mut claims = vec![
        Claim::new(
            "inclusion",
            "entry and commit are in the tree of the checkpoint",
            inclusion,
        ),
        Claim::new(
            "agreement",
            "message, trailers, path and entry agree",
            agreement,
        ),
    ];
    claims.extend(claim_key(file, &proof, trust));
    claims.extend(same_checkpoint::claim(&proof.checkpoint, &trust.against));
    let key = trust.key.as_ref().map(|key| key.name.as_str());
    let origin = &proof.checkpoint.origin;
    claims.push(expected::claim_of_proof(trust.trail, origin, key));
    claims.push(claim_signature(&proof, seconds, is_sha256, trust));
    Ok(ProofReport {
        task_id: path::task_at(proof.path.as_bytes()).ok().map(str::to_owned),
        path: proof.path.to_owned(),
        commit: id.map(|id| id.to_string()),
        entry: String::from_utf8_lossy(proof.entry).into_owned(),
        index: proof.index,
        size: proof.checkpoint.size,
        origin: proof.checkpoint.origin.clone(),
        time: proof.checkpoint.seconds.map(signature::show_time),
        claims,
    })
}

fn broken(what: impl Into<String>) -> Verdict {
    Verdict::Broken {
        commit: None,
        what: what.into(),
        count: 1,
    }
}

/// Checks that the commit adds this entry.
fn check_commit_matches(proof: &Proof<'_>, commit: &Commit<'_>) -> Result<(), Verdict> {
    let task = path::task_at(proof.path.as_bytes()).map_err(broken)?;
    let entry = entry::parse(proof.entry).map_err(|why| broken(format!("the entry {why}")))?;
    if message::role(commit.message) != Role::Entry {
        return Err(broken("its commit is not a record of a task"));
    }
    commit.check_headers().map_err(broken)?;
    let trailers = message::check(commit.message, Role::Entry).map_err(|error| match error {
        MessageError::Broken(why) => broken(why),
        MessageError::Later(missing) => Verdict::NotShown { missing },
    })?;
    if entry.task_id != task || trailers.task != Some(task) {
        return Err(broken(format!(
            "path, entry and trailer name different tasks: {}, {} and {}",
            quote(task.as_bytes()),
            quote(entry.task_id.as_bytes()),
            quote(trailers.task.unwrap_or_default().as_bytes())
        )));
    }
    subject::check_agrees(commit.message, &entry).map_err(broken)?;
    let before = commit.time().map(|time| time.saturating_sub(entry.seconds));
    match before {
        None | Some(..0) => Err(broken("it is committed before the time of its entry")),
        Some(before) if before > time::MAX_ENTRY_AGE_BEFORE_RULE => Err(broken(format!(
            "its entry is backdated: it says that it was recorded {before} s before it was committed"
        ))),
        Some(_) => Ok(()),
    }
}

/// Without the key a proof shows nothing: anyone can make a tree with any entry in it.
fn claim_key(file: &Path, proof: &Proof<'_>, trust: &Trust<'_>) -> Vec<Claim> {
    let checkpoints = [GivenCheckpoint {
        path: file.to_owned(),
        kept_by: None,
        checkpoint: proof.checkpoint.clone(),
    }];
    let all = [&checkpoints[..], &trust.against].concat();
    let mut claims = vec![given::claim_signed(&all, trust.key.as_ref())];
    let claim = &mut claims[0];
    if trust.against.is_empty() {
        claim.title = "the checkpoint is signed by the checkpoint key".into();
    }
    if trust.key.is_none() {
        claim.verdict = Verdict::NotShown {
            missing: "whose checkpoint it is; anyone can make one with any entry in it, so `--checkpoint-key` must \
                 name the key".into(),
        };
    }
    let witnesses = trust.witnesses.iter();
    claims.extend(witnesses.map(|witnesses| witnesses.claim(checkpoints.iter())));
    claims
}

fn claim_signature(
    proof: &Proof<'_>,
    seconds: Option<i64>,
    sha256: bool,
    trust: &Trust<'_>,
) -> Claim {
    let Some(signers) = &trust.signers else {
        return signature::claim_without_signers(trust.asks_for_signatures);
    };
    let seconds = seconds.unwrap_or(i64::MIN);
    let mut claim = Claim::new("signatures", signature::TITLE, Verdict::Holds);
    claim.verdict = match signature::judge(signers, proof.commit, seconds, sha256) {
        signature::Judgement::Signed(who) => {
            claim
                .notes
                .push(format!("{} signed it", quote(who.as_bytes())));
            Verdict::Holds
        }
        signature::Judgement::Unsigned => Verdict::NotShown {
            missing: "its own signature; that of a later commit may cover it".into(),
        },
        signature::Judgement::Broken(what) => broken(what),
        signature::Judgement::NotShown(missing) => Verdict::NotShown { missing },
    };
    claim
}
