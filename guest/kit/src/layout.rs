//! JSON as text: writes and re-indents it without deciding what a number or a string means.
//!
//! Knows no outcome and no entry.

use serde_json::ser::Formatter;
use std::io::{self, Write};

/// A formatter with the layout of Python's `json.dumps(indent=2)` and `serde_json`'s pretty printer, which also lays out
/// raw values. Theirs would be copied as they stand, and a value must look the same wherever it came from.
#[derive(Debug, Default)]
pub struct Indented {
    depth: usize,
    /// Whether the container that is being closed has held anything: empty ones are written `{}` and `[]`.
    has_value: bool,
}

impl Formatter for Indented {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.item(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.item(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn write_raw_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        reindent(out, fragment.as_bytes(), self.depth)
    }
}

impl Indented {
    fn open<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.has_value = false;
        out.write_all(bracket)
    }

    fn close<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if self.has_value {
            new_line(out, self.depth)?;
        }
        out.write_all(bracket)
    }

    fn item<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        new_line(out, self.depth)
    }
}

/// Writes JSON text with its layout replaced: every token as it was written, in its order, `depth` levels deep.
///
/// The text must be valid JSON; of other text the output is unspecified (but made in linear time, without a panic).
///
/// # Errors
///
/// Those of `out`.
pub fn reindent<W: ?Sized + Write>(out: &mut W, json: &[u8], depth: usize) -> io::Result<()> {
    let base = depth;
    let mut depth = depth;
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        let end = token_end(json, at);
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'{' | b'[' => {
                let next = skip_white_space(json, end);
                if let Some(closing @ (b'}' | b']')) = json.get(next) {
                    out.write_all(&[byte, *closing])?;
                    at = next + 1;
                    continue;
                }
                depth += 1;
                out.write_all(&[byte])?;
                new_line(out, depth)?;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1).max(base);
                new_line(out, depth)?;
                out.write_all(&[byte])?;
            }
            b',' => {
                out.write_all(b",")?;
                new_line(out, depth)?;
            }
            b':' => out.write_all(b": ")?,
            _ => out.write_all(&json[at..end])?,
        }
        at = end;
    }
    Ok(())
}

/// The end of the token that begins at `at`: a string with its quotes, a number or literal, or one byte.
pub fn token_end(json: &[u8], at: usize) -> usize {
    match json[at] {
        b'"' => string_end(json, at),
        b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => at + 1,
        _ => {
            let ends = |byte: &u8| {
                matches!(byte, b',' | b'}' | b']' | b':' | b'"' | b'{' | b'[')
                    || is_white_space(*byte)
            };
            json[at..]
                .iter()
                .position(ends)
                .map_or(json.len(), |length| at + length.max(1))
        }
    }
}

/// The first place from `at` on that is not white space.
pub fn skip_white_space(json: &[u8], at: usize) -> usize {
    json[at..]
        .iter()
        .position(|byte| !is_white_space(*byte))
        .map_or(json.len(), |length| at + length)
}

fn string_end(json: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(&byte) = json.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn new_line<W: ?Sized + Write>(out: &mut W, depth: usize) -> io::Result<()> {
    // Two spaces a level; deeper than this only what is nested beyond any outcome.
    const SPACES: &[u8; 129] = &{
        let mut line = [b' '; 129];
        line[0] = b'\n';
        line
    };
    let width = 1 + depth * 2;
    match SPACES.get(..width) {
        Some(line) => out.write_all(line),
        None => {
            out.write_all(SPACES)?;
            (SPACES.len()..width).try_for_each(|_| out.write_all(b" "))
        }
    }
}
