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
    read_all(File::open(path)?, max_bytes)
}

/// Reads everything, at most `max_bytes`.
///
/// # Errors
///
/// What reading returns, and [`io::ErrorKind::FileTooLarge`].
pub fn read_all(reader: impl io::Read, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(max_bytes + 1).read_to_end(&mut bytes)?;
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

/// Reads a regular file of at most `max_bytes`.
///
/// # Errors
///
/// Those of [`require_regular`] and [`read_bounded`].
pub fn read_regular(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    require_regular(path)?;
    read_bounded(path, max_bytes)
}

/// Reads a regular file of at most `max_bytes` as text.
///
/// # Errors
///
/// Those of [`require_regular`] and [`read_text`].
pub fn read_regular_text(path: &Path, max_bytes: u64) -> io::Result<String> {
    require_regular(path)?;
    read_text(path, max_bytes)
}

/// Turns the error for a missing file into `None`.
///
/// # Errors
///
/// Any other error.
pub fn optional<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Checks that a path is not a symbolic link. A path that does not exist is none.
///
/// # Errors
///
/// It is a link, or cannot be examined.
pub fn refuse_link(path: &Path) -> io::Result<()> {
    match optional(path.symlink_metadata())? {
        Some(metadata) if metadata.is_symlink() => Err(io::Error::other("it is a symbolic link")),
        _ => Ok(()),
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
    write_and_rename(&path, bytes)
}

/// Replaces a file whose name the program has derived from another one. A checkout could have a symbolic link there, which leads to a
/// file that the person never named.
///
/// # Errors
///
/// There is a link or a directory, or writing fails.
pub fn replace_derived(path: &Path, bytes: &[u8]) -> io::Result<()> {
    refuse_link(path)?;
    // Renaming does not follow a link that was made in the meantime.
    write_and_rename(path, bytes)
}

fn write_and_rename(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // As for any new file, the umask decides who may read it.
    let mut beside = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory_of(path))?;
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
