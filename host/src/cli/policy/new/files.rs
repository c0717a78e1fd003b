//! The files of new projects. Their sources are part of this repository, where they are built and tested.

use super::Language;

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

macro_rules! wit {
    ($($name:literal),*) => {
        &[$((
            concat!("wit/", $name, ".wit"),
            include_str!(concat!("../../../../../wit/", $name, ".wit")),
        )),*]
    };
}

/// The interface files: the policy author's manual, and the source of the bindings.
const WIT: &[(&str, &str)] = wit!(
    "environment",
    "filesystem",
    "git",
    "recorder",
    "types",
    "world"
);

const RUST: &[(&str, &str)] = &[
    ("Cargo.toml", template!("rust/Cargo.toml.txt")),
    (".cargo/config.toml", template!("rust/config.toml")),
    (".gitignore", "/target\n"),
    ("README.md", template!("rust/README.md")),
    ("src/policy.rs", guest!("template/src/policy.rs")),
    ("src/lib.rs", guest!("template/src/lib.rs")),
    ("src/perform.rs", guest!("template/src/perform.rs")),
    ("src/outcome.rs", guest!("template/src/outcome.rs")),
    ("src/json.rs", guest!("template/src/json.rs")),
    ("src/indent.rs", guest!("src/json.rs")),
];

const PYTHON: &[(&str, &str)] = &[
    (".gitignore", "/FILE.wasm\n__pycache__/\n"),
    ("README.md", template!("python/README.md")),
    ("requirements.txt", template!("python/requirements.txt")),
    ("policy.py", template!("python/policy.py")),
    ("app.py", template!("python/app.py")),
    ("json_text.py", template!("python/json_text.py")),
];

const JAVASCRIPT: &[(&str, &str)] = &[
    (".gitignore", "/FILE.wasm\n/bundle.js\n/node_modules/\n"),
    ("README.md", template!("javascript/README.md")),
    ("package.json", template!("javascript/package.json")),
    ("policy.js", template!("javascript/policy.js")),
    ("app.js", template!("javascript/app.js")),
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
    let fill = |text: &str| text.replace("FILE", &file).replace("NAME", name);
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
    files.extend(
        WIT.iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned())),
    );
    files.push((
        format!("tests/{name}.test.toml"),
        template!("cases.test.toml").to_owned(),
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

/// A template file as a project has it, with the project's paths to modules and interface.
fn of_its_own(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("#[path = "));
    let mut own = String::with_capacity(text.len());
    for line in lines {
        own.push_str(&line.replace("\"../../wit\"", "\"wit\""));
        own.push('\n');
    }
    own
}

#[cfg(test)]
mod tests {
    use super::{Language, project};

    #[test]
    fn a_project_names_nothing_of_this_repository_and_leaves_no_blank() {
        for language in [Language::Rust, Language::Python, Language::JavaScript] {
            for (path, text) in project(language, "my-own").files {
                for word in ["FILE", "NAME", "../..", "#[path"] {
                    let is_comment = path.starts_with("wit/");
                    assert!(is_comment || !text.contains(word), "{path} has {word}");
                }
            }
        }
    }
}
