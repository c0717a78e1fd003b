//! Things that make git show something other than the stored data: refs in another form, replace refs, grafts, borrowed
//! objects, cut history, settings.

mod files;
mod served;

use std::collections::HashSet;

use super::findings::{Findings, Rule};
use super::object::Id;
use super::quote::quote;
use super::refs::Refs;
use super::repository::Repository;
use super::walk::Context;
use super::walk::chain::Chain;
use super::{VerifyError, trails};

pub(crate) use files::find_files;
pub(crate) use served::find_served;

/// The ref that git reads notes from by default.
const NOTES: &[u8] = b"refs/notes/commits";

/// Finds what makes git show something other than the stored data.
pub(crate) fn find(
    repository: &Repository,
    refs: &Refs<'_>,
    findings: &Findings,
    alternates: &[String],
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

/// Finds where the file `shallow` cuts off the history that git shows. A cut in another branch, as in the clone of a CI job,
/// does not change what git shows of the trail.
pub(crate) fn find_cuts(findings: &Findings, shallow: &HashSet<Id>, chain: &Chain) {
    let Some(commit) = shallow.iter().min() else {
        return;
    };
    // History that was merged, or that an earlier audit has read, is not compared with the list.
    let is_elsewhere =
        !chain.has_merges && chain.until.is_none() && !chain.ids().any(|id| shallow.contains(&id));
    let number = shallow.len();
    if is_elsewhere {
        let what = format!(
            "this clone is shallow, but not in the trail's history: {number} in the file `shallow`"
        );
        return findings.note(Rule::Hidden, what);
    }
    let what = format!(
        "the history before {commit} ({number} in the file `shallow`); `git fetch --unshallow` fetches it"
    );
    findings.not_shown(Rule::Hidden, None, what);
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
/// of that name. `names` has the branch and the refs that lead to it.
pub(crate) fn find_shadows(
    refs: &Refs<'_>,
    context: &Context<'_>,
    names: &[Vec<u8>],
    tip: Option<Id>,
) {
    find_shadows_of_head(refs, context);
    for name in names {
        // Symbolic refs whose names are not UTF-8 were never short names of the trail.
        if let Ok(name) = std::str::from_utf8(name) {
            find_shadows_of(refs, context, name, tip);
        }
    }
}

/// Where git looks for a short name, in order. Below `refs/remotes/` it also tries `HEAD` of a remote of that name.
const PREFIXES: [&str; 5] = ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"];

/// Finds the ref that git uses in place of `HEAD`, if `HEAD` names a branch without a commit.
fn find_shadows_of_head(refs: &Refs<'_>, context: &Context<'_>) {
    let has_commit = |name: &str| {
        let found = refs.resolve(name.as_bytes()).ok().flatten();
        found.is_some_and(|found| found.id.is_some())
    };
    if has_commit("HEAD") {
        return;
    }
    let tried = PREFIXES[1..].iter().map(|prefix| format!("{prefix}HEAD"));
    let tried = tried.chain(["refs/remotes/HEAD/HEAD".to_owned()]);
    for name in tried.filter(|name| has_commit(name)) {
        let what = format!(
            "`HEAD` names no commit, so git shows the ref {} in its place",
            quote(name.as_bytes())
        );
        context.findings.broken_anywhere(Rule::Hidden, what);
    }
}

fn find_shadows_of(refs: &Refs<'_>, context: &Context<'_>, reference: &str, tip: Option<Id>) {
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
                "git uses the ref {} for the short name {}, and it points to a different commit than the branch",
                quote(name.as_bytes()),
                quote(short.as_bytes())
            );
            context.findings.broken_anywhere(Rule::Hidden, what);
        }
    }
}

/// The short names of a ref, with the names that git tries before it, in git's order.
fn competing_names(reference: &str) -> Vec<(String, String)> {
    let mut names = Vec::new();
    for short in PREFIXES[1..]
        .iter()
        .filter_map(|prefix| reference.strip_prefix(prefix))
    {
        let tried = PREFIXES.iter().map(|prefix| format!("{prefix}{short}"));
        names.extend(
            tried
                .take_while(|name| name != reference)
                .map(|name| (short.to_owned(), name)),
        );
    }
    names
}
