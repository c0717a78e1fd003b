//! Whether two entries say the same: equal after defaults, member order and the time of recording ignored, strings compared
//! decoded, numbers as they were written.
//!
//! Pure. Names where they differ and quotes no value of either.

use crate::tape::{Index, Kind, Tape};
use std::borrow::Cow;
use std::cmp::Ordering;

/// How many places are named; a reader looks at the first few, and a message has a limit.
const MAX_NAMED: usize = 10;

/// The longest pointer that is named in full, in bytes: keys are free text of any length.
const MAX_POINTER: usize = 256;

/// Where two entries differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// The first of them, as RFC 6901 pointers.
    pub pointers: Vec<String>,
    /// How many more there are.
    pub more: usize,
}

impl Differences {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pointers.is_empty()
    }
}

/// Whether `theirs` is, byte for byte, `ours` but for the time of recording.
///
/// What a resubmission nearly always is; it costs one comparison.
pub fn same_bytes(ours: &[u8], theirs: &[u8]) -> bool {
    const LINE: &[u8] = b"\n  \"timestamp\": \"";
    const END: &[u8] = b"\"\n}\n";
    // The last line of ours that looks so is the member itself: strings hold no newline.
    let Some(line) = ours.windows(LINE.len()).rposition(|window| window == LINE) else {
        return false;
    };
    let head = &ours[..line + LINE.len()];
    theirs
        .strip_prefix(head)
        .and_then(|rest| rest.strip_suffix(END))
        .is_some_and(|time| {
            !time
                .iter()
                .any(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
        })
}

/// Compares what an outcome says, formatted as an entry, with the entry that the trail holds.
///
/// # Errors
///
/// Says why `theirs` is no entry at all.
pub fn differences(ours: &[u8], theirs: &[u8]) -> Result<Differences, &'static str> {
    let ours = Tape::read(ours)?;
    let theirs = Tape::read(theirs)?;
    if theirs.kind(theirs.root()) != Kind::Object {
        return Err("is not a JSON object");
    }
    let mut walk = Walk {
        ours,
        theirs,
        pointer: String::new(),
        found: Differences::default(),
    };
    walk.objects(Some(walk.ours.root()), Some(walk.theirs.root()));
    Ok(walk.found)
}

struct Walk<'a> {
    ours: Tape<'a>,
    theirs: Tape<'a>,
    pointer: String,
    found: Differences,
}

impl<'a> Walk<'a> {
    fn values(&mut self, ours: Index, theirs: Index) {
        let same = match (self.ours.kind(ours), self.theirs.kind(theirs)) {
            (Kind::Object, Kind::Object) => return self.objects(Some(ours), Some(theirs)),
            (Kind::Array, Kind::Array) => return self.arrays(ours, theirs),
            (Kind::String, Kind::String) => self.ours.string(ours) == self.theirs.string(theirs),
            (Kind::Scalar, Kind::Scalar) => self.ours.raw(ours) == self.theirs.raw(theirs),
            // `null` for a list or a group of members is how an outcome leaves it out.
            (_, Kind::Scalar)
                if self.theirs.raw(theirs) == "null" && default(&self.pointer) != Some("{}") =>
            {
                return self.missing(ours);
            }
            _ => false,
        };
        if !same {
            self.differs();
        }
    }

    fn objects(&mut self, ours: Option<Index>, theirs: Option<Index>) {
        let ours = ours.map_or_else(Vec::new, |object| self.ours.members(object));
        let theirs = theirs.map_or_else(Vec::new, |object| self.theirs.members(object));
        let (mut ours, mut theirs) = (ours.into_iter().peekable(), theirs.into_iter().peekable());
        loop {
            let order = match (ours.peek(), theirs.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((our, _)), Some((their, _))) => our.cmp(their),
            };
            let our = ours.next_if(|_| order.is_le());
            let their = theirs.next_if(|_| order.is_ge());
            let Some(key) = our.as_ref().or(their.as_ref()).map(|(key, _)| key.clone()) else {
                return;
            };
            // A key that comes twice has no one value; the first is as good as any to name the place.
            let mut twice = false;
            while theirs.next_if(|(next, _)| *next == key).is_some() {
                twice = true;
            }
            if self.pointer.is_empty() && key == "timestamp" {
                continue;
            }
            self.within(&key, |walk| match (our, their) {
                _ if twice => walk.differs(),
                (Some((_, our)), Some((_, their))) => walk.values(our, their),
                (Some((_, our)), None) => walk.missing(our),
                (None, Some((_, their))) => walk.unknown(their),
                (None, None) => {}
            });
        }
    }

    fn arrays(&mut self, ours: Index, theirs: Index) {
        let our_items: Vec<Index> = self.ours.items(ours).collect();
        let their_items: Vec<Index> = self.theirs.items(theirs).collect();
        for at in 0..our_items.len().max(their_items.len()) {
            let index = Cow::<str>::Owned(at.to_string());
            self.within(&index, |walk| {
                match (our_items.get(at), their_items.get(at)) {
                    (Some(&our), Some(&their)) => walk.values(our, their),
                    _ => walk.differs(),
                }
            });
        }
    }

    /// Theirs has no such member: the same if ours is what an outcome that leaves it out gets.
    fn missing(&mut self, ours: Index) {
        match default(&self.pointer) {
            Some("group") => self.objects(Some(ours), None),
            Some(default) if self.ours.raw(ours) == default => {}
            _ => self.differs(),
        }
    }

    /// Ours has no such member. Only `metadata` is left out of an entry, when it is `null`.
    fn unknown(&mut self, theirs: Index) {
        if self.pointer != "/metadata" || self.theirs.raw(theirs) != "null" {
            self.differs();
        }
    }

    fn within(&mut self, key: &str, body: impl FnOnce(&mut Self)) {
        let length = self.pointer.len();
        self.pointer.push('/');
        for part in key.split_inclusive(['~', '/']) {
            match part.as_bytes().last() {
                Some(b'~') => self.pointer.extend([&part[..part.len() - 1], "~0"]),
                Some(b'/') => self.pointer.extend([&part[..part.len() - 1], "~1"]),
                _ => self.pointer.push_str(part),
            }
        }
        body(self);
        self.pointer.truncate(length);
    }

    fn differs(&mut self) {
        if self.found.pointers.len() == MAX_NAMED {
            self.found.more += 1;
            return;
        }
        let mut end = self.pointer.len().min(MAX_POINTER);
        while !self.pointer.is_char_boundary(end) {
            end -= 1;
        }
        let mut pointer = self.pointer[..end].to_owned();
        if end < self.pointer.len() {
            pointer.push('…');
        }
        self.found.pointers.push(pointer);
    }
}

/// What a member is, as our entries write it, when an outcome leaves it out.
fn default(pointer: &str) -> Option<&'static str> {
    Some(match pointer {
        "/dispatch_info" | "/execution_result" => "group",
        "/plan_steps" | "/execution_result/services_touched" => "[]",
        "/execution_result/outcome" | "/execution_result/resources_used" => "{}",
        "/plan_id"
        | "/metadata"
        | "/dispatch_info/agent_pool"
        | "/dispatch_info/agent_id"
        | "/dispatch_info/dispatch_timestamp"
        | "/execution_result/start_time"
        | "/execution_result/end_time" => "null",
        _ => return None,
    })
}
