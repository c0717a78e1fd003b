//! Policies and settings in one file, for networks that have no connection to each other.
//!
//! Owns the form, which is public: a tar archive of plain files, sorted by name, each named by the digest of its contents as on the
//! trail's ref, `sha256-{hex}.wasm` or `sha256-{hex}.json`. The same policies make the same bytes. Reads no file and loads no
//! component.

use std::collections::BTreeMap;
use std::io::Read as _;

use outcome::digest::{is_sha256, sha256};
use tar::{Archive, Builder, EntryType, Header};

use super::PolicySettings;

/// The most components, and the most files of settings, in an archive.
const MAX_FILES: usize = 10_000;

/// The most bytes of settings: far more than a command line holds.
const MAX_SETTINGS: usize = 4 << 20;

/// The size of tar's blocks.
const BLOCK: usize = 512;

/// Policies and settings, each by its digest, `sha256:…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyArchive {
    /// The components of policies.
    pub components: BTreeMap<String, Vec<u8>>,
    /// Settings, in their canonical form.
    pub settings: BTreeMap<String, Vec<u8>>,
}

/// Why a file is not such an archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// It is not a complete tar archive of plain files.
    #[error("it is not a complete archive of policies: {0}")]
    Form(String),
    /// A file in it is not what its name says.
    #[error("{name} in it {problem}")]
    File {
        /// The name of the file, with escapes.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl PolicyArchive {
    /// The archive's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let named = |extension: &'static str| {
            move |(digest, contents): (&String, &Vec<u8>)| {
                let name = format!("{}.{extension}", digest.replacen(':', "-", 1));
                (name, contents.clone())
            }
        };
        let settings = self.settings.iter().map(named("json"));
        let files: BTreeMap<String, Vec<u8>> = settings
            .chain(self.components.iter().map(named("wasm")))
            .collect();
        let mut builder = Builder::new(Vec::new());
        for (name, contents) in &files {
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::Regular);
            header.set_size(contents.len() as u64);
            // No time and no owner, so that the same policies make the same bytes.
            header.set_mode(0o644);
            header.set_mtime(0);
            builder
                .append_data(&mut header, name, contents.as_slice())
                .expect("a short name and a file of any size fit into an archive in memory");
        }
        builder
            .into_inner()
            .expect("writing into memory does not fail")
    }

    /// Reads an archive. Every file in it must have the contents that its name says.
    ///
    /// # Errors
    ///
    /// What else is in it, or what is missing. `component_bytes` limits the size of a component.
    pub fn parse(bytes: &[u8], component_bytes: usize) -> Result<PolicyArchive, ArchiveError> {
        let form = |error: std::io::Error| ArchiveError::Form(error.to_string());
        let mut archive = PolicyArchive::default();
        let mut end = 0;
        let mut reader = Archive::new(bytes);
        // Raw entries: an extension that gives the next file another name or size is then an entry that is refused.
        for entry in reader.entries().map_err(form)?.raw(true) {
            let mut entry = entry.map_err(form)?;
            let name = String::from_utf8_lossy(&entry.path_bytes())
                .escape_debug()
                .to_string();
            let wrong = |problem: &str| ArchiveError::File {
                name: name.clone(),
                problem: problem.to_owned(),
            };
            if entry.header().entry_type() != EntryType::Regular {
                return Err(wrong("is not a plain file"));
            }
            let (digest, is_component) =
                parse_name(&name).ok_or_else(|| wrong("is not named by its digest"))?;
            let (files, limit) = match is_component {
                true => (&mut archive.components, component_bytes),
                false => (&mut archive.settings, MAX_SETTINGS),
            };
            let size = usize::try_from(entry.size()).unwrap_or(usize::MAX);
            if size > limit {
                return Err(wrong(&format!("is larger than {limit} bytes")));
            }
            if files.len() == MAX_FILES {
                return Err(wrong("is one file too many"));
            }
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).map_err(form)?;
            if contents.len() != size || sha256(&contents) != digest {
                return Err(wrong("has other contents than its name says"));
            }
            let is_canonical = |contents: &[u8]| {
                PolicySettings::parse(contents)
                    .is_some_and(|settings| settings.canonical().as_bytes() == contents)
            };
            if !is_component && !is_canonical(&contents) {
                return Err(wrong("does not hold settings in their canonical form"));
            }
            end = usize::try_from(entry.raw_file_position()).unwrap_or(usize::MAX);
            end = end.saturating_add(size.next_multiple_of(BLOCK));
            if files.insert(digest, contents).is_some() {
                return Err(wrong("is there twice"));
            }
        }
        // A file that was cut off between two entries would pass for a smaller archive.
        let rest = bytes.get(end..).unwrap_or_default();
        if rest.len() < 2 * BLOCK || rest.iter().any(|byte| *byte != 0) {
            let problem = "it was cut off, or something follows its end";
            return Err(ArchiveError::Form(problem.to_owned()));
        }
        Ok(archive)
    }
}

/// The digest in a file's name, and whether it is a component.
fn parse_name(name: &str) -> Option<(String, bool)> {
    let rest = name.strip_prefix("sha256-")?;
    let (hex, extension) = rest.split_once('.')?;
    let digest = format!("sha256:{hex}");
    let is_component = match extension {
        "wasm" => true,
        "json" => false,
        _ => return None,
    };
    is_sha256(&digest).then_some((digest, is_component))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{PolicyArchive, sha256};
    use tar::{Builder, EntryType, Header};

    const LIMIT: usize = 1000;

    fn archive(files: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, kind, contents) in files {
            let mut header = Header::new_ustar();
            header.set_entry_type(*kind);
            header.set_size(contents.len() as u64);
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, *contents).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn named(contents: &[u8], extension: &str) -> String {
        format!("{}.{extension}", sha256(contents).replace(':', "-"))
    }

    #[test]
    fn what_is_written_is_read_back_and_the_same_policies_make_the_same_bytes() {
        let mut some = PolicyArchive::default();
        for contents in [&b"one"[..], b"another", b""] {
            some.components.insert(sha256(contents), contents.to_vec());
        }
        let settings = b"{\"a\":\"b\"}";
        some.settings.insert(sha256(settings), settings.to_vec());
        let bytes = some.to_bytes();
        assert_eq!(PolicyArchive::parse(&bytes, LIMIT).unwrap(), some);
        assert_eq!(bytes, some.clone().to_bytes());
        let none = PolicyArchive::default();
        assert_eq!(PolicyArchive::parse(&none.to_bytes(), LIMIT).unwrap(), none);
    }

    #[test]
    fn every_other_file_is_refused() {
        let file = EntryType::Regular;
        let one = named(b"one", "wasm");
        let large = vec![0; LIMIT + 1];
        let open = b"{ \"a\": \"b\" }";
        for (files, problem) in [
            (vec![(&*one, file, &b"two"[..])], "has other contents"),
            (
                vec![("../x.wasm", file, b"one")],
                "is not named by its digest",
            ),
            (vec![(&*one.to_uppercase(), file, b"one")], "is not named"),
            (
                vec![(&*one.replace("wasm", "sig"), file, b"one")],
                "is not named",
            ),
            (
                vec![(&*one, EntryType::Symlink, b"")],
                "is not a plain file",
            ),
            (
                vec![(&*one, EntryType::GNULongName, b"x")],
                "is not a plain file",
            ),
            (
                vec![(&*one, EntryType::XHeader, b"x")],
                "is not a plain file",
            ),
            (
                vec![(&*one, file, b"one"), (&*one, file, b"one")],
                "is there twice",
            ),
            (
                vec![(&*named(&large, "wasm"), file, &large)],
                "is larger than 1000 bytes",
            ),
            (vec![(&*named(open, "json"), file, open)], "canonical form"),
            (
                vec![("\u{1b}[31m", file, b"one")],
                "\\u{1b}[31m in it is not named",
            ),
        ] {
            let error = PolicyArchive::parse(&archive(&files), LIMIT).unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
        }
    }

    #[test]
    fn an_archive_that_is_cut_off_anywhere_is_refused() {
        let (one, two) = (named(b"one", "wasm"), named(b"two", "wasm"));
        let file = EntryType::Regular;
        let whole = archive(&[(&one, file, b"one"), (&two, file, b"two")]);
        assert!(PolicyArchive::parse(&whole, LIMIT).is_ok());
        for length in 0..whole.len() {
            assert!(
                PolicyArchive::parse(&whole[..length], LIMIT).is_err(),
                "{length}"
            );
        }
        for junk in [&b"x"[..], b"\0\0x"] {
            let longer = [&whole, junk].concat();
            assert!(PolicyArchive::parse(&longer, LIMIT).is_err());
        }
    }
}
