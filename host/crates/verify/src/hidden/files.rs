//! Files that change how git shows a commit without changing the commit: other names for people, and attributes. Git
//! takes them from a tree, or from the work tree.

use std::collections::HashSet;
use std::path::Path;

use crate::findings::Rule;
use crate::object::{Id, Kind};
use crate::quote::quote;
use crate::refs::Refs;
use crate::repository::{Repository, small_file};
use crate::rules::commit::Commit;
use crate::rules::tree::Nodes;
use crate::store::reader::Reader;
use crate::walk::Context;

/// The only line that the host writes into `info/attributes`, so that no filter changes what git checks out of the
/// trail.
const OWN_ATTRIBUTES: &[u8] = b"/.audit/** -filter -text -ident -working-tree-encoding";

/// The directories whose attributes apply to all entries.
const DIRECTORIES: [&str; 3] = ["", ".audit/", ".audit/tasks/"];

/// Finds these files, in the trail's tip, in the commit of `HEAD`, and in the work tree.
pub(crate) fn find_files(
    repository: &Repository,
    refs: &Refs<'_>,
    context: &Context<'_>,
    tip: Option<Id>,
) {
    let note = |what: String| context.findings.note(Rule::Hidden, what);
    let mut found = HashSet::new();
    let mut report = |path: &str, place: &str| {
        if found.insert(path.to_owned()) {
            note(match path {
                ".mailmap" => format!(
                    "the file `.mailmap`{place} makes `git log` show other people than the commits name"
                ),
                _ => format!(
                    "the file `{path}`{place} sets attributes, which change how git shows and exports files"
                ),
            });
        }
    };
    let head = refs
        .resolve(b"HEAD")
        .ok()
        .flatten()
        .and_then(|head| head.id);
    let of_head = head.filter(|head| Some(*head) != tip);
    for (commit, place) in [(tip, ""), (of_head, " in the commit of `HEAD`")] {
        for path in commit.map_or_else(Vec::new, |commit| in_tree(context, &commit)) {
            report(&path, place);
        }
    }
    if let Some(work_tree) = &repository.work_tree {
        for path in in_work_tree(work_tree) {
            report(&path, " in the work tree");
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

/// The paths of these files in the tree of a commit.
fn in_tree(context: &Context<'_>, commit: &Id) -> Vec<String> {
    let mut reader = Reader::new(context.current);
    let mut paths = Vec::new();
    let mut directories = vec![(String::new(), tree_of(context, &mut reader, commit))];
    while let Some((path, tree)) = directories.pop() {
        let content = tree.and_then(|tree| reader.fetch(&tree, Kind::Tree).ok());
        let Some(content) = content else { continue };
        for node in Nodes::new(&content.data, context.algorithm.len_in_bytes()) {
            match (node.name, path.as_str()) {
                (b".gitattributes", _) => paths.push(format!("{path}.gitattributes")),
                (b".mailmap", "") => paths.push(".mailmap".to_owned()),
                (b".audit", "") => directories.push((".audit/".to_owned(), Some(node.id()))),
                (b"tasks", ".audit/") => {
                    directories.push((".audit/tasks/".to_owned(), Some(node.id())));
                }
                _ => {}
            }
        }
    }
    paths
}

fn in_work_tree(work_tree: &Path) -> impl Iterator<Item = String> {
    let attributes = DIRECTORIES.map(|directory| format!("{directory}.gitattributes"));
    let paths = [".mailmap".to_owned()].into_iter().chain(attributes);
    paths.filter(move |path| work_tree.join(path).symlink_metadata().is_ok())
}

fn tree_of(context: &Context<'_>, reader: &mut Reader<'_>, commit: &Id) -> Option<Id> {
    let content = reader.fetch(commit, Kind::Commit).ok()?;
    Some(Commit::parse(&content.data, context.algorithm.len_in_hex())?.tree)
}
