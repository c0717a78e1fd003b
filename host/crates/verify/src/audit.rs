//! Audits the trail of a repository: opens it as hostile, walks its history, and gathers the claims.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::against::{self, Audited};
use super::findings::Rule;
use super::freshness::{self, Freshness};
use super::graph::Graph;
use super::object::Id;
use super::quote::quote;
use super::refs::Refs;
use super::report::{Claim, Report};
use super::repository::Repository;
use super::rules::commit::Commit;
use super::sources::Kept;
use super::store::{CurrentStore, Store};
use super::visit::{TrailCommit, Visitor, Walk};
use super::walk::chain::Chain;
use super::walk::history::{self, Walked};
use super::walk::{self, Context};
use super::{VerifyError, checkpoints, claims, expected, hidden, signatures, since, trails, trust};

/// How to audit.
#[derive(Default)]
pub struct Options<'a> {
    /// The ref to audit: a branch, a ref's full name, or a commit's id. By default the branch that holds the trail; where two
    /// hold something of a trail that the other has not, it must be named.
    pub reference: Option<String>,
    /// Called now and then on the calling thread.
    pub progress: Option<&'a dyn Fn(Progress)>,
    /// The number of threads; by default as many as there are processors, at most eight.
    pub threads: Option<usize>,
    /// Whose signatures count, and when: a file in git's format of allowed signers.
    pub allowed_signers: Option<PathBuf>,
    /// OpenPGP keys whose signatures count: a file as `gpg --export` writes it.
    pub openpgp_keys: Option<PathBuf>,
    /// The program that checks them; `gpg` if not given.
    pub openpgp_program: Option<PathBuf>,
    /// How long it may take for one signature; ten seconds if not given. It is then ended, and not asked again.
    pub openpgp_timeout: Option<Duration>,
    /// Keys whose signatures do not count any more, whatever their time: public keys or fingerprints, one a line.
    pub revoked_signers: Option<PathBuf>,
    /// The key that signs the trail's checkpoints, as `name+id+base64`.
    pub checkpoint_key: Option<String>,
    /// Keys of witnesses: a file of them, `name+id+base64`, one a line.
    pub witness_keys: Option<PathBuf>,
    /// How many of them must have cosigned the newest checkpoint; one if not given.
    pub witness_quorum: Option<usize>,
    /// The trail that it should be: what an origin ends with, as [`trail_named`] reads it.
    pub trail: Option<String>,
    /// What must be shown, whether or not something is given to show it with.
    pub require: Require,
    /// Checkpoints (files), repositories that keep checkpoints, and other copies of the trail (directories) to compare with.
    pub against: Vec<PathBuf>,
    /// A checkpoint up to which the trail was audited before.
    pub since: Option<PathBuf>,
    /// How new the newest of these checkpoints must be.
    pub fresh: Option<Freshness>,
    /// Others who look along.
    pub visitors: Vec<&'a dyn Visitor>,
    /// To show them the trail's commits one by one, the oldest first.
    pub in_order: bool,
    /// To judge in order only what came after this commit, by its id. The rest is then not asked about.
    pub after: Option<String>,
}

/// Claims that are asked for by name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Require {
    /// That every commit of the trail is signed, itself or by the chain.
    pub signed: bool,
    /// That a checkpoint shows that nothing was cut off.
    pub checkpoint: bool,
}

/// How far an audit has come.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// First-parent commits found so far; once some are judged, all that there are.
    pub commits: u64,
    /// How many of them were handed out to be judged; none while they are still being found.
    pub judged: Option<u64>,
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
    let current = CurrentStore::new(store);
    let alternates = repository.alternates()?;
    let mut context = Context::new(
        &current,
        repository.algorithm,
        elsewhere(&repository, &alternates),
    );
    let refs = Refs::load(&repository)?;
    let chosen = trails::choose(&repository, &refs, &context, options.reference.as_deref())?;
    let (reference, tip) = (chosen.name, chosen.tip);
    for note in chosen.notes {
        context.findings.note(Rule::Hidden, note);
    }
    let shallow = repository.shallow()?;
    hidden::find(&repository, &refs, &context.findings, &alternates, &shallow)?;
    hidden::find_shadows(&refs, &context, &reference, tip);
    hidden::find_files(&repository, &context, tip);
    hidden::find_in_store(&context);
    match Graph::open(&repository) {
        Ok(graph) => context.graph = graph,
        Err(why) => context.findings.broken_anywhere(Rule::Hidden, why),
    }
    drop(refs);
    let since = since::load(options)?;
    let kept = Kept::open(options)?;
    let own = [
        signatures::visitor(options)?,
        checkpoints::visitor(options, &kept)?,
        since::visitor(since.as_ref(), options)?,
    ];
    let visitors: Vec<&dyn Visitor> = own.iter().map(AsRef::as_ref).collect();
    context.visitors = visitors;
    context.visitors.extend(&options.visitors);
    let mut walked = match tip {
        None => Walked::default(),
        Some(tip) => {
            let processors = std::thread::available_parallelism();
            let processors = processors.map_or(1, |number| number.get().min(8));
            let threads = options.threads.unwrap_or(processors).max(1);
            let until = since.as_ref().map(|since| since.commit);
            let how = history::How {
                shallow: &shallow,
                threads,
                until,
                // The tree over all entries is built by their numbers.
                ahead: !options.visitors.is_empty() || !kept.is_empty(),
            };
            let mut walked = if options.in_order || options.after.is_some() {
                let after = after(&repository, options)?;
                let gone = options.after.clone().unwrap_or_default();
                history::walk_in_order(&context, tip, &how, after, options.progress)
                    .ok_or(VerifyError::NotInHistory(gone))?
            } else {
                history::walk(&context, tip, &how, options.progress)
            };
            let tasks = std::mem::take(&mut walked.tally.tasks);
            walk::duplicates::find(&context, &walked.chain, tasks);
            if let Some(foreign) = walked.chain.foreign {
                let what = "it is no trail commit, on a ref that is the trail's alone (`Audit-Placement: ref`)";
                let findings = &context.findings;
                findings.broken_by(Rule::OneEntry, foreign, what.to_owned());
            }
            show_border(&context, &walked.chain);
            walked
        }
    };
    let audited = Audited {
        repository: &repository,
        reference: &reference,
        chain: &walked.chain,
    };
    let copies = kept.copies.iter();
    let copies = copies.map(|path| against::compare(path, &context, &audited));
    let copies = copies.collect::<Result<Vec<_>, _>>()?;
    let walk = Walk {
        commits: u64::from(walked.chain.len()),
        entries: walked.tally.entries,
        trail_id: walked.chain.trail_id.as_deref(),
        cut: walked.chain.cut.as_deref(),
        until: walked.chain.until,
        chain: &walked.chain,
    };
    let others: Vec<Claim> = context
        .visitors
        .iter()
        .flat_map(|visitor| visitor.finish(&walk))
        .collect();
    // What came before a checkpoint counts as something, though nothing may have come after it.
    let before = since.as_ref().map_or(0, |since| since.size());
    let mut claims = claims::structural(context.findings.take(), walked.tally.entries + before);
    claims.extend(others);
    let given = kept.ours().given.iter();
    let given: Vec<_> = given
        .chain(since.iter().map(|since| &since.given))
        .collect();
    let witnesses = trust::witnesses(options)?;
    claims.extend(witnesses.map(|witnesses| witnesses.claim(given.iter().copied())));
    let own_id = match &since {
        Some(since) => Some(since.origin_id().to_owned()),
        None => walked.chain.origin_id(),
    };
    claims.extend(expected::claim(options.trail.as_deref(), own_id.as_deref()));
    claims.extend(
        options
            .fresh
            .map(|fresh| freshness::claim(fresh, given.iter().copied())),
    );
    claims.extend(copies);
    Ok(Report {
        reference,
        tip: tip.map(|id| id.to_string()),
        trail_id: walked
            .chain
            .trail_id
            .take()
            .or_else(|| since.as_ref()?.trail_id()),
        commits: u64::from(walked.chain.len()),
        entries: walked.tally.entries,
        objects: walked.tally.objects,
        not_verified_again: since.map(|since| since.size()),
        claims,
    })
}

/// Shows those who look along the commit at which the audit begins.
fn show_border(context: &Context<'_>, chain: &Chain) {
    let (Some(id), Some(content)) = (chain.until, &chain.border) else {
        return;
    };
    let commit = Commit::parse(&content.data, context.algorithm.len_in_hex());
    let commit = TrailCommit {
        depth: chain.len(),
        position: 0,
        id,
        raw: &content.data,
        is_genesis: false,
        policy: "",
        settings: "",
        reporter: None,
        seconds: commit.and_then(|commit| commit.time()),
        entry: None,
    };
    for visitor in &context.visitors {
        visitor.visit_border(&commit);
    }
}

/// The commit after which the audit begins, if it is not to be all.
fn after(repository: &Repository, options: &Options<'_>) -> Result<Option<Id>, VerifyError> {
    let Some(name) = &options.after else {
        return Ok(None);
    };
    match repository.id(name) {
        Some(id) => Ok(Some(id)),
        None => Err(VerifyError::NotInHistory(quote(name.as_bytes()))),
    }
}

/// Why an object may be missing here without anything being wrong.
pub(crate) fn elsewhere(repository: &Repository, alternates: &[String]) -> Option<String> {
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
