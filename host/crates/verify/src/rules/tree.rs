//! Trees: their entries, and git's order of them.

use std::cmp::Ordering;

use crate::object::Id;

/// The type of a tree's entry, by its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Tree,
    /// A regular file with normal permissions.
    File,
    Executable,
    /// A regular file with permissions that old versions wrote.
    OddFile,
    Link,
    Submodule,
}

impl Mode {
    /// The mode in words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Tree => "a directory",
            Mode::File => "a regular file",
            Mode::Executable => "an executable file",
            Mode::OddFile => "a file with odd permissions",
            Mode::Link => "a symbolic link",
            Mode::Submodule => "a submodule",
        }
    }
}

/// An entry of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node<'a> {
    pub(crate) mode: Mode,
    pub(crate) name: &'a [u8],
    pub(crate) id: &'a [u8],
}

impl Node<'_> {
    /// The id of the object.
    pub(crate) fn id(&self) -> Id {
        Id::from_bytes_or_panic(self.id)
    }

    /// Whether both entries have the same mode and id, whatever their names.
    pub(crate) fn is_same(&self, other: &Node<'_>) -> bool {
        self.id == other.id && self.mode == other.mode
    }
}

/// The entries of a tree. A malformed entry ends the iteration; [`check`] reports it.
#[derive(Clone)]
pub(crate) struct Nodes<'a> {
    rest: &'a [u8],
    hash_len: usize,
}

impl<'a> Nodes<'a> {
    pub(crate) fn new(tree: &'a [u8], hash_len: usize) -> Nodes<'a> {
        Nodes {
            rest: tree,
            hash_len,
        }
    }

    /// Skips the entries that two trees have in common at their current positions: usually most of them, and only one
    /// side is parsed.
    pub(crate) fn skip_same(&mut self, other: &mut Nodes<'_>) {
        let mut next = self.clone();
        while next.next().is_some() {
            let length = self.rest.len() - next.rest.len();
            if other.rest.get(..length) != Some(&self.rest[..length]) {
                return;
            }
            self.rest = next.rest;
            other.rest = &other.rest[length..];
        }
    }

    /// The next entry, without consuming it.
    pub(crate) fn peek(&self) -> Option<Node<'a>> {
        self.clone().next()
    }

    fn parse(&mut self) -> Option<Node<'a>> {
        let space = self.rest.iter().take(8).position(|byte| *byte == b' ')?;
        let mode = match &self.rest[..space] {
            b"40000" | b"040000" => Mode::Tree,
            b"100644" => Mode::File,
            b"100755" => Mode::Executable,
            b"120000" => Mode::Link,
            b"160000" => Mode::Submodule,
            mode if mode.len() == 6
                && mode.starts_with(b"100")
                && mode.iter().all(|digit| (b'0'..=b'7').contains(digit)) =>
            {
                Mode::OddFile
            }
            _ => return None,
        };
        let end = space + 1 + self.rest[space + 1..].iter().position(|byte| *byte == 0)?;
        let name = &self.rest[space + 1..end];
        let id = self.rest.get(end + 1..end + 1 + self.hash_len)?;
        if name.is_empty() || name.contains(&b'/') {
            return None;
        }
        self.rest = &self.rest[end + 1 + self.hash_len..];
        Some(Node { mode, name, id })
    }
}

impl<'a> Iterator for Nodes<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let node = self.parse();
        if node.is_none() {
            self.rest = &[];
        }
        node
    }
}

/// Git's order: a directory sorts as if its name ended in `/`.
pub(crate) fn order(left: &Node<'_>, right: &Node<'_>) -> Ordering {
    let common = left.name.len().min(right.name.len());
    left.name[..common]
        .cmp(&right.name[..common])
        .then_with(|| {
            let next = |node: &Node<'_>| match node.name.get(common) {
                Some(byte) => *byte,
                None if node.mode == Mode::Tree => b'/',
                None => 0,
            };
            next(left).cmp(&next(right))
        })
}

/// Checks the form of a tree. Returns whether a mode is padded with a zero, as some old programs wrote it: such a tree
/// has another id and reads the same.
///
/// # Errors
///
/// Describes what is wrong with it. Each of these defects can make git show one thing and check out another.
pub(crate) fn check(tree: &[u8], hash_len: usize) -> Result<bool, &'static str> {
    let mut nodes = Nodes::new(tree, hash_len);
    let mut is_padded = false;
    let mut before: Option<Node<'_>> = None;
    // The names of files that are prefixes of the current name: a directory with the same name may come later.
    let mut beginnings: Vec<&[u8]> = Vec::new();
    while !nodes.rest.is_empty() {
        is_padded |= nodes.rest.starts_with(b"0");
        let node = nodes.parse().ok_or("it is not a well-formed tree")?;
        if matches!(node.name, b"." | b"..") || node.name.eq_ignore_ascii_case(b".git") {
            return Err("it has a name that is not allowed (`.`, `..` or `.git`)");
        }
        if let Some(before) = &before {
            match order(before, &node) {
                Ordering::Less => {}
                _ if before.name == node.name => return Err("it holds a name twice"),
                _ => return Err("its names are not in order"),
            }
        }
        while beginnings
            .last()
            .is_some_and(|name| !node.name.starts_with(name))
        {
            beginnings.pop();
        }
        if node.mode == Mode::Tree {
            if beginnings.contains(&node.name) {
                return Err("it holds a name twice");
            }
        } else {
            beginnings.push(node.name);
        }
        before = Some(node);
    }
    Ok(is_padded)
}

#[cfg(test)]
mod tests {
    use super::{Nodes, check};

    fn tree(entries: &[(&str, &str)]) -> Vec<u8> {
        entries
            .iter()
            .flat_map(|(mode, name)| {
                [mode.as_bytes(), b" ", name.as_bytes(), &[0], &[7; 20]].concat()
            })
            .collect()
    }

    #[test]
    fn trees_in_order_are_accepted() {
        let ordered = tree(&[
            ("100644", "a"),
            ("100644", "a.b"),
            ("40000", "a0"),
            ("100755", "b"),
            ("120000", "c"),
            ("160000", "d"),
        ]);
        assert_eq!(check(&ordered, 20), Ok(false));
        assert_eq!(Nodes::new(&ordered, 20).count(), 6);
        assert_eq!(check(&[], 20), Ok(false));
        assert_eq!(check(&tree(&[("040000", "a")]), 20), Ok(true));
    }

    #[test]
    fn every_malformed_tree_is_refused() {
        for entries in [
            &[("100644", "b"), ("100644", "a")][..],
            &[("100644", "a"), ("100644", "a")],
            &[("100644", "a"), ("100644", "a.b"), ("40000", "a")],
            &[("40000", "a"), ("100644", "a.b")],
            &[("100644", "a/b")],
            &[("100644", "")],
            &[("40000", ".git")],
            &[("40000", ".GIT")],
            &[("40000", "..")],
            &[("140000", "a")],
        ] {
            assert!(check(&tree(entries), 20).is_err(), "{entries:?}");
        }
        let whole = tree(&[("100644", "a")]);
        for cut in 1..whole.len() {
            assert!(check(&whole[..cut], 20).is_err(), "{cut}");
        }
    }
}
