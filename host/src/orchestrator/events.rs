//! What is recorded, as it is recorded: whoever follows hears of each entry once, whichever host has committed it.
//!
//! Reads the projection, so that one who was away goes on from where they were.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Orchestrator;
use crate::clock::Timestamp;
use crate::store::{Entry, Filter, LIMIT_MOST, PageRequest, StoreError};

/// How often the store is asked for what other hosts have recorded.
const LOOK: Duration = Duration::from_millis(500);

/// The least time between two looks: at thousands of entries a second one look is worth many.
const LEAST: Duration = Duration::from_millis(100);

/// Entries become visible in the order in which they were recorded, but for those of a host that took over; so far back they
/// are looked for again.
const OVERLAP: i64 = 10_000_000;

/// A place in what is recorded: microseconds of the time of recording, and the task. Later is greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(i64, String);

impl Position {
    /// The place of an entry.
    pub fn of(entry: &Entry) -> Position {
        Position(entry.recorded_at.microseconds(), entry.task_id.clone())
    }
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.0, self.1)
    }
}

impl FromStr for Position {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Position, &'static str> {
        let wrong = "must be the id of an event";
        let (time, task_id) = text.split_once('.').ok_or(wrong)?;
        let time = time.parse().map_err(|_| wrong)?;
        Ok(Position(time, task_id.to_owned()))
    }
}

/// How many pages one look takes in at most. Who was away for longer asks with a query what is missing.
const PAGES_MOST: usize = 20;

/// What was not told yet.
#[derive(Debug)]
pub struct News {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// There was more, older than these, that is not told.
    pub gap: bool,
}

/// One who follows what is recorded.
pub struct Events {
    orchestrator: Orchestrator,
    /// What was told, as far back as it is looked for again.
    told: BTreeSet<Position>,
    since: i64,
}

impl Orchestrator {
    /// Follows what is recorded: from after that place, or from now on.
    ///
    /// # Errors
    ///
    /// Where the store cannot say what was recorded so far.
    pub async fn events(&self, after: Option<Position>) -> Result<Events, StoreError> {
        let told: BTreeSet<Position> = match after {
            Some(after) => [after].into(),
            // Not this machine's time, which may be set back behind the newest entry's: times of recording never go back.
            None => self.newest().await?,
        };
        Ok(Events {
            orchestrator: self.clone(),
            // The one after it may have the same time.
            since: told.last().map_or(i64::MIN, |position| position.0),
            told,
        })
    }

    /// The places of what was recorded last: several where the clock stood still or was behind.
    async fn newest(&self) -> Result<BTreeSet<Position>, StoreError> {
        let mut request = PageRequest {
            limit: 1,
            total: false,
            ..PageRequest::default()
        };
        let page = self.store().query(&Filter::default(), &request).await?;
        let filter = Filter {
            since: page.entries.first().map(|entry| entry.recorded_at),
            ..Filter::default()
        };
        request.limit = LIMIT_MOST;
        let page = self.store().query(&filter, &request).await?;
        Ok(page.entries.iter().map(Position::of).collect())
    }
}

impl Events {
    /// Waits for entries that were not told yet, oldest first; at least one.
    ///
    /// # Errors
    ///
    /// Where the store cannot be asked: ask again later.
    pub async fn next(&mut self) -> Result<News, StoreError> {
        let inner = self.orchestrator.inner().clone();
        loop {
            let recorded = inner.recorded.notified();
            let news = self.look().await?;
            if !news.entries.is_empty() {
                return Ok(news);
            }
            let _ = tokio::time::timeout(LOOK, recorded).await;
            tokio::time::sleep(LEAST).await;
        }
    }

    async fn look(&mut self) -> Result<News, StoreError> {
        let latest = self.told.last().map_or(self.since, |position| position.0);
        let since = self.since.max(latest.saturating_sub(OVERLAP));
        let filter = Filter {
            since: Some(Timestamp::from_microseconds(since)),
            ..Filter::default()
        };
        let mut request = PageRequest {
            limit: LIMIT_MOST,
            total: false,
            ..PageRequest::default()
        };
        let mut found = Vec::new();
        let mut gap = false;
        for pages in 1.. {
            let page = self.orchestrator.store().query(&filter, &request).await?;
            let known = page.entries.len();
            found.extend(
                page.entries
                    .into_iter()
                    .filter(|entry| !self.told.contains(&Position::of(entry))),
            );
            match page.next {
                Some(_) if pages == PAGES_MOST => {
                    gap = true;
                    break;
                }
                Some(next) if known > 0 => request.after = Some(next),
                _ => break,
            }
        }
        found.reverse();
        self.told.extend(found.iter().map(Position::of));
        if let Some(Position(latest, _)) = self.told.last() {
            self.told = self
                .told
                .split_off(&Position(latest.saturating_sub(OVERLAP), String::new()));
        }
        Ok(News {
            entries: found,
            gap,
        })
    }
}
