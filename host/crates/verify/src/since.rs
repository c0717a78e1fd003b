//! An audit of what came after a checkpoint: the claim that history leads to it, and what is therefore not said.

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

/// The checkpoint that an audit begins at.
pub(crate) struct Since {
    pub(crate) given: GivenCheckpoint,
    /// The commit of its last entry.
    pub(crate) commit: Id,
}

impl Since {
    /// How many entries are not verified again.
    pub(crate) fn size(&self) -> u64 {
        self.given.checkpoint.size
    }

    /// The trail that it is of, as the end of its origin says.
    pub(crate) fn origin_id(&self) -> &str {
        let origin = &self.given.checkpoint.origin;
        origin.strip_prefix(ORIGIN).unwrap_or(origin)
    }

    /// The identity of the trail that it is of, if that has one.
    pub(crate) fn trail_id(&self) -> Option<String> {
        let id = self.origin_id();
        (!id.starts_with("commit-")).then(|| id.to_owned())
    }
}

/// Reads the checkpoint that `options.since` names, the last in its file or the newest that its repository keeps.
///
/// # Errors
///
/// It cannot be read, or names no commit to begin at.
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
        _ => Err(unreadable(path, "it names no commit to begin at")),
    }
}

/// Who looks along to make the claims.
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

/// The oldest such commit: its depth and id, which of its two times it is and that time; and how many there are.
type Backdated = (u32, Id, (&'static str, i64), u64);

struct SinceVisitor {
    commit: Id,
    signed: Claim,
    given: GivenCheckpoint,
    /// The oldest commit that says that it is older than the checkpoint, or whose entry does, its depth, which of the two and its
    /// time, and how many there are.
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
        let mut claim = Claim::new("since", "goes on from the checkpoint", verdict);
        claim.notes.push(format!(
            "the {size} {entries} up to {} not verified again: the name {} fixes them, as far as nobody can make two histories with one name",
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
