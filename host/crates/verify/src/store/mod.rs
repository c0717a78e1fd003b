//! The object database as files: packs and loose objects. Trusts no id that it has not computed; knows nothing about
//! trails.

pub(crate) mod cache;
mod decode;
pub(crate) mod delta;
mod index;
mod inflate;
mod listing;
mod loose;
mod midx;
mod pack;
pub(crate) mod reader;
mod reverse;
mod table;

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cache::Cache;
pub(crate) use index::Order;
use listing::Listing;
use pack::{Files, Pack};
use table::{Counts, MAX_OBJECTS, MAX_POSITION, Table};

use crate::object::Algorithm;

/// The memory for objects that are likely to be needed again, in bytes: bases of deltas, and the trees of the newest
/// commits.
const CACHE: usize = 64 << 20;

/// A repository that is repacked more often while it is opened is too busy to be audited.
const MAX_REOPENED: usize = 8;

/// An object database at one time.
pub(crate) struct Store {
    pub(crate) algorithm: Algorithm,
    objects: PathBuf,
    listing: Listing,
    packs: Vec<Pack>,
    files: Files,
    table: Table,
    loose: loose::Names,
    /// Packs and indexes that are not as git writes them, with the reasons.
    pub(crate) unusable: Vec<String>,
    /// Files that make git read other objects than those in the packs, with descriptions.
    pub(crate) misleading: Vec<String>,
    cache: Cache,
    /// Locked while a large object is rebuilt, so that only one is in memory at a time.
    large: Mutex<()>,
}

impl Store {
    /// Opens the object database in this directory.
    ///
    /// # Errors
    ///
    /// The reason why it cannot be opened. If only a pack cannot be used, its objects are missing.
    pub(crate) fn open(objects: &Path, algorithm: Algorithm) -> Result<Store, String> {
        let mut store = Store::open_now(objects, algorithm)?;
        for _ in 0..MAX_REOPENED {
            let is_sound = store.unusable.is_empty() && store.misleading.is_empty();
            // A repository in use may be repacked while its packs are listed.
            if is_sound || store.listing.is_current(objects) {
                break;
            }
            store = Store::open_now(objects, algorithm)?;
        }
        Ok(store)
    }

    fn open_now(objects: &Path, algorithm: Algorithm) -> Result<Store, String> {
        let hash_len = algorithm.len_in_bytes();
        let mut unusable = Vec::new();
        let mut packs: Vec<Pack> = Vec::new();
        let mut base = 0;
        let mut count = 0;
        let listing = Listing::read(objects)?;
        for path in &listing.indexes(objects) {
            match Pack::open(path, hash_len, base) {
                Ok(pack) => {
                    base += pack.len;
                    count += u64::from(pack.index.count);
                    packs.push(pack);
                }
                Err(why) => unusable.push(why),
            }
        }
        // The last position marks a slot without an object.
        if base >= MAX_POSITION - 1 || count > MAX_OBJECTS {
            return Err(format!(
                "its packs hold {count} objects in {base} bytes, more than can be audited"
            ));
        }
        let table = build_table(&packs, &mut unusable);
        let mut store = Store {
            algorithm,
            objects: objects.to_owned(),
            listing,
            packs,
            files: Files::default(),
            table,
            loose: loose::Names::list(objects, hash_len)?,
            unusable,
            misleading: Vec::new(),
            cache: Cache::new(CACHE),
            large: Mutex::new(()),
        };
        let over_all = midx::open_all(objects, hash_len);
        let checked = over_all.and_then(|all| {
            let misleads = |why| format!("the multi-pack-index misleads git: {why}");
            midx::check(&all, &store).map_err(misleads)
        });
        store.misleading.extend(checked.err());
        let reversed = store
            .packs
            .iter()
            .map(|pack| reverse::check(pack, hash_len));
        let wrong: Vec<String> = reversed.filter_map(Result::err).collect();
        store.misleading.extend(wrong);
        Ok(store)
    }

    /// Files beside the packs that are not git's.
    pub(crate) fn unexpected_files(&self) -> impl Iterator<Item = String> {
        self.listing.unexpected_files()
    }

    /// The pack of this position.
    fn pack_at(&self, position: u64) -> usize {
        self.packs.partition_point(|pack| pack.base <= position) - 1
    }
}

/// The newest store. A repository in use may be repacked while it is read, and then the files of the previous store are
/// gone.
pub(crate) struct CurrentStore(Mutex<Arc<Store>>);

impl CurrentStore {
    pub(crate) fn new(store: Store) -> CurrentStore {
        CurrentStore(Mutex::new(Arc::new(store)))
    }

    pub(crate) fn get(&self) -> Arc<Store> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns a newer store than `old`, if the directory has changed.
    fn reopen_if_changed(&self, old: &Arc<Store>) -> Option<Arc<Store>> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, old) {
            if old.listing.is_current(&old.objects) {
                return None;
            }
            *current = Arc::new(Store::open(&old.objects, old.algorithm).ok()?);
        }
        Some(Arc::clone(&current))
    }
}

/// Reads every index twice: to count, then to place.
fn build_table(packs: &[Pack], unusable: &mut Vec<String>) -> Table {
    let mut counts = Counts::new(packs.iter().map(|pack| u64::from(pack.index.count)).sum());
    for pack in packs {
        if let Err(why) = pack.index.check(pack.len, |name| counts.add(name)) {
            unusable.push(format!("the index of {} {why}", pack.name()));
        }
    }
    let mut filling = counts.allocate();
    for pack in packs {
        let placed = pack.index.scan(|name, offset| {
            if offset < pack.len {
                filling.place(name, pack.base + offset);
            }
        });
        // The first pass has reported it already; objects that could not be read are missing.
        placed.unwrap_or_default();
    }
    filling.finish()
}

/// Opens a regular file for reading. A pipe or a device in its place is an error and does not block.
pub(crate) fn open_file(path: &Path) -> Result<File, String> {
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "is missing".to_owned(),
        _ => format!("cannot be opened: {error}"),
    };
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .map_err(unreadable)?;
    match file.metadata().map_err(unreadable)?.is_file() {
        true => Ok(file),
        false => Err("is not a regular file".to_owned()),
    }
}
