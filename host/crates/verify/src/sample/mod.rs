//! Checks a sample of entries: that checkpoint and nonce draw exactly these, that all are there, and that each proof
//! leads to the checkpoint.

mod claims;
mod draw;
mod files;

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::given::{self, GivenCheckpoint};
use super::proven::{ProofReport, Trust, check};
use super::report::{self, AuditResult, Claim, Verdict};
use super::trust::{read, read_at_most, trust, unreadable};
use super::{Options, VerifyError, expected, same_checkpoint};
use claims::{Findings, claim_commitment, claim_draw, claim_report};
use files::Sample;

/// The largest file of a sample, in bytes: one entry, which is limited like git's objects.
const MAX_FILE_BYTES: u64 = 128 << 20;

/// The result of checking a sample.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SampleReport {
    /// The origin in the checkpoint, which identifies the trail.
    pub origin: String,
    /// The number of entries that the checkpoint covers: the population.
    pub size: u64,
    /// The time of the checkpoint, if it has one.
    pub time: Option<String>,
    /// The nonce that drew the entries.
    pub nonce: String,
    /// How many entries were asked for.
    pub number: u64,
    /// The drawn entries whose proofs could be read, in the order in which they were drawn.
    pub entries: Vec<SampledEntry>,
    /// The claims about the sample.
    pub claims: Vec<Claim>,
}

/// An entry of a sample.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SampledEntry {
    /// The number of entries before it in the trail.
    pub index: u64,
    /// The task, if the path names one.
    pub task_id: Option<String>,
    /// The commit that added the entry.
    pub commit: Option<String>,
    /// The entry as it was recorded.
    pub entry: String,
}

impl SampleReport {
    /// The overall result.
    pub fn result(&self) -> AuditResult {
        report::result(&self.claims)
    }

    /// Adds the claim that the report in the directory shows what the proofs say. `expected` is the report as this program makes
    /// it. Another version may lay it out differently, so a difference breaks nothing.
    pub fn add_report_claim(&mut self, directory: &Path, expected: &str) {
        let found = read_at_most(&directory.join("report.html"), MAX_FILE_BYTES);
        self.claims.push(claim_report(found, expected));
    }
}

/// Checks the sample in a directory. Uses the options that [`verify_proof`](crate::verify_proof) uses. `commitment` is
/// what the auditor published before the checkpoint was signed: SHA-256 of the nonce, in hexadecimal digits.
///
/// # Errors
///
/// The directory is not a sample, or an option cannot be used. What is missing or altered is in the claims instead.
pub fn verify_sample(
    directory: &Path,
    commitment: Option<&str>,
    options: &Options<'_>,
) -> Result<SampleReport, VerifyError> {
    let trust = trust(options)?;
    let path = directory.join("population");
    let population = GivenCheckpoint::parse_all(&path, &read(&path)?);
    let population = population.map_err(|why| unreadable(&path, why))?;
    let [population] = &population[..] else {
        return Err(unreadable(&path, "holds more than one checkpoint"));
    };
    let checkpoint = &population.checkpoint;
    let sample = Sample::read(directory)?;
    let drawn = draw::draw(checkpoint, sample.nonce.as_bytes(), sample.number);
    let mut claims = claim_population(population, &trust);
    claims.push(claim_commitment(&sample.nonce, commitment));
    claims.push(claim_draw(&sample, &drawn));
    let mut findings = Findings::default();
    let mut entries = Vec::new();
    let mut expected = BTreeSet::new();
    let of_sample = Trust {
        key: trust.key,
        trail: None,
        signers: trust.signers,
        asks_for_signatures: trust.asks_for_signatures,
        witnesses: None,
        against: vec![population.clone()],
    };
    for index in drawn {
        let (proof, entry) = (
            files::proof(directory, index),
            files::entry(directory, index),
        );
        if let Some(report) = read_entry(&proof, &entry, index, &of_sample, &mut findings) {
            entries.push(SampledEntry {
                index,
                task_id: report.task_id,
                commit: report.commit,
                entry: report.entry,
            });
        }
        expected.extend([proof, entry]);
    }
    for path in files::unexpected(directory, &expected)? {
        findings.unexpected(&path);
    }
    claims.extend(findings.claims());
    Ok(SampleReport {
        origin: checkpoint.origin.clone(),
        size: checkpoint.size,
        time: checkpoint.seconds.map(super::signature::show_time),
        nonce: sample.nonce,
        number: sample.number,
        entries,
        claims,
    })
}

/// The claims about the checkpoint that the entries are drawn from.
fn claim_population(population: &GivenCheckpoint, trust: &Trust<'_>) -> Vec<Claim> {
    let given = [&[population.clone()][..], &trust.against].concat();
    let mut signed = given::claim_signed(&given, trust.key.as_ref());
    if trust.key.is_none() {
        signed.verdict = Verdict::NotShown {
            missing: "whose checkpoint it is; anyone can make one with any entries in it, so `--checkpoint-key` must \
                 name the key".into(),
        };
    }
    let checkpoint = &population.checkpoint;
    let key = trust.key.as_ref().map(|key| key.name.as_str());
    let mut claims = vec![signed];
    claims.extend(same_checkpoint::claim(checkpoint, &trust.against));
    claims.push(expected::claim_of_proof(
        trust.trail,
        &checkpoint.origin,
        key,
    ));
    let witnesses = trust.witnesses.iter();
    claims.extend(witnesses.map(|witnesses| witnesses.claim([population].into_iter())));
    claims
}

/// Checks the proof and the entry with this index.
fn read_entry(
    proof: &Path,
    entry: &Path,
    index: u64,
    trust: &Trust<'_>,
    findings: &mut Findings,
) -> Option<ProofReport> {
    let bytes = match proof.exists() {
        false => {
            findings.missing(proof);
            None
        }
        true => read_at_most(proof, MAX_FILE_BYTES)
            .map_err(|why| findings.unreadable(why.to_string()))
            .ok(),
    };
    let report = check(proof, &bytes?, trust);
    let report = report.map_err(|why| findings.unreadable(unreadable(proof, why).to_string()));
    let report = report.ok()?;
    findings.take(proof, &report);
    if report.index != index {
        findings.other_entry(proof, report.index);
    }
    match read_at_most(entry, MAX_FILE_BYTES) {
        _ if !entry.exists() => findings.missing(entry),
        Ok(bytes) if bytes == report.entry.as_bytes() => {}
        Ok(_) => findings.altered(entry),
        Err(why) => findings.unreadable(why.to_string()),
    }
    Some(report)
}
