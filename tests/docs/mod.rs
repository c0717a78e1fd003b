//! The documentation is true: sessions run as shown, links have targets, and generated lists are complete.
//!
//! `SNAPSHOTS=overwrite` rewrites sessions and generated parts; read the changes before you accept them.

mod links;
mod readme;
mod reference;
mod runbook;
mod session;

use std::path::{Path, PathBuf};

/// The top of the source tree.
fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A page: its path from the top, and its text.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn read(path: &str) -> Page {
        Page {
            path: path.into(),
            text: std::fs::read_to_string(top().join(path)).unwrap(),
        }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The lines outside of blocks of code.
    fn prose(&self) -> impl Iterator<Item = &str> {
        let mut is_code = false;
        self.text.lines().filter(move |line| {
            let is_fence = line.starts_with("```");
            is_code ^= is_fence;
            !is_code && !is_fence
        })
    }

    /// Checks that the page has this text, or writes it if snapshots are overwritten.
    fn expect(&self, text: String) {
        if is_overwriting() {
            std::fs::write(top().join(&self.path), text).unwrap();
        } else {
            snapbox::assert_data_eq!(self.text.clone(), snapbox::IntoData::raw(text));
        }
    }
}

fn is_overwriting() -> bool {
    std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite")
}

/// The pages of the book, ordered by path.
fn book() -> Vec<Page> {
    let mut paths = Vec::new();
    let mut directories = vec![PathBuf::from("docs/src")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(top().join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let path = directory.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let read = |path: PathBuf| Page::read(path.to_str().unwrap());
    paths.into_iter().map(read).collect()
}

/// The text of the only source file of the host with this line.
fn source_with(marker: &str) -> String {
    let mut found = Vec::new();
    let mut directories = vec![top().join("host")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                if text.lines().any(|line| line == marker) {
                    found.push(text);
                }
            }
        }
    }
    assert_eq!(found.len(), 1, "files with the line `{marker}`");
    found.remove(0)
}
