//! Recorded entries in the order of the trail: followers receive each entry once, whichever host committed it.
//!
//! Reads the trail, which is the authority; the store's rows come later and in another order. An entry has the same
//! number on every host, so a follower can continue anywhere, at any time.

mod position;
mod recent;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use position::{EventId, Position};

pub(super) use recent::RecentEntries;

use super::{Orchestrator, RecordedError};
use outcome::TaskId;
use store::Entry;
use trail::{NumberedCommit, NumberedStart, Trail, TrailEnd, TrailError};

/// The interval of remembered places, so that reading starts nearby anywhere in a long history. At 20 bytes each, ten
/// million entries take less than a megabyte.
const MARK_EVERY: u64 = 256;

/// How many entries may share one microsecond if an event id of the old kind is to find them all.
const MAX_TIES: u64 = 1000;

/// What is known about the order of the trail.
#[derive(Default)]
pub(super) struct Order(Mutex<Known>);

#[derive(Default)]
struct Known {
    end: Option<TrailEnd>,
    /// Counts how often history was replaced: a number in one history has no meaning in another.
    history: u64,
    marks: BTreeMap<u64, NumberedCommit>,
}

impl Order {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current durable end of the trail, and the history that it belongs to.
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

    /// Up to `limit` places after `after`, oldest first.
    fn numbered_commits(
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
            Some(mark) => NumberedStart::Entry(mark),
            None => NumberedStart::End(end.clone()),
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

/// A follower's position: the last entry that it received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerPosition {
    /// The history that the number belongs to.
    pub history: u64,
    /// The number of the last entry received.
    pub number: u64,
}

/// Where a follower starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowStart {
    /// Its position.
    pub reached: FollowerPosition,
    /// For an event id of the old kind: entries that were already sent although they come later in the trail. The
    /// value is their time in microseconds and the greatest of their task ids.
    pub skip: Option<(i64, String)>,
    /// Whether the id belongs to no entry of this trail, so that the entries after it cannot be sent.
    pub gap: bool,
}

/// New entries for a follower.
#[derive(Debug)]
pub struct NewEntries {
    /// In the order of the trail.
    pub entries: Vec<(Position, Entry)>,
    /// The position after them.
    pub reached: FollowerPosition,
    /// Whether history was replaced: entries sent earlier may be gone from the trail, and others may be missing.
    pub gap: bool,
}

impl Orchestrator {
    /// Where a follower starts: after this event, or with the next recorded entry.
    ///
    /// # Errors
    ///
    /// The trail cannot be read.
    pub async fn resume(&self, after: Option<EventId>) -> Result<FollowStart, RecordedError> {
        self.read_trail(move |orchestrator, trail| {
            let order = &orchestrator.inner().order;
            let (end, history) = order.end(trail)?;
            let from = |number| FollowStart {
                reached: FollowerPosition { history, number },
                skip: None,
                gap: false,
            };
            let Some(after) = after else {
                return Ok(from(end.entries));
            };
            let found = match &after {
                EventId::Position(position) => {
                    let claimed = position.as_numbered_commit();
                    let before = position.number.saturating_sub(1);
                    let is_there = position.number > 0
                        && position.number <= end.entries
                        && order
                            .numbered_commits(trail, &end, history, before, 1)?
                            .first()
                            .copied()
                            == claimed;
                    is_there.then(|| from(position.number))
                }
                EventId::Former { time, task_id } => {
                    resume_from_time(order, trail, &end, history, (*time, task_id))?
                }
            };
            // What followed an entry that is not in the trail is unknown.
            Ok(found.unwrap_or(FollowStart {
                gap: true,
                ..from(end.entries)
            }))
        })
        .await
    }

    /// Up to `limit` entries that were recorded after this position, in the order of the trail. The last one's number
    /// is at most `until`, and their size hardly exceeds `bytes`. `None` if there is nothing new.
    ///
    /// # Errors
    ///
    /// The trail cannot be read.
    pub async fn recorded_after(
        &self,
        reached: FollowerPosition,
        until: u64,
        limit: usize,
        bytes: usize,
    ) -> Result<NewEntries, RecordedError> {
        self.read_trail(move |orchestrator, trail| {
            let inner = orchestrator.inner();
            let (end, history) = inner.order.end(trail)?;
            let mut news = NewEntries {
                entries: Vec::new(),
                reached,
                gap: false,
            };
            if history != reached.history || reached.number > end.entries {
                news.gap = true;
                news.reached = FollowerPosition {
                    history,
                    number: end.entries,
                };
                return Ok(news);
            }
            let most = until.min(end.entries).saturating_sub(reached.number);
            let limit = limit.min(usize::try_from(most).unwrap_or(usize::MAX));
            let places =
                inner
                    .order
                    .numbered_commits(trail, &end, history, reached.number, limit)?;
            let mut taken = 0;
            for place in places {
                if taken >= bytes {
                    break;
                }
                news.reached.number = place.number;
                let Some(entry) = inner.recent.take_or_read(trail, &place.commit())? else {
                    continue;
                };
                taken += entry.text.len();
                news.entries.push((Position::of(&place), entry));
            }
            Ok(news)
        })
        .await
    }

    /// Sets whether there are followers. If so, entries that are committed here stay in memory until they are sent.
    pub fn keep_recent_entries(&self, has_followers: bool) {
        self.inner().recent.keep(has_followers);
    }

    /// Completes when something may have been recorded here after this call.
    pub fn wait_for_recorded(&self) -> impl Future<Output = ()> + '_ {
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

/// The position for an id from before entries had numbers: the time of recording in microseconds, and the task.
/// Events were ordered by these two.
fn resume_from_time(
    order: &Order,
    trail: &Trail,
    end: &TrailEnd,
    history: u64,
    (time, task_id): (i64, &TaskId),
) -> Result<Option<FollowStart>, TrailError> {
    let Some((_, Some(commit))) = trail.locate(task_id)? else {
        return Ok(None);
    };
    let Some(place) = trail.number_of(end, &commit)? else {
        return Ok(None);
    };
    // Times never decrease along a trail. Within the same microsecond, some earlier entries were not sent.
    let mut number = place.number;
    while number > 0 && place.number - number < MAX_TIES {
        let before = order.numbered_commits(trail, end, history, number - 1, 1)?;
        let Some(before) = before.first() else { break };
        let entry = recent::read(trail, &before.commit())?;
        if entry.is_some_and(|entry| entry.recorded_at.microseconds() != time) {
            break;
        }
        number -= 1;
    }
    Ok(Some(FollowStart {
        reached: FollowerPosition { history, number },
        skip: Some((time, task_id.to_string())),
        gap: false,
    }))
}
