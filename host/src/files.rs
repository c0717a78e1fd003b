//! Files that a person or a setting names: read within a bound, and replaced as a whole.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Reads a file of at most `max_bytes`.
///
/// # Errors
///
/// What reading returns, and [`io::ErrorKind::FileTooLarge`].
pub fn read_bounded(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(max_bytes + 1)
        .read_to_end(&mut bytes)?;
    match bytes.len() as u64 > max_bytes {
        true => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {max_bytes} bytes"),
        )),
        false => Ok(bytes),
    }
}

/// Reads a file of at most `max_bytes` as text.
///
/// # Errors
///
/// As [`read_bounded`], and if it is not UTF-8.
pub fn read_text(path: &Path, max_bytes: u64) -> io::Result<String> {
    let bytes = read_bounded(path, max_bytes)?;
    // The words of the standard library, which reads text in the same way.
    String::from_utf8(bytes).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "stream did not contain valid UTF-8",
        )
    })
}

/// Checks that it is a regular file: opening a pipe would wait until someone writes to it.
///
/// # Errors
///
/// [`io::ErrorKind::IsADirectory`] for a directory, an error without a kind for anything else.
pub fn require_regular(path: &Path) -> io::Result<()> {
    let metadata = path.metadata()?;
    match () {
        () if metadata.is_file() => Ok(()),
        () if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        () => Err(io::Error::other("it is not a file")),
    }
}

/// Writes the file completely or not at all. What is there and no regular file, such as a pipe, is written to.
///
/// # Errors
///
/// What writing returns.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Behind a symbolic link, the file itself is replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return fs::write(path, bytes);
    }
    // As for any new file, the umask decides who may read it.
    let mut beside = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory_of(&path))?;
    beside.write_all(bytes)?;
    beside.persist(path)?;
    Ok(())
}

/// The directory that a file is in.
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}
