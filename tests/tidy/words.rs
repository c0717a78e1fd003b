//! Plain English, checked by a list of idioms: archaic or inverted phrases that make a reader stop.
//!
//! Reads comments and string literals. The style is described in the house rules; this list only keeps out phrases
//! that were removed once. A phrase matches whole words, in any case, and across the lines of one comment.

use std::path::Path;

use super::source::Source;

/// Phrases that are not used, each with what to write instead.
const IDIOMS: &[(&str, &str)] = &[
    ("albeit", "although"),
    ("anew", "again"),
    ("are said", "are reported"),
    ("are told of", "are reported, or hear about"),
    ("are told that", "learn that"),
    ("as far as", "if, or where"),
    ("as good as none", "is ignored"),
    ("asked no more", "no longer needed"),
    ("at most so long", "name the limit"),
    ("at most so many", "name the limit"),
    ("be it", "whether"),
    ("becomes of", "happens to"),
    ("befalls", "happens to"),
    ("by now", "already"),
    ("came of it", "the result"),
    ("cannot be had", "is not available"),
    ("comes of it", "the result"),
    ("else than", "other than"),
    ("for want of", "without"),
    ("hence", "so, or therefore"),
    ("in its turn", "then"),
    ("in their turn", "then"),
    ("in vain", "without a result"),
    ("is said", "is reported"),
    ("is to be", "must be, or will be"),
    ("are to be", "must be, or will be"),
    ("is told of", "is reported, or hears about"),
    ("is told that", "learns that"),
    ("lest", "so that … not"),
    ("lie below", "are below"),
    ("lie beside", "are beside"),
    ("lie in", "are in"),
    ("lies at", "is at"),
    ("lies below", "is below"),
    ("lies beside", "is beside"),
    ("lies in", "is in"),
    ("lies under", "is under"),
    ("naught", "nothing"),
    ("no more be", "no longer be"),
    ("nobody who", "name the reader or caller"),
    ("of its own", "separate, or its own …"),
    ("of itself", "by default, or by itself"),
    ("of ours", "our"),
    ("of their own", "separate, or their own …"),
    ("of which there", "a second sentence"),
    ("says nothing of", "does not mention"),
    ("shall", "must, or will"),
    ("so many", "this many"),
    ("somebody else", "another process, or another user"),
    ("somebody else's", "another process's, or another user's"),
    ("speaks of", "mentions"),
    ("such as it is", "unchanged"),
    ("tells of", "reports"),
    ("that which", "name the thing"),
    ("thereby", "so"),
    ("therein", "in it"),
    ("thereof", "of it"),
    ("those who", "name them"),
    ("thus", "so"),
    ("to be had", "available"),
    ("under way", "in flight, or in progress"),
    ("upon", "on"),
    ("what those", "name the thing"),
    ("what was where", "name the thing"),
    ("whence", "from where"),
    ("whereof", "of which"),
    ("whilst", "while"),
    ("whoever", "name the reader or caller"),
    ("whom", "name the person or program"),
    ("whosoever", "name the reader or caller"),
];

/// Words that are no documentation by themselves.
const FRAGMENTS: &[&str] = &[
    "how", "what", "when", "where", "whether", "which", "who", "whose", "why",
];

/// Folders that are still to be rewritten. Only ever shortened.
const NOT_YET: &[&str] = &[
    "host/benches/",
    "host/crates/policy/",
    "host/crates/store/",
    "host/crates/trail/",
    "host/crates/verify/",
    "tests/",
];

#[test]
fn comments_and_texts_are_plain_english() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sources = Source::below(root, &["host/benches", "host/crates", "host/src", "tests"]);
    let findings: Vec<String> = sources
        .iter()
        .filter(|source| source.path != "tests/tidy/words.rs")
        .filter(|source| !NOT_YET.iter().any(|folder| source.path.starts_with(folder)))
        .flat_map(|source| idioms(source).chain(fragments(source)).collect::<Vec<_>>())
        .collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// The idioms in a file's prose, each with its place.
fn idioms(source: &Source) -> impl Iterator<Item = String> {
    let words = words(&source.prose());
    IDIOMS.iter().flat_map(move |(idiom, instead)| {
        let idiom_words: Vec<&str> = idiom.split(' ').collect();
        words
            .windows(idiom_words.len())
            .filter(|window| window.iter().map(|(_, word)| word).eq(idiom_words.iter()))
            .map(|window| {
                format!(
                    "{}:{}: \"{idiom}\": write {instead}",
                    source.path, window[0].0
                )
            })
            .collect::<Vec<_>>()
    })
}

/// Doc comments that are one question word, such as "Which.".
fn fragments(source: &Source) -> impl Iterator<Item = String> {
    (1..)
        .zip(source.text.lines())
        .filter_map(|(number, line)| {
            let text = line.trim_start().strip_prefix("/// ")?.strip_suffix('.')?;
            FRAGMENTS
                .contains(&text.to_lowercase().as_str())
                .then_some((number, line))
        })
        .map(|(number, line)| {
            format!(
                "{}:{number}: \"{}\": say what the item is for",
                source.path,
                line.trim()
            )
        })
        .collect::<Vec<_>>()
        .into_iter()
}

/// The words of a text in lower case, with their lines. The end of a sentence or of a piece of prose is an empty word.
fn words(prose: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for (number, line) in (1..).zip(prose.lines()) {
        let line = line
            .trim_start()
            .trim_start_matches("//")
            .trim_start_matches(['/', '!']);
        for word in line.split_whitespace() {
            let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
            if !bare.is_empty() {
                words.push((number, bare.to_lowercase()));
            }
            if word.ends_with(['.', ';', ':', '!', '?']) {
                words.push((number, String::new()));
            }
        }
    }
    words
}

#[test]
fn an_idiom_is_found_with_its_line_and_a_plain_sentence_is_not() {
    let check = |text: &str, found: &[&str]| {
        let source = Source::new("x.rs", text);
        let findings: Vec<String> = idioms(&source).chain(fragments(&source)).collect();
        assert_eq!(findings, found, "{text}");
    };
    check("/// Says so. Many files.\nfn whoever() {}\n", &[]);
    check(
        "fn a() {}\n/// Told to Whoever\n/// asks.\n",
        &["x.rs:2: \"whoever\": write name the reader or caller"],
    );
    check(
        "// it says so\n// many times\n",
        &["x.rs:1: \"so many\": write this many"],
    );
    check(
        "fn f() { warn(\"it lies in {path}\") }\n",
        &["x.rs:1: \"lies in\": write is in"],
    );
    check(
        "    /// Which.\n    pub name: String,\n",
        &["x.rs:1: \"/// Which.\": say what the item is for"],
    );
}
