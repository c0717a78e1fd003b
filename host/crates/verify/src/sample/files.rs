//! The files of a sample: reads them, never writes them. A sample is hostile until it is checked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::VerifyError;
use crate::merkle::note::canonical_number;
use crate::trust::{read_at_most, unreadable};

/// The first line of the file that says what is drawn.
const FORMAT: &str = "chiffon-audit/sample/v1";

/// The largest list of drawn entries, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// The most entries of a sample: a list of more is no sample, and drawing them would take long.
const MAX_NUMBER: u64 = 100_000;

/// What the file `sample` says.
pub(super) struct Sample {
    pub(super) nonce: String,
    pub(super) number: u64,
    /// The indexes of the drawn entries, in the order in which they were drawn.
    pub(super) drawn: Vec<u64>,
}

impl Sample {
    /// Reads the file in this directory.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is malformed.
    pub(super) fn read(directory: &Path) -> Result<Sample, VerifyError> {
        let path = directory.join("sample");
        let bytes = read_at_most(&path, MAX_BYTES)?;
        Sample::parse(&bytes).map_err(|why| unreadable(&path, why))
    }

    fn parse(bytes: &[u8]) -> Result<Sample, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
        let text = text.strip_suffix('\n').ok_or("its last line has no end")?;
        let mut lines = text.split('\n');
        if lines.next() != Some(FORMAT) {
            return Err(format!(
                "it is not a sample: it does not start with `{FORMAT}`"
            ));
        }
        let number =
            |line: &str| canonical_number(line).filter(|number| (1..=MAX_NUMBER).contains(number));
        let nonce = lines.next().and_then(|line| line.strip_prefix("nonce "));
        let asked = lines.next().and_then(|line| line.strip_prefix("number "));
        let drawn = lines.map(|line| canonical_number(line.strip_prefix("entry ")?));
        Ok(Sample {
            nonce: nonce.ok_or("it lacks the line `nonce`")?.to_owned(),
            number: asked
                .and_then(number)
                .ok_or("it lacks the line `number` with a number up to 100000")?,
            drawn: drawn
                .collect::<Option<_>>()
                .ok_or("it has a line that is not an entry")?,
        })
    }
}

/// The proof of the entry with this index.
pub(super) fn proof(directory: &Path, index: u64) -> PathBuf {
    directory.join("proofs").join(format!("{index}.proof"))
}

/// The entry with this index.
pub(super) fn entry(directory: &Path, index: u64) -> PathBuf {
    directory.join("entries").join(format!("{index}.json"))
}

/// Files of the sample that should not be there, in the directories of entries and proofs.
///
/// # Errors
///
/// A directory cannot be read.
pub(super) fn unexpected(
    directory: &Path,
    expected: &BTreeSet<PathBuf>,
) -> Result<Vec<PathBuf>, VerifyError> {
    let mut found = Vec::new();
    for name in ["entries", "proofs"] {
        let below = directory.join(name);
        let listed = match below.read_dir() {
            Ok(listed) => listed,
            // All that is missing is reported by name.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(&below, format!("cannot be read: {error}"))),
        };
        for file in listed {
            let file =
                file.map_err(|error| unreadable(&below, format!("cannot be read: {error}")))?;
            found.extend(Some(file.path()).filter(|path| !expected.contains(path)));
        }
    }
    found.sort();
    Ok(found)
}
