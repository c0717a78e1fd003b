//! Joins lines to documents: JSON that is spread over several lines, and the elements of an array.
//!
//! A document is usually one line. Holds at most one document. Knows nothing of outcomes.

use super::lines::{KEPT, Line};

/// The documents of one source.
pub(super) struct Documents {
    max_bytes: usize,
    state: State,
    is_first: bool,
    /// How many elements of the current array are complete.
    elements: u64,
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
    /// The brackets that are open.
    open: Vec<u8>,
    is_in_string: bool,
    is_escaped: bool,
    /// The last byte that is not white space.
    last: u8,
    too_long: bool,
}

impl Documents {
    pub(super) fn new(max_bytes: usize) -> Documents {
        Documents {
            max_bytes,
            state: State::Lines,
            is_first: true,
            elements: 0,
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
                    self.elements = 0;
                    self.elements(line.number, &rest, documents);
                } else if text.starts_with(b"{") && matches!(text, [.., b'{' | b'[' | b',']) {
                    let mut part = Part::default();
                    part.add(line.number, &line.text, self.max_bytes);
                    self.state = State::Value(part);
                    self.end_value(documents);
                } else if !text.is_empty() {
                    documents.push(line);
                }
            }
            State::Value(part) | State::Array(part) if !part.may_continue(&line.text) => {
                documents.push(std::mem::take(part).into_line());
                self.state = State::Lines;
                self.push(line, documents);
            }
            State::Value(part) => {
                part.keep(line.number, b"\n", self.max_bytes);
                part.add(line.number, &line.text, self.max_bytes);
                self.end_value(documents);
            }
            State::Array(_) => self.elements(line.number, &line.text, documents),
        }
    }

    /// Ends the document if it is complete, or cannot become complete.
    fn end_value(&mut self, documents: &mut Vec<Line>) {
        if let State::Value(part) = &mut self.state
            && (part.open.is_empty() || part.is_in_string)
        {
            documents.push(std::mem::take(part).into_line());
            self.state = State::Lines;
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
        part.is_in_string = false;
        let mut from = 0;
        for (at, byte) in text.iter().enumerate() {
            match byte {
                b',' | b']' if part.open.is_empty() && !part.is_in_string => {
                    part.keep(number, &text[from..at], self.max_bytes);
                    from = at + 1;
                    let element = std::mem::take(part);
                    if !element.is_blank() {
                        documents.push(Line {
                            element: Some(self.elements),
                            ..element.into_line()
                        });
                        self.elements += 1;
                    }
                    if *byte == b']' {
                        self.state = State::Lines;
                        let rest = Line {
                            number,
                            text: text[from..].to_vec(),
                            too_long: false,
                            element: None,
                        };
                        if !rest.text.trim_ascii().is_empty() {
                            self.push(rest, documents);
                        }
                        return;
                    }
                }
                byte => part.count(*byte),
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

    /// Whether a line may be the next one of the document. An object or array begins only after a colon, or in an array
    /// after a comma or the bracket. So a line that was cut off does not take the lines after it with it.
    fn may_continue(&self, line: &[u8]) -> bool {
        let Some(innermost) = self.open.last() else {
            return true;
        };
        !matches!(line.trim_ascii_start(), [b'{' | b'[', ..])
            || self.last == b':'
            || *innermost == b'[' && matches!(self.last, b'[' | b',')
    }

    /// Adds text and counts its brackets. No string spans lines.
    fn add(&mut self, number: u64, text: &[u8], max_bytes: usize) {
        self.is_in_string = false;
        for byte in text {
            self.count(*byte);
        }
        self.keep(number, text, max_bytes);
    }

    fn count(&mut self, byte: u8) {
        if self.is_in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => (self.is_in_string, self.is_escaped) = (true, false),
            b'{' | b'[' => self.open.push(byte),
            b'}' | b']' => drop(self.open.pop()),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            self.last = byte;
        }
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
            element: None,
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
    fn a_line_that_was_cut_off_does_not_take_the_next_ones_with_it() {
        for cut in [
            "{\"a\":{",
            "{\"a\":1,",
            "{\"a\":[{\"b\":1},",
            "{\"a\":\"text {",
            "{\"a\":\"text \\\"[",
        ] {
            let next = [(2, "{\"b\":2}"), (3, "{\"c\":3}")];
            let mut expected = vec![(1, cut)];
            expected.extend(next);
            // In an array an object may follow a comma.
            if cut.ends_with("},") {
                expected = vec![(1, "{\"a\":[{\"b\":1},\n{\"b\":2}"), (3, "{\"c\":3}")];
            }
            check(&format!("{cut}\n{{\"b\":2}}\n{{\"c\":3}}\n"), &expected);
        }
        check(
            "[{\"a\":1},{\"b\":{\n{\"c\":2}\n{\"d\":3}",
            &[
                (1, "{\"a\":1}"),
                (1, "{\"b\":{"),
                (2, "{\"c\":2}"),
                (3, "{\"d\":3}"),
            ],
        );
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
