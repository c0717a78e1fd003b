//! The trail's trees in memory: a persistent path from the root to each touched directory.
//!
//! Nodes never change; an update makes new ones along one path and shares the rest, so readers need no lock. Children
//! are loaded when they are first looked into. Knows object contents, not how they are stored.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicUsize, Ordering as Atomic};
use std::sync::{Arc, OnceLock};

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::objs::Kind;

use super::error::TrailError;
use super::object;

/// Supplies the trees that are not in memory.
pub(super) trait TreeSource {
    /// The contents of a tree object.
    fn tree(&self, id: &gix::oid) -> Result<Vec<u8>, TrailError>;
}

/// One directory. `level` counts from the root: 0 holds `.audit`, 1 `tasks`, 2 to 5 the shard digits.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: ObjectId,
    pub(super) raw: Vec<u8>,
    level: u8,
    /// All names consist of `[A-Za-z0-9._-]`: no attacker had free bytes, see [`object::name_own_tree`].
    plain: bool,
    children: Box<[OnceLock<Arc<Node>>]>,
}

/// How a new tree differs from the one before it: `removed` bytes at `at` were replaced by `added` new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) at: usize,
    pub(super) removed: usize,
    pub(super) added: usize,
}

/// A tree that an update has made.
pub(super) struct Made {
    pub(super) node: Arc<Node>,
    /// The tree that it replaces and the difference; `None` for a directory that is new.
    pub(super) before: Option<(ObjectId, Edit)>,
}

const MODE_TREE: &[u8] = b"40000";
const MODE_FILE: &[u8] = b"100644";

/// Bytes held by nodes that are alive; the writer starts over from the root when it grows too large.
pub(super) static LOADED: AtomicUsize = AtomicUsize::new(0);

impl Drop for Node {
    fn drop(&mut self) {
        LOADED.fetch_sub(self.weight(), Atomic::Relaxed);
    }
}

impl Node {
    fn weight(&self) -> usize {
        self.raw.capacity()
            + self.children.len() * size_of::<OnceLock<Arc<Node>>>()
            + size_of::<Node>()
    }

    pub(super) fn new(
        id: ObjectId,
        raw: Vec<u8>,
        level: u8,
        hash: HashKind,
    ) -> Result<Node, TrailError> {
        let mut plain = true;
        let mut rest = &raw[..];
        while !rest.is_empty() {
            let entry = Entry::first(rest, hash).ok_or_else(|| malformed(&id))?;
            plain &= entry
                .name
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
            rest = &rest[entry.length..];
        }
        Ok(Node::assemble(id, raw, level, plain, fresh_children(level)))
    }

    fn assemble(
        id: ObjectId,
        raw: Vec<u8>,
        level: u8,
        plain: bool,
        children: Box<[OnceLock<Arc<Node>>]>,
    ) -> Node {
        let node = Node {
            id,
            raw,
            level,
            plain,
            children,
        };
        LOADED.fetch_add(node.weight(), Atomic::Relaxed);
        node
    }

    pub(super) fn empty(level: u8, hash: HashKind) -> Node {
        Node::assemble(
            object::name_own_tree(hash, b""),
            Vec::new(),
            level,
            true,
            fresh_children(level),
        )
    }

    fn find(&self, name: &[u8], is_tree: bool) -> Result<Entry<'_>, usize> {
        let hash = self.id.kind();
        let mut at = 0;
        while let Some(entry) = Entry::first(&self.raw[at..], hash) {
            match git_order(entry.name, entry.is_tree(), name, is_tree) {
                Ordering::Less => at += entry.length,
                Ordering::Equal => return Ok(Entry { at, ..entry }),
                Ordering::Greater => break,
            }
        }
        Err(at)
    }

    /// The child directory of that name, loaded if needed; `None` if there is none.
    fn child(&self, name: &str, source: &dyn TreeSource) -> Result<Option<&Arc<Node>>, TrailError> {
        let Some(slot) = slot(self.level, name).map(|slot| &self.children[slot]) else {
            return Ok(None);
        };
        if let Some(node) = slot.get() {
            return Ok(Some(node));
        }
        let Ok(entry) = self.find(name.as_bytes(), true) else {
            return match self.find(name.as_bytes(), false) {
                Ok(_) => Err(TrailError::Busy(format!(
                    "`{name}` is a file, not a directory, on the trail's ref"
                ))),
                Err(_) => Ok(None),
            };
        };
        let raw = source.tree(entry.id)?;
        let node = Arc::new(Node::new(
            entry.id.to_owned(),
            raw,
            self.level + 1,
            self.id.kind(),
        )?);
        Ok(Some(slot.get_or_init(|| node)))
    }

    /// The entry whose name equals `name` but for case, file or not: its exact name and id.
    pub(super) fn entry_ignoring_case(&self, name: &str) -> Option<(String, ObjectId)> {
        let hash = self.id.kind();
        let mut rest = &self.raw[..];
        while let Some(entry) = Entry::first(rest, hash) {
            if entry.name.len() == name.len() && entry.name.eq_ignore_ascii_case(name.as_bytes()) {
                return Some((
                    String::from_utf8_lossy(entry.name).into_owned(),
                    entry.id.to_owned(),
                ));
            }
            rest = &rest[entry.length..];
        }
        None
    }

    /// The directory below this one at that path, if there is one.
    pub(super) fn descend<'a>(
        self: &'a Arc<Node>,
        path: &[&str],
        source: &dyn TreeSource,
    ) -> Result<Option<&'a Arc<Node>>, TrailError> {
        let mut node = self;
        for name in path {
            match node.child(name, source)? {
                Some(child) => node = child,
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    /// Adds a file. `made` is given each new tree, the leaf first and the root last.
    ///
    /// `path` holds directory names and then the file's; the caller has checked that the file is not there.
    pub(super) fn with_file(
        self: &Arc<Node>,
        path: &[&str],
        blob: &gix::oid,
        source: &dyn TreeSource,
        made: &mut Vec<Made>,
    ) -> Result<Arc<Node>, TrailError> {
        let (&name, below) = path.split_first().expect("a path has a name");
        let hash = self.id.kind();
        let (edit, mode, id, child) = if below.is_empty() {
            let at = self
                .find(name.as_bytes(), false)
                .map_or_else(|at| at, |entry| entry.at);
            (Splice::Insert(at), MODE_FILE, blob.to_owned(), None)
        } else {
            let old = self.child(name, source)?;
            let fresh = Arc::new(Node::empty(self.level + 1, hash));
            let child = old.unwrap_or(&fresh).with_file(below, blob, source, made)?;
            let splice = match self.find(name.as_bytes(), true) {
                Ok(entry) => Splice::Replace(entry.at + entry.length - id_length(hash)),
                Err(at) => Splice::Insert(at),
            };
            (splice, MODE_TREE, child.id, Some(child))
        };
        let mut added = Vec::with_capacity(mode.len() + name.len() + 2 + id_length(hash));
        let (at, removed) = match edit {
            Splice::Replace(at) => (at, id_length(hash)),
            Splice::Insert(at) => {
                added.extend_from_slice(mode);
                added.push(b' ');
                added.extend_from_slice(name.as_bytes());
                added.push(0);
                (at, 0)
            }
        };
        added.extend_from_slice(id.as_slice());
        let mut raw = Vec::with_capacity(self.raw.len() + added.len() - removed);
        raw.extend_from_slice(&self.raw[..at]);
        raw.extend_from_slice(&added);
        raw.extend_from_slice(&self.raw[at + removed..]);
        let new_id = if self.plain {
            object::name_own_tree(hash, &raw)
        } else {
            object::name_checked(hash, Kind::Tree, &raw)?
        };
        let children = self.children.clone();
        if let Some(child) = child {
            let slot = slot(self.level, name).expect("a directory of the layout has a slot");
            let mut children = children;
            children[slot] = OnceLock::from(child);
            return Ok(self.finish(
                new_id,
                raw,
                children,
                Edit {
                    at,
                    removed,
                    added: added.len(),
                },
                made,
            ));
        }
        Ok(self.finish(
            new_id,
            raw,
            children,
            Edit {
                at,
                removed,
                added: added.len(),
            },
            made,
        ))
    }

    fn finish(
        &self,
        id: ObjectId,
        raw: Vec<u8>,
        children: Box<[OnceLock<Arc<Node>>]>,
        edit: Edit,
        made: &mut Vec<Made>,
    ) -> Arc<Node> {
        let node = Arc::new(Node::assemble(id, raw, self.level, self.plain, children));
        let before = (!self.raw.is_empty()).then_some((self.id, edit));
        made.push(Made {
            node: node.clone(),
            before,
        });
        node
    }
}

enum Splice {
    /// Overwrite the id at this place.
    Replace(usize),
    /// Put a new entry at this place.
    Insert(usize),
}

fn fresh_children(level: u8) -> Box<[OnceLock<Arc<Node>>]> {
    let count = match level {
        0 | 1 => 1,
        2..=5 => 16,
        _ => 0,
    };
    (0..count).map(|_| OnceLock::new()).collect()
}

/// Which child slot a directory name has at that level; other directories are not the trail's.
fn slot(level: u8, name: &str) -> Option<usize> {
    match (level, name) {
        (0, ".audit") | (1, "tasks") => Some(0),
        (2..=5, digit) if digit.len() == 1 => {
            let byte = digit.as_bytes()[0];
            matches!(byte, b'0'..=b'9' | b'a'..=b'f')
                .then(|| char::from(byte).to_digit(16).map(|digit| digit as usize))
                .flatten()
        }
        _ => None,
    }
}

pub(super) fn id_length(hash: HashKind) -> usize {
    hash.len_in_bytes()
}

/// Git compares directory names as if they ended in `/`.
fn git_order(left: &[u8], left_is_tree: bool, right: &[u8], right_is_tree: bool) -> Ordering {
    let common = left.len().min(right.len());
    left[..common].cmp(&right[..common]).then_with(|| {
        let end = |name: &[u8], is_tree: bool| {
            name.get(common)
                .copied()
                .unwrap_or(if is_tree { b'/' } else { 0 })
        };
        end(left, left_is_tree).cmp(&end(right, right_is_tree))
    })
}

/// One entry of a tree object.
struct Entry<'a> {
    at: usize,
    length: usize,
    mode: &'a [u8],
    name: &'a [u8],
    id: &'a gix::oid,
}

impl<'a> Entry<'a> {
    fn first(raw: &'a [u8], hash: HashKind) -> Option<Entry<'a>> {
        let space = raw.iter().take(7).position(|byte| *byte == b' ')?;
        let name_end = space + 1 + memchr(0, &raw[space + 1..])?;
        let id = raw.get(name_end + 1..name_end + 1 + id_length(hash))?;
        Some(Entry {
            at: 0,
            length: name_end + 1 + id_length(hash),
            mode: &raw[..space],
            name: &raw[space + 1..name_end],
            id: gix::oid::try_from_bytes(id).ok()?,
        })
    }

    fn is_tree(&self) -> bool {
        self.mode == MODE_TREE
    }
}

/// The ids of a tree's entries, as far as it can be read.
pub(super) fn ids(raw: &[u8], hash: HashKind) -> impl Iterator<Item = &gix::oid> {
    let mut rest = raw;
    std::iter::from_fn(move || {
        let entry = Entry::first(rest, hash)?;
        rest = &rest[entry.length..];
        Some(entry.id)
    })
}

fn memchr(needle: u8, haystack: &[u8]) -> Option<usize> {
    haystack.iter().position(|byte| *byte == needle)
}

fn malformed(id: &gix::oid) -> TrailError {
    TrailError::Unreadable {
        what: format!("tree {id}"),
        cause: "it is malformed".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoTrees;
    impl TreeSource for NoTrees {
        fn tree(&self, id: &gix::oid) -> Result<Vec<u8>, TrailError> {
            panic!("tree {id} should be in memory")
        }
    }

    fn blob() -> ObjectId {
        object::digest(HashKind::Sha1, &[b"x"])
    }

    #[test]
    fn files_are_inserted_in_git_order_and_found_in_any_case() {
        let mut root = Arc::new(Node::empty(0, HashKind::Sha1));
        for name in ["b.json", "a.json", "a-1.json", "B1.json"] {
            let mut made = Vec::new();
            root = root
                .with_file(&[".audit", "tasks", name], &blob(), &NoTrees, &mut made)
                .expect("it fits");
            assert_eq!(made.len(), 3);
            let last = made.last().expect("the root is made last");
            assert_eq!(last.node.id, root.id);
        }
        let tasks = root
            .descend(&[".audit", "tasks"], &NoTrees)
            .expect("in memory")
            .expect("there");
        let names: Vec<String> = gix::objs::TreeRefIter::from_bytes(&tasks.raw, HashKind::Sha1)
            .map(|entry| entry.expect("a good entry").filename.to_string())
            .collect();
        assert_eq!(names, ["B1.json", "a-1.json", "a.json", "b.json"]);
        assert_eq!(
            tasks.entry_ignoring_case("A.JSON").map(|(name, _)| name),
            Some("a.json".into())
        );
        assert_eq!(tasks.entry_ignoring_case("c.json"), None);
    }

    #[test]
    fn directories_sort_as_if_they_ended_in_a_slash() {
        assert_eq!(git_order(b"a", true, b"a.json", false), Ordering::Greater);
        assert_eq!(git_order(b"a", false, b"a.json", false), Ordering::Less);
        assert_eq!(git_order(b"a", true, b"a", true), Ordering::Equal);
    }
}
