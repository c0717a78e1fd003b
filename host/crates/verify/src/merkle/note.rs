//! Signed notes (C2SP `signed-note`) and the checkpoints in them (C2SP `tlog-checkpoint`): parses and checks them,
//! never signs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use super::leaf::Hash;
use crate::quote::quote;
use crate::rules::time;

/// The longest note in bytes, including the cosignatures of witnesses.
const MAX_BYTES: usize = 64 << 10;

/// The most signatures of a note.
const MAX_SIGNATURES: usize = 100;

/// The algorithm byte of Ed25519 in keys and key hashes.
const ED25519: u8 = 1;

/// The algorithm byte of Ed25519 cosignatures.
const COSIGNATURE: u8 = 4;

/// A checkpoint, read but not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// The signed text.
    text: String,
    /// The origin, which identifies the trail.
    pub(crate) origin: String,
    /// The number of entries.
    pub(crate) size: u64,
    /// The root over the entries.
    pub(crate) root: Hash,
    /// The trail's tip at that time, if the checkpoint names it.
    pub(crate) commit: Option<String>,
    /// The time of the checkpoint in seconds since 1970, if it has one.
    pub(crate) seconds: Option<i64>,
    signatures: Vec<NoteSignature>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    key_id: [u8; 4],
    bytes: Vec<u8>,
}

impl Checkpoint {
    /// Parses a file of one or more checkpoints.
    ///
    /// # Errors
    ///
    /// Describes the first checkpoint that cannot be parsed, or that there is none.
    pub(crate) fn parse_all(bytes: &[u8]) -> Result<Vec<Checkpoint>, String> {
        let mut found = Vec::new();
        let mut begin = 0;
        let mut in_signatures = false;
        let mut at = 0;
        // A note ends with its last signature line. Another note may follow, after empty lines too. Before the first
        // note and after the last one, nothing is allowed.
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let is_signature = line.starts_with("\u{2014} ".as_bytes());
            if in_signatures && !is_signature {
                found.push(Checkpoint::parse(&bytes[begin..at])?);
                begin = at;
                in_signatures = false;
            }
            if begin == at && line == b"\n" && !found.is_empty() {
                begin += 1;
            }
            in_signatures |= is_signature;
            at += line.len();
        }
        if in_signatures || begin < at || found.is_empty() {
            found.push(Checkpoint::parse(&bytes[begin..])?);
        } else {
            return Err("it ends with an empty line".into());
        }
        Ok(found)
    }

    /// Parses a checkpoint.
    ///
    /// # Errors
    ///
    /// Describes what is wrong with it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Checkpoint, String> {
        if bytes.len() > MAX_BYTES {
            return Err("it is longer than any checkpoint".into());
        }
        let note = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
        if note
            .chars()
            .any(|letter| letter.is_control() && letter != '\n')
        {
            return Err("it holds a control character".into());
        }
        let (text, signatures) = note
            .rsplit_once("\n\n")
            .ok_or("it is not a signed note: no empty line comes before signatures")?;
        let text = format!("{text}\n");
        let signatures = signatures
            .strip_suffix('\n')
            .ok_or("its last line has no end")?;
        let signatures: Vec<NoteSignature> = signatures
            .split('\n')
            .map(|line| signature(line).ok_or("a signature line is malformed"))
            .take(MAX_SIGNATURES)
            .collect::<Result<_, _>>()?;
        let is_repeated = |(at, line)| signatures[..at].contains(line);
        if signatures.iter().enumerate().any(is_repeated) {
            return Err("it holds a signature line twice".into());
        }
        let mut lines = text.strip_suffix('\n').unwrap_or(&text).split('\n');
        let mut next = || lines.next().filter(|line| !line.is_empty());
        let (Some(origin), Some(size), Some(root)) = (next(), next(), next()) else {
            return Err("it is not a checkpoint: it lacks origin, size or root".into());
        };
        let size = canonical_number(size).ok_or("its size is not a number in canonical form")?;
        let root = STANDARD
            .decode(root)
            .ok()
            .and_then(|root| root.try_into().ok())
            .ok_or("its root is not a hash")?;
        let mut checkpoint = Checkpoint {
            origin: origin.to_owned(),
            size,
            root,
            commit: None,
            seconds: None,
            signatures,
            text: String::new(),
        };
        for line in lines {
            match line.split_once(' ') {
                // A repeated line would be ambiguous.
                Some(("commit", _)) if checkpoint.commit.is_some() => {
                    return Err("it names two commits".into());
                }
                Some(("time", _)) if checkpoint.seconds.is_some() => {
                    return Err("it names two times".into());
                }
                Some(("commit", id)) => checkpoint.commit = Some(id.to_owned()),
                Some(("time", at)) => {
                    checkpoint.seconds = Some(time::seconds(at).ok_or("its time is malformed")?);
                }
                // Lines by other programs are signed too, and are ignored.
                _ if line.is_empty() => return Err("it holds an empty line".into()),
                _ => {}
            }
        }
        checkpoint.text = text;
        Ok(checkpoint)
    }

    /// The root as the checkpoint writes it.
    pub(crate) fn root_in_base64(&self) -> String {
        STANDARD.encode(self.root)
    }

    /// Checks that this key signed the checkpoint.
    ///
    /// # Errors
    ///
    /// It did not.
    pub(crate) fn check(&self, key: &NoteKey) -> Result<(), String> {
        let theirs =
            |signature: &&NoteSignature| signature.name == key.name && signature.key_id == key.id;
        let mut theirs = self.signatures.iter().filter(theirs).peekable();
        if theirs.peek().is_none() {
            let signer = self.signatures.first().map_or_else(
                || "nobody".to_owned(),
                |signature| {
                    quote(format!("{}+{}", signature.name, hex(&signature.key_id)).as_bytes())
                },
            );
            return Err(format!(
                "it is signed by {signer} and not by the key {}",
                quote(format!("{}+{}", key.name, hex(&key.id)).as_bytes())
            ));
        }
        let good = |signature: &NoteSignature| {
            Signature::from_slice(&signature.bytes).is_ok_and(|signature| {
                key.key
                    .verify_strict(self.text.as_bytes(), &signature)
                    .is_ok()
            })
        };
        if theirs.all(good) {
            Ok(())
        } else {
            Err(format!(
                "its signature is not that of the key {}: it was forged, or the checkpoint edited",
                quote(key.name.as_bytes())
            ))
        }
    }
}

impl Checkpoint {
    /// Returns the witnesses that cosigned the checkpoint, each key once, with the times in seconds since 1970.
    ///
    /// # Errors
    ///
    /// A line names one of the witnesses, and its signature is wrong.
    pub(crate) fn cosigned<'a>(
        &self,
        keys: &'a [WitnessKey],
    ) -> Result<Vec<(&'a str, u64)>, String> {
        let mut found: Vec<(&WitnessKey, u64)> = Vec::new();
        for line in &self.signatures {
            let theirs = |key: &&WitnessKey| key.name == line.name && key.id == line.key_id;
            let Some(key) = keys.iter().find(theirs) else {
                continue;
            };
            let seconds = key.check(&line.bytes, &self.text).ok_or_else(|| {
                format!(
                    "a cosignature is not that of the witness {}: it was forged, or the checkpoint edited",
                    quote(key.name.as_bytes())
                )
            })?;
            // One key under two names is one witness.
            if !found.iter().any(|(other, _)| other.key == key.key) {
                found.push((key, seconds));
            }
        }
        Ok(found
            .into_iter()
            .map(|(key, seconds)| (key.name.as_str(), seconds))
            .collect())
    }
}

/// A witness's key (C2SP `tlog-cosignature`, Ed25519): `name+id+base64`.
#[derive(Clone, Debug)]
pub(crate) struct WitnessKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl WitnessKey {
    /// Parses a file of keys, one a line. Empty lines and lines that start with `#` are ignored.
    ///
    /// # Errors
    ///
    /// Names the line that is not a key.
    pub(crate) fn parse_all(text: &str) -> Result<Vec<WitnessKey>, String> {
        let lines = (1..).zip(text.lines());
        lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(number, line)| {
                let (name, id, key) = parse_key(line, COSIGNATURE)
                    .map_err(|why| format!("has no witness's key in line {number}: {why}"))?;
                Ok(WitnessKey { name, id, key })
            })
            .collect()
    }

    /// The number of different keys.
    pub(crate) fn count(keys: &[WitnessKey]) -> usize {
        let different = |(at, key): &(usize, &WitnessKey)| {
            !keys[..*at].iter().any(|other| other.key == key.key)
        };
        keys.iter().enumerate().filter(different).count()
    }

    /// The time of a cosignature, if it is valid: eight bytes, and a signature over them and the note.
    fn check(&self, bytes: &[u8], text: &str) -> Option<u64> {
        let (seconds, signature) = bytes.split_first_chunk::<8>()?;
        let seconds = u64::from_be_bytes(*seconds);
        let signature = Signature::from_slice(signature).ok()?;
        let message = format!("cosignature/v1\ntime {seconds}\n{text}");
        let good = self
            .key
            .verify_strict(message.as_bytes(), &signature)
            .is_ok();
        (good && i64::try_from(seconds).is_ok()).then_some(seconds)
    }
}

/// The prefix of a checkpoint's origin. The trail's uuid follows.
pub(crate) const ORIGIN: &str = "chiffon-audit/";

/// A key that checks notes: `name+id+base64`, as C2SP writes one.
#[derive(Clone, Debug)]
pub(crate) struct NoteKey {
    pub(crate) name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl NoteKey {
    /// Parses a key.
    ///
    /// # Errors
    ///
    /// Describes what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<NoteKey, String> {
        // A file of a key ends with a line end.
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let (name, id, key) = parse_key(text, ED25519)?;
        Ok(NoteKey { name, id, key })
    }
}

/// Parses a key of this algorithm: its name, its id and the key itself.
fn parse_key(text: &str, expected: u8) -> Result<(String, [u8; 4], VerifyingKey), String> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("it is not a key of the form name+id+base64".into());
    };
    let bytes = STANDARD.decode(key).map_err(|_| "it is not base64")?;
    let (algorithm, key) = bytes.split_first().ok_or("it is empty")?;
    let key: &[u8; 32] = match key.try_into() {
        Ok(key) if *algorithm == expected => key,
        _ => return Err("it is not an Ed25519 key".into()),
    };
    let computed = key_id(name, expected, key);
    if hex(&computed) != id {
        return Err("its id does not match its name and key: it was changed".into());
    }
    let key = VerifyingKey::from_bytes(key).map_err(|_| "it is not a point of the curve")?;
    Ok((name.to_owned(), computed, key))
}

/// Parses a number in its canonical form: digits without a leading zero.
pub(crate) fn canonical_number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// The first four bytes of SHA-256 of the name, a newline, the algorithm and the key.
fn key_id(name: &str, algorithm: u8, key: &[u8; 32]) -> [u8; 4] {
    let digest = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', algorithm])
        .chain_update(key)
        .finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signature(line: &str) -> Option<NoteSignature> {
    let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let bytes = STANDARD.decode(encoded).ok()?;
    let (key_id, bytes) = bytes.split_first_chunk::<4>()?;
    (!name.is_empty() && !bytes.is_empty()).then(|| NoteSignature {
        name: name.to_owned(),
        key_id: *key_id,
        bytes: bytes.to_vec(),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{Checkpoint, NoteKey};

    // From the package golang.org/x/mod/sumdb/note, whose documentation signs this text with this key.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your \
         problem is.\n\n\u{2014} PeterNeumann \
         x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn notes_of_others_are_read() {
        let key = NoteKey::parse(PETER).unwrap();
        assert!(NoteKey::parse(&PETER.replace("c74f", "c74e")).is_err());
        for end in ["\n", "\r\n"] {
            assert!(NoteKey::parse(&format!("{PETER}{end}")).is_ok());
        }
        for text in [
            format!(" {PETER}"),
            format!("{PETER} "),
            format!("{PETER}\u{a0}\n"),
            format!("{PETER}\n\n"),
            format!("\n{PETER}"),
        ] {
            assert!(NoteKey::parse(&text).is_err(), "{text:?}");
        }
        let error = Checkpoint::parse(NOTE.as_bytes()).unwrap_err();
        assert_eq!(
            error,
            "it is not a checkpoint: it lacks origin, size or root"
        );
        let (text, line) = NOTE.rsplit_once("\n\n").unwrap();
        let signature = super::signature(line.trim_end()).unwrap();
        let mut checkpoint = Checkpoint {
            text: format!("{text}\n"),
            origin: String::new(),
            size: 0,
            root: [0; 32],
            commit: None,
            seconds: None,
            signatures: vec![signature],
        };
        assert_eq!(checkpoint.check(&key), Ok(()));
        checkpoint.text.push('x');
        assert!(checkpoint.check(&key).unwrap_err().contains("edited"));
        checkpoint.signatures[0].key_id[0] ^= 1;
        assert!(
            checkpoint
                .check(&key)
                .unwrap_err()
                .contains("not by the key")
        );
    }

    #[test]
    fn only_whole_checkpoints_are_read() {
        let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let line = "\u{2014} a AAAAAAA=\n";
        let good = format!(
            "chiffon-audit/x\n7\n{root}\ncommit abc\ntime 2026-01-02T03:04:05.000000Z\nother\n\n{line}"
        );
        let checkpoint = Checkpoint::parse(good.as_bytes()).unwrap();
        assert_eq!(
            (checkpoint.origin.as_str(), checkpoint.size),
            ("chiffon-audit/x", 7)
        );
        assert_eq!(checkpoint.commit.as_deref(), Some("abc"));
        assert_eq!(checkpoint.seconds, Some(1_767_323_045));
        let two = Checkpoint::parse_all(format!("{good}\n{good}").as_bytes()).unwrap();
        assert_eq!(two, [checkpoint.clone(), checkpoint]);
        for bad in [
            String::new(),
            format!("\n{good}"),
            format!("{good}\n"),
            format!("{good}\n{good}\n"),
            format!("{good}{line}"),
        ] {
            assert!(Checkpoint::parse_all(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Checkpoint::parse_all(format!("{good}\nmore\n").as_bytes()).is_err());
        for bad in [
            good.replace("\n7\n", "\n07\n"),
            good.replace("\n7\n", "\n+7\n"),
            good.replace("\n7\n", "\n\n7\n"),
            good.replace(root, "AAAA"),
            good.replace("other", "other\r"),
            good.replace("time 2026", "time x"),
            good.replace("other", "commit abd"),
            good.replace("other", "time 2026-01-02T03:04:06.000000Z"),
            good.replace(line, ""),
            good.replace(line, "- a AAAAAAA=\n"),
            good.trim_end().to_owned(),
        ] {
            assert!(Checkpoint::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
