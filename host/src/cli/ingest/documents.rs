//! Joins lines to documents: JSON that is spread over several lines, and the elements of an array.
//!
//! A document is usually one line. Holds at most one document. Knows nothing of outcomes.

use super::lines::{KEPT, Line};

/// The documents of one source.
pub(super) struct Documents {
    max_bytes: usize,
    state: State,
    is_first: bool,
}

enum State {
    /// Every line is a document.
    Lines,
    /// Within a document that began on an earlier line.
    Value(Part),
    /// Within an array; with the current element.
    Array(Part),
}

/// A document while it is joined.
#[derive(Default)]
struct Part {
    number: u64,
    text: Vec<u8>,
    depth: usize,
    too_long: bool,
}

impl Documents {
    pub(super) fn new(max_bytes: usize) -> Documents {
        Documents {
            max_bytes,
            state: State::Lines,
            is_first: true,
        }
    }

    /// Takes the next line, and adds the documents that end on it.
    pub(super) fn push(&mut self, mut line: Line, documents: &mut Vec<Line>) {
        if std::mem::take(&mut self.is_first) && line.text.starts_with(b"\xEF\xBB\xBF") {
            line.text.drain(..3);
        }
        match &mut self.state {
            State::Lines => {
                let text = line.text.trim_ascii();
                if line.too_long {
                    documents.push(line);
                } else if let Some(rest) = text.strip_prefix(b"[") {
                    let rest = rest.to_vec();
                    self.state = State::Array(Part::default());
                    self.elements(line.number, &rest, documents);
                } else if text.starts_with(b"{") && text.ends_with(b"{") || text.ends_with(b"[") {
                    let mut part = Part::default();
                    part.add(line.number, &line.text, self.max_bytes);
                    self.state = State::Value(part);
                } else if !text.is_empty() {
                    documents.push(line);
                }
            }
            State::Value(part) => {
                part.add(line.number, b"\n", self.max_bytes);
                part.add(line.number, &line.text, self.max_bytes);
                if part.depth == 0 {
                    let part = std::mem::take(part);
                    self.state = State::Lines;
                    documents.push(part.into_line());
                }
            }
            State::Array(_) => self.elements(line.number, &line.text, documents),
        }
    }

    /// Takes the end of the source. What is not complete is a document too: the parser says what is wrong with it.
    pub(super) fn finish(&mut self, documents: &mut Vec<Line>) {
        match std::mem::replace(&mut self.state, State::Lines) {
            State::Lines => {}
            State::Value(part) | State::Array(part) => {
                if !part.is_blank() {
                    documents.push(part.into_line());
                }
            }
        }
    }

    /// Takes a part of an array.
    fn elements(&mut self, number: u64, text: &[u8], documents: &mut Vec<Line>) {
        let State::Array(part) = &mut self.state else {
            return;
        };
        let mut within = false;
        let mut escaped = false;
        let mut from = 0;
        for (at, byte) in text.iter().enumerate() {
            if within {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => within = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => within = true,
                b'{' | b'[' => part.depth += 1,
                b'}' | b']' if part.depth > 0 => part.depth -= 1,
                b',' | b']' if part.depth == 0 => {
                    part.keep(number, &text[from..at], self.max_bytes);
                    from = at + 1;
                    let element = std::mem::take(part);
                    if !element.is_blank() {
                        documents.push(element.into_line());
                    }
                    if *byte == b']' {
                        self.state = State::Lines;
                        let rest = Line {
                            number,
                            text: text[from..].to_vec(),
                            too_long: false,
                        };
                        if !rest.text.trim_ascii().is_empty() {
                            self.push(rest, documents);
                        }
                        return;
                    }
                }
                _ => {}
            }
        }
        part.keep(number, &text[from..], self.max_bytes);
        if !part.is_blank() {
            part.keep(number, b"\n", self.max_bytes);
        }
    }
}

impl Part {
    fn is_blank(&self) -> bool {
        self.text.trim_ascii().is_empty()
    }

    /// Adds text and counts its brackets.
    fn add(&mut self, number: u64, text: &[u8], max_bytes: usize) {
        let (mut within, mut escaped) = (false, false);
        for byte in text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if within => escaped = true,
                b'"' => within = !within,
                b'{' | b'[' if !within => self.depth += 1,
                b'}' | b']' if !within => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        self.keep(number, text, max_bytes);
    }

    fn keep(&mut self, number: u64, text: &[u8], max_bytes: usize) {
        if self.is_blank() {
            self.number = number;
            self.text.clear();
        }
        if self.too_long {
            return;
        }
        if self.text.len() + text.len() > max_bytes {
            self.too_long = true;
            let room = KEPT.saturating_sub(self.text.len()).min(text.len());
            self.text.extend_from_slice(&text[..room]);
            self.text.truncate(KEPT);
            self.text.shrink_to_fit();
            return;
        }
        self.text.extend_from_slice(text);
    }

    fn into_line(self) -> Line {
        let text = match self.too_long {
            true => self.text,
            false => self.text.trim_ascii().to_vec(),
        };
        Line {
            number: self.number,
            text,
            too_long: self.too_long,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::{Line, Splitter};

    /// Splits the text in pieces of every size, and expects these documents.
    #[track_caller]
    fn check(text: &str, expected: &[(u64, &str)]) {
        for size in [1, 3, 1 << 20] {
            let mut splitter = Splitter::new(100);
            let mut lines = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                splitter.push(piece, &mut lines);
            }
            splitter.finish(&mut lines);
            let found: Vec<_> = lines
                .iter()
                .map(|line: &Line| {
                    (
                        line.number,
                        String::from_utf8_lossy(&line.text).into_owned(),
                    )
                })
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(number, text)| (*number, (*text).to_owned()))
                .collect();
            assert_eq!(found, expected, "{text:?} in pieces of {size}");
        }
    }

    #[test]
    fn a_line_is_a_document_with_or_without_a_byte_order_mark() {
        check(
            "\u{feff}{\"a\":1}\r\n{\"b\":2}\r\n",
            &[(1, "{\"a\":1}"), (2, "{\"b\":2}")],
        );
    }

    #[test]
    fn a_document_may_be_spread_over_lines() {
        check(
            "{\n  \"a\": {\n    \"}\": 1\n  }\n}\n\n{\"b\":2}\n",
            &[(1, "{\n  \"a\": {\n    \"}\": 1\n  }\n}"), (7, "{\"b\":2}")],
        );
    }

    #[test]
    fn the_elements_of_an_array_are_documents() {
        check(
            "[{\"a\":1},{\"b\":[2,3]}]",
            &[(1, "{\"a\":1}"), (1, "{\"b\":[2,3]}")],
        );
        check(
            "[\n  {\"a\": \"],\\\"\"},\n  {\n    \"b\": 2\n  }\n]\n{\"c\":3}\n",
            &[
                (2, "{\"a\": \"],\\\"\"}"),
                (3, "{\n    \"b\": 2\n  }"),
                (7, "{\"c\":3}"),
            ],
        );
        check("[]\n[ ]", &[]);
    }

    #[test]
    fn what_is_not_complete_is_a_document_for_the_parser_to_refuse() {
        check("{\"a\":1\n{\"b\":2}", &[(1, "{\"a\":1"), (2, "{\"b\":2}")]);
        check("[{\"a\":1},{\"b\"", &[(1, "{\"a\":1}"), (1, "{\"b\"")]);
        check("{\n\"a\":1", &[(1, "{\n\"a\":1")]);
    }

    #[test]
    fn a_document_beyond_the_limit_is_cut_and_does_not_hurt_the_next() {
        let long = "x".repeat(300);
        let mut splitter = Splitter::new(100);
        let mut lines = Vec::new();
        splitter.push(
            format!("[\n{{\"a\":\"{long}\"}},\n{{\"b\":2}}\n]").as_bytes(),
            &mut lines,
        );
        splitter.finish(&mut lines);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].too_long);
        assert_eq!(lines[1].text, b"{\"b\":2}");
    }
}
