//! Reads objects by id and hashes every copy of them. There is one reader per thread.

use std::sync::Arc;

use super::cache::Content;
use super::decode::{Decoder, ObjectCopy, STREAMED, Wanted};
use super::{CurrentStore, Store};
use crate::object::{self, Id, Kind};

/// Why an object is not available.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// There is no object with this id.
    Missing,
    /// The stored content does not match the id.
    Corrupt(String),
    /// The object is beyond the limits of the audit.
    Beyond(String),
}

/// The number of objects that a reader caches for itself: the upper levels of a sharded trail.
const RECENT: usize = 4096;

/// The longest of these objects in bytes; six megabytes for each reader.
const RECENT_BYTES: usize = 1536;

/// A repository that is repacked more often while an object is searched is too busy to be audited.
const MAX_RENEWALS: usize = 8;

/// The largest commit in bytes. Hundreds of commits are in memory at a time.
const MAX_COMMIT: usize = 16 << 20;

/// The largest tree in bytes: half a million entries. Every thread compares trees in pairs.
const MAX_TREE: usize = 32 << 20;

/// An index with more copies of one object is forged.
const MAX_COPIES: usize = 1024;

/// A reader of objects.
pub(crate) struct Reader<'a> {
    current: &'a CurrentStore,
    store: Arc<Store>,
    /// Whether objects are read in the order in which they were made, so that the base of a tree is not needed after
    /// the tree.
    pub(crate) forward: bool,
    /// Small objects that were found and hashed, by the first bits of their ids: most trees near the root.
    recent: Vec<Option<(Id, Arc<Content>)>>,
    pub(super) decoder: Decoder,
    /// Copies that do not match their id, of objects with another, good copy.
    pub(crate) bad_copies: Vec<(Id, String)>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(current: &'a CurrentStore) -> Reader<'a> {
        Reader {
            current,
            store: current.get(),
            forward: false,
            recent: vec![None; RECENT],
            decoder: Decoder::new(),
            bad_copies: Vec::new(),
        }
    }

    /// Reads the object with this id, and hashes its content.
    ///
    /// # Errors
    ///
    /// The reason why it is not available. An object of another type counts as corrupt.
    pub(crate) fn fetch(&mut self, id: &Id, kind: Kind) -> Result<Arc<Content>, Fault> {
        self.fetch_with(id, kind, Wanted::default())
    }

    /// Reads an object that only one commit adds, and that was probably not read before.
    ///
    /// # Errors
    ///
    /// As for [`Reader::fetch`].
    pub(crate) fn fetch_new(&mut self, id: &Id, kind: Kind) -> Result<Arc<Content>, Fault> {
        // From the tip down, a commit's tree was read when the newer one was compared with it.
        let is_new = self.forward || kind == Kind::Commit;
        let wanted = Wanted {
            is_new,
            ..Wanted::default()
        };
        self.fetch_with(id, kind, wanted)
    }

    fn fetch_with(&mut self, id: &Id, kind: Kind, wanted: Wanted) -> Result<Arc<Content>, Fault> {
        let found = match kind {
            Kind::Tree => self.find_recent(id, wanted)?,
            _ => self.find(id, wanted)?,
        };
        match found {
            ObjectCopy::Whole(content) if content.kind != kind => {
                Err(wrong_kind(content.kind, kind))
            }
            ObjectCopy::Whole(content)
                if kind == Kind::Commit && content.data.len() > MAX_COMMIT =>
            {
                Err(too_long(MAX_COMMIT))
            }
            ObjectCopy::Whole(content) if kind == Kind::Tree && content.data.len() > MAX_TREE => {
                Err(too_long(MAX_TREE))
            }
            ObjectCopy::Whole(content) => Ok(content),
            ObjectCopy::Streamed(..) => Err(too_long(STREAMED as usize)),
        }
    }

    /// Reads the object with this id, of any type.
    pub(crate) fn fetch_any(&mut self, id: &Id) -> Result<Arc<Content>, Fault> {
        match self.find(id, Wanted::default())? {
            ObjectCopy::Whole(content) => Ok(content),
            ObjectCopy::Streamed(..) => Err(too_long(STREAMED as usize)),
        }
    }

    /// Hashes a blob without keeping it.
    pub(crate) fn check_blob(&mut self, id: &Id) -> Result<(), Fault> {
        let wanted = Wanted {
            streamed: true,
            ..Wanted::default()
        };
        let kind = match self.find(id, wanted)? {
            ObjectCopy::Whole(content) => content.kind,
            ObjectCopy::Streamed(kind, _) => kind,
        };
        if kind == Kind::Blob {
            Ok(())
        } else {
            Err(wrong_kind(kind, Kind::Blob))
        }
    }

    /// The likely position of an object in the packs. It is a hint that is not checked.
    pub(crate) fn likely_position(&self, id: &Id) -> Option<u64> {
        self.store.table.candidates(id.as_slice()).next()
    }

    /// Finds an object that may be one of those found last.
    fn find_recent(&mut self, id: &Id, wanted: Wanted) -> Result<ObjectCopy, Fault> {
        let bytes = id.as_slice();
        let recent = usize::from(u16::from_be_bytes([bytes[0], bytes[1]])) % RECENT;
        if let Some((name, content)) = &self.recent[recent]
            && name == id
        {
            return Ok(ObjectCopy::Whole(Arc::clone(content)));
        }
        let found = self.find(id, wanted);
        if let Ok(ObjectCopy::Whole(content)) = &found
            && content.kind == Kind::Tree
            && content.data.len() <= RECENT_BYTES
        {
            self.recent[recent] = Some((*id, Arc::clone(content)));
        }
        found
    }

    /// Finds an object, and searches again if the repository was repacked meanwhile.
    fn find(&mut self, id: &Id, mut wanted: Wanted) -> Result<ObjectCopy, Fault> {
        wanted.forward = self.forward;
        let mut found = self.find_now(id, wanted);
        for _ in 0..MAX_RENEWALS {
            let Some(store) = found
                .is_err()
                .then(|| self.current.reopen_if_changed(&self.store))
                .flatten()
            else {
                break;
            };
            self.store = store;
            self.decoder = Decoder::new();
            found = self.find_now(id, wanted);
        }
        found
    }

    fn find_now(&mut self, id: &Id, wanted: Wanted) -> Result<ObjectCopy, Fault> {
        let (store, decoder) = (&*self.store, &mut self.decoder);
        let mut good = None;
        let mut bad = None;
        for (number, position) in store.table.candidates(id.as_slice()).enumerate() {
            if number > MAX_COPIES {
                return Err(Fault::Corrupt(
                    "its index has too many offsets for it".to_owned(),
                ));
            }
            let place = store.pack_at(position);
            match decoder.decode(store, place, position, wanted) {
                Ok(copy) if copy.id(store) == Some(*id) => good = good.or(Some(copy)),
                // The table has only the first bits of ids: this may be another object.
                _ if store.packs[place].index.find(id)
                    != Some(position - store.packs[place].base) => {}
                Ok(copy) => {
                    bad = Some(Fault::Corrupt(format!(
                        "{} ({})",
                        misnamed(copy.id(store)),
                        store.packs[place].name()
                    )))
                }
                Err(fault) => bad = Some(fault.within(&store.packs[place].name())),
            }
        }
        // It may have been written after the loose objects were listed.
        if store.loose.may_hold(id) || good.is_none() {
            match decoder.decode_loose(store, id, wanted.streamed) {
                Ok(Some(copy)) if copy.id(store) == Some(*id) => good = good.or(Some(copy)),
                Ok(Some(copy)) => {
                    bad = Some(Fault::Corrupt(format!(
                        "{} (loose)",
                        misnamed(copy.id(store))
                    )))
                }
                Ok(None) => {}
                Err(fault) => bad = Some(fault.within("loose")),
            }
        }
        match (good, bad) {
            (Some(good), Some(Fault::Corrupt(what) | Fault::Beyond(what))) => {
                self.bad_copies.push((*id, what));
                Ok(good)
            }
            (Some(good), _) => Ok(good),
            (None, Some(fault)) => Err(fault),
            // Git knows the empty tree without storing it.
            (None, None) if Some(*id) == object::id_of(id.algorithm(), Kind::Tree, b"") => {
                let empty = Content::new(Kind::Tree, 0, Box::default());
                Ok(ObjectCopy::Whole(Arc::new(empty)))
            }
            (None, None) => Err(Fault::Missing),
        }
    }
}

impl Fault {
    fn within(self, place: &str) -> Fault {
        match self {
            Fault::Missing => Fault::Missing,
            Fault::Corrupt(what) => Fault::Corrupt(format!("{what} ({place})")),
            Fault::Beyond(what) => Fault::Beyond(format!("{what} ({place})")),
        }
    }
}

fn misnamed(name: Option<Id>) -> String {
    match name {
        Some(name) => format!("its content is that of {name}"),
        None => "its content carries the marks of a SHA-1 collision attack".to_owned(),
    }
}

fn wrong_kind(is: Kind, wanted: Kind) -> Fault {
    Fault::Corrupt(format!(
        "it is a {} where a {} is named",
        is.name(),
        wanted.name()
    ))
}

fn too_long(limit: usize) -> Fault {
    Fault::Beyond(format!(
        "it is longer than the {limit} bytes that are read of its kind"
    ))
}
