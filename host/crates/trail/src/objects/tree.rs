//! The trail's trees in memory: a persistent path from the root to each changed directory.
//!
//! A node that another thread may read never changes: an update copies the shared nodes along one path, changes the
//! copies, and shares the rest, so readers need no lock. Children are loaded when needed. Knows the contents of
//! objects, not how they are stored.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::objs::Kind;

use crate::error::TrailError;
use crate::objects::loaded::LoadedBytes;
use crate::objects::names::NameIndex;
use crate::objects::object;
use crate::objects::pack::PackLocation;
use crate::objects::tree_object::{Entry, MODE_FILE, MODE_TREE, git_order, id_length};

/// Reads trees that are not in memory.
pub(crate) trait TreeSource {
    /// Reads the contents of a tree object.
    fn tree(&self, id: &gix::oid) -> Result<Vec<u8>, TrailError>;
}

/// One directory. `level` counts from the root: 0 holds `.audit`, 1 `tasks`, 2 to 5 the shard digits.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: ObjectId,
    pub(crate) raw: Vec<u8>,
    /// Where the writer has last put it in a pack.
    pub(crate) place: PackLocation,
    level: u8,
    /// Whether all names consist of `[A-Za-z0-9._-]`, so that an attacker could not choose bytes freely; see
    /// [`object::name_own_tree`].
    plain: bool,
    children: Box<[OnceLock<Arc<Node>>]>,
    /// The index of the names in a large directory.
    names: Option<NameIndex>,
    loaded: LoadedBytes,
}

/// The difference of a new tree from the one before it: `removed` bytes at `at` were replaced by `added` new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) at: usize,
    pub(crate) removed: usize,
    pub(crate) added: usize,
}

/// Receives each tree that an update makes, the leaf first and the root last, with the difference from the tree that it
/// replaces (`None` for a new directory).
pub(crate) type TreeSink<'a> = &'a mut dyn FnMut(&mut Node, Option<Edit>);

impl Drop for Node {
    fn drop(&mut self) {
        self.loaded.remove(self.weight());
    }
}

impl Clone for Node {
    /// Reserves room for one more entry, which is the reason for the copy.
    fn clone(&self) -> Node {
        const ROOM: usize = 128;
        let mut raw = Vec::with_capacity(self.raw.len() + ROOM);
        raw.extend_from_slice(&self.raw);
        Node {
            id: self.id,
            raw,
            place: self.place,
            level: self.level,
            plain: self.plain,
            children: self.children.clone(),
            names: self.names.clone(),
            loaded: self.loaded.clone(),
        }
        .counted()
    }
}

impl Node {
    fn weight(&self) -> usize {
        self.raw.capacity()
            + self.children.len() * size_of::<OnceLock<Arc<Node>>>()
            + size_of::<Node>()
    }

    fn counted(self) -> Node {
        self.loaded.add(self.weight());
        self
    }

    pub(crate) fn new(
        id: ObjectId,
        raw: Vec<u8>,
        level: u8,
        hash: HashKind,
        loaded: &LoadedBytes,
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
        let node = Node {
            names: NameIndex::of(&raw, hash),
            id,
            raw,
            place: PackLocation::default(),
            level,
            plain,
            children: fresh_children(level),
            loaded: loaded.clone(),
        };
        Ok(node.counted())
    }

    pub(crate) fn empty(level: u8, hash: HashKind, loaded: &LoadedBytes) -> Node {
        Node {
            id: object::name_own_tree(hash, b""),
            raw: Vec::new(),
            place: PackLocation::default(),
            level,
            plain: true,
            children: fresh_children(level),
            names: None,
            loaded: loaded.clone(),
        }
        .counted()
    }

    fn find(&self, name: &[u8], is_tree: bool) -> Result<Entry<'_>, usize> {
        let hash = self.id.kind();
        let mut at = match &self.names {
            Some(names) => names.last_not_after(|at| {
                Entry::first(&self.raw[at..], hash).is_some_and(|entry| {
                    git_order(entry.name, entry.is_tree(), name, is_tree).is_le()
                })
            }),
            None => 0,
        };
        while let Some(entry) = Entry::first(&self.raw[at..], hash) {
            match git_order(entry.name, entry.is_tree(), name, is_tree) {
                Ordering::Less => at += entry.length,
                Ordering::Equal => return Ok(Entry { at, ..entry }),
                Ordering::Greater => break,
            }
        }
        Err(at)
    }

    /// The child directory with this name, loaded if needed; `None` if there is none. `seen` is a candidate.
    fn child(
        &self,
        name: &str,
        source: &dyn TreeSource,
        seen: Option<&Arc<Node>>,
    ) -> Result<Option<&Arc<Node>>, TrailError> {
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
        let level = self.level + 1;
        if let Some(seen) = seen
            && *seen.id == *entry.id
            && seen.level == level
        {
            return Ok(Some(slot.get_or_init(|| seen.clone())));
        }
        let raw = source.tree(entry.id)?;
        let node = Node::new(
            entry.id.to_owned(),
            raw,
            level,
            self.id.kind(),
            &self.loaded,
        )?;
        Ok(Some(slot.get_or_init(|| Arc::new(node))))
    }

    /// The id of the child directory with this name, if it exists and is not in memory.
    pub(crate) fn missing_child(&self, name: &str) -> Option<ObjectId> {
        let slot = &self.children[slot(self.level, name)?];
        if slot.get().is_some() {
            return None;
        }
        let entry = self.find(name.as_bytes(), true).ok()?;
        Some(entry.id.to_owned())
    }

    /// The entry whose name equals `name` except for case, file or not: its exact name and id.
    pub(crate) fn entry_ignoring_case(&self, name: &str) -> Option<(String, ObjectId)> {
        if self
            .names
            .as_ref()
            .is_some_and(|names| !names.may_contain(name.as_bytes()))
        {
            return None;
        }
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

    /// Whether the directory of entries has directories of the sharded layout.
    pub(crate) fn is_spread(&self) -> bool {
        self.is_spread_or_holds(usize::MAX)
    }

    /// Whether the directory of entries has directories of the sharded layout, or at least this many entries of the
    /// flat one.
    pub(crate) fn is_spread_or_holds(&self, entries: usize) -> bool {
        let hash = self.id.kind();
        let mut rest = &self.raw[..];
        let mut found = 0;
        while let Some(entry) = Entry::first(rest, hash) {
            if entry.is_tree() {
                if str::from_utf8(entry.name).is_ok_and(|name| slot(self.level, name).is_some()) {
                    return true;
                }
            } else if entry.name.ends_with(b".json") {
                found += 1;
                if found == entries {
                    return true;
                }
            }
            rest = &rest[entry.length..];
        }
        false
    }

    /// The directory at this path below this one, if it exists.
    pub(crate) fn descend<'a>(
        self: &'a Arc<Node>,
        path: &[&str],
        source: &dyn TreeSource,
        seen: Option<&Arc<Node>>,
    ) -> Result<Option<&'a Arc<Node>>, TrailError> {
        let mut node = self;
        for name in path {
            match node.child(name, source, seen)? {
                Some(child) => node = child,
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    /// Adds a file below `node`, which becomes the updated directory.
    ///
    /// `path` has directory names and then the file's; the caller has checked that the file does not exist. After an
    /// error the node cannot be used.
    pub(crate) fn add_file(
        node: &mut Arc<Node>,
        path: &[&str],
        blob: &gix::oid,
        source: &dyn TreeSource,
        made: TreeSink<'_>,
    ) -> Result<(), TrailError> {
        let (&name, below) = path.split_first().expect("a path has a name");
        let hash = node.id.kind();
        if !below.is_empty() {
            node.child(name, source, None)?;
        }
        let this = Arc::make_mut(node);
        this.loaded.remove(this.weight());
        let result = this.change(name, below, blob, hash, source, made);
        this.loaded.add(this.weight());
        let edit = result?;
        let id = if this.plain {
            object::name_own_tree(hash, &this.raw)
        } else {
            object::name_checked(hash, Kind::Tree, &this.raw)?
        };
        this.id = id;
        made(this, edit);
        Ok(())
    }

    /// Changes the contents for a file that is added here or below; returns the difference.
    fn change(
        &mut self,
        name: &str,
        below: &[&str],
        blob: &gix::oid,
        hash: HashKind,
        source: &dyn TreeSource,
        made: TreeSink<'_>,
    ) -> Result<Option<Edit>, TrailError> {
        let was_empty = self.raw.is_empty();
        let edit = if below.is_empty() {
            let at = self
                .find(name.as_bytes(), false)
                .map_or_else(|at| at, |entry| entry.at);
            self.insert(at, MODE_FILE, name, blob)
        } else {
            let slot = slot(self.level, name).expect("a directory of the layout has a slot");
            let fresh = || Arc::new(Node::empty(self.level + 1, hash, &self.loaded));
            self.children[slot].get_or_init(fresh);
            let child = self.children[slot].get_mut().expect("it was just filled");
            Node::add_file(child, below, blob, source, made)?;
            let id = child.id;
            match self.find(name.as_bytes(), true) {
                Ok(entry) => {
                    let length = id_length(hash);
                    let at = entry.at + entry.length - length;
                    self.raw[at..at + length].copy_from_slice(id.as_slice());
                    Edit {
                        at,
                        removed: length,
                        added: length,
                    }
                }
                Err(at) => self.insert(at, MODE_TREE, name, &id),
            }
        };
        Ok((!was_empty).then_some(edit))
    }

    /// Inserts an entry at this offset.
    fn insert(&mut self, at: usize, mode: &[u8], name: &str, id: &gix::oid) -> Edit {
        let mut entry = Vec::with_capacity(mode.len() + name.len() + 2 + id.as_bytes().len());
        entry.extend_from_slice(mode);
        entry.push(b' ');
        entry.extend_from_slice(name.as_bytes());
        entry.push(0);
        entry.extend_from_slice(id.as_bytes());
        let added = entry.len();
        self.raw.splice(at..at, entry);
        match &mut self.names {
            Some(names) => names.insert(at, added, name.as_bytes()),
            None => self.names = NameIndex::of(&self.raw, self.id.kind()),
        }
        Edit {
            at,
            removed: 0,
            added,
        }
    }
}

fn fresh_children(level: u8) -> Box<[OnceLock<Arc<Node>>]> {
    let count = match level {
        0 | 1 => 1,
        2..=5 => 16,
        _ => 0,
    };
    (0..count).map(|_| OnceLock::new()).collect()
}

/// The child slot of a directory name at this level; `None` for other directories.
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

    fn add(root: &mut Arc<Node>, name: &str) -> Vec<ObjectId> {
        let mut made = Vec::new();
        let path = [".audit", "tasks", name];
        Node::add_file(root, &path, &blob(), &NoTrees, &mut |tree, _| {
            made.push(tree.id);
        })
        .expect("it fits");
        made
    }

    fn tasks(root: &Arc<Node>) -> &Arc<Node> {
        root.descend(&[".audit", "tasks"], &NoTrees, None)
            .expect("in memory")
            .expect("there")
    }

    fn names(tree: &Node) -> Vec<String> {
        gix::objs::TreeRefIter::from_bytes(&tree.raw, HashKind::Sha1)
            .map(|entry| entry.expect("a good entry").filename.to_string())
            .collect()
    }

    #[test]
    fn files_are_inserted_in_git_order_and_found_in_any_case() {
        let mut root = Arc::new(Node::empty(0, HashKind::Sha1, &LoadedBytes::default()));
        for name in ["b.json", "a.json", "a-1.json", "B1.json"] {
            let made = add(&mut root, name);
            assert_eq!((made.len(), made.last()), (3, Some(&root.id)));
        }
        let tasks = tasks(&root);
        assert_eq!(names(tasks), ["B1.json", "a-1.json", "a.json", "b.json"]);
        assert_eq!(
            tasks.entry_ignoring_case("A.JSON").map(|(name, _)| name),
            Some("a.json".into())
        );
        assert_eq!(tasks.entry_ignoring_case("c.json"), None);
    }

    #[test]
    fn a_tree_that_is_being_read_does_not_change() {
        let mut root = Arc::new(Node::empty(0, HashKind::Sha1, &LoadedBytes::default()));
        add(&mut root, "a");
        let seen = root.clone();
        let id = seen.id;
        add(&mut root, "b");
        add(&mut root, "c");
        assert_eq!((names(tasks(&seen)), seen.id), (vec!["a".into()], id));
        assert_eq!(names(tasks(&root)), ["a", "b", "c"]);
    }

    #[test]
    fn a_large_directory_is_the_same_as_when_it_is_read_from_its_object() {
        let mut root = Arc::new(Node::empty(0, HashKind::Sha1, &LoadedBytes::default()));
        let mut expected = Vec::new();
        for number in 0..400 {
            let name = format!("Task-{}.json", number * 7919 % 1000);
            add(&mut root, &name);
            expected.push(name);
        }
        expected.sort();
        let grown = tasks(&root);
        let read = Node::new(
            grown.id,
            grown.raw.clone(),
            2,
            HashKind::Sha1,
            &LoadedBytes::default(),
        )
        .expect("a good tree");
        for tree in [&**grown, &read] {
            assert_eq!(names(tree), expected);
            for name in &expected {
                let found = tree.entry_ignoring_case(&name.to_lowercase());
                assert_eq!(found.map(|(name, _)| name).as_ref(), Some(name));
                assert!(tree.find(name.as_bytes(), false).is_ok());
            }
            assert_eq!(tree.entry_ignoring_case("task-1001.json"), None);
            for name in ["A", "Task-1.jsoo", "Task-10", "z"] {
                let at = tree.find(name.as_bytes(), false).err();
                let before: usize = expected
                    .iter()
                    .filter(|there| there.as_str() < name)
                    .map(|there| there.len() + 28)
                    .sum();
                assert_eq!(at, Some(before), "{name}");
            }
        }
    }
}
