//! A place in a JSON document, kept on the stack of the function that walks it.
//!
//! A pointer is made of it only when a place has to be named: an outcome may have half a million values, and nearly all of them
//! agree.

/// A place: the document itself, or a member or item of another place.
#[derive(Clone, Copy)]
pub struct Place<'p> {
    within: Option<&'p Place<'p>>,
    name: Name<'p>,
}

#[derive(Clone, Copy)]
enum Name<'p> {
    Member(&'p str),
    Item(usize),
}

impl<'p> Place<'p> {
    /// The whole document.
    pub const ROOT: &'static Place<'static> = &Place {
        within: None,
        name: Name::Item(0),
    };

    /// The member of that (decoded) key.
    pub fn member(&'p self, key: &'p str) -> Place<'p> {
        Place {
            within: Some(self),
            name: Name::Member(key),
        }
    }

    /// The item of that index.
    pub fn item(&'p self, at: usize) -> Place<'p> {
        Place {
            within: Some(self),
            name: Name::Item(at),
        }
    }

    /// Whether it is the whole document.
    pub fn is_root(&self) -> bool {
        self.within.is_none()
    }

    /// For a member of the document its key, for a member of such a member both keys, and nothing for any deeper place.
    pub fn members(&self) -> Option<(&'p str, Option<&'p str>)> {
        let within = self.within?;
        match (within.within, within.name, self.name) {
            (None, _, Name::Member(key)) => Some((key, None)),
            (Some(root), Name::Member(group), Name::Member(key)) if root.is_root() => {
                Some((group, Some(key)))
            }
            _ => None,
        }
    }

    /// Whether it is the place that an RFC 6901 pointer names, or lies below it.
    pub fn is_within(&self, pointer: &str) -> bool {
        if pointer.is_empty() {
            return true;
        }
        let mut place = Some(self);
        while let Some(here) = place {
            if here.is(pointer) {
                return true;
            }
            place = here.within;
        }
        false
    }

    /// Whether a pointer names this place. Allocates nothing: it is asked for each difference.
    fn is(&self, pointer: &str) -> bool {
        let Some(within) = self.within else {
            return pointer.is_empty();
        };
        let Some((before, step)) = pointer.rsplit_once('/') else {
            return false;
        };
        let is_step = match self.name {
            Name::Item(at) => step.parse() == Ok(at),
            Name::Member(key) => unescaped(step).eq(key.chars()),
        };
        is_step && within.is(before)
    }

    /// The RFC 6901 pointer.
    pub fn pointer(&self) -> String {
        let Some(within) = self.within else {
            return String::new();
        };
        let mut pointer = within.pointer();
        pointer.push('/');
        match self.name {
            Name::Item(at) => pointer.push_str(&at.to_string()),
            Name::Member(key) => key.chars().for_each(|character| match character {
                '~' => pointer.push_str("~0"),
                '/' => pointer.push_str("~1"),
                other => pointer.push(other),
            }),
        }
        pointer
    }
}

/// The characters of a pointer's step, `~0` and `~1` decoded.
fn unescaped(step: &str) -> impl Iterator<Item = char> {
    let mut characters = step.chars();
    std::iter::from_fn(move || match characters.next()? {
        '~' => Some(match characters.next() {
            Some('1') => '/',
            _ => '~',
        }),
        other => Some(other),
    })
}
