//! The claim that a proof leads to a checkpoint that the auditor keeps. Without it, the proof's own checkpoint is only as
//! good as its key: the holder of the key can sign a second history.

use super::given::GivenCheckpoint;
use super::merkle::note::Checkpoint;
use super::quote::quote;
use super::report::{Claim, Verdict};

/// The claim about a proof with this checkpoint; `None` if the auditor gave none.
pub(crate) fn claim(own: &Checkpoint, given: &[GivenCheckpoint]) -> Option<Claim> {
    if given.is_empty() {
        return None;
    }
    let title = "it leads to a checkpoint that was given";
    Some(Claim::new("same-checkpoint", title, judge(own, given)))
}

fn judge(own: &Checkpoint, given: &[GivenCheckpoint]) -> Verdict {
    let broken = |what: String| Verdict::Broken {
        commit: None,
        what,
        count: 1,
    };
    let origin = |given: &&GivenCheckpoint| given.checkpoint.origin == own.origin;
    let of_trail: Vec<&GivenCheckpoint> = given.iter().filter(origin).collect();
    let Some(first) = of_trail.first() else {
        return broken(format!(
            "no given checkpoint is of its trail: it is of {}, and {} is of {}",
            quote(own.origin.as_bytes()),
            given[0].name(),
            quote(given[0].checkpoint.origin.as_bytes())
        ));
    };
    let of_size = |given: &&&GivenCheckpoint| given.checkpoint.size == own.size;
    let mut of_size = of_trail.iter().filter(of_size).peekable();
    if of_size.peek().is_none() {
        return Verdict::NotShown {
            missing: format!(
                "whether its checkpoint, over {} entries, belongs to the history of {}, over {}; only an audit of the \
                 trail with `--against` shows it",
                own.size,
                first.name(),
                first.checkpoint.size
            ),
        };
    }
    match of_size.find(|given| given.checkpoint.root != own.root) {
        None => Verdict::Holds,
        Some(given) => broken(format!(
            "{} has the same size and another root: two histories were signed",
            given.name()
        )),
    }
}
