//! Audits the trail of a repository: opens it as hostile, walks its history, and gathers the claims.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::against::{self, Audited, quote_path};
use super::continuation::Continuation;
use super::findings::Rule;
use super::freshness::{self, Freshness};
use super::graph::Graph;
use super::object::Id;
use super::quote::quote;
use super::refs::Refs;
use super::report::{Claim, Report};
use super::repository::Repository;
use super::rules::commit::Commit;
use super::sources::Sources;
use super::store::{CurrentStore, Store};
use super::visit::{TrailCommit, Visitor, Walk};
use super::walk::chain::Chain;
use super::walk::history::{self, WalkResult};
use super::walk::{self, Context};
use super::{VerifyError, checkpoints, claims, expected, hidden, signatures, since, trails, trust};

/// Options of an audit.
#[derive(Default)]
pub struct Options<'a> {
    /// The ref to audit: a branch, a full ref name, or a commit id. By default the branch that holds the trail. If two
    /// branches each have a part of the trail that the other lacks, it must be given.
    pub reference: Option<String>,
    /// Called at intervals on the calling thread.
    pub progress: Option<&'a dyn Fn(Progress)>,
    /// The number of threads; by default the number of processors, at most eight.
    pub threads: Option<usize>,
    /// The keys whose signatures count, and when: a file in git's format of allowed signers.
    pub allowed_signers: Option<PathBuf>,
    /// The OpenPGP keys whose signatures count: a file from `gpg --export`.
    pub openpgp_keys: Option<PathBuf>,
    /// The program that checks OpenPGP signatures; `gpg` by default.
    pub openpgp_program: Option<PathBuf>,
    /// The time limit of that program for one signature; ten seconds by default. After a timeout the program is killed
    /// and not called again.
    pub openpgp_timeout: Option<Duration>,
    /// Keys whose signatures no longer count, whatever their time: public keys or fingerprints, one a line.
    pub revoked_signers: Option<PathBuf>,
    /// The key that signs the trail's checkpoints, as `name+id+base64`.
    pub checkpoint_key: Option<String>,
    /// A file with keys of witnesses, `name+id+base64`, one a line.
    pub witness_keys: Option<PathBuf>,
    /// How many witnesses must have cosigned the newest checkpoint; one by default.
    pub witness_quorum: Option<usize>,
    /// The expected trail: the last part of its origin, as `trail_named` parses it.
    pub trail: Option<String>,
    /// The claims that must be shown, even if nothing is given to show them with.
    pub require: Require,
    /// What to compare with: checkpoints (files), repositories that store checkpoints, and other copies of the trail
    /// (directories).
    pub against: Vec<PathBuf>,
    /// The names of some of them in the report, in place of their paths.
    pub names_of_copies: Vec<(PathBuf, String)>,
    /// A checkpoint up to which the trail was audited before.
    pub since: Option<PathBuf>,
    /// How recent the newest of the checkpoints must be.
    pub fresh: Option<Freshness>,
    /// The current time, in seconds since 1970. A trail that is dated far ahead of it is noted.
    pub now: Option<i64>,
    /// Visitors that see the commits and make claims.
    pub visitors: Vec<&'a dyn Visitor>,
    /// Whether visitors see the trail's commits one after the other, the oldest first.
    pub in_order: bool,
    /// With `in_order`, the id of the commit after which to start. No claim is made about earlier commits.
    pub after: Option<String>,
}

/// Claims that are required by name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Require {
    /// Every commit of the trail must be signed, itself or by a later commit.
    pub signed: bool,
    /// A checkpoint must show that no entry was removed from the end.
    pub checkpoint: bool,
}

/// The progress of an audit.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// First-parent commits found so far; all of them once some are judged.
    pub commits: u64,
    /// How many commits were handed out to be judged; `None` while commits are still being found.
    pub judged: Option<u64>,
}

/// Audits the trail of the repository at or above `path`. Only reads; environment variables, hooks, filters and helpers
/// have no influence. Memory stays below 256 MiB for a million commits.
///
/// # Errors
///
/// The repository could not be audited. Offences of the trail are in the report's claims instead.
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
        external_objects_reason(&repository, &alternates),
    );
    // Read before the refs, so that the list is never newer than the audited tip.
    let served = repository.served_refs();
    let refs = Refs::load(&repository)?;
    let chosen = trails::choose(&repository, &refs, &context, options.reference.as_deref())?;
    let (reference, passed, tip) = (chosen.name, chosen.passed, chosen.tip);
    for note in chosen.notes {
        context.findings.note(Rule::Hidden, note);
    }
    let shallow = repository.shallow()?;
    hidden::find(&repository, &refs, &context.findings, &alternates)?;
    let mut names = refs.aliases(reference.as_bytes());
    names.extend(passed);
    names.push(reference.as_bytes().to_vec());
    names.sort_unstable();
    names.dedup();
    hidden::find_shadows(&refs, &context, &names, tip);
    hidden::find_files(&repository, &refs, &context, tip);
    hidden::find_in_store(&context);
    match Graph::open(&repository) {
        Ok(graph) => context.graph = graph,
        Err(why) => context.findings.broken_anywhere(Rule::Hidden, why),
    }
    drop(refs);
    let since = since::load(options)?;
    let sources = Sources::open(options)?;
    let own = [
        signatures::visitor(options)?,
        checkpoints::visitor(options, &sources)?,
        since::visitor(since.as_ref(), options)?,
        Box::new(Continuation::default()),
    ];
    let visitors: Vec<&dyn Visitor> = own.iter().map(AsRef::as_ref).collect();
    context.visitors = visitors;
    context.visitors.extend(&options.visitors);
    let mut walked = match tip {
        None => WalkResult::default(),
        Some(tip) => {
            let processors = std::thread::available_parallelism();
            let processors = processors.map_or(1, |number| number.get().min(8));
            let threads = options.threads.unwrap_or(processors).max(1);
            let until = since.as_ref().map(|since| since.commit);
            let how = history::WalkOptions {
                shallow: &shallow,
                threads,
                until,
                // Checkpoints are compared with the tree over all entries, which needs their numbers.
                ahead: options
                    .visitors
                    .iter()
                    .any(|visitor| visitor.needs_position())
                    || !sources.is_empty(),
            };
            let mut walked = if options.in_order || options.after.is_some() {
                let after = after_commit(&repository, options)?;
                let gone = options.after.clone().unwrap_or_default();
                history::walk_in_order(&context, tip, &how, after, options.progress)
                    .ok_or(VerifyError::NotInHistory(gone))?
            } else {
                history::walk(&context, tip, &how, options.progress)
            };
            let tasks = std::mem::take(&mut walked.tally.tasks);
            walk::duplicates::find(&context, &walked.chain, tasks);
            if let Some(foreign) = walked.chain.foreign {
                let what = "it is not a trail commit, on a ref that is only for the trail (`Audit-Placement: ref`)";
                let findings = &context.findings;
                findings.broken_by(Rule::OneEntry, foreign, what.to_owned());
            }
            if let Some(now) = options.now {
                walk::chain::note_ahead(&context, &walked.chain, now);
            }
            show_border(&context, &walked.chain);
            hidden::find_served(&context, served, &names, &walked.chain);
            walked
        }
    };
    hidden::find_cuts(&context.findings, &shallow, &walked.chain);
    let audited = Audited {
        repository: &repository,
        reference: &reference,
        chain: &walked.chain,
    };
    let copies = sources.copies.iter();
    let copies = copies.map(|path| {
        let mut names = options.names_of_copies.iter();
        let named = names.find(|(named, _)| named == path);
        let name = named.map_or_else(|| quote_path(path), |(_, name)| name.clone());
        against::compare(path, &name, &context, &audited)
    });
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
    // Entries before a checkpoint count, even if there are none after it.
    let before = since.as_ref().map_or(0, |since| since.size());
    let mut claims = claims::structural(context.findings.take(), walked.tally.entries + before);
    claims.extend(others);
    let given = sources.of_trail().given.iter();
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
        is_cut_off: !shallow.is_empty(),
        claims,
    })
}

/// Shows the commit where the audit starts to the visitors.
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

/// The commit after which the audit starts, if it does not cover all of history.
fn after_commit(repository: &Repository, options: &Options<'_>) -> Result<Option<Id>, VerifyError> {
    let Some(name) = &options.after else {
        return Ok(None);
    };
    match repository.id(name) {
        Some(id) => Ok(Some(id)),
        None => Err(VerifyError::NotInHistory(quote(name.as_bytes()))),
    }
}

/// The reason why an object may be missing here without an offence.
pub(crate) fn external_objects_reason(
    repository: &Repository,
    alternates: &[String],
) -> Option<String> {
    if let Some(alternate) = alternates.first() {
        return Some(format!(
            "it may be in {}, which this repository borrows from",
            quote(alternate.as_bytes())
        ));
    }
    repository
        .partial
        .then(|| "this is a partial clone, which leaves objects at its remote".to_owned())
}
