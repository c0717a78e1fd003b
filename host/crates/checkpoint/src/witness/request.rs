//! The body of `add-checkpoint`: `old N`, the hashes of a consistency proof, an empty line, and the checkpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::note::{Checkpoint, canonical_number};
use trail::TreeHash;

/// The most lines in a proof.
const MAX_HASHES: usize = 63;

/// A parsed request.
pub(super) struct Request<'a> {
    pub(super) old: u64,
    pub(super) proof: Vec<TreeHash>,
    pub(super) checkpoint: Checkpoint,
    /// The signed part of the note.
    pub(super) text: &'a str,
    /// The note's signature lines.
    pub(super) signatures: Vec<&'a str>,
}

impl<'a> Request<'a> {
    /// Parses a body.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn parse(body: &'a str) -> Result<Request<'a>, &'static str> {
        let (head, note) = body
            .split_once("\n\n")
            .ok_or("no empty line comes before the checkpoint")?;
        let mut lines = head.split('\n');
        let old = lines
            .next()
            .and_then(|line| canonical_number(line.strip_prefix("old ")?))
            .ok_or("the first line is not `old` and a number")?;
        let proof: Vec<TreeHash> = lines
            .map(|line| STANDARD.decode(line).ok()?.try_into().ok())
            .collect::<Option<_>>()
            .filter(|proof: &Vec<TreeHash>| proof.len() <= MAX_HASHES)
            .ok_or("a line of the proof is not a hash, or there are too many")?;
        if note
            .chars()
            .any(|letter| letter.is_control() && letter != '\n')
        {
            return Err("the checkpoint holds a control character");
        }
        let (checkpoint, whole) =
            Checkpoint::read_last(note).ok_or("the rest is not a checkpoint")?;
        if whole != note {
            return Err("there is more than one checkpoint");
        }
        let (text, signatures) = note
            .split_once("\n\n")
            .and_then(|(text, lines)| Some((note.get(..=text.len())?, lines.strip_suffix('\n')?)))
            .ok_or("the checkpoint has no signatures")?;
        let signatures: Vec<&str> = signatures.split('\n').collect();
        if !signatures.iter().all(|line| line.starts_with("\u{2014} ")) {
            return Err("a signature line of the checkpoint is malformed");
        }
        Ok(Request {
            old,
            proof,
            checkpoint,
            text,
            signatures,
        })
    }

    /// Formats a body.
    pub(super) fn write(old: u64, proof: &[TreeHash], note: &str) -> String {
        let hashes = proof
            .iter()
            .map(|hash| format!("{}\n", STANDARD.encode(hash)));
        format!("old {old}\n{}\n{note}", hashes.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::Request;

    #[test]
    fn a_request_has_one_form() {
        let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let note = format!(
            "chiffon-audit/x\n7\n{root}\nother\n\n\u{2014} a AAAAAAA=\n\u{2014} b AAAAAAA=\n"
        );
        let good = Request::write(3, &[[1; 32], [2; 32]], &note);
        let read = Request::parse(&good).ok();
        let read = read.map(|read| {
            (
                read.old,
                read.proof.len(),
                read.checkpoint.size,
                read.signatures.len(),
            )
        });
        assert_eq!(read, Some((3, 2, 7, 2)));
        let text = Request::parse(&good).ok().map(|read| read.text.to_owned());
        assert_eq!(
            text.as_deref(),
            note.split_once("\n\n")
                .map(|(text, _)| format!("{text}\n"))
                .as_deref()
        );
        assert!(Request::parse(&Request::write(0, &[], &note)).is_ok());
        for bad in [
            good.replace("old 3", "old 03"),
            good.replace("old 3", "old +3"),
            good.replace("old 3", "new 3"),
            good.replace("old 3\n", "old 3\nx\n"),
            good.replace("\n7\n", "\n07\n"),
            good.replace("\u{2014} b", "- b"),
            good.replace("other", "o\u{7}"),
            good.trim_end().to_owned(),
            format!("{good}\n{note}"),
            Request::write(3, &[[0; 32]; 64], &note),
            String::new(),
        ] {
            assert!(Request::parse(&bad).is_err(), "{bad}");
        }
    }
}
