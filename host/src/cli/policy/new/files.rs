//! The files of new projects. Their sources are part of this repository, where they are built and tested.

use super::Language;
use crate::cli::policy::interface_files;

/// A project: its files with their names, and its commands.
pub struct Project {
    pub files: Vec<(String, String)>,
    /// The file for the author to edit.
    pub edit: &'static str,
    /// The commands that lead from the sources to a recorded outcome.
    pub commands: Vec<String>,
}

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../../../../templates/", $path))
    };
}

macro_rules! guest {
    ($path:literal) => {
        include_str!(concat!("../../../../../guest/", $path))
    };
}

/// A file of the kit, which a project in Rust has a copy of.
macro_rules! kit {
    ($path:literal) => {
        (
            concat!("policy-kit/", $path),
            include_str!(concat!("../../../../../guest/kit/", $path)),
        )
    };
}

const RUST: &[(&str, &str)] = &[
    ("Cargo.toml", template!("rust/Cargo.toml.txt")),
    (".cargo/config.toml", template!("rust/config.toml")),
    (".gitignore", "/target\n"),
    ("README.md", template!("rust/README.md")),
    ("build.sh", template!("rust/build.sh")),
    ("src/policy.rs", guest!("template/src/policy.rs")),
    ("src/lib.rs", guest!("template/src/lib.rs")),
    kit!("Cargo.toml"),
    kit!("src/compare.rs"),
    kit!("src/host.rs"),
    kit!("src/json.rs"),
    kit!("src/layout.rs"),
    kit!("src/lib.rs"),
    kit!("src/marker.rs"),
    kit!("src/outcome.rs"),
    kit!("src/perform.rs"),
    kit!("src/place.rs"),
    kit!("src/rewrite.rs"),
    kit!("src/tape.rs"),
    kit!("src/time.rs"),
];

const PYTHON: &[(&str, &str)] = &[
    (".gitignore", "/FILE.wasm\n__pycache__/\nvenv/\n"),
    ("README.md", template!("python/README.md")),
    ("build.sh", template!("python/build.sh")),
    ("requirements.txt", template!("python/requirements.txt")),
    ("policy.py", template!("python/policy.py")),
    ("answers.py", template!("python/answers.py")),
    ("app.py", template!("python/app.py")),
    ("console.py", template!("python/console.py")),
    ("json_text.py", template!("python/json_text.py")),
];

const JAVASCRIPT: &[(&str, &str)] = &[
    (
        ".gitignore",
        "/FILE.wasm\n/bundle.js\n/bundle.js.map\n/node_modules/\n",
    ),
    ("README.md", template!("javascript/README.md")),
    ("build.sh", template!("javascript/build.sh")),
    ("package.json", template!("javascript/package.json")),
    ("policy.js", template!("javascript/policy.js")),
    ("answers.js", template!("javascript/answers.js")),
    ("app.js", template!("javascript/app.js")),
    ("build.mjs", template!("javascript/build.mjs")),
    ("console.js", template!("javascript/console.js")),
    ("json_text.js", template!("javascript/json_text.js")),
    ("utf8.js", template!("javascript/utf8.js")),
];

/// The project for a language, with this name.
pub fn project(language: Language, name: &str) -> Project {
    let file = name.replace('-', "_");
    let (sources, edit, build): (_, _, &[&str]) = match language {
        Language::Rust => (RUST, "src/policy.rs", &["cargo build --release"]),
        Language::Python => (
            PYTHON,
            "policy.py",
            &[
                "pip install -r requirements.txt",
                "componentize-py -d wit -w policy componentize app -o FILE.wasm --stub-wasi",
            ],
        ),
        Language::JavaScript => (JAVASCRIPT, "policy.js", &["npm install && npm run build"]),
    };
    let component = match language {
        Language::Rust => format!("target/wasm32-wasip2/release/{file}.wasm"),
        _ => format!("{file}.wasm"),
    };
    let fill = |text: &str| replace_word(&replace_word(text, "FILE", &file), "NAME", name);
    let mut files: Vec<(String, String)> = sources
        .iter()
        .map(|(path, text)| {
            // Workspace sources are copied; the paths in them are changed to the project's.
            let text = if path.ends_with(".rs") {
                of_its_own(text)
            } else {
                fill(text)
            };
            ((*path).to_owned(), text)
        })
        .collect();
    let interface = interface_files::POLICY.iter();
    files.extend(interface.map(|(path, text)| (format!("wit/{path}"), (*text).to_owned())));
    files.push((
        format!("tests/{name}.test.toml"),
        template!("cases.test.toml").to_owned(),
    ));
    files.push((
        "settings.toml".to_owned(),
        template!("settings.toml").to_owned(),
    ));
    files.push((
        "outcome.json".to_owned(),
        template!("outcome.json").to_owned(),
    ));
    let mut commands: Vec<String> = build.iter().map(|command| fill(command)).collect();
    commands.push(format!("chiffon-audit policy test {component} tests"));
    commands.push(format!(
        "chiffon-audit -C REPOSITORY commit --policy {component} outcome.json"
    ));
    Project {
        files,
        edit,
        commands,
    }
}

/// Replaces a word, but not a part of a longer one, such as of the name of a constant.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    let is_part_of_a_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        replaced.push_str(before);
        let stands_alone =
            !replaced.ends_with(is_part_of_a_word) && !after.starts_with(is_part_of_a_word);
        replaced.push_str(if stands_alone { by } else { word });
        rest = after;
    }
    replaced + rest
}

/// A source file of the workspace as a project has it: the kit lies one level higher, so the interface is nearer.
fn of_its_own(text: &str) -> String {
    text.replace("\"../../wit\"", "\"../wit\"")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{Language, project, replace_word};
    use std::path::Path;

    #[test]
    fn a_project_in_rust_has_the_whole_kit() {
        let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest/kit");
        let files = project(Language::Rust, "own").files;
        for file in std::fs::read_dir(kit.join("src")).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let path = format!("policy-kit/src/{name}");
            assert!(files.iter().any(|(file, _)| *file == path), "{path}");
        }
    }

    #[test]
    fn a_blank_is_a_whole_word() {
        assert_eq!(
            replace_word("NAME NAMED LONGEST_NAME NAME-1 /NAME.x", "NAME", "my-own"),
            "my-own NAMED LONGEST_NAME my-own-1 /my-own.x"
        );
        for language in [Language::Python, Language::JavaScript] {
            let files = project(language, "my-own").files;
            let json = files.iter().find(|(path, _)| path.starts_with("json_text"));
            assert!(json.unwrap().1.contains("LONGEST_NAME"));
        }
    }

    #[test]
    fn a_project_names_nothing_of_this_repository_and_leaves_no_blank() {
        for language in [Language::Rust, Language::Python, Language::JavaScript] {
            for (path, text) in project(language, "my-own").files {
                if path.starts_with("wit/") {
                    continue;
                }
                let is_part_of_a_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                for blank in ["FILE", "NAME"] {
                    let mut words = text.split(|c| !is_part_of_a_word(c));
                    assert!(!words.any(|word| word == blank), "{path} has {blank}");
                }
                for part in ["../..", "workspace.package"] {
                    assert!(!text.contains(part), "{path} has {part}");
                }
            }
        }
    }
}
