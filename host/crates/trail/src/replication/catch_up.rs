//! Catching up: the step of a refresh in which a repository takes in what the log has, or gives back what the log has lost.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use gix::ObjectId;

use super::{Log, LogHead, LogRecord};
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
        // A ref that is not where this program left it was moved by another process, or by a crash that kept the note from being written. Only
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
        let goal = log.head().map_err(unavailable)?;
        let places = match self.replication.applied() {
            0 => self.places(&**log, &goal, acknowledged)?,
            _ => BTreeMap::new(),
        };
        let goal = goal.seq;
        let head = loop {
            // Again after every read, which may have gone beyond the former end.
            let head = log.head().map_err(unavailable)?;
            let applied = self.replication.applied.load(Ordering::SeqCst);
            if applied >= head.seq {
                break head;
            }
            // Others append all the time: the rest comes with the next refresh.
            if applied >= goal && self.repository.read_ref(reference)? == acknowledged {
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
            for run in runs(&records) {
                let first = self.replication.applied() + 1;
                if let Some((_, record)) = (first..).zip(run).find(|(seq, it)| it.seq != *seq) {
                    return Err(TrailError::InvalidRecord {
                        seq: record.seq,
                        why: "the record before it is missing".into(),
                    });
                }
                let (Some(record), Some(last)) = (run.first(), run.last()) else {
                    continue;
                };
                let place = places.get(&record.reference).copied().unwrap_or_default();
                if last.seq > place {
                    self.take_in_run(run, acknowledged)?;
                    if record.reference == *reference {
                        acknowledged = self.repository.read_ref(reference)?;
                    }
                }
                self.replication.applied.store(last.seq, Ordering::SeqCst);
            }
        };
        // Greater only if the log has lost records: their places are given again.
        self.replication.applied.store(head.seq, Ordering::SeqCst);
        self.give_back(&head, acknowledged)
    }

    /// For each ref the place of the record that moved it where it is, and from them where to read on. Reading the whole log again at every start
    /// would take longer with every entry.
    fn places(
        &self,
        log: &dyn Log,
        head: &LogHead,
        acknowledged: Option<ObjectId>,
    ) -> Result<BTreeMap<String, i64>, TrailError> {
        let mut places = BTreeMap::new();
        let mut start = head.seq;
        for reference in self.known_refs() {
            let Some(tip) = head.tips.get(reference) else {
                continue;
            };
            let here = self.repository.read_ref(reference)?;
            if is_at_tip(here, tip) {
                places.insert(reference.to_owned(), head.seq);
                continue;
            }
            let found = match here {
                None => Some(0),
                Some(here) => log
                    .find(&here.to_string())
                    .map_err(|error| error.into_trail_error(reference))?,
            };
            let place = match found {
                Some(place) => place,
                // The log lost what is here, which is given back, or it has something else.
                None if self.has_before(here, tip)? => head.seq,
                None => return Err(self.parted(reference, here, acknowledged, tip)),
            };
            start = start.min(place);
            places.insert(reference.to_owned(), place);
        }
        self.replication.applied.store(start, Ordering::SeqCst);
        Ok(places)
    }

    /// The refs that a log may move. Any other name would be a path of this machine.
    fn known_refs(&self) -> [&str; 3] {
        [POLICIES_REF, CHECKPOINTS_REF, &self.identity.reference]
    }

    /// Whether a commit of the log is in the history of a ref here.
    fn has_before(&self, here: Option<ObjectId>, tip: &str) -> Result<bool, TrailError> {
        match (here, ObjectId::from_hex(tip.as_bytes()).ok()) {
            (Some(here), Some(tip)) if self.repository.has(gix::objs::Kind::Commit, &tip) => {
                is_first_parent_ancestor(&self.repository, Some(tip), here)
            }
            _ => Ok(false),
        }
    }

    /// Whether every ref is where the log has it.
    fn is_at(&self, head: &LogHead) -> Result<bool, TrailError> {
        for reference in self.known_refs() {
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

    /// Applies records that follow each other: as one if possible, else each by itself, so that those before a wrong one count.
    fn take_in_run(
        &self,
        run: &[LogRecord],
        acknowledged: Option<ObjectId>,
    ) -> Result<(), TrailError> {
        let (Some(first), [_, _, ..]) = (run.first(), run) else {
            return run
                .iter()
                .try_for_each(|record| self.take_in(record, acknowledged));
        };
        let here = self.repository.read_ref(&first.reference)?;
        let follows = here.map(|here| here.to_string()) == first.parent;
        if follows && self.known_refs().contains(&first.reference.as_str()) {
            match self.apply(run) {
                Err(TrailError::InvalidRecord { .. }) => {}
                applied => return applied,
            }
        }
        let mut acknowledged = acknowledged;
        for record in run {
            self.take_in(record, acknowledged)?;
            if record.reference == self.identity.reference {
                acknowledged = self.repository.read_ref(&record.reference)?;
            }
        }
        Ok(())
    }

    /// Applies a record, unless its commits are here.
    fn take_in(
        &self,
        record: &LogRecord,
        acknowledged: Option<ObjectId>,
    ) -> Result<(), TrailError> {
        if !self.known_refs().contains(&record.reference.as_str()) {
            return Err(TrailError::InvalidRecord {
                seq: record.seq,
                why: "it moves a ref that is not the trail's".into(),
            });
        }
        let here = self.repository.read_ref(&record.reference)?;
        let name = here.map(|here| here.to_string());
        if name == record.parent {
            return self.apply(std::slice::from_ref(record));
        }
        if self.has_before(here, &record.tip)? {
            return Ok(());
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
        let is_member = self.state.read_membership()?.is_some();
        for name in self.known_refs() {
            let Some(tip) = head.tips.get(name) else {
                // The log lost the record that began the ref, or taking the trail in was interrupted.
                if let (true, Some(here)) = (is_member, self.repository.read_ref(name)?) {
                    self.append_history(name, None, here)?;
                }
                continue;
            };
            let here = self.repository.read_ref(name)?;
            if is_at_tip(here, tip) {
                continue;
            }
            let parse = ObjectId::from_hex(tip.as_bytes()).ok();
            let continues = self.has_before(here, tip)?;
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

/// The most bytes of packs that are applied as one.
const RUN_BYTES: usize = 32 << 20;

/// Splits records into runs that follow each other on one ref.
fn runs(records: &[LogRecord]) -> Vec<&[LogRecord]> {
    let mut runs = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (number, record) in records.iter().enumerate() {
        let follows = number > start && {
            let before = &records[number - 1];
            record.reference == before.reference && record.parent.as_ref() == Some(&before.tip)
        };
        if number > start && (!follows || bytes + record.pack.len() > RUN_BYTES) {
            runs.push(&records[start..number]);
            (start, bytes) = (number, 0);
        }
        bytes += record.pack.len();
    }
    runs.push(&records[start..]);
    runs
}
