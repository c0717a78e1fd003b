//! An audit that starts at a checkpoint: the claim that history leads to it, and the limits of such an audit.

use std::sync::{Mutex, PoisonError};

use super::checkpoints;
use super::given::{GivenCheckpoint, claim_signed, parse_key};
use super::merkle::note::ORIGIN;
use super::object::Id;
use super::report::{Claim, Verdict};
use super::signature::show_time;
use super::sources;
use super::trust::unreadable;
use super::visit::{TrailCommit, Visitor, Walk};
use super::{Options, VerifyError};

/// The checkpoint that an audit starts at.
pub(crate) struct Since {
    pub(crate) given: GivenCheckpoint,
    /// The commit of the last entry in the checkpoint.
    pub(crate) commit: Id,
}

impl Since {
    /// The number of entries that are not verified again.
    pub(crate) fn size(&self) -> u64 {
        self.given.checkpoint.size
    }

    /// The last part of the checkpoint's origin, which identifies the trail.
    pub(crate) fn origin_id(&self) -> &str {
        let origin = &self.given.checkpoint.origin;
        origin.strip_prefix(ORIGIN).unwrap_or(origin)
    }

    /// The uuid of the checkpoint's trail, if it has one.
    pub(crate) fn trail_id(&self) -> Option<String> {
        let id = self.origin_id();
        (!id.starts_with("commit-")).then(|| id.to_owned())
    }
}

/// Reads the checkpoint in `options.since`: the last one in a file, or the newest one in a repository.
///
/// # Errors
///
/// It cannot be read, or does not name a commit to start at.
pub(crate) fn load(options: &Options<'_>) -> Result<Option<Since>, VerifyError> {
    let Some(path) = &options.since else {
        return Ok(None);
    };
    let given = sources::newest(path)?;
    let commit = given.as_ref().and_then(|given| {
        let commit = given.checkpoint.commit.as_deref()?;
        Id::from_hex(commit.as_bytes())
    });
    match (given, commit) {
        (Some(given), Some(commit)) => Ok(Some(Since { given, commit })),
        _ => Err(unreadable(path, "it names no commit to start at")),
    }
}

/// Makes the visitor for the claims.
///
/// # Errors
///
/// The checkpoint key cannot be used.
pub(crate) fn visitor(
    since: Option<&Since>,
    options: &Options<'_>,
) -> Result<Box<dyn Visitor>, VerifyError> {
    let Some(since) = since else {
        return Ok(Box::new(NoVisitor));
    };
    let key = options.checkpoint_key.as_deref();
    let key = key.map(parse_key).transpose()?;
    let given = since.given.clone();
    Ok(Box::new(SinceVisitor {
        commit: since.commit,
        signed: claim_signed(std::slice::from_ref(&given), key.as_ref()),
        given,
        backdated: Mutex::default(),
    }))
}

struct NoVisitor;

impl Visitor for NoVisitor {
    fn visit(&self, _: &TrailCommit<'_>) {}
}

/// The oldest backdated commit: its depth and id, which of its two times is wrong and that time; and the number of such
/// commits.
type Backdated = (u32, Id, (&'static str, i64), u64);

struct SinceVisitor {
    commit: Id,
    signed: Claim,
    given: GivenCheckpoint,
    /// The oldest commit dated before the checkpoint, or with an entry dated before it.
    backdated: Mutex<Option<Backdated>>,
}

impl Visitor for SinceVisitor {
    fn visit(&self, commit: &TrailCommit<'_>) {
        let Some(made) = self.given.checkpoint.seconds else {
            return;
        };
        let seconds = commit.seconds.unwrap_or(i64::MIN);
        let recorded = commit.entry.and_then(|entry| entry.recorded);
        let Some(said) = checkpoints::is_backdated(seconds, recorded, made) else {
            return;
        };
        let mut found = self
            .backdated
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = found.as_ref().map_or(0, |(_, _, _, count)| *count) + 1;
        *found = match *found {
            Some((depth, id, said, _)) if depth > commit.depth => Some((depth, id, said, count)),
            _ => Some((commit.depth, commit.id, said, count)),
        };
    }

    fn finish(&self, walk: &Walk<'_>) -> Vec<Claim> {
        let size = self.given.checkpoint.size;
        let verdict = match (walk.until, walk.cut) {
            (Some(_), _) => Verdict::Holds,
            (None, Some(cut)) => Verdict::NotShown {
                missing: cut.to_owned(),
            },
            (None, None) => Verdict::Broken {
                commit: None,
                what: format!(
                    "the commit {} of {} is not in this history: it was rewritten, or rolled back to before it",
                    self.commit,
                    self.given.name()
                ),
                count: 1,
            },
        };
        let entries = if size == 1 { "entry" } else { "entries" };
        let mut claim = Claim::new("since", "continues the checkpoint", verdict);
        claim.notes.push(format!(
            "the {size} {entries} up to {} not verified again: the id {} fixes them, if nobody can make two histories \
             with one id",
            self.given.name(),
            self.commit
        ));
        let title = "commit times are not before the checkpoint's";
        let mut times = Claim::new("since-times", title, Verdict::Holds);
        let found = self
            .backdated
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, id, (what, seconds), count)) = *found {
            times.verdict = Verdict::Broken {
                commit: Some(id.to_string()),
                what: format!(
                    "{what} is backdated: it came after {} and says that it is of {}",
                    self.given.name(),
                    show_time(seconds)
                ),
                count,
            };
        }
        vec![claim, times, self.signed.clone()]
    }
}
