//! What is recorded, in the order of the trail: followers hear of each entry once, whichever host has committed it.
//!
//! Reads the trail, which is the authority: rows of the store come later and in another order. The number of an entry is the same
//! on every host, so a follower can go on anywhere, at any time.

mod fresh;
mod position;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use position::{EventId, Position};

pub(super) use fresh::Fresh;

use super::{Orchestrator, RecordedError};
use outcome::TaskId;
use store::Entry;
use trail::{NumberedCommit, NumberedFrom, Trail, TrailEnd, TrailError};

/// Every so many entries a place is remembered, so that reading from anywhere in a long history begins near by: at 20 bytes
/// each, ten million entries take less than a megabyte.
const MARK_EVERY: u64 = 256;

/// How many entries may share one microsecond for an id of the former kind to find them all.
const TIES_MOST: u64 = 1000;

/// What is known of the trail's order.
#[derive(Default)]
pub(super) struct Order(Mutex<Known>);

#[derive(Default)]
struct Known {
    end: Option<TrailEnd>,
    /// Counts how often history was replaced: numbers of one history mean nothing in another.
    history: u64,
    marks: BTreeMap<u64, NumberedCommit>,
}

impl Order {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The durable end of the trail as it is now, and which history it is of.
    fn end(&self, trail: &Trail) -> Result<(TrailEnd, u64), TrailError> {
        let (known, history) = {
            let known = self.known();
            (known.end.clone(), known.history)
        };
        let continued = match &known {
            Some(known) => trail.end_after(known)?,
            None => None,
        };
        let is_another = known.is_some() && continued.is_none();
        let end = match continued {
            Some(end) => end,
            None => trail.end()?,
        };
        let mut order = self.known();
        if order.history != history {
            // Another reader has noticed that history was replaced.
            return Ok((order.end.clone().unwrap_or(end), order.history));
        }
        if is_another {
            order.history += 1;
            order.marks.clear();
        }
        // Another reader may have looked later.
        if is_another
            || order
                .end
                .as_ref()
                .is_none_or(|known| known.entries <= end.entries)
        {
            order.end = Some(end.clone());
        }
        Ok((end, order.history))
    }

    /// The places after `after`, at most `limit`, the oldest first.
    fn places(
        &self,
        trail: &Trail,
        end: &TrailEnd,
        history: u64,
        after: u64,
        limit: usize,
    ) -> Result<Vec<NumberedCommit>, TrailError> {
        let last = after.saturating_add(limit as u64);
        let from = {
            let known = self.known();
            let mark = known.marks.range(last..).next().map(|(_, mark)| *mark);
            mark.filter(|mark| known.history == history && mark.number <= end.entries)
        };
        let from = match from {
            Some(mark) => NumberedFrom::Entry(mark),
            None => NumberedFrom::End(end.clone()),
        };
        let mut marks = Vec::new();
        let places = trail.numbered(&from, after, limit, |place| {
            if place.number % MARK_EVERY == 0 {
                marks.push(place);
            }
        })?;
        let mut known = self.known();
        if known.history == history {
            let marks = marks.into_iter().map(|mark| (mark.number, mark));
            known.marks.extend(marks);
        }
        Ok(places)
    }
}

/// A follower's place: what it was told up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which history the number is of.
    pub history: u64,
    /// The number of the last entry that was told.
    pub number: u64,
}

/// Where a follower begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// What it was told.
    pub told: Told,
    /// Entries that an id of the former kind says were told, though they come later in the trail: their time in microseconds, and
    /// the greatest of their task ids.
    pub skip: Option<(i64, String)>,
    /// The id is of no entry of this trail: what came after it cannot be told.
    pub gap: bool,
}

/// Entries that were not told yet.
#[derive(Debug)]
pub struct News {
    /// In the order of the trail.
    pub entries: Vec<(Position, Entry)>,
    /// What is told with them.
    pub told: Told,
    /// History was replaced: what was told before may not be in the trail any more, and more may be missing.
    pub gap: bool,
}

impl Orchestrator {
    /// Where a follower begins: after that event, or with what is recorded from now on.
    ///
    /// # Errors
    ///
    /// Where the trail cannot be read.
    pub async fn resume(&self, after: Option<EventId>) -> Result<Resumed, RecordedError> {
        self.read_trail(move |orchestrator, trail| {
            let order = &orchestrator.inner().order;
            let (end, history) = order.end(trail)?;
            let from = |number| Resumed {
                told: Told { history, number },
                skip: None,
                gap: false,
            };
            let Some(after) = after else {
                return Ok(from(end.entries));
            };
            let found = match &after {
                EventId::Position(position) => {
                    let claimed = position.claimed();
                    let before = position.number.saturating_sub(1);
                    let is_there = position.number > 0
                        && position.number <= end.entries
                        && order
                            .places(trail, &end, history, before, 1)?
                            .first()
                            .copied()
                            == claimed;
                    is_there.then(|| from(position.number))
                }
                EventId::Former { time, task_id } => {
                    former(order, trail, &end, history, (*time, task_id))?
                }
            };
            // Nothing says what came after an entry that is not in the trail.
            Ok(found.unwrap_or(Resumed {
                gap: true,
                ..from(end.entries)
            }))
        })
        .await
    }

    /// Entries that were recorded after those that were told, in the order of the trail: at most `limit`, the last of them with
    /// a number of at most `until`, and not many more than `bytes` bytes. None if there is nothing new.
    ///
    /// # Errors
    ///
    /// Where the trail cannot be read.
    pub async fn recorded_after(
        &self,
        told: Told,
        until: u64,
        limit: usize,
        bytes: usize,
    ) -> Result<News, RecordedError> {
        self.read_trail(move |orchestrator, trail| {
            let inner = orchestrator.inner();
            let (end, history) = inner.order.end(trail)?;
            let mut news = News {
                entries: Vec::new(),
                told,
                gap: false,
            };
            if history != told.history || told.number > end.entries {
                news.gap = true;
                news.told = Told {
                    history,
                    number: end.entries,
                };
                return Ok(news);
            }
            let most = until.min(end.entries).saturating_sub(told.number);
            let limit = limit.min(usize::try_from(most).unwrap_or(usize::MAX));
            let places = inner
                .order
                .places(trail, &end, history, told.number, limit)?;
            let mut taken = 0;
            for place in places {
                if taken >= bytes {
                    break;
                }
                news.told.number = place.number;
                let Some(entry) = inner.fresh.take_or_read(trail, &place.commit())? else {
                    continue;
                };
                taken += entry.text.len();
                news.entries.push((Position::of(&place), entry));
            }
            Ok(news)
        })
        .await
    }

    /// Whether somebody follows: then entries that are committed here are kept in memory until they are told.
    pub fn keep_fresh(&self, somebody_follows: bool) {
        self.inner().fresh.keep(somebody_follows);
    }

    /// Until something may have been recorded here, after this was called.
    pub fn something_recorded(&self) -> impl Future<Output = ()> + '_ {
        self.inner().recorded.notified()
    }

    async fn read_trail<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Orchestrator, &Trail) -> Result<T, TrailError> + Send + 'static,
    ) -> Result<T, RecordedError> {
        let orchestrator = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let in_force = orchestrator.in_force();
            work(&orchestrator, in_force.recorder.trail())
        });
        let stopped = || TrailError::Internal;
        Ok(reading.await.unwrap_or_else(|_| Err(stopped()))?)
    }
}

/// The place of an id as they were before entries had numbers: the time of recording in microseconds, and the task. Events
/// came in the order of the two.
fn former(
    order: &Order,
    trail: &Trail,
    end: &TrailEnd,
    history: u64,
    (time, task_id): (i64, &TaskId),
) -> Result<Option<Resumed>, TrailError> {
    let Some((_, Some(commit))) = trail.locate(task_id)? else {
        return Ok(None);
    };
    let Some(place) = trail.number_of(end, &commit)? else {
        return Ok(None);
    };
    // Times never run backwards in a trail. Of those of one microsecond, some that come before it here were not told.
    let mut number = place.number;
    while number > 0 && place.number - number < TIES_MOST {
        let before = order.places(trail, end, history, number - 1, 1)?;
        let Some(before) = before.first() else { break };
        let entry = fresh::read(trail, &before.commit())?;
        if entry.is_some_and(|entry| entry.recorded_at.microseconds() != time) {
            break;
        }
        number -= 1;
    }
    Ok(Some(Resumed {
        told: Told { history, number },
        skip: Some((time, task_id.to_string())),
        gap: false,
    }))
}
