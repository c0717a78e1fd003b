//! Ends a trail, and begins the one that continues it. Each step can be repeated, so that after a crash the same
//! command completes what it began.
//!
//! The order is the guarantee. The successor gets its identity first, and records nothing until its first entry says
//! what it continues. The end is the commit point: it names the one successor, and nothing follows it. Only then the
//! beginning is recorded, which names the end. So no task can be in both, and no second trail can become the
//! successor.
//!
//! Both entries are decided by the built-in policy, whatever policy is in force: it can be run again like any other.

use std::path::Path;
use std::sync::Arc;

use outcome::clock::Clock;
use outcome::continuation::{EndOfTrail, Predecessor, is_uuid};
use outcome::{Limits, TaskId};
use policy::{Engine, LoadError, Policy, PolicySettings};
use trail::{InitOptions, InitReport, KnownTrail, Trail, TrailError};

use super::{Answer, AnswerKind, Delivery, Options, Recorder, Report};

/// Why a trail could not be ended or begun.
#[derive(Debug, thiserror::Error)]
pub enum ContinuationError {
    /// One of the trails cannot be read or written.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// The built-in policy cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The entry was not recorded.
    #[error("{what} was not recorded: {reason}")]
    NotRecorded {
        /// `the end` or `the beginning`.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// The trail has ended, and another trail is its successor.
    #[error("the trail has ended already, and its successor is {successor}")]
    OtherSuccessor {
        /// The uuid of the successor, or the reason why it is not known.
        successor: String,
    },
    /// No trail with this name can continue the trail.
    #[error("{successor} cannot continue this trail: a successor is another trail with a uuid")]
    NoSuccessor {
        /// The name that was given.
        successor: String,
    },
    /// The predecessor has not ended yet.
    #[error(
        "{origin} has not ended yet: `chiffon-audit trail end --successor {uuid}` in its repository ends it"
    )]
    NotEnded {
        /// The origin of the predecessor.
        origin: String,
        /// The uuid of the trail that is to continue it.
        uuid: String,
    },
    /// The trail has entries, so it cannot begin as the continuation of another one.
    #[error(
        "the trail that is to continue has entries already, or no uuid: only a new one can continue another"
    )]
    NotEmpty,
    /// The trail continues another one already.
    #[error("the trail continues {origin} already")]
    OtherPredecessor {
        /// The origin of the trail that it continues.
        origin: String,
    },
    /// The predecessor is in no place that is known.
    #[error("no repository beside this one holds {origin}: name its directory")]
    NotFound {
        /// Its origin.
        origin: String,
    },
    /// An entry follows the end.
    #[error(
        "an entry follows the end of {origin}, so no trail can continue it: `verify` names its commit"
    )]
    NotLast {
        /// The origin of the predecessor.
        origin: String,
    },
}

/// Initialises a trail that is to continue the one with this origin, or opens it. Nothing is recorded in it before its
/// beginning. Returns it with its uuid.
///
/// # Errors
///
/// [`ContinuationError::NotEmpty`] if it has entries and does not continue that trail.
pub fn prepare(
    dir: &Path,
    init: InitOptions,
    origin: &str,
) -> Result<(Trail, InitReport, String), ContinuationError> {
    let (trail, report) = Trail::init(dir, init)?;
    let continues = || match trail.predecessor()? {
        Some(known) if known.origin == origin => Ok(true),
        Some(known) => Err(ContinuationError::OtherPredecessor {
            origin: known.origin,
        }),
        None => Ok(false),
    };
    if !continues()? {
        let is_empty = trail.entries()?.next().is_none();
        let awaits = is_empty && trail.await_beginning(origin)?;
        // Another process may have recorded the beginning meanwhile.
        if !awaits && !continues()? {
            return Err(ContinuationError::NotEmpty);
        }
    }
    match report.uuid.clone() {
        Some(uuid) => Ok((trail, report, uuid)),
        None => Err(ContinuationError::NotEmpty),
    }
}

/// Completes the continuation of a trail that has ended, and notes where both are. Returns what the beginning says, and
/// whether it was recorded now.
///
/// # Errors
///
/// As [`describe_end`] and [`record_begin`].
pub fn complete(
    before: &Trail,
    (successor, uuid): (&Trail, &str),
    checkpoint: Option<String>,
    engine: &Engine,
    clock: &Arc<dyn Clock>,
) -> Result<(Predecessor, bool), ContinuationError> {
    let described = describe_end(before, uuid, checkpoint)?;
    // Noted first, so that the successor can ask at once.
    successor.note_known_trails(vec![KnownTrail {
        size: Some(described.size),
        root: Some(described.root.clone()),
        successor: Some(uuid.to_owned()),
        ..KnownTrail::at(before.directory(), &described.origin)
    }])?;
    let is_new = record_begin(successor, &described, engine, clock)?;
    successor.forget_awaited()?;
    Ok((described, is_new))
}

/// Records the end of a trail. Returns whether it was recorded now.
///
/// # Errors
///
/// [`ContinuationError::NoSuccessor`] if `successor` is not a uuid, or is the trail's own;
/// [`ContinuationError::OtherSuccessor`] if the trail has ended otherwise.
pub fn record_end(
    trail: &Trail,
    successor: &str,
    engine: &Engine,
    clock: &Arc<dyn Clock>,
) -> Result<bool, ContinuationError> {
    // Nothing can follow the end, so a successor that can never begin would be final.
    let own = trail.name()?.and_then(|name| name.uuid);
    if !is_uuid(successor) || own.as_deref() == Some(successor) {
        return Err(ContinuationError::NoSuccessor {
            successor: successor.to_owned(),
        });
    }
    match trail.ended()? {
        Some(Some(named)) if named == successor => return Ok(false),
        Some(named) => return Err(other_successor(named)),
        None => {}
    }
    let end = EndOfTrail {
        successor: successor.to_owned(),
    };
    let answer = record_own(trail, &end.document(), engine, clock)?;
    match answer.result {
        AnswerKind::Committed => Ok(true),
        AnswerKind::AlreadyRecorded => Ok(false),
        // Another process has ended it meanwhile.
        AnswerKind::Conflicting => Err(other_successor(trail.ended()?.flatten())),
        _ => Err(not_recorded("the end", answer)),
    }
}

/// Describes a trail that has ended.
///
/// # Errors
///
/// [`ContinuationError::NotEnded`] if it has not, [`ContinuationError::OtherSuccessor`] if the end names another trail
/// than `successor`, [`ContinuationError::NotLast`] if an entry follows the end.
pub fn describe_end(
    trail: &Trail,
    successor: &str,
    checkpoint: Option<String>,
) -> Result<Predecessor, ContinuationError> {
    let origin = trail.origin(&[])?;
    match trail.ended()? {
        Some(Some(named)) if named == successor => {}
        Some(named) => return Err(other_successor(named)),
        None => {
            return Err(ContinuationError::NotEnded {
                origin,
                uuid: successor.to_owned(),
            });
        }
    }
    let end = TaskId::parse(outcome::continuation::END).expect("the host's ids are valid");
    let commit = trail.locate(&end)?.and_then(|(_, commit)| commit);
    let tree = trail.tree()?;
    match commit {
        Some(commit) if tree.last_commit().as_ref() == Some(&commit) => Ok(Predecessor {
            origin,
            size: tree.size(),
            root: tree.root_in_base64(),
            tip: commit,
            checkpoint,
        }),
        _ => Err(ContinuationError::NotLast { origin }),
    }
}

/// Records the beginning of a trail that continues another. Returns whether it was recorded now.
///
/// # Errors
///
/// [`ContinuationError::OtherPredecessor`] if the trail continues another one.
pub fn record_begin(
    trail: &Trail,
    predecessor: &Predecessor,
    engine: &Engine,
    clock: &Arc<dyn Clock>,
) -> Result<bool, ContinuationError> {
    // A newer checkpoint is no other predecessor.
    let is_same = |known: &Predecessor| {
        let without = |described: &Predecessor| Predecessor {
            checkpoint: None,
            ..described.clone()
        };
        without(known) == without(predecessor)
    };
    if let Some(known) = trail.predecessor()? {
        return match is_same(&known) {
            true => Ok(false),
            false => Err(ContinuationError::OtherPredecessor {
                origin: known.origin,
            }),
        };
    }
    let answer = record_own(trail, &predecessor.document(), engine, clock)?;
    match answer.result {
        AnswerKind::Committed => Ok(true),
        AnswerKind::AlreadyRecorded => Ok(false),
        // Another process has begun it meanwhile.
        AnswerKind::Conflicting => match trail.predecessor()? {
            Some(known) if is_same(&known) => Ok(false),
            _ => Err(not_recorded("the beginning", answer)),
        },
        _ => Err(not_recorded("the beginning", answer)),
    }
}

/// Records an outcome of the host.
pub(super) fn record_own(
    trail: &Trail,
    document: &[u8],
    engine: &Engine,
    clock: &Arc<dyn Clock>,
) -> Result<Answer, ContinuationError> {
    let options = Options {
        clock: Arc::clone(clock),
        limits: Limits::default(),
        settings: PolicySettings::default(),
        secret: None,
        delivery: Delivery::default(),
        sealer: None,
    };
    let recorder = Recorder::new(trail.clone(), Policy::builtin(engine)?, options);
    Ok(recorder.submit_as(Report::Own, document, None).wait())
}

fn other_successor(named: Option<String>) -> ContinuationError {
    ContinuationError::OtherSuccessor {
        successor: named.unwrap_or_else(|| "not named by its last entry".into()),
    }
}

fn not_recorded(what: &'static str, answer: Answer) -> ContinuationError {
    let violations = answer.violations.iter().map(ToString::to_string);
    let reason = answer
        .reason
        .unwrap_or_else(|| violations.collect::<Vec<_>>().join("; "));
    ContinuationError::NotRecorded { what, reason }
}
