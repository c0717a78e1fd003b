//! JSON text as a flat list of its values, so that two documents can be walked side by side.
//!
//! Owns spans, not meanings: what equals what is decided in `compare`.

use crate::layout::{skip_white_space, token_end};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The deepest nesting that is read. An entry of ours is at most 64 deep; what is deeper equals none of them, and the
/// walk over two documents is recursive.
const MAX_DEPTH: usize = 128;

/// A document: its text and its values in document order, each object's members as key, value, key, value, ….
pub struct Tape<'a> {
    text: &'a str,
    nodes: Vec<Node>,
}

/// One value, or the key of one.
struct Node {
    start: u32,
    end: u32,
    /// The node after this one and all that is in it.
    next: u32,
}

/// Where in a tape a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Index(u32);

/// The kinds of values that a comparison tells apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Members in any order.
    Object,
    /// Values in their order.
    Array,
    /// Text with escapes.
    String,
    /// A number, `true`, `false` or `null`: itself and nothing else.
    Scalar,
}

impl<'a> Tape<'a> {
    /// Reads a document in linear time.
    ///
    /// # Errors
    ///
    /// Says why the bytes are no JSON document that could be an entry.
    pub fn read(bytes: &'a [u8]) -> Result<Tape<'a>, &'static str> {
        let text = str::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
        // Checks the grammar, without recursion.
        serde_json::from_str::<&RawValue>(text).map_err(|_| "is not JSON")?;
        Tape::of_json(text)
    }

    /// Reads a document that is known to be JSON.
    ///
    /// # Errors
    ///
    /// Says that it is too deep or too large.
    pub fn of_json(text: &'a str) -> Result<Tape<'a>, &'static str> {
        let bytes = text.as_bytes();
        let mut nodes: Vec<Node> = Vec::with_capacity(bytes.len() / 16);
        let mut open: Vec<usize> = Vec::new();
        let mut at = skip_white_space(bytes, 0);
        while at < bytes.len() {
            let end = token_end(bytes, at);
            match bytes[at] {
                b',' | b':' => {}
                b'}' | b']' => {
                    let container = open.pop().ok_or("is not JSON")?;
                    nodes[container].end = offset(end)?;
                    nodes[container].next = offset(nodes.len())?;
                }
                byte => {
                    if matches!(byte, b'{' | b'[') {
                        if open.len() == MAX_DEPTH {
                            return Err("is nested too deeply");
                        }
                        open.push(nodes.len());
                    }
                    let next = offset(nodes.len() + 1)?;
                    nodes.push(Node {
                        start: offset(at)?,
                        end: offset(end)?,
                        next,
                    });
                }
            }
            at = skip_white_space(bytes, end);
        }
        Ok(Tape { text, nodes })
    }

    /// The whole document.
    pub fn root(&self) -> Index {
        Index(0)
    }

    /// What kind of value it is.
    pub fn kind(&self, index: Index) -> Kind {
        match self.raw(index).as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            _ => Kind::Scalar,
        }
    }

    /// The value as it was written.
    pub fn raw(&self, index: Index) -> &'a str {
        let node = &self.nodes[index.0 as usize];
        &self.text[node.start as usize..node.end as usize]
    }

    /// The text of a string, decoded. A lone surrogate stands for nothing, so a string that holds one stays as written.
    pub fn string(&self, index: Index) -> Cow<'a, str> {
        let raw = self.raw(index);
        if raw.contains('\\') {
            serde_json::from_str(raw).map_or(Cow::Borrowed(raw), Cow::Owned)
        } else {
            Cow::Borrowed(&raw[1..raw.len() - 1])
        }
    }

    /// The first value in an array, or the first key in an object.
    pub fn first(&self, container: Index) -> Option<Index> {
        let first = container.0 + 1;
        (first < self.nodes[container.0 as usize].next).then_some(Index(first))
    }

    /// What follows `item` in its container.
    pub fn after(&self, item: Index, container: Index) -> Option<Index> {
        let next = self.nodes[item.0 as usize].next;
        (next < self.nodes[container.0 as usize].next).then_some(Index(next))
    }

    /// An object's members, sorted by their decoded keys.
    pub fn members(&self, object: Index) -> Vec<(Cow<'a, str>, Index)> {
        let mut members = Vec::new();
        let mut next = self.first(object);
        while let Some(key) = next {
            let Some(value) = self.after(key, object) else {
                break;
            };
            members.push((self.string(key), value));
            next = self.after(value, object);
        }
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        members
    }
}

fn offset(at: usize) -> Result<u32, &'static str> {
    u32::try_from(at).map_err(|_| "is larger than 4 GiB")
}
