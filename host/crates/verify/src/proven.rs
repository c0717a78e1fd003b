//! Checks a proof file by itself: no repository, no network, years later.

use std::path::Path;

use serde::Serialize;

use super::checkpoints::{self, Given};
use super::findings::quote;
use super::merkle::proof::Proof;
use super::report::{self, Claim, Outcome, Verdict};
use super::rules::commit::Commit;
use super::rules::message::{self, MessageError, Role};
use super::rules::{entry, path, time};
use super::signatures::{read_at_most, unreadable};
use super::store::hash::{self, Kind};
use super::{Options, VerifyError, expected, signature, signatures, witnesses};

/// What a proof file shows.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ProofReport {
    /// The task whose entry is in it, if its path names one.
    pub task_id: Option<String>,
    /// The entry's path in the trail.
    pub path: String,
    /// The commit that added the entry.
    pub commit: Option<String>,
    /// The entry, as it was recorded.
    pub entry: String,
    /// How many entries came before it.
    pub index: u64,
    /// How many entries the checkpoint is over.
    pub size: u64,
    /// The origin that the checkpoint names: which trail it is of.
    pub origin: String,
    /// When the checkpoint was made, if it says so.
    pub time: Option<String>,
    /// What is shown.
    pub claims: Vec<Claim>,
}

impl ProofReport {
    /// The report in one word.
    pub fn outcome(&self) -> Outcome {
        report::outcome(&self.claims)
    }
}

/// A proof holds one entry. As long as the longest that git's objects are read to here.
const MAX_BYTES: u64 = 128 << 20;

/// Checks a proof file. Of the options, those about signers and the checkpoint key count.
///
/// # Errors
///
/// Says why the file is no proof at all, or what was given with it cannot be used.
pub fn verify_proof(file: &Path, options: &Options<'_>) -> Result<ProofReport, VerifyError> {
    let bytes = read_at_most(file, MAX_BYTES)?;
    let proof = Proof::parse(&bytes).map_err(|why| unreadable(file, why))?;
    let is_sha256 = proof.commit.starts_with(b"tree ") && proof.commit.get(69) == Some(&b'\n');
    let algorithm = if is_sha256 {
        gix::hash::Kind::Sha256
    } else {
        gix::hash::Kind::Sha1
    };
    let id = hash::name(algorithm, Kind::Commit, proof.commit);
    let commit = Commit::parse(proof.commit, algorithm.len_in_hex());
    let inclusion = match proof.leads_to_root() {
        true => Verdict::Holds,
        false => broken("entry, commit and hashes lead to another root: one of them was changed"),
    };
    let agreement = match commit.as_ref().map(|commit| agree(&proof, commit)) {
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
    claims.extend(claim_key(file, &proof, options)?);
    let key = options.checkpoint_key.as_deref();
    let key = key.map(checkpoints::parse_key).transpose()?;
    let key = key.as_ref().map(|key| key.name.as_str());
    let origin = &proof.checkpoint.origin;
    claims.push(expected::claim_of_proof(
        options.trail.as_deref(),
        origin,
        key,
    ));
    claims.push(claim_signature(&proof, seconds, is_sha256, options)?);
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

/// Whether the commit speaks of this entry.
fn agree(proof: &Proof<'_>, commit: &Commit<'_>) -> Result<(), Verdict> {
    let task = path::task_at(proof.path.as_bytes()).map_err(broken)?;
    let entry = entry::parse(proof.entry).map_err(|why| broken(format!("the entry {why}")))?;
    if message::role(commit.message) != Role::Entry {
        return Err(broken("its commit is no record of a task"));
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
    let before = commit.time().map(|time| time.saturating_sub(entry.seconds));
    match before {
        None | Some(..0) => Err(broken("it is committed before the time of its entry")),
        Some(before) if before > time::APART_MOST => Err(broken(format!(
            "its entry is backdated: it says that it was recorded {before} s before it was committed"
        ))),
        Some(_) => Ok(()),
    }?;
    Ok(())
}

/// Without the key a proof shows nothing: anybody can make a tree with any entry in it.
fn claim_key(
    file: &Path,
    proof: &Proof<'_>,
    options: &Options<'_>,
) -> Result<Vec<Claim>, VerifyError> {
    let key = options.checkpoint_key.as_deref();
    let key = key.map(checkpoints::parse_key).transpose()?;
    let given = [Given {
        path: file.to_owned(),
        kept_by: None,
        checkpoint: proof.checkpoint.clone(),
    }];
    let mut claims = vec![checkpoints::claim_signed(&given, key.as_ref())];
    let claim = &mut claims[0];
    claim.title = "the checkpoint is signed by the checkpoint key".into();
    if key.is_none() {
        claim.verdict = Verdict::NotShown {
            missing: "whose checkpoint it is; anybody can make one with any entry in it, so `--checkpoint-key` must name the key".into(),
        };
    }
    claims.extend(witnesses::claim(options, given.iter())?);
    Ok(claims)
}

fn claim_signature(
    proof: &Proof<'_>,
    seconds: Option<i64>,
    sha256: bool,
    options: &Options<'_>,
) -> Result<Claim, VerifyError> {
    let Some(signers) = signatures::signers(options)? else {
        return Ok(signatures::claim_nobody(options));
    };
    let seconds = seconds.unwrap_or(i64::MIN);
    let mut claim = Claim::new("signatures", signatures::TITLE, Verdict::Holds);
    claim.verdict = match signature::judge(&signers, proof.commit, seconds, sha256) {
        signature::Judgement::Signed(who) => {
            claim
                .notes
                .push(format!("{} signed it", quote(who.as_bytes())));
            Verdict::Holds
        }
        signature::Judgement::Unsigned => Verdict::NotShown {
            missing: "a signature of its own; a later commit may have one that is for it too"
                .into(),
        },
        signature::Judgement::Broken(what) => broken(what),
        signature::Judgement::NotShown(missing) => Verdict::NotShown { missing },
    };
    Ok(claim)
}
