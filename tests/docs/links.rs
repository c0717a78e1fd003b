//! Every page is in the summary, and every link and every page name has a target.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::{Page, book, top};

/// The targets of the links in a text.
fn targets(page: &Page) -> Vec<String> {
    let mut targets = Vec::new();
    for line in page.prose() {
        for rest in line.split("](").skip(1) {
            targets.push(rest.split(')').next().unwrap().to_owned());
        }
    }
    targets
}

/// The anchor of a heading, as mdBook and GitHub make it.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .collect::<String>();
    kept.replace(' ', "-")
}

fn anchors(page: &Page) -> BTreeSet<String> {
    page.prose()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

/// A path without `.` and `..`.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(tidy.pop(), "{} leads out", path.display()),
            Component::CurDir => {}
            _ => tidy.push(part),
        }
    }
    tidy
}

/// What is wrong with the links of these pages.
fn broken(pages: &[Page]) -> Vec<String> {
    let known: BTreeMap<&Path, BTreeSet<String>> = pages
        .iter()
        .map(|page| (page.path.as_path(), anchors(page)))
        .collect();
    let mut broken = Vec::new();
    for page in pages {
        for target in targets(page) {
            if target.starts_with("http://") || target.starts_with("https://") {
                continue;
            }
            let (file, fragment) = target.split_once('#').unwrap_or((&target, ""));
            let path = if file.is_empty() {
                page.path.clone()
            } else {
                tidy(&page.path.parent().unwrap().join(file))
            };
            let leads = match known.get(path.as_path()) {
                Some(anchors) => fragment.is_empty() || anchors.contains(fragment),
                None => top().join(&path).exists() && fragment.is_empty(),
            };
            // A page of the book is published without the source tree.
            let stays = !page.path.starts_with("docs/src") || path.starts_with("docs/src");
            if !leads || !stays {
                broken.push(format!("{} links to {target}", page.name()));
            }
        }
    }
    broken
}

#[test]
fn every_link_leads_somewhere() {
    let mut pages = book();
    for path in ["README.md", "CHANGELOG.md", "tests/README.md"] {
        pages.push(Page::read(path));
    }
    let broken = broken(&pages);
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn a_link_that_leads_nowhere_is_noticed() {
    let page = |text: &str| Page {
        path: "docs/src/page.md".into(),
        text: text.into(),
    };
    for (text, count) in [
        ("# A `b` c\n[x](#a-b-c)", 0),
        ("# A\n[x](#b)", 1),
        ("[x](nowhere.md)", 1),
        ("[x](../../README.md)", 1),
        ("[x](https://example.org)", 0),
        ("```text\n[x](nowhere.md)\n```\n", 0),
    ] {
        assert_eq!(broken(&[page(text)]).len(), count, "{text}");
    }
}

#[test]
fn every_page_is_in_the_summary_once() {
    let summary = Page::read("docs/src/SUMMARY.md");
    let mut named: Vec<PathBuf> = targets(&summary)
        .iter()
        .map(|target| Path::new("docs/src").join(target))
        .collect();
    named.sort();
    let mut pages: Vec<PathBuf> = book().into_iter().map(|page| page.path).collect();
    pages.retain(|path| !path.ends_with("SUMMARY.md"));
    assert_eq!(named, pages);
}

/// Pages that texts name without a link: `docs/…` in the changelog, rules, help and sources.
#[test]
fn every_page_that_is_named_exists() {
    let mut files = vec![
        top().join("CHANGELOG.md"),
        top().join("README.md"),
        top().join("docs/alerts.yml"),
        top().join("tests/README.md"),
        top().join("tests/cli/help.txt"),
        top().join("tests/verify/second_verifier.py"),
    ];
    let mut directories = vec![
        top().join("host"),
        top().join("docs/src"),
        top().join("wit"),
    ];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let extension = path.extension().unwrap_or_default();
            if path.is_dir() {
                directories.push(path);
            } else if ["rs", "md", "toml", "py", "wit"]
                .iter()
                .any(|it| extension == *it)
            {
                files.push(path);
            }
        }
    }
    let mut missing = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let is_end = |c: char| !(c.is_ascii_alphanumeric() || "/._-".contains(c));
        for (place, _) in text.match_indices("docs/") {
            let before = text[..place].chars().next_back().unwrap_or(' ');
            let path = text[place..].split(is_end).next().unwrap();
            let path = path.trim_end_matches(['.', '/']);
            if is_end(before) && !top().join(path).exists() {
                missing.push(format!("{}: {path}", file.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Paths of the source tree that the book has in code, such as `clients/python`.
#[test]
fn every_path_of_the_source_tree_that_the_book_names_exists() {
    let mut missing = Vec::new();
    let mut count = 0;
    for page in book() {
        for line in page.prose() {
            for name in line.split('`').skip(1).step_by(2) {
                let parts = [
                    "clients/",
                    "host/",
                    "guest/",
                    "tests/",
                    "wit/",
                    "docs/",
                    ".ci/",
                    "packaging/",
                ];
                if parts.iter().any(|part| name.starts_with(part)) {
                    count += 1;
                    // A command may have arguments.
                    let path = name.split(' ').next().unwrap();
                    if !top().join(path).exists() {
                        missing.push(format!("{}: {name}", page.name()));
                    }
                }
            }
        }
    }
    assert!(missing.is_empty() && count > 5, "{missing:#?}");
}
