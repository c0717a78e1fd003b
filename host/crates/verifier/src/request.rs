//! What a page asks: the bytes of a proof, and what to check it against.

use serde::{Deserialize, Serialize};
use verify::{AuditResult, ProofAnswer, ProofOptions, VerifyError};

use super::json::to_json;

/// What to check a proof against, in a request. All texts are the contents of files.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The name of the proof's file, for reasons.
    pub file: Option<String>,
    /// The key that signs the trail's checkpoints.
    pub checkpoint_key: Option<String>,
    /// The expected trail: its uuid, or its origin.
    pub trail: Option<String>,
    /// The SSH keys that may sign, and when.
    pub allowed_signers: Option<String>,
    /// SSH keys whose signatures no longer count.
    pub revoked_signers: Option<String>,
    /// The keys of witnesses.
    pub witness_keys: Option<String>,
    /// How many witnesses must have cosigned.
    pub witness_quorum: Option<usize>,
    /// Checkpoints that the auditor keeps: names and contents.
    pub against: Vec<(String, String)>,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// One line of JSON, as the command line prints it.
    pub json: Vec<u8>,
    /// The overall result; `None` if the proof could not be checked.
    pub result: Option<AuditResult>,
}

#[derive(Serialize)]
struct Failure<'a> {
    schema: u32,
    error: &'a str,
}

/// How a trail is named, for the error about another text.
pub const TRAIL_RULE: &str = "must be a uuid, or `commit-` and the id of the first entry's commit, as in the first line of a checkpoint";

/// Answers a request: the length of the options in four bytes, the lowest first; the options as JSON; the proof. A
/// request that cannot be answered gets `error`.
pub fn answer(request: &[u8]) -> Answer {
    match parse(request) {
        Some((options, proof)) => check(proof, &options),
        None => failure("the request is malformed"),
    }
}

/// Checks a proof.
pub fn check(proof: &[u8], options: &Options) -> Answer {
    match check_proof(proof, options) {
        Ok(report) => Answer {
            json: to_json(&ProofAnswer::new(&report)),
            result: Some(report.result()),
        },
        Err(error) => failure(&error),
    }
}

fn failure(error: &str) -> Answer {
    Answer {
        json: to_json(&Failure { schema: 1, error }),
        result: None,
    }
}

fn parse(request: &[u8]) -> Option<(Options, &[u8])> {
    let (length, rest) = request.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (options, proof) = rest.split_at_checked(length)?;
    Some((serde_json::from_slice(options).ok()?, proof))
}

fn check_proof(proof: &[u8], options: &Options) -> Result<verify::ProofReport, String> {
    let trail = options
        .trail
        .as_deref()
        .map(|text| verify::trail_named(text).ok_or_else(|| format!("--trail {TRAIL_RULE}")));
    let trail = trail.transpose()?;
    let against: Vec<(&str, &str)> = options
        .against
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let mut given = ProofOptions::default();
    given.file = options.file.as_deref();
    given.checkpoint_key = options.checkpoint_key.as_deref();
    given.trail = trail.as_deref();
    given.allowed_signers = options.allowed_signers.as_deref();
    given.revoked_signers = options.revoked_signers.as_deref();
    given.witness_keys = options.witness_keys.as_deref();
    given.witness_quorum = options.witness_quorum;
    given.against = &against;
    verify::check_proof(proof, &given).map_err(|error| chain(&error))
}

/// An error with its causes, as the command line prints it.
fn chain(error: &VerifyError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn what_is_no_request_is_answered_with_an_error() {
        for request in [
            &b""[..],
            b"\x01\0\0",
            b"\x09\0\0\0{}",
            b"\x02\0\0\0[1]",
            b"\x03\0\0\0nul",
            b"\xff\xff\xff\xff{}",
            b"\x0b\0\0\0{\"other\":1}",
        ] {
            let found = answer(request);
            assert_eq!(found.result, None);
            let text = String::from_utf8_lossy(&found.json).into_owned();
            assert_eq!(
                text,
                "{\"schema\":1,\"error\":\"the request is malformed\"}\n"
            );
        }
        let found = answer(b"\x02\0\0\0{}proof");
        let text = String::from_utf8_lossy(&found.json).into_owned();
        assert!(text.contains("the proof: it is not a proof file"), "{text}");
    }
}
