//! Plain English, checked by a list of idioms: archaic or inverted phrases that make a reader stop.
//!
//! Reads comments and string literals. The style is described in the house rules; this list only keeps out phrases
//! that were removed once. A phrase matches whole words, in any case, and across the lines of one comment.

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

use super::source::Source;

/// Phrases that are not used, each with what to write instead.
const IDIOMS: &[(&str, &str)] = &[
    ("albeit", "although"),
    ("anew", "again"),
    ("are said", "are reported"),
    ("are to be", "must be, or will be"),
    ("are told of", "are reported, or hear about"),
    ("are told that", "learn that"),
    ("as far as", "if, or where"),
    ("as good as none", "is ignored"),
    ("as it stands", "unchanged"),
    ("asked no more", "no longer needed"),
    ("at most so long", "name the limit"),
    ("at most so many", "name the limit"),
    ("be it", "whether"),
    ("became of", "the result of, or happened to"),
    ("become of", "the state of, or happen to"),
    ("becomes of", "happens to"),
    ("befall", "happen to"),
    ("befalls", "happens to"),
    ("borne out", "confirmed"),
    ("by now", "already"),
    ("came of it", "the result"),
    ("cannot be had", "is not available"),
    ("come to lie", "are, or end up"),
    ("comes of it", "the result"),
    ("else than", "other than"),
    ("for want of", "without"),
    ("goes on", "continues"),
    ("hang together", "are connected"),
    ("hangs together", "is connected"),
    ("has parted", "has diverged"),
    ("have parted", "have diverged"),
    ("hear of", "learn about, or are called for"),
    ("hears of", "learns about, or is called for"),
    ("hears why", "gets the error"),
    ("held against", "compared with"),
    ("how-manieth", "number"),
    ("hence", "so, or therefore"),
    ("in its turn", "then"),
    ("in silence", "silently"),
    ("in their turn", "then"),
    ("in vain", "without a result"),
    ("is said", "is reported"),
    ("is to be", "must be, or will be"),
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
    ("likewise", "in the same way"),
    ("look along", "visit"),
    ("looks along", "visits"),
    ("naught", "nothing"),
    ("no more be", "no longer be"),
    ("nobody's business", "say who does it instead"),
    ("nobody who", "name the reader or caller"),
    ("none the worse", "not affected"),
    ("of its own", "separate, or its own …"),
    ("of itself", "by default, or by itself"),
    ("of ours", "our"),
    ("of their own", "separate, or their own …"),
    ("of which there", "a second sentence"),
    ("said of", "known about, or given for"),
    ("say of", "say about"),
    ("says nothing of", "does not mention"),
    ("says of", "says about"),
    ("shall", "must, or will"),
    ("so far as", "if, or where"),
    ("so many", "this many"),
    ("so long ago", "name the time"),
    ("somebody else", "another process, or another user"),
    ("somebody else's", "another process's, or another user's"),
    ("somebody's", "another user's, or a person's"),
    ("speaks of", "mentions"),
    ("such as it is", "unchanged"),
    ("take note", "store, or count"),
    ("taken up", "adopted, or started"),
    ("takes note", "stores, or counts"),
    ("tells of", "reports"),
    ("that which", "name the thing"),
    ("thereby", "so"),
    ("therein", "in it"),
    ("thereof", "of it"),
    ("those who", "name them"),
    ("thus", "so"),
    ("to be had", "available"),
    ("told of", "reported"),
    ("under way", "in flight, or in progress"),
    ("upon", "on"),
    ("waited out", "tolerated"),
    ("what came after", "later …"),
    ("what lies", "name the thing"),
    ("what those", "name the thing"),
    ("what was where", "name the thing"),
    ("whence", "from where"),
    ("whereof", "of which"),
    ("whilst", "while"),
    ("who asks", "name the caller"),
    ("whoever", "name the reader or caller"),
    ("whom", "name the person or program"),
    ("whosoever", "name the reader or caller"),
];

/// Question words, which are not documentation by themselves.
const FRAGMENTS: &[&str] = &[
    "how", "what", "when", "where", "whether", "which", "who", "whose", "why",
];

/// Folders that are still to be rewritten. This list only gets shorter.
const NOT_YET: &[&str] = &[
    // Quotes a message of the built-in policy, whose digest must not change for a word.
    "tests/policy/default.rs",
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

/// The idioms by their first word: comparing each of a million words with each idiom would take half a minute.
static BY_FIRST_WORD: LazyLock<HashMap<&str, Vec<(&str, &str)>>> = LazyLock::new(|| {
    let mut idioms: HashMap<&str, Vec<(&str, &str)>> = HashMap::new();
    for (idiom, instead) in IDIOMS {
        let first = idiom.split(' ').next().unwrap();
        idioms.entry(first).or_default().push((idiom, instead));
    }
    idioms
});

/// The idioms in a file's prose, each with its position.
fn idioms(source: &Source) -> impl Iterator<Item = String> {
    let words = words(&source.prose());
    let mut findings = Vec::new();
    for (at, (line, first)) in words.iter().enumerate() {
        for (idiom, instead) in BY_FIRST_WORD.get(first.as_str()).into_iter().flatten() {
            let length = idiom.split(' ').count();
            let found = words[at..]
                .iter()
                .take(length)
                .map(|(_, word)| word.as_str());
            if found.eq(idiom.split(' ')) {
                findings.push(format!(
                    "{}:{line}: \"{idiom}\": write {instead}",
                    source.path
                ));
            }
        }
    }
    findings.into_iter()
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

/// The words of a text in lower case, with their lines. An empty word marks the end of a sentence or of a piece of
/// prose.
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
