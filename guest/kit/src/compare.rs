//! Compares two entries: equal after defaults, member order ignored, strings compared decoded, numbers as they were written.
//!
//! Pure. Names where they differ and quotes no value of either.

use crate::place::Place;
use crate::tape::{Index, Kind, Tape};
use std::cmp::Ordering;

/// How many places are named; a reader looks at the first few, and a message has a limit.
const MAX_NAMED: usize = 10;

/// The longest pointer that is named in full, in bytes: keys are free text of any length.
const MAX_POINTER: usize = 256;

/// The longest value that is compared as it is written, in bytes.
const ALIKE: usize = 4096;

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

/// Compares the entry that an outcome would get with the entry that the trail holds.
///
/// `ours` must be JSON. Differences at the places that `ignored` names, as RFC 6901 pointers, and below them do not count.
///
/// # Errors
///
/// Says why one of them is no entry at all.
pub fn differences(
    ours: &[u8],
    theirs: &[u8],
    ignored: &[&str],
) -> Result<Differences, &'static str> {
    let ours = Tape::of_json(str::from_utf8(ours).map_err(|_| "cannot be compared")?)?;
    let theirs = Tape::read(theirs)?;
    if [&ours, &theirs]
        .into_iter()
        .any(|tape| tape.kind(tape.root()) != Kind::Object)
    {
        return Err("is not a JSON object");
    }
    let mut walk = Walk {
        ours,
        theirs,
        ignored,
        found: Differences::default(),
    };
    walk.objects(
        Some(walk.ours.root()),
        Some(walk.theirs.root()),
        Place::ROOT,
    );
    Ok(walk.found)
}

/// The reason of a conflict: names where the two entries differ, apart from the time of recording.
pub fn conflict(ours: &[u8], theirs: &[u8]) -> String {
    message(differences(ours, theirs, &["/timestamp"]))
}

/// The reason of a conflict, given what [`differences`] found.
pub fn message(found: Result<Differences, &'static str>) -> String {
    let mut message = "the task has an entry that ".to_owned();
    let differences = match found {
        Ok(differences) if differences.is_empty() => {
            message.push_str("says something else");
            differences
        }
        Ok(differences) => {
            message.push_str("differs in ");
            differences
        }
        Err(reason) => return ["the task's entry on the trail ", reason].concat(),
    };
    for (at, pointer) in differences.pointers.iter().enumerate() {
        let last = at + 1 == differences.pointers.len();
        message.push_str(match at {
            0 => "",
            _ if last && differences.more == 0 => " and ",
            _ => ", ",
        });
        message.push_str(pointer);
    }
    if differences.more > 0 {
        message.extend([" and ", &differences.more.to_string(), " more"]);
    }
    message.push_str("; a task that is tried again is a task of its own (such as `deploy-42.2` with `metadata.attempt_of`)");
    message
}

struct Walk<'a> {
    ours: Tape<'a>,
    theirs: Tape<'a>,
    ignored: &'a [&'a str],
    found: Differences,
}

impl Walk<'_> {
    fn values(&mut self, ours: Index, theirs: Index, place: &Place<'_>) {
        let (our, their) = (self.ours.raw(ours), self.theirs.raw(theirs));
        // Written alike they are the same (ours has no key twice), and nearly all are. Only what is short: what differs is
        // looked at again on each level below, and must cost no more for being deep.
        if our.len() <= ALIKE && our == their {
            return;
        }
        let same = match (self.ours.kind(ours), self.theirs.kind(theirs)) {
            (Kind::Object, Kind::Object) => return self.objects(Some(ours), Some(theirs), place),
            (Kind::Array, Kind::Array) => return self.arrays(ours, theirs, place),
            (Kind::String, Kind::String) => self.ours.string(ours) == self.theirs.string(theirs),
            (Kind::Scalar, Kind::Scalar) => our == their,
            // `null` for a list or a group of members is how an outcome leaves it out.
            (Kind::Object | Kind::Array, Kind::Scalar) if their == "null" => {
                return self.left_out(ours, true, place);
            }
            _ => false,
        };
        if !same {
            self.differs(place);
        }
    }

    fn objects(&mut self, ours: Option<Index>, theirs: Option<Index>, place: &Place<'_>) {
        let ours = ours.map_or_else(Vec::new, |object| self.ours.members(object));
        let theirs = theirs.map_or_else(Vec::new, |object| self.theirs.members(object));
        let (mut ours, mut theirs) = (ours.iter().peekable(), theirs.iter().peekable());
        loop {
            let order = match (ours.peek(), theirs.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((our, _)), Some((their, _))) => our.cmp(their),
            };
            let our = ours.next_if(|_| order.is_le());
            let their = theirs.next_if(|_| order.is_ge());
            let Some((key, _)) = our.or(their) else {
                return;
            };
            let mut twice = false;
            while theirs.next_if(|(next, _)| next == key).is_some() {
                twice = true;
            }
            let place = &place.member(key);
            match (our, their) {
                // A key that comes twice has no one value.
                _ if twice => self.differs(place),
                (Some((_, our)), Some((_, their))) => self.values(*our, *their, place),
                (Some((_, our)), None) => self.left_out(*our, false, place),
                (None, Some((_, their))) => self.unknown(*their, place),
                (None, None) => {}
            }
        }
    }

    fn arrays(&mut self, ours: Index, theirs: Index, place: &Place<'_>) {
        let (mut our_next, mut their_next) = (self.ours.first(ours), self.theirs.first(theirs));
        for at in 0.. {
            let place = &place.item(at);
            match (our_next, their_next) {
                (None, None) => return,
                (Some(our), Some(their)) => self.values(our, their, place),
                _ => self.differs(place),
            }
            our_next = our_next.and_then(|item| self.ours.after(item, ours));
            their_next = their_next.and_then(|item| self.theirs.after(item, theirs));
        }
    }

    /// Theirs has no such member, or `null`: the same if ours is what an outcome that leaves it out gets.
    fn left_out(&mut self, ours: Index, null: bool, place: &Place<'_>) {
        match default(place) {
            Some(Default::Group) => self.objects(Some(ours), None, place),
            Some(Default::List) if self.ours.raw(ours) == "[]" => {}
            Some(Default::Null) if self.ours.raw(ours) == "null" => {}
            // `null` is a value like any other of what may be any JSON.
            Some(Default::Any) if self.ours.raw(ours) == "{}" && !null => {}
            _ => self.differs(place),
        }
    }

    /// Ours has no such member. Only `metadata` is left out of an entry, when it is `null`.
    fn unknown(&mut self, theirs: Index, place: &Place<'_>) {
        if self.theirs.raw(theirs) != "null" || place.members() != Some(("metadata", None)) {
            self.differs(place);
        }
    }

    fn differs(&mut self, place: &Place<'_>) {
        if self.ignored.iter().any(|ignored| place.is_within(ignored)) {
            return;
        }
        if self.found.pointers.len() == MAX_NAMED {
            self.found.more += 1;
            return;
        }
        let mut pointer = place.pointer();
        if pointer.len() > MAX_POINTER {
            pointer.truncate(pointer.floor_char_boundary(MAX_POINTER));
            pointer.push('…');
        }
        self.found.pointers.push(pointer);
    }
}

/// What a member is when an outcome leaves it out.
enum Default {
    /// Its members, each left out.
    Group,
    /// `[]`
    List,
    /// `{}`
    Any,
    /// `null`
    Null,
}

fn default(place: &Place<'_>) -> Option<Default> {
    Some(match place.members()? {
        ("dispatch_info" | "execution_result", None) => Default::Group,
        ("plan_steps", None) | ("execution_result", Some("services_touched")) => Default::List,
        ("execution_result", Some("outcome" | "resources_used")) => Default::Any,
        ("plan_id" | "metadata", None)
        | ("dispatch_info", Some("agent_pool" | "agent_id" | "dispatch_timestamp"))
        | ("execution_result", Some("start_time" | "end_time")) => Default::Null,
        _ => return None,
    })
}
