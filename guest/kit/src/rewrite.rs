//! Rewriting JSON text value by value: what is not replaced stays as it was written.
//!
//! Knows places and texts, not what is done about them.

use crate::layout::{skip_white_space, token_end};

/// What is done about each value of a document.
pub trait Rewrite {
    /// What takes the place of the whole value there, which begins with that byte, as JSON; `None` looks into it.
    fn whole(&mut self, place: &[String], first: u8) -> Option<String>;

    /// What takes the place of a string, given and answered decoded; `None` leaves it as it was written.
    fn string(&mut self, place: &[String], text: &str) -> Option<String>;

    /// Sees the (decoded) name of a member of the object there.
    fn name(&mut self, place: &[String], name: &str);
}

/// Rewrites a document, which must be well-formed JSON nested no deeper than an outcome may be.
pub fn rewrite(text: &str, by: &mut impl Rewrite) -> String {
    let mut walk = Walk {
        text,
        at: 0,
        out: String::with_capacity(text.len()),
        place: Vec::new(),
    };
    walk.value(by);
    walk.copy_to(text.len());
    walk.out
}

struct Walk<'a> {
    text: &'a str,
    at: usize,
    out: String,
    place: Vec<String>,
}

impl Walk<'_> {
    fn value(&mut self, by: &mut impl Rewrite) {
        self.copy_white_space();
        let Some(first) = self.peek() else { return };
        if let Some(replacement) = by.whole(&self.place, first) {
            self.skip_value();
            self.out.push_str(&replacement);
            return;
        }
        match first {
            b'{' => self.container(b'}', by, Walk::member),
            b'[' => self.container(b']', by, Walk::item),
            b'"' => {
                let end = token_end(self.text.as_bytes(), self.at);
                let replacement = decoded(&self.text[self.at..end])
                    .and_then(|text| by.string(&self.place, &text));
                match replacement {
                    Some(text) => {
                        self.out.push_str(&encoded(&text));
                        self.at = end;
                    }
                    None => self.copy_to(end),
                }
            }
            _ => self.copy_to(token_end(self.text.as_bytes(), self.at)),
        }
    }

    /// The parts of an object or array, from its opening bracket to its closing one.
    fn container<R: Rewrite>(
        &mut self,
        closing: u8,
        by: &mut R,
        part: impl Fn(&mut Self, usize, &mut R),
    ) {
        self.copy_to(self.at + 1);
        for index in 0.. {
            self.copy_white_space();
            match self.peek() {
                None => return,
                Some(byte) if byte == closing => return self.copy_to(self.at + 1),
                Some(b',') => self.copy_to(self.at + 1),
                Some(_) => {}
            }
            part(self, index, by);
        }
    }

    fn member<R: Rewrite>(&mut self, _: usize, by: &mut R) {
        self.copy_white_space();
        let end = token_end(self.text.as_bytes(), self.at);
        let name = decoded(&self.text[self.at..end]).unwrap_or_default();
        by.name(&self.place, &name);
        self.copy_to(end);
        self.copy_white_space();
        self.copy_to((self.at + 1).min(self.text.len()));
        self.place.push(name);
        self.value(by);
        self.place.pop();
    }

    fn item<R: Rewrite>(&mut self, index: usize, by: &mut R) {
        self.place.push(index.to_string());
        self.value(by);
        self.place.pop();
    }

    fn skip_value(&mut self) {
        let bytes = self.text.as_bytes();
        let mut depth = 0_usize;
        loop {
            self.at = skip_white_space(bytes, self.at);
            match bytes.get(self.at) {
                None => return,
                Some(b'{' | b'[') => depth += 1,
                Some(b'}' | b']') => depth -= 1,
                Some(_) => {}
            }
            self.at = token_end(bytes, self.at);
            if depth == 0 {
                return;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn copy_white_space(&mut self) {
        self.copy_to(skip_white_space(self.text.as_bytes(), self.at));
    }

    fn copy_to(&mut self, end: usize) {
        self.out.push_str(&self.text[self.at..end]);
        self.at = end;
    }
}

fn decoded(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

fn encoded(text: &str) -> String {
    serde_json::to_string(text).expect("a string is JSON")
}

/// A place as an RFC 6901 pointer.
pub fn pointer(place: &[String]) -> String {
    let mut pointer = String::new();
    for step in place {
        pointer.push('/');
        pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
    }
    pointer
}
