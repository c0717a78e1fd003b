//! The pass over a JSON text, which may arrive in pieces: strings, words and the path to the current value.
//!
//! Never fails. A text that is not JSON passes unchanged, and the parser refuses it.

use outcome::json;

use super::text::LongText;
use super::{MAX_POINTERS, NonFinite, Rules, Treated};

/// A document during treatment.
pub struct Treatment {
    rules: Rules,
    out: Vec<u8>,
    /// The open arrays and objects.
    open: Vec<Level>,
    state: State,
    /// The bytes of the current word or escape, which is not decided yet.
    held: Vec<u8>,
    /// A leading surrogate that waits for its other half, as it was written.
    lead: Option<[u8; 6]>,
    /// The current member's name, while it is read.
    name: Vec<u8>,
    /// The current string, if it may be shortened.
    long: Option<LongText>,
    repaired: Vec<String>,
    shortened: Vec<String>,
}

/// An open array or object.
enum Level {
    Array(usize),
    /// With the current member's name, and whether the next string is a name.
    Object(String, bool),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between values.
    Between,
    /// Within a number, `true`, or a word that JSON does not have.
    Word,
    /// Within a string.
    Text,
    /// After a backslash.
    Escape,
    /// Within the four digits after `\u`.
    Digits,
}

/// The deepest level whose path is kept. A deeper document is refused anyway.
const MAX_DEPTH: usize = 128;

/// The longest member name that is kept for a pointer, in bytes.
const MAX_NAME: usize = 512;

/// The longest word that may be replaced, in bytes.
const MAX_WORD: usize = 512;

impl Treatment {
    /// Begins with an empty document.
    pub fn new(rules: Rules) -> Treatment {
        Treatment {
            rules,
            out: Vec::new(),
            open: Vec::new(),
            state: State::Between,
            held: Vec::new(),
            lead: None,
            name: Vec::new(),
            long: None,
            repaired: Vec::new(),
            shortened: Vec::new(),
        }
    }

    /// How many bytes the treated document has so far.
    pub fn len(&self) -> usize {
        self.out.len() + self.held.len()
    }

    /// Whether nothing has come out yet.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Adds the next piece.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.state == State::Text && self.lead.is_none() {
                let end = memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
                if end > 0 {
                    self.plain(&bytes[..end]);
                    bytes = &bytes[end..];
                    continue;
                }
            }
            self.byte(byte);
            bytes = rest;
        }
    }

    /// Ends the document.
    pub fn finish(mut self) -> Treated {
        self.end_word();
        if let Some(lead) = self.lead.take() {
            // The text ends within a string: it is refused as it is.
            self.out.extend_from_slice(&lead);
        }
        self.out.append(&mut self.held);
        if let Some(long) = self.long.take() {
            self.out.extend_from_slice(&long.into_written());
        }
        Treated {
            document: self.out,
            repaired: self.repaired,
            shortened: self.shortened,
        }
    }

    fn byte(&mut self, byte: u8) {
        match self.state {
            State::Between => self.between(byte),
            State::Word => match byte {
                b',' | b'}' | b']' | b':' | b'"' | b' ' | b'\t' | b'\n' | b'\r' | b'{' | b'[' => {
                    self.end_word();
                    self.between(byte);
                }
                _ => self.held.push(byte),
            },
            State::Text => match byte {
                b'"' => {
                    self.drop_lead();
                    self.end_text();
                }
                b'\\' => {
                    self.held.push(byte);
                    self.state = State::Escape;
                }
                _ => {
                    self.drop_lead();
                    self.plain(&[byte]);
                }
            },
            State::Escape => {
                self.held.push(byte);
                if byte == b'u' {
                    self.state = State::Digits;
                } else {
                    self.drop_lead();
                    let held = std::mem::take(&mut self.held);
                    self.escaped(&held, unescaped(byte));
                    self.state = State::Text;
                }
            }
            State::Digits => {
                self.held.push(byte);
                if !byte.is_ascii_hexdigit() {
                    // Not JSON. What follows is read as text.
                    self.drop_lead();
                    let held = std::mem::take(&mut self.held);
                    self.escaped(&held, None);
                    self.state = if byte == b'"' {
                        State::Between
                    } else {
                        State::Text
                    };
                } else if self.held.len() == 6 {
                    self.unit();
                    self.state = State::Text;
                }
            }
        }
    }

    fn between(&mut self, byte: u8) {
        self.state = State::Between;
        match byte {
            b'"' => {
                self.out.push(byte);
                self.state = State::Text;
                self.name.clear();
                self.long = match self.rules.longest {
                    Some(most)
                        if !self.is_name() && (self.rules.anywhere || self.may_be_shortened()) =>
                    {
                        Some(LongText::new(most))
                    }
                    _ => None,
                };
                return;
            }
            b'{' if self.open.len() < MAX_DEPTH => {
                self.open.push(Level::Object(String::new(), true))
            }
            b'[' if self.open.len() < MAX_DEPTH => self.open.push(Level::Array(0)),
            b'}' | b']' => {
                self.open.pop();
            }
            b':' => {
                if let Some(Level::Object(_, expects_name)) = self.open.last_mut() {
                    *expects_name = false;
                }
            }
            b',' => match self.open.last_mut() {
                Some(Level::Array(index)) => *index += 1,
                Some(Level::Object(_, expects_name)) => *expects_name = true,
                None => {}
            },
            b' ' | b'\t' | b'\n' | b'\r' | b'{' | b'[' => {}
            _ => {
                self.held.push(byte);
                self.state = State::Word;
                return;
            }
        }
        self.out.push(byte);
    }

    fn end_word(&mut self) {
        if self.state != State::Word {
            return;
        }
        self.state = State::Between;
        let word = std::mem::take(&mut self.held);
        if self.rules.non_finite == NonFinite::Refuse || !is_non_finite(&word) {
            self.out.extend_from_slice(&word);
            return;
        }
        self.repaired_here();
        if self.rules.non_finite == NonFinite::Null {
            self.out.extend_from_slice(b"null");
        } else {
            self.out.push(b'"');
            self.out.extend_from_slice(&word);
            self.out.push(b'"');
        }
    }

    fn is_name(&self) -> bool {
        matches!(self.open.last(), Some(Level::Object(_, true)))
    }

    /// Whether it is within the parts of a document that hold what a task printed.
    fn may_be_shortened(&self) -> bool {
        let name = |level: usize| match self.open.get(level) {
            Some(Level::Object(name, _)) => name.as_str(),
            _ => "",
        };
        match name(0) {
            "metadata" => true,
            "execution_result" => matches!(name(1), "outcome" | "resources_used"),
            // The members of a work result.
            "output" | "error_message" | "resources_used" => true,
            _ => false,
        }
    }

    /// Text without a quote or a backslash.
    fn plain(&mut self, bytes: &[u8]) {
        self.write(bytes, bytes);
    }

    /// An escape, as written, and the byte that it stands for.
    fn escaped(&mut self, written: &[u8], means: Option<u8>) {
        match means {
            Some(byte) => self.write(written, &[byte]),
            None => self.write(written, written),
        }
    }

    fn write(&mut self, written: &[u8], means: &[u8]) {
        if self.is_name() {
            let room = MAX_NAME.saturating_sub(self.name.len()).min(means.len());
            self.name.extend_from_slice(&means[..room]);
        }
        match &mut self.long {
            Some(long) => long.push(written, means),
            None => self.out.extend_from_slice(written),
        }
    }

    /// One `\uXXXX`.
    fn unit(&mut self) {
        let held = std::mem::take(&mut self.held);
        let written: [u8; 6] = held.as_slice().try_into().unwrap_or_default();
        let digits = std::str::from_utf8(&written[2..]).unwrap_or_default();
        let unit = u32::from_str_radix(digits, 16).unwrap_or_default();
        match (unit, self.lead) {
            (0xD800..0xDC00, _) => {
                self.drop_lead();
                self.lead = Some(written);
            }
            (0xDC00..0xE000, Some(lead)) => {
                self.lead = None;
                let first = std::str::from_utf8(&lead[2..]).unwrap_or_default();
                let first = u32::from_str_radix(first, 16).unwrap_or_default();
                let code = 0x10000 + ((first - 0xD800) << 10) + (unit - 0xDC00);
                let pair = [lead, written].concat();
                self.character(&pair, code);
            }
            (0xDC00..0xE000, None) => self.replace(),
            _ => {
                self.drop_lead();
                self.character(&written, unit);
            }
        }
    }

    fn character(&mut self, written: &[u8], code: u32) {
        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        let mut buffer = [0; 4];
        let means = character.encode_utf8(&mut buffer).as_bytes();
        self.write(written, means);
    }

    /// Replaces a leading surrogate that no other half follows.
    fn drop_lead(&mut self) {
        if self.lead.take().is_some() {
            self.replace();
        }
    }

    fn replace(&mut self) {
        self.repaired_here();
        let mut buffer = [0; 4];
        let replacement = char::REPLACEMENT_CHARACTER
            .encode_utf8(&mut buffer)
            .as_bytes();
        self.write(replacement, replacement);
    }

    fn end_text(&mut self) {
        self.state = State::Between;
        if let Some(long) = self.long.take() {
            if long.is_too_long() {
                let pointer = self.pointer();
                note(&mut self.shortened, pointer);
            }
            self.out.extend_from_slice(&long.into_written());
        }
        self.out.push(b'"');
        if let Some(Level::Object(name, true)) = self.open.last_mut() {
            *name = String::from_utf8_lossy(&self.name).into_owned();
        }
    }

    fn repaired_here(&mut self) {
        let pointer = self.pointer();
        if self.repaired.last() != Some(&pointer) {
            note(&mut self.repaired, pointer);
        }
    }

    /// The pointer to the current value; for a member's name, to the object.
    fn pointer(&self) -> String {
        let mut pointer = String::new();
        for level in &self.open {
            match level {
                Level::Array(index) => pointer.push_str(&format!("/{index}")),
                Level::Object(_, true) => {}
                Level::Object(name, false) => {
                    pointer.push('/');
                    pointer.push_str(&json::pointer_step(name));
                }
            }
        }
        pointer
    }
}

fn note(pointers: &mut Vec<String>, pointer: String) {
    if pointers.len() < MAX_POINTERS {
        pointers.push(pointer);
    }
}

/// The byte that an escape of one character stands for.
fn unescaped(byte: u8) -> Option<u8> {
    Some(match byte {
        b'"' | b'\\' | b'/' => byte,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        _ => return None,
    })
}

/// Whether a word is NaN, an infinity, or a number beyond a double.
fn is_non_finite(word: &[u8]) -> bool {
    if matches!(word, b"NaN" | b"-NaN" | b"Infinity" | b"-Infinity") {
        return true;
    }
    let is_number = word
        .first()
        .is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-')
        && word.len() <= MAX_WORD
        && word
            .iter()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte));
    let text = std::str::from_utf8(word).unwrap_or_default();
    is_number && text.parse::<f64>().is_ok_and(|number| number.is_infinite())
}
