//! Things that make git show something other than the stored data: refs in another form, replace refs, grafts, borrowed
//! objects, cut history, settings.

use std::collections::HashSet;

use super::findings::{Findings, Rule};
use super::object::{Id, Kind};
use super::quote::quote;
use super::refs::Refs;
use super::repository::{Repository, small_file};
use super::rules::commit::Commit;
use super::rules::tree::Nodes;
use super::store::reader::Reader;
use super::walk::Context;
use super::{VerifyError, trails};

/// The ref that git reads notes from by default.
const NOTES: &[u8] = b"refs/notes/commits";

/// Finds what makes git show something other than the stored data.
pub(crate) fn find(
    repository: &Repository,
    refs: &Refs<'_>,
    findings: &Findings,
    alternates: &[String],
    shallow: &HashSet<Id>,
) -> Result<(), VerifyError> {
    for what in &refs.odd {
        findings.broken_anywhere(Rule::Hidden, what.clone());
    }
    for name in refs.replacing() {
        let what = format!(
            "the ref {} makes git show another object instead of the one it names",
            quote(name)
        );
        findings.broken_anywhere(Rule::Hidden, what);
    }
    if let Some(graft) = repository.grafts()?.first() {
        let commit = quote(graft.split(' ').next().unwrap_or_default().as_bytes());
        findings.broken_anywhere(
            Rule::Hidden,
            format!("the file `info/grafts` gives {commit} other parents than it has"),
        );
    }
    if let Some(alternate) = alternates.first() {
        let what = format!(
            "the objects that are in {} (`objects/info/alternates`); `git repack -a -d` brings them here, then remove \
             that file",
            quote(alternate.as_bytes())
        );
        findings.not_shown(Rule::Hidden, None, what);
    }
    if let Some(commit) = shallow.iter().min() {
        let number = shallow.len();
        let what = format!(
            "the history before {commit} ({number} in the file `shallow`); `git fetch --unshallow` fetches it"
        );
        findings.not_shown(Rule::Hidden, None, what);
    }
    if let Some(extension) = repository.unknown_extensions.first() {
        findings.not_shown(
            Rule::Hidden,
            None,
            format!(
                "what the repository extension {extension} does; this version does not know it"
            ),
        );
    }
    if let Ok(Some(_)) = refs.resolve(NOTES) {
        findings.note(
            Rule::Hidden,
            format!(
                "the ref {} adds notes to the commits that git shows",
                quote(NOTES)
            ),
        );
    }
    for setting in &repository.settings {
        findings.note(
            Rule::Hidden,
            format!(
                "the configuration sets {}, which changes what git shows here",
                quote(setting.as_bytes())
            ),
        );
    }
    Ok(())
}

/// The only line that the host writes into `info/attributes`, so that no filter changes what git checks out of the
/// trail.
const OWN_ATTRIBUTES: &[u8] = b"/.audit/** -filter -text -ident -working-tree-encoding";

/// Finds files that change how git shows a commit without changing the commit: other names for people, attributes.
pub(crate) fn find_files(repository: &Repository, context: &Context<'_>, tip: Option<Id>) {
    let note = |what: String| context.findings.note(Rule::Hidden, what);
    let mut reader = Reader::new(context.current);
    let mut directories = vec![(
        String::new(),
        tip.and_then(|tip| tree_of(context, &mut reader, &tip)),
    )];
    while let Some((path, tree)) = directories.pop() {
        let content = tree.and_then(|tree| reader.fetch(&tree, Kind::Tree).ok());
        let Some(content) = content else { continue };
        for node in Nodes::new(&content.data, context.algorithm.len_in_bytes()) {
            match (node.name, path.as_str()) {
                (b".gitattributes", _) => note(format!(
                    "the file `{path}.gitattributes` sets attributes, which change how git shows and exports files"
                )),
                (b".mailmap", "") => note(
                    "the file `.mailmap` makes `git log` show other people than the commits name"
                        .to_owned(),
                ),
                (b".audit", "") => directories.push((".audit/".to_owned(), Some(node.id()))),
                (b"tasks", ".audit/") => {
                    directories.push((".audit/tasks/".to_owned(), Some(node.id())))
                }
                _ => {}
            }
        }
    }
    let attributes = small_file(&repository.common_dir.join("info/attributes"));
    let attributes = attributes.ok().flatten().unwrap_or_default();
    let is_foreign = |line: &&[u8]| {
        !line.trim_ascii().is_empty() && !line.starts_with(b"#") && *line != OWN_ATTRIBUTES
    };
    if let Some(line) = attributes.split(|byte| *byte == b'\n').find(is_foreign) {
        note(format!(
            "the file `info/attributes` sets attributes, which change how git shows and exports files here: {}",
            quote(line)
        ));
    }
}

fn tree_of(context: &Context<'_>, reader: &mut Reader<'_>, commit: &Id) -> Option<Id> {
    let content = reader.fetch(commit, Kind::Commit).ok()?;
    Some(Commit::parse(&content.data, context.algorithm.len_in_hex())?.tree)
}

/// Checks the files of the packs: those that git cannot use or that mislead it, and those that are not git's.
pub(crate) fn find_in_store(context: &Context<'_>) {
    let store = context.current.get();
    for why in &store.unusable {
        context.findings.broken_anywhere(Rule::Objects, why.clone());
    }
    for why in &store.misleading {
        context.findings.broken_anywhere(Rule::Hidden, why.clone());
    }
    for name in store.unexpected_files() {
        let what = format!("{name} in `objects/pack` belongs to no pack; git ignores it");
        context.findings.note(Rule::Objects, what);
    }
}

/// Finds other refs that git uses when a person calls the trail's branch by a short name: `git log audit` shows a tag
/// of that name.
pub(crate) fn find_shadows(
    refs: &Refs<'_>,
    context: &Context<'_>,
    reference: &str,
    tip: Option<Id>,
) {
    for (short, name) in competing_names(reference) {
        let shown = match refs.resolve(name.as_bytes()) {
            Ok(None) => continue,
            Ok(Some(found)) => match found.id {
                // It leads nowhere, so git uses the branch.
                None => continue,
                Some(id) => trails::peel(context, name.as_bytes(), id).ok(),
            },
            Err(_) if refs.is_broken(name.as_bytes()) => None,
            Err(_) => continue,
        };
        if shown.is_none() || shown != tip {
            let what = format!(
                "the ref {} makes git show another commit in place of the branch where it is called {}",
                quote(name.as_bytes()),
                quote(short.as_bytes())
            );
            context.findings.broken_anywhere(Rule::Hidden, what);
        }
    }
}

/// The short names of a ref, with the names that git tries before it, in git's order.
fn competing_names(reference: &str) -> Vec<(String, String)> {
    let prefixes = ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"];
    let mut names = Vec::new();
    for short in prefixes[1..]
        .iter()
        .filter_map(|prefix| reference.strip_prefix(prefix))
    {
        let tried = prefixes.iter().map(|prefix| format!("{prefix}{short}"));
        names.extend(
            tried
                .take_while(|name| name != reference)
                .map(|name| (short.to_owned(), name)),
        );
    }
    names
}
