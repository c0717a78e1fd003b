//! The names in a piece of code: words, and paths with their imports.

/// The names right after `root::`, including those in braces.
pub fn named_after<'a>(code: &'a str, root: &str) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (at, found) in code.match_indices(&format!("{root}::")) {
        if code[..at].ends_with(is_word) {
            continue;
        }
        let rest = &code[at + found.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.push(first_word(rest));
            continue;
        };
        let mut depth = 1;
        let mut starts = true;
        for (at, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' => starts = depth == 1,
                _ if starts && is_word(character) => {
                    names.push(first_word(&group[at..]));
                    starts = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

/// Whether a line has this name; `a::b` also as `a::{…, b}`.
pub fn has_name(line: &str, name: &str) -> bool {
    match name.split_once("::") {
        Some((module, item)) => named_after(line, module).contains(&item),
        None => has_word(line, name),
    }
}

pub fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let ends = word.ends_with('!') || !code[at + word.len()..].starts_with(is_word);
        !code[..at].ends_with(is_word) && ends
    })
}

fn first_word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}
