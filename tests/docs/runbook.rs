//! The runbook has a section for every cause word of the program, and no other.

use std::collections::BTreeSet;

use chiffon_audit_cli::outcome::Cause;

use super::{Page, source_with};

/// The words of a table in a source: the quoted texts after `marker`, in the lines of the part that starts with `from`.
fn words(source: &str, from: &str, marker: &str) -> BTreeSet<String> {
    let (_, part) = source.split_once(from).expect("the table's beginning");
    let (part, _) = part.split_once("\n    }\n").expect("the table's end");
    let flat = part.split_whitespace().collect::<Vec<_>>().join(" ");
    let quoted = flat.split(marker).skip(1).map(|rest| {
        let (_, rest) = rest.split_once('"').expect("a word");
        rest.split('"').next().unwrap().to_owned()
    });
    quoted.collect()
}

/// The sections of a page whose headings are single words.
fn sections(page: &Page) -> BTreeSet<String> {
    let headings = page.prose().filter_map(|line| line.strip_prefix("## "));
    let word = |heading: &str| heading.trim_matches('`').to_owned();
    let sections: Vec<String> = headings.map(word).collect();
    let set: BTreeSet<String> = sections.iter().cloned().collect();
    assert_eq!(set.len(), sections.len(), "a section is there twice");
    set
}

#[test]
fn every_cause_has_its_section_and_every_section_its_cause() {
    let words = Cause::ALL.iter().map(|cause| cause.as_str().to_owned());
    let mut causes: BTreeSet<String> = words.collect();
    assert!(
        causes.contains("rolled-back") && causes.len() > 30,
        "{causes:?}"
    );
    // The additional words of HTTP, which stay for all of `"schema": 1`.
    causes.insert("refused".into());
    assert_eq!(sections(&Page::read("docs/src/runbook/causes.md")), causes);
}

#[test]
fn every_http_problem_has_its_section_and_every_section_its_problem() {
    let source = source_with("    TooManyStreams,");
    let page = Page::read("docs/src/runbook/problems.md");
    let problems = words(&source, "fn row(self)", "=> (");
    assert!(
        problems.contains("store") && problems.len() > 20,
        "{problems:?}"
    );
    assert_eq!(sections(&page), problems);
}

#[test]
fn every_claim_of_an_audit_is_explained() {
    let page = Page::read("docs/src/runbook/claims.md");
    let mut explained = BTreeSet::new();
    for row in page.prose().filter_map(|line| line.strip_prefix("| `")) {
        let names = row.split('|').next().unwrap();
        explained.extend(
            names
                .split('`')
                .step_by(2)
                .map(|name| name.trim().to_owned()),
        );
    }
    let mut claims = BTreeSet::new();
    collect_claims(&super::top().join("host/crates/verify"), &mut claims);
    assert!(
        claims.contains("append-only") && claims.len() > 12,
        "{claims:?}"
    );
    assert_eq!(explained, claims);
}

/// Collects the ids of claims below a directory.
fn collect_claims(directory: &std::path::Path, claims: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_claims(&path, claims);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let flat = code.split_whitespace().collect::<Vec<_>>().join(" ");
            for rest in flat.split("Claim::new(").skip(1) {
                if let Some(rest) = rest.trim_start().strip_prefix('"') {
                    claims.insert(rest.split('"').next().unwrap().to_owned());
                }
            }
            if let Some((_, table)) = flat.split_once("const CLAIMS:") {
                let (table, _) = table.split_once("];").unwrap();
                let (_, table) = table.split_once("= [").unwrap();
                for rest in table.split('(').skip(1) {
                    claims.insert(rest.split('"').nth(1).unwrap().to_owned());
                }
            }
        }
    }
}
