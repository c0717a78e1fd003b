//! Source files as the rules see them: their names, their text, and their code without comments and literals.

use std::path::Path;

/// One file of Rust.
pub struct Source {
    /// The path from the top of the repository, with `/`.
    pub path: String,
    pub text: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Every file of Rust below these directories.
    pub fn below(root: &Path, directories: &[&str]) -> Vec<Source> {
        let mut found = Vec::new();
        let mut waiting: Vec<_> = directories
            .iter()
            .map(|directory| root.join(directory))
            .collect();
        while let Some(path) = waiting.pop() {
            if path.is_dir() {
                waiting.extend(
                    std::fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .replace('\\', "/");
                found.push(Source::new(&name, &std::fs::read_to_string(&path).unwrap()));
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found
    }

    /// The comments and literals, line by line, with the code blanked.
    pub fn prose(&self) -> String {
        let mut rest = self.text.as_str();
        let mut prose = String::with_capacity(rest.len());
        let mut after_word = false;
        while let Some(first) = rest.chars().next() {
            let length = skipped(rest, after_word);
            match length {
                Some(length) => prose.push_str(&rest[..length]),
                None if first.is_whitespace() => prose.push(first),
                None => prose.push_str(" . "),
            }
            after_word = length.is_none() && (first.is_alphanumeric() || first == '_');
            rest = &rest[length.unwrap_or(first.len_utf8())..];
        }
        prose
    }

    /// The text with comments, strings and characters blanked, line by line.
    pub fn code(&self) -> String {
        let mut rest = self.text.as_str();
        let mut code = String::with_capacity(rest.len());
        while let Some(first) = rest.chars().next() {
            let after_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let length = skipped(rest, after_word);
            match length {
                Some(length) => {
                    code.extend(rest[..length].chars().filter(|c| *c == '\n').chain([' ']))
                }
                None => code.push(first),
            }
            rest = &rest[length.unwrap_or(first.len_utf8())..];
        }
        code
    }
}

/// The length of the comment or literal at the start of `text`.
fn skipped(text: &str, after_word: bool) -> Option<usize> {
    let until = |start: usize, end: &str| {
        text[start..]
            .find(end)
            .map_or(text.len(), |at| start + at + end.len())
    };
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(until(2, "*/"));
    }
    if text.starts_with('"') {
        return Some(quoted(text, '"'));
    }
    if text.starts_with('r') && !after_word {
        let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
        let open = 1 + hashes;
        return text[open..]
            .starts_with('"')
            .then(|| until(open + 1, &format!("\"{}", "#".repeat(hashes))));
    }
    // A lifetime has no closing quote, a character has one.
    let is_character =
        text.starts_with("'\\") || text.starts_with('\'') && text.chars().nth(2) == Some('\'');
    is_character.then(|| quoted(text, '\''))
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + quote.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[test]
fn comments_and_literals_are_no_code() {
    let check =
        |text: &str, code: &str| assert_eq!(Source::new("x.rs", text).code(), code, "{text}");
    check("a // b\nc", "a  \nc");
    check("a /* b\nc */ d", "a \n  d");
    check(r#"f("gix \" x", 'a', '\'', b)"#, "f( ,  ,  , b)");
    check("r#\"a \"quoted\" b\"# c for", "  c for");
    check("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)");
}
