//! What makes git show something other than what is there: replace refs, grafts, borrowed objects, cut history.

use super::findings::{Findings, Rule, quote};
use super::repository::{Repository, small_file};
use super::store::hash::Id;
use super::walk::Context;
use super::{VerifyError, reference, refs};

/// Looks for what makes git show something other than what is there.
pub(crate) fn find(
    repository: &Repository,
    findings: &Findings,
    alternates: &[String],
    shallow: &[Id],
) -> Result<(), VerifyError> {
    refs::each(repository, "refs/replace/", |name, _| {
        let what = format!(
            "the ref {} makes git show another object in place of the one it names",
            quote(name.as_bytes())
        );
        findings.broken_anywhere(Rule::Hidden, what);
        true
    })?;
    if let Some(graft) = repository.grafts()?.first() {
        let commit = quote(graft.split(' ').next().unwrap_or_default().as_bytes());
        findings.broken_anywhere(
            Rule::Hidden,
            format!("the file `info/grafts` gives {commit} other parents than it has"),
        );
    }
    if let Some(alternate) = alternates.first() {
        let what = format!(
            "the objects that lie in {} (`objects/info/alternates`); `git repack -a -d` brings them here, then remove that file",
            quote(alternate.as_bytes())
        );
        findings.not_shown(Rule::Hidden, None, what);
    }
    if let Some(commit) = shallow.first() {
        let number = shallow.len();
        let what = format!(
            "what lies before {commit} ({number} in the file `shallow`); `git fetch --unshallow` brings it"
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
    Ok(())
}

/// Looks for what git takes for the trail's branch where a person calls it by its short name: `git log audit` shows the tag.
pub(crate) fn find_shadows(
    repository: &Repository,
    context: &Context<'_>,
    branch: &str,
    tip: Option<Id>,
) {
    let Some(short) = branch.strip_prefix("refs/heads/") else {
        return;
    };
    // In git's order; the branch itself would come next.
    let beside_head = small_file(&repository.git_dir.join(short)).ok().flatten();
    let beside_head = beside_head.and_then(|text| {
        let text = std::str::from_utf8(text.trim_ascii()).ok()?;
        repository.id(text)
    });
    let of_ref = |name: &str| {
        let found = refs::resolve(repository, name).ok().flatten()?;
        Some((name.to_owned(), found.id?))
    };
    let shadows = [
        beside_head.map(|id| (short.to_owned(), id)),
        of_ref(&format!("refs/{short}")),
        of_ref(&format!("refs/tags/{short}")),
    ];
    for (name, id) in shadows.into_iter().flatten() {
        if reference::peel(context, &name, id).ok() != tip {
            let what = format!(
                "the ref {} makes git show another commit in place of the branch where it is called {}",
                quote(name.as_bytes()),
                quote(short.as_bytes())
            );
            context.findings.broken_anywhere(Rule::Hidden, what);
        }
    }
}
