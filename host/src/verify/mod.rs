//! Audits a trail in any clone. A second implementation on purpose: it shares no code with the writer, knows no policy, no
//! store and no configuration, believes no cache of git's, and opens every repository as hostile.

#[expect(dead_code, reason = "the claims that use it come next")]
mod checkpoint;
mod findings;
mod reference;
mod refs;
mod report;
mod repository;
mod rules;
#[expect(dead_code, reason = "the claim that uses it comes next")]
mod signature;
mod store;
mod walk;

use std::path::{Path, PathBuf};

use findings::{Finding, Findings, RULES, Rule, quote};
pub use report::{Claim, Outcome, Report, Verdict};
use repository::Repository;
use store::hash::Id;
use store::{Current, Store};
use walk::Context;
use walk::history::{self, Walked};

/// How to audit.
#[derive(Default)]
pub struct Options<'a> {
    /// The ref to audit, in full or as git shortens it, or a commit's id. By default the branch that `HEAD` names, or, if
    /// there is no trail on it, the only branch with one.
    pub reference: Option<String>,
    /// Called now and then on the calling thread.
    pub progress: Option<&'a dyn Fn(Progress)>,
    /// The number of threads; by default as many as there are processors, at most eight.
    pub threads: Option<usize>,
}

/// How far an audit has come.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// First-parent commits read so far; how many there are is not known before the end.
    pub commits: u64,
}

/// Why a repository could not be audited at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no repository.
    #[error("no git repository at or above {}", .0.display())]
    NoRepository(PathBuf),
    /// The repository uses something that this version cannot read.
    #[error("the repository uses {0}, which is unsupported")]
    Unsupported(String),
    /// A file of the repository cannot be read or makes no sense.
    #[error("{what} {why}")]
    Unreadable {
        /// The file.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such ref.
    #[error("there is no ref {0}")]
    NoReference(String),
    /// A ref leads nowhere.
    #[error("the ref {name} is broken: {why}")]
    BadReference {
        /// The ref.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// Several branches have a trail and `HEAD`'s has none.
    #[error("several refs have a trail, name one of them: {0}")]
    Ambiguous(String),
}

/// Audits the trail of the repository at or above `path`. Reads only; environment variables, hooks, filters and helpers have no
/// part in it. Memory stays below 256 MiB for a million commits.
///
/// # Errors
///
/// Says why nothing could be audited at all. What is wrong with the trail is told by the report's claims.
pub fn verify(path: &Path, options: &Options<'_>) -> Result<Report, VerifyError> {
    let repository = Repository::discover(path)?;
    let store = Store::open(&repository.common_dir.join("objects"), repository.algorithm).map_err(
        |why| VerifyError::Unreadable {
            what: "the object database".to_owned(),
            why,
        },
    )?;
    let current = Current::new(store);
    let alternates = repository.alternates()?;
    let context = Context::new(
        &current,
        repository.algorithm,
        elsewhere(&repository, &alternates),
    );
    let (reference, tip) = reference::choose(&repository, &context, options.reference.as_deref())?;
    let shallow = repository.shallow()?;
    find_hidden(&repository, &context.findings, &alternates, &shallow)?;
    let Some(tip) = tip else {
        return Ok(report(reference, None, None, context.findings));
    };
    let processors = std::thread::available_parallelism().map_or(1, |number| number.get().min(8));
    let threads = options.threads.unwrap_or(processors).max(1);
    let mut walked = history::walk(&context, tip, &shallow, threads, options.progress);
    walk::twice::find(&context, tip, std::mem::take(&mut walked.tally.tasks));
    Ok(report(reference, Some(tip), Some(walked), context.findings))
}

/// Why an object may be missing here without anything being wrong.
fn elsewhere(repository: &Repository, alternates: &[String]) -> Option<String> {
    if let Some(alternate) = alternates.first() {
        return Some(format!(
            "it may lie in {}, which this repository borrows from",
            quote(alternate.as_bytes())
        ));
    }
    repository
        .partial
        .then(|| "this is a partial clone, which leaves objects at its remote".to_owned())
}

/// Looks for what makes git show something other than what is there.
fn find_hidden(
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

/// The claims' names and titles, in the order of [`Rule`].
const CLAIMS: [(&str, &str); RULES] = [
    ("objects", "every object is what its name says"),
    ("append-only", "nothing recorded is changed or removed"),
    (
        "one-entry",
        "each trail commit adds one well-formed entry and nothing else",
    ),
    ("agreement", "message, trailers, path and entry agree"),
    ("once", "no task is recorded twice"),
    ("times", "times never run backwards"),
    ("hidden", "nothing is hidden"),
];

fn report(
    reference: String,
    tip: Option<Id>,
    walked: Option<Walked>,
    findings: Findings,
) -> Report {
    let (commits, trail_id, tally) = walked.map_or_else(Default::default, |walked| {
        (walked.commits, walked.trail_id, walked.tally)
    });
    let mut claims = Vec::with_capacity(RULES + 2);
    for (place, (finding, (id, title))) in findings.take().into_iter().zip(CLAIMS).enumerate() {
        // Without an entry nothing is shown about entries; whether something is hidden can be told all the same.
        let empty = tally.entries == 0 && place != Rule::Hidden as usize;
        claims.push(Claim {
            id,
            title,
            verdict: verdict(finding, empty),
        });
    }
    let not_asked = |id, title, why| Claim {
        id,
        title,
        verdict: Verdict::NotAsked { why },
    };
    claims.push(not_asked(
        "signatures",
        "signed by a key that was allowed",
        "nothing here shows who wrote this",
    ));
    claims.push(not_asked(
        "checkpoints",
        "extends every checkpoint",
        "nothing here shows that nothing was cut off the end",
    ));
    Report {
        reference,
        tip: tip.map(|id| id.to_string()),
        trail_id,
        commits,
        entries: tally.entries,
        objects: tally.objects,
        claims,
    }
}

fn verdict(finding: Finding, empty: bool) -> Verdict {
    match (finding.broken, finding.not_shown) {
        (Some(offence), _) => Verdict::Broken {
            commit: offence.commit.map(|id| id.to_string()),
            what: offence.what,
            count: offence.count,
        },
        (None, Some(offence)) => Verdict::NotShown {
            missing: offence.what,
        },
        (None, None) if empty => Verdict::NotShown {
            missing: "any entry; there is nothing to verify".to_owned(),
        },
        (None, None) => Verdict::Holds,
    }
}
