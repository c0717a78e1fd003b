//! Opens a SQLite store: checks that it is a store, complete, and would survive a power cut, and creates or migrates
//! it.
//!
//! A new store is created under another name and linked into place when it is complete. So an empty file in a store's
//! place is not a new store: it was truncated.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior};

use super::super::{FingerprintKeys, Options, StoreError, StoreInfo, fingerprint_key};
use super::failure::{self, Context as _};
use super::project;
use super::schema::{
    APPLICATION_ID, MIGRATIONS, PROJECTION_OF_3, VERSION, projection, projection_indexes,
};

/// The path of a file that SQLite keeps next to the database.
pub(super) fn sidecar_path(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Opens the database for writing, and creates or migrates the store if the options allow it.
pub(super) fn open(
    path: &Path,
    options: &Options,
) -> Result<(Connection, StoreInfo, FingerprintKeys), StoreError> {
    let url = format!("sqlite:{}", path.display());
    let found = inspect_file(path, &url).map_err(with_advice)?;
    match found {
        ExistingFile::Ours { .. } => {}
        ExistingFile::Nothing if options.create => create(path, &url)?,
        ExistingFile::Nothing => return Err(StoreError::Missing(url)),
    }
    let mut connection = connect(path, options.lock_wait).map_err(with_advice)?;
    migrate(&mut connection, &url).map_err(with_advice)?;
    if matches!(found, ExistingFile::Ours { is_short: true }) {
        check_pages(&connection, &url).map_err(with_advice)?;
    }
    let journal: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .context(&url)?;
    let synchronous: i64 = connection
        .query_row("PRAGMA synchronous", [], |row| row.get(0))
        .context(&url)?;
    if journal != "wal" || synchronous != 2 {
        return Err(StoreError::NotDurable {
            url,
            cause: format!(
                "journal_mode is {journal} and synchronous is {synchronous}, not wal and 2"
            ),
        });
    }
    for_writing(&connection).context(&url)?;
    let about = StoreInfo {
        url,
        database: format!("SQLite {}", rusqlite::version()),
        schema: VERSION,
        durability: vec![
            ("journal_mode".into(), journal),
            ("synchronous".into(), "FULL".into()),
        ],
        warnings: readable_by_others(path),
    };
    let keys = keys(&connection, &about.url).map_err(with_advice)?;
    Ok((connection, about, keys))
}

/// Reads the keys for fingerprints.
fn keys(connection: &Connection, url: &str) -> Result<FingerprintKeys, StoreError> {
    let found = connection
        .query_row(
            "SELECT k.key, m.former_last IS NOT NULL FROM meta m, fingerprint_key k",
            [],
            |row| {
                Ok(FingerprintKeys {
                    key: row.get(0)?,
                    has_former: row.get(1)?,
                })
            },
        )
        .optional()
        .context(url)?;
    found.ok_or_else(|| StoreError::Damaged {
        url: url.to_owned(),
        cause: "its key is missing".into(),
    })
}

/// Warns about files that other users can read. A store that is created here is readable by its user only, and by the
/// group of a shared directory, but one that was restored from a copy may not be, and submissions may contain what a
/// policy redacts.
fn readable_by_others(path: &Path) -> Vec<String> {
    let directory = directory_of(path).metadata();
    let mode = match directory.is_ok_and(|directory| is_shared(directory.mode())) {
        true => 0o660,
        false => 0o600,
    };
    let files = ["", "-wal", "-shm"].map(|suffix| sidecar_path(path, suffix));
    let open_to_others = files.iter().filter(|file| {
        file.metadata()
            .is_ok_and(|metadata| metadata.mode() & 0o077 & !mode != 0)
    });
    open_to_others
        .map(|file| {
            let file = file.display();
            format!("other users of this machine may read or write {file}, which holds submissions: `chmod {mode:o} {file}`")
        })
        .collect()
}

/// Opens a connection to an existing store, with the settings of all connections.
///
/// Until [`keep_log`] changes that, closing it does not touch the log: a file that is refused does not change.
pub(super) fn connect(path: &Path, lock_wait: Duration) -> Result<Connection, StoreError> {
    let url = format!("sqlite:{}", path.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).context(&url)?;
    keep_log(&connection, true).context(&url)?;
    connection.busy_timeout(lock_wait).context(&url)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Erased data is overwritten, not only unlinked. A checkpoint blocks all writers, and most of its pages are those
    // that every write changes. After 64 MiB of log it is rare, and costs less in total.
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;
             PRAGMA cell_size_check = ON; PRAGMA cache_size = -32000; PRAGMA wal_autocheckpoint = 16384;
             PRAGMA journal_size_limit = 134217728;",
        )
        .context(&url)?;
    Ok(connection)
}

/// Settings of the one connection of a process that writes. It checkpoints the log into the database when it is closed.
/// Its cache is smaller, since SQLite searches all of it for each transaction that splits a page in the middle; the
/// system caches the rest.
pub(super) fn for_writing(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "cache_size", -8000)?;
    keep_log(connection, false)
}

/// Sets whether the log stays next to the database when the last connection is closed, instead of being checkpointed
/// into it.
pub(super) fn keep_log(connection: &Connection, keep: bool) -> rusqlite::Result<()> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep)
        .map(drop)
}

enum ExistingFile {
    Nothing,
    Ours {
        /// It is shorter than its header says: it was truncated, or the rest is still in its log.
        is_short: bool,
    },
}

/// Determines from its first bytes what a path holds, so that a file that is not a store is not even opened as a
/// database.
fn inspect_file(path: &Path, url: &str) -> Result<ExistingFile, StoreError> {
    let unreadable =
        |error: &io::Error| StoreError::Unavailable(format!("cannot read {url}: {error}"));
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // SQLite would replay such a log into a new database at this path.
            if fs::metadata(sidecar_path(path, "-wal")).is_ok_and(|log| log.len() > 0) {
                return Err(StoreError::Damaged {
                    url: url.to_owned(),
                    cause: "the file is missing, but its log `-wal` exists".into(),
                });
            }
            return Ok(ExistingFile::Nothing);
        }
        Err(error) => return Err(unreadable(&error)),
    };
    if !metadata.is_file() {
        return Err(StoreError::Foreign(url.to_owned()));
    }
    if metadata.len() == 0 {
        return Err(StoreError::Damaged {
            url: url.to_owned(),
            cause: "the file is empty, so it was truncated".into(),
        });
    }
    // https://sqlite.org/fileformat2.html#the_database_header
    let mut header = [0u8; 100];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut header));
    match read {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(StoreError::Foreign(url.to_owned()));
        }
        Err(error) => return Err(unreadable(&error)),
    }
    let application = i32::from_be_bytes([header[68], header[69], header[70], header[71]]);
    if !header.starts_with(b"SQLite format 3\0") || application != APPLICATION_ID {
        return Err(StoreError::Foreign(url.to_owned()));
    }
    // The page size, where 1 stands for 65536, and the number of pages.
    let page = u64::from(u16::from_be_bytes([header[16], header[17]]));
    let page = if page == 1 { 65_536 } else { page };
    let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
    Ok(ExistingFile::Ours {
        is_short: metadata.len() < page * u64::from(pages),
    })
}

/// After a crash during a checkpoint, the log has what the file lacks. After a truncation neither has it, and SQLite
/// would only notice when it reads that page.
fn check_pages(connection: &Connection, url: &str) -> Result<(), StoreError> {
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .context(url)?;
    if found == "ok" {
        return Ok(());
    }
    Err(StoreError::Damaged {
        url: url.to_owned(),
        cause: format!("it was truncated: {found}"),
    })
}

/// Adds what an operator can do about a damaged store.
fn with_advice(error: StoreError) -> StoreError {
    let StoreError::Damaged { url, cause } = error else {
        return error;
    };
    StoreError::Damaged {
        url,
        cause: format!(
            "{cause}; restore it from a copy, or move it and its `-wal` away to start again: `reconcile --rebuild` then restores \
             its rows from git, but outcomes that were accepted and not committed yet are only in the moved files"
        ),
    }
}

fn create(path: &Path, url: &str) -> Result<(), StoreError> {
    let failed = |action: &str, error: io::Error| {
        StoreError::Unavailable(format!("cannot {action} {url}: {error}"))
    };
    let directory = directory_of(path);
    if !directory.exists() {
        // Creates one level: the state directory in the git directory. More would hide a mistyped path.
        fs::create_dir(directory)
            .and_then(|()| share_directory(directory))
            .map_err(|error| failed("make the directory of", error))?;
    }
    // Submissions may contain what a policy redacts, so other users must not read them. SQLite gives its other files
    // the same mode.
    let temporary = sidecar_path(path, &format!(".new-{}", uuid::Uuid::new_v4()));
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|file| share_with_group(&file, directory))
        .map_err(|error| failed("make", error))
        .and_then(|()| {
            let mut connection = Connection::open(&temporary).context(url)?;
            connection
                .pragma_update(None, "application_id", APPLICATION_ID)
                .context(url)?;
            migrate(&mut connection, url)?;
            drop(connection);
            let synced = fs::File::open(&temporary).and_then(|file| file.sync_all());
            synced.map_err(|error| failed("sync", error))?;
            match fs::hard_link(&temporary, path) {
                // Another process was faster, and its file is equivalent.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                linked => linked.map_err(|error| failed("make", error)),
            }
        });
    // A remaining temporary name does no harm.
    let _ = fs::remove_file(&temporary);
    made?;
    fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| failed("sync the directory of", error))
}

/// A directory in one that a group can write to (`core.sharedRepository`) is shared like that one, whatever the umask
/// is.
fn share_directory(directory: &Path) -> io::Result<()> {
    let above = fs::metadata(directory_of(directory))?.mode();
    if is_shared(above) {
        let mode = fs::metadata(directory)?.mode() | above & 0o2070;
        fs::set_permissions(directory, fs::Permissions::from_mode(mode & 0o7777))?;
    }
    Ok(())
}

/// In a directory that a group can write to (`core.sharedRepository`), the group can write to the store too. Other
/// users cannot read it.
fn share_with_group(file: &fs::File, directory: &Path) -> io::Result<()> {
    if is_shared(fs::metadata(directory)?.mode()) {
        file.set_permissions(fs::Permissions::from_mode(0o660))?;
    }
    Ok(())
}

/// Whether a directory with this mode belongs to a group that writes to it, as git makes it for a shared repository.
fn is_shared(mode: u32) -> bool {
    const SHARED: u32 = 0o2020;
    mode & SHARED == SHARED
}

/// The directory that holds a file.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn version(connection: &Connection, url: &str) -> Result<u32, StoreError> {
    let version = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .context(url)?;
    if version > VERSION {
        return Err(StoreError::Newer {
            url: url.to_owned(),
            found: version,
            known: VERSION,
        });
    }
    Ok(version)
}

fn migrate(connection: &mut Connection, url: &str) -> Result<(), StoreError> {
    if version(connection, url)? == VERSION {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .context(url)?;
    // Check again, now that no other process can migrate.
    let from = version(&transaction, url)?;
    for migration in &MIGRATIONS[from as usize..] {
        transaction.execute_batch(migration).context(url)?;
    }
    if from == 0 {
        let tables = projection("") + &projection_indexes("", 0);
        transaction.execute_batch(&tables).context(url)?;
    } else if from < 3 {
        transaction.execute_batch(PROJECTION_OF_3).context(url)?;
        for count in project::counting("") {
            transaction.execute_batch(&count).context(url)?;
        }
    }
    if from < 3 {
        transaction
            .execute(
                "INSERT INTO fingerprint_key (one, key) VALUES (1, ?1)",
                [fingerprint_key()],
            )
            .context(url)?;
    }
    transaction
        .pragma_update(None, "user_version", VERSION)
        .context(url)?;
    transaction
        .commit()
        .map_err(|error| failure::of(&error, url))
}
