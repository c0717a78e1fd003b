//! Catching up: the step of a refresh in which a repository takes in what the log has, or gives back what the log has lost.

use std::sync::atomic::Ordering;

use gix::ObjectId;

use super::{LogHead, LogRecord};
use crate::error::TrailError;
use crate::place::state::Mark;
use crate::setup::remote_trails::is_first_parent_ancestor;
use crate::{CHECKPOINTS_REF, POLICIES_REF, TrailInner};

impl TrailInner {
    /// Brings the refs to the end of the log, if it may have changed. The caller holds the writer lock.
    pub(crate) fn catch_up_with_log(&self, acknowledged: Option<&Mark>) -> Result<(), TrailError> {
        let Some(_) = self.replication.log() else {
            return Ok(());
        };
        // A ref that is not where this program left it was moved by somebody else, or by a crash that kept the note from being written. Only
        // the log tells.
        let here = self.repository.read_ref(&self.identity.reference)?;
        let is_known = here == acknowledged.map(|mark| mark.tip);
        if !self.replication.stale.swap(false, Ordering::SeqCst) && is_known {
            return Ok(());
        }
        let caught_up = self.catch_up_once(acknowledged);
        if caught_up.is_err() {
            self.replication.expect_news();
        }
        caught_up
    }

    /// The log's end at the time of the call is reached on return.
    fn catch_up_once(&self, acknowledged: Option<&Mark>) -> Result<(), TrailError> {
        let Some(log) = self.replication.log() else {
            return Ok(());
        };
        let unavailable = |error: super::LogError| error.into_trail_error(&self.identity.reference);
        let reference = &self.identity.reference;
        let mut acknowledged = acknowledged.map(|mark| mark.tip);
        let goal = log.head().map_err(unavailable)?.seq;
        let head = loop {
            // Again after every read, which may have gone beyond the former end.
            let head = log.head().map_err(unavailable)?;
            let applied = self.replication.applied.load(Ordering::SeqCst);
            if applied >= head.seq {
                break head;
            }
            // Others append all the time: the rest comes with the next refresh.
            if applied >= goal {
                self.replication.expect_news();
                return Ok(());
            }
            // In most cases every ref is there already.
            if self.is_at(&head)? {
                self.replication.applied.store(head.seq, Ordering::SeqCst);
                return Ok(());
            }
            let records = log.read(applied).map_err(unavailable)?;
            if records.is_empty() {
                let why = format!("the log ends before its record {}", head.seq);
                return Err(TrailError::LogUnavailable(why));
            }
            for record in records {
                if record.seq != self.replication.applied.load(Ordering::SeqCst) + 1 {
                    return Err(TrailError::InvalidRecord {
                        seq: record.seq,
                        why: "the record before it is missing".into(),
                    });
                }
                if self.take_in(&record, acknowledged)? && record.reference == *reference {
                    acknowledged = self.repository.read_ref(reference)?;
                }
                self.replication.applied.store(record.seq, Ordering::SeqCst);
            }
        };
        // Greater only if the log has lost records: their places are given again.
        self.replication.applied.store(head.seq, Ordering::SeqCst);
        self.give_back(&head, acknowledged)
    }

    /// Whether every ref is where the log has it.
    fn is_at(&self, head: &LogHead) -> Result<bool, TrailError> {
        for reference in [
            self.identity.reference.as_str(),
            POLICIES_REF,
            CHECKPOINTS_REF,
        ] {
            let Some(tip) = head.tips.get(reference) else {
                continue;
            };
            let here = self.repository.read_ref(reference)?;
            if !is_at_tip(here, tip) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Applies a record, unless its commits are here. Returns whether the ref has moved.
    fn take_in(
        &self,
        record: &LogRecord,
        acknowledged: Option<ObjectId>,
    ) -> Result<bool, TrailError> {
        let known = [
            self.identity.reference.as_str(),
            POLICIES_REF,
            CHECKPOINTS_REF,
        ];
        if !known.contains(&record.reference.as_str()) {
            // It would be a path of this machine.
            return Err(TrailError::InvalidRecord {
                seq: record.seq,
                why: "it moves a ref that is not the trail's".into(),
            });
        }
        let here = self.repository.read_ref(&record.reference)?;
        let name = here.map(|here| here.to_string());
        if name == record.parent {
            self.apply(record)?;
            return Ok(true);
        }
        let tip = ObjectId::from_hex(record.tip.as_bytes()).ok();
        if let (Some(here), Some(tip)) = (here, tip)
            && self.repository.has(gix::objs::Kind::Commit, &tip)
            && is_first_parent_ancestor(&self.repository, Some(tip), here)?
        {
            return Ok(false);
        }
        Err(self.parted(&record.reference, here, acknowledged, &record.tip))
    }

    /// The error for a ref that has commits which the log lacks, where the log has others.
    fn parted(
        &self,
        reference: &str,
        here: Option<ObjectId>,
        acknowledged: Option<ObjectId>,
        log: &str,
    ) -> TrailError {
        let reference = reference.to_owned();
        let here_text = here.map_or_else(|| "no commit".to_owned(), |here| here.to_string());
        let log = log.to_owned();
        match here.is_some() && here == acknowledged {
            true => TrailError::Forked {
                reference,
                here: here_text,
                log,
            },
            false => TrailError::DivergedFromLog {
                reference,
                here: here_text,
                log,
            },
        }
    }

    /// Gives back to the log what it has lost: commits that were acknowledged here, if nothing else was appended since.
    fn give_back(&self, head: &LogHead, acknowledged: Option<ObjectId>) -> Result<(), TrailError> {
        let reference = &self.identity.reference;
        for name in [POLICIES_REF, CHECKPOINTS_REF, reference.as_str()] {
            let Some(tip) = head.tips.get(name) else {
                continue;
            };
            let here = self.repository.read_ref(name)?;
            if is_at_tip(here, tip) {
                continue;
            }
            let parse = ObjectId::from_hex(tip.as_bytes()).ok();
            let continues = match (parse, here) {
                (Some(tip), Some(here)) if self.repository.has(gix::objs::Kind::Commit, &tip) => {
                    is_first_parent_ancestor(&self.repository, Some(tip), here)?
                }
                _ => false,
            };
            // Only what this program has acknowledged was in the log before. A person's commit never was.
            let is_ours = name != reference || here == acknowledged;
            let (Some(here), true, true) = (here, continues, is_ours) else {
                return Err(self.parted(name, here, acknowledged, tip));
            };
            tracing::warn!(
                reference = name,
                from = tip,
                "the log has lost its newest records: this repository gives them back"
            );
            self.append_history(name, parse, here)?;
        }
        Ok(())
    }
}

/// Whether a ref is at the commit with this id.
fn is_at_tip(here: Option<ObjectId>, tip: &str) -> bool {
    here.is_some() && here == ObjectId::from_hex(tip.as_bytes()).ok()
}
