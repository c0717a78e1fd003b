//! The files of certificates and keys: how they are read, and whether one has changed. Must not know which servers are trusted.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why files of certificates or keys cannot be used, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnusableFile(pub String);

/// The largest file that is read. The system's authorities have a quarter of it.
const MAX_BYTES: u64 = 1 << 20;

/// Reads the certificates of a PEM file, at least one. An error begins with the parameter that names the file.
///
/// # Errors
///
/// [`UnusableFile`] if the file cannot be read or has no certificate.
pub fn certificates(
    parameter: &str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, UnusableFile> {
    let (bytes, _) = read(parameter, file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(UnusableFile(format!(
            "{parameter}: {} has no certificate in PEM form",
            file.display()
        ))),
    }
}

/// Reads the private key of a PEM file that only its owner may read. An error begins with the parameter that names the file.
///
/// # Errors
///
/// [`UnusableFile`] if the file cannot be read, may be used by others, or has no key without a passphrase.
pub fn private_key(parameter: &str, file: &Path) -> Result<PrivateKeyDer<'static>, UnusableFile> {
    let (bytes, metadata) = read(parameter, file)?;
    // As in libpq: the key of root may be lent to a group.
    let forbidden = match metadata.uid() {
        0 => 0o037,
        _ => 0o077,
    };
    if metadata.mode() & forbidden != 0 {
        return Err(UnusableFile(format!(
            "{parameter}: {} is accessible to other users: run `chmod 600`",
            file.display()
        )));
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        UnusableFile(format!(
            "{parameter}: {} has no private key in PEM form; a key with a passphrase cannot be used",
            file.display()
        ))
    })
}

/// Reads a regular file. Opening or reading a pipe could block for ever.
fn read(parameter: &str, file: &Path) -> Result<(Vec<u8>, Metadata), UnusableFile> {
    let shown = file.display();
    let unreadable =
        |error: io::Error| UnusableFile(format!("{parameter}: cannot read {shown}: {error}"));
    let is_usable = |it: &Metadata| it.is_file() && it.len() <= MAX_BYTES;
    let other = || {
        UnusableFile(format!(
            "{parameter}: {shown} is not a file of certificates or keys"
        ))
    };
    if !is_usable(&file.metadata().map_err(unreadable)?) {
        return Err(other());
    }
    let opened = File::open(file).map_err(unreadable)?;
    // What was opened counts: the path may name another file since.
    let metadata = opened.metadata().map_err(unreadable)?;
    if !is_usable(&metadata) {
        return Err(other());
    }
    let mut bytes = Vec::new();
    opened
        .take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok((bytes, metadata))
}

/// What shows that files were replaced or written: for each its inode, its size and when it changed, or that it is absent.
#[derive(Debug, PartialEq, Eq)]
pub struct FileStates(Vec<Option<(u64, u64, i64, i64)>>);

impl FileStates {
    /// The state of these files now.
    pub fn of(files: &[PathBuf]) -> FileStates {
        let state = |file: &PathBuf| {
            let it = file.metadata().ok()?;
            Some((it.ino(), it.len(), it.ctime(), it.ctime_nsec()))
        };
        FileStates(files.iter().map(state).collect())
    }
}
