//! What makes git show something other than what is there: replace refs, grafts, borrowed objects, cut history.

use super::VerifyError;
use super::findings::{Findings, Rule, quote};
use super::refs;
use super::repository::Repository;
use super::store::hash::Id;

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
