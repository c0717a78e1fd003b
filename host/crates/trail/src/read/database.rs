//! Reading objects, and checking that each one matches its id.
//!
//! gix numbers the packs that it knows and caches unpacked objects by that number. A pack that appears after another
//! was removed may get its number (at the latest after a thousand packs), and gix then returns cached objects of the
//! old pack for the new one. Every object is therefore hashed, and after any mismatch all caches are dropped.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::objs::{Find, Kind};
use gix::odb::store::init::{Options, Slots};
use gix::odb::{HandleArc, Store};

use crate::error::TrailError;
use crate::objects::object;
use crate::read::read_ahead::ReadAheadTrees;

/// The object database of one repository. Any number of threads may read at the same time.
pub(crate) struct Objects {
    dir: PathBuf,
    hash: HashKind,
    current: Mutex<CurrentStore>,
    ready: ReadAheadTrees,
}

struct CurrentStore {
    store: Arc<Store>,
    /// Unused readers of that store. Each reader has its own caches.
    idle: Vec<HandleArc>,
}

/// The result of one attempt to read an object.
enum ReadAttempt {
    Found(Vec<u8>),
    Missing,
    /// The object cannot be read, or does not match its id.
    Bad(String),
}

impl Objects {
    pub(crate) fn open(dir: PathBuf, hash: HashKind) -> Result<Objects, TrailError> {
        let store = open_store(&dir, hash)?;
        let idle = Vec::new();
        Ok(Objects {
            dir,
            hash,
            current: Mutex::new(CurrentStore { store, idle }),
            ready: ReadAheadTrees::default(),
        })
    }

    fn current(&self) -> MutexGuard<'_, CurrentStore> {
        self.current
            .lock()
            .expect("nothing panics while it holds the readers")
    }

    /// Whether the object exists. Does not wait: the object may well be missing.
    pub(crate) fn has(&self, kind: Kind, id: &gix::oid) -> Result<bool, TrailError> {
        if matches!(self.try_read(kind, id), ReadAttempt::Found(_)) || self.is_empty_tree(kind, id)
        {
            return Ok(true);
        }
        self.reopen()?;
        Ok(matches!(self.try_read(kind, id), ReadAttempt::Found(_)))
    }

    /// Reads an object of a known kind.
    pub(crate) fn read(&self, kind: Kind, id: &gix::oid) -> Result<Vec<u8>, TrailError> {
        if kind == Kind::Tree
            && let Some(contents) = self.ready.take(id)
        {
            return Ok(contents);
        }
        // A person's `git repack` may remove a pack after it was listed and before it is read. Another pack then has
        // its objects, so they are looked for again.
        const MAX_LOOKS: u64 = 10;
        let mut looks = 1;
        loop {
            let cause = match self.try_read(kind, id) {
                ReadAttempt::Found(contents) => return Ok(contents),
                ReadAttempt::Missing if self.is_empty_tree(kind, id) => return Ok(Vec::new()),
                ReadAttempt::Missing => "it is not in the object database".to_owned(),
                ReadAttempt::Bad(cause) => cause,
            };
            if looks == MAX_LOOKS {
                return Err(TrailError::Unreadable {
                    what: format!("{kind} {id}"),
                    cause,
                });
            }
            self.reopen()?;
            // The first failure is due to outdated caches, later ones to concurrent changes.
            std::thread::sleep(Duration::from_millis(looks - 1));
            looks += 1;
        }
    }

    /// Git knows the empty tree without storing it.
    fn is_empty_tree(&self, kind: Kind, id: &gix::oid) -> bool {
        kind == Kind::Tree && *id == *ObjectId::empty_tree(self.hash)
    }

    /// Reads a tree that will be needed soon, if it is found immediately.
    pub(crate) fn read_ahead(&self, id: &gix::oid) {
        if let ReadAttempt::Found(contents) = self.try_read(Kind::Tree, id) {
            self.ready.put(id.to_owned(), contents);
        }
    }

    fn try_read(&self, kind: Kind, id: &gix::oid) -> ReadAttempt {
        let (store, reader) = {
            let mut current = self.current();
            (current.store.clone(), current.idle.pop())
        };
        let reader = reader.unwrap_or_else(|| new_reader(&store));
        let mut buffer = Vec::new();
        let found = match self.is_not_a_file(id) {
            true => Err("its file is not a regular file".to_owned()),
            false => reader
                .try_find(id, &mut buffer)
                .map_err(|error| error.to_string()),
        };
        let result = match found {
            Ok(Some(data)) if data.kind != kind => {
                ReadAttempt::Bad(format!("it is a {}", data.kind))
            }
            Ok(Some(data)) if !object::has_name(self.hash, kind, data.data, id) => {
                ReadAttempt::Bad("its contents do not match its id".into())
            }
            Ok(Some(_)) => ReadAttempt::Found(buffer),
            Ok(None) => ReadAttempt::Missing,
            Err(why) => ReadAttempt::Bad(why),
        };
        let mut current = self.current();
        if Arc::ptr_eq(&current.store, &store) {
            current.idle.push(reader);
        }
        result
    }

    /// Whether the path of the loose object is something that gix would block on, such as a named pipe.
    fn is_not_a_file(&self, id: &gix::oid) -> bool {
        let hex = id.to_string();
        let path = self.dir.join(&hex[..2]).join(&hex[2..]);
        path.metadata().is_ok_and(|metadata| !metadata.is_file())
    }

    /// Drops everything that is cached of the object database.
    fn reopen(&self) -> Result<(), TrailError> {
        let store = open_store(&self.dir, self.hash)?;
        let mut current = self.current();
        current.store = store;
        current.idle.clear();
        Ok(())
    }
}

fn open_store(dir: &std::path::Path, hash: HashKind) -> Result<Arc<Store>, TrailError> {
    let options = Options {
        slots: Slots::Given(slots(dir)?),
        // Each pack has its own index. gix may not notice that a person's git has replaced the multi-pack-index.
        use_multi_pack_index: false,
        ..Options::default()
    };
    // Without replace refs: the trail reads what it wrote.
    Store::at_opts(dir.to_owned(), hash, &mut std::iter::empty(), options)
        .map(Arc::new)
        .map_err(|error| TrailError::Unreadable {
            what: dir.display().to_string(),
            cause: error.to_string(),
        })
}

/// How many more packs may appear before the store is opened again.
const MORE_PACKS: usize = 1024;

/// The most packs that gix can number.
const MAX_PACKS: usize = (1 << 15) - 1;

/// How many packs the store has room for. gix sets the limit when it opens a store, and fails beyond it.
fn slots(dir: &std::path::Path) -> Result<u16, TrailError> {
    let entries = std::fs::read_dir(dir.join("pack")).into_iter().flatten();
    let is_index = |entry: &std::fs::DirEntry| {
        let name = entry.file_name();
        name.as_encoded_bytes().ends_with(b".idx")
    };
    let packs = entries.flatten().filter(is_index).count();
    if packs > MAX_PACKS {
        return Err(TrailError::Unreadable {
            what: dir.display().to_string(),
            cause: format!(
                "it has {packs} packs, more than {MAX_PACKS}; `git repack -a -d` merges them"
            ),
        });
    }
    Ok((packs + MORE_PACKS).min(MAX_PACKS) as u16)
}

fn new_reader(store: &Arc<Store>) -> HandleArc {
    // Trees are deltas of their predecessors. A cache of up to 16 MiB avoids resolving the same chains repeatedly.
    store.to_cache_arc().with_pack_cache(|| {
        Box::new(gix::odb::pack::cache::lru::MemoryCappedHashmap::new(
            16 << 20,
        ))
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use gix::ObjectId;

    use super::*;
    use crate::objects::loaded::LoadedBytes;
    use crate::objects::object::Deflater;
    use crate::objects::pack::PackBuilder;
    use crate::objects::tree::{Node, TreeSource};

    struct NoTrees;
    impl TreeSource for NoTrees {
        fn tree(&self, id: &gix::oid) -> Result<Vec<u8>, TrailError> {
            panic!("tree {id} should be in memory")
        }
    }

    /// Writes a pack of one tree and three deltas, each of the one before. Returns the objects and the pack's name.
    fn put_pack(dir: &Path, seed: u8) -> (Vec<(ObjectId, Vec<u8>)>, String) {
        let mut builder = PackBuilder::new(HashKind::Sha1);
        let mut root = Arc::new(Node::empty(0, HashKind::Sha1, &LoadedBytes::default()));
        let mut trees = Vec::new();
        for name in ["a", "b", "c", "d"] {
            let blob = ObjectId::from_bytes_or_panic(&[seed; 20]);
            let path = [".audit", "tasks", name];
            let mut leaf = None;
            Node::add_file(&mut root, &path, &blob, &NoTrees, &mut |tree, edit| {
                if leaf.is_none() {
                    builder.add_tree(tree, edit, &mut Deflater::new());
                    leaf = Some((tree.id, tree.raw.clone()));
                }
            })
            .unwrap();
            trees.push(leaf.unwrap());
        }
        let pack = builder.finish();
        std::fs::write(dir.join(format!("{}.pack", pack.name)), &pack.pack).unwrap();
        std::fs::write(dir.join(format!("{}.idx", pack.name)), &pack.index).unwrap();
        (trees, pack.name)
    }

    #[test]
    fn what_is_remembered_of_packs_that_are_gone_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let packs = dir.path().join("pack");
        std::fs::create_dir(&packs).unwrap();
        let objects = Objects::open(dir.path().to_owned(), HashKind::Sha1).unwrap();
        for seed in 1..5 {
            let (trees, name) = put_pack(&packs, seed);
            for (id, contents) in trees.iter().chain(&trees) {
                assert_eq!(objects.read(Kind::Tree, id).unwrap(), *contents);
            }
            for extension in ["idx", "pack"] {
                std::fs::remove_file(packs.join(format!("{name}.{extension}"))).unwrap();
            }
            // gix notices removed packs when it misses an object.
            let missing = ObjectId::from_bytes_or_panic(&[seed; 20]);
            assert!(matches!(
                objects.try_read(Kind::Tree, &missing),
                ReadAttempt::Missing
            ));
        }
    }
}
