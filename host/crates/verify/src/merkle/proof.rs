//! Proof files: one entry, its commit, and the path from there to a checkpoint. Parses them, never writes them.
//!
//! The file has a header of lines, an empty line, then entry, commit and checkpoint verbatim, each with the length in
//! the header.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::leaf::{self, Hash};
use super::note::{Checkpoint, canonical_number};
use super::tree;

/// The first line of every proof file.
const FORMAT: &str = "chiffon-audit/proof/v1";

/// The most hashes in a proof: a trail of two to the power of this many entries fits no disk.
const MAX_HASHES: usize = 64;

/// The longest header, in bytes.
const MAX_HEADER: usize = 16 << 10;

/// A proof, read but not checked.
#[derive(Debug)]
pub(crate) struct Proof<'a> {
    pub(crate) path: &'a str,
    pub(crate) index: u64,
    pub(crate) entry: &'a [u8],
    pub(crate) commit: &'a [u8],
    pub(crate) checkpoint: Checkpoint,
    hashes: Vec<Hash>,
}

impl<'a> Proof<'a> {
    /// Parses a proof file.
    ///
    /// # Errors
    ///
    /// Describes what is wrong with it.
    pub(crate) fn parse(file: &'a [u8]) -> Result<Proof<'a>, String> {
        let end = file
            .windows(2)
            .take(MAX_HEADER)
            .position(|pair| pair == b"\n\n")
            .ok_or("it is not a proof file: its header has no end")?;
        let header = std::str::from_utf8(&file[..end]).map_err(|_| "its header is not UTF-8")?;
        let mut lines = header.split('\n');
        if lines.next() != Some(FORMAT) {
            return Err(format!(
                "it is not a proof file: it does not start with `{FORMAT}`"
            ));
        }
        let mut member = |name: &str| {
            lines
                .next()
                .and_then(|line| line.split_once(' '))
                .filter(|(key, _)| *key == name)
                .map(|(_, value)| value)
                .ok_or_else(|| format!("its header lacks the line `{name}`"))
        };
        let path = member("path")?;
        let number = |text: &str| {
            canonical_number(text).ok_or_else(|| {
                "its header has a number that is malformed or not in canonical form".to_owned()
            })
        };
        let index = number(member("index")?)?;
        let lengths = [
            number(member("entry")?)?,
            number(member("commit")?)?,
            number(member("checkpoint")?)?,
        ];
        let hashes: Vec<Hash> = lines
            .take(MAX_HASHES + 1)
            .map(|line| {
                let hash = STANDARD.decode(line.strip_prefix("hash ")?).ok()?;
                hash.try_into().ok()
            })
            .collect::<Option<_>>()
            .filter(|hashes: &Vec<Hash>| hashes.len() <= MAX_HASHES)
            .ok_or("its header has a line that is not a hash")?;
        let mut rest = &file[end + 2..];
        let mut take = |length: u64| {
            let (part, after) = usize::try_from(length)
                .ok()
                .and_then(|length| rest.split_at_checked(length))
                .ok_or("it is cut off")?;
            rest = after;
            Ok::<_, String>(part)
        };
        let (entry, commit, checkpoint) = (take(lengths[0])?, take(lengths[1])?, take(lengths[2])?);
        if !rest.is_empty() {
            return Err("it continues after its end".into());
        }
        Ok(Proof {
            path,
            index,
            entry,
            commit,
            checkpoint: Checkpoint::parse(checkpoint)
                .map_err(|why| format!("its checkpoint: {why}"))?,
            hashes,
        })
    }

    /// Whether entry and commit are in the tree with the checkpoint's root.
    pub(crate) fn leads_to_root(&self) -> bool {
        let leaf = leaf::hash(self.path.as_bytes(), self.entry, self.commit);
        let root = tree::root_from_proof(self.index, self.checkpoint.size, leaf, &self.hashes);
        root == Some(self.checkpoint.root)
    }
}
