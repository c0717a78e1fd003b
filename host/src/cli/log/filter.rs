//! Filters for entries, and the fields that they read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::exit::UsageError;
use super::super::show::is_of;
use super::super::text::Line;
use super::super::time::{self, Bound};
use super::Args;
use crate::clock::Timestamp;
use crate::outcome::{self, Reporter, TaskId, TaskStatus};
use crate::store;
use crate::trail::LoggedEntry;

/// The fields that filters and the log read; the rest of an entry is skipped.
#[derive(Deserialize)]
pub(super) struct Fields<'a> {
    #[serde(borrow)]
    pub(super) status: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) plan_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) dispatch_info: Dispatch<'a>,
    #[serde(borrow, default)]
    pub(super) execution_result: Execution<'a>,
    #[serde(borrow)]
    pub(super) timestamp: Cow<'a, str>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
pub(super) struct Dispatch<'a> {
    #[serde(borrow)]
    pub(super) agent_pool: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) agent_id: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
pub(super) struct Execution<'a> {
    #[serde(borrow, default)]
    pub(super) services_touched: Vec<Cow<'a, str>>,
}

impl Fields<'_> {
    /// Returns `None` if the entry cannot be read, because someone replaced it by hand. No filter matches such an
    /// entry.
    pub(super) fn read(entry: &[u8]) -> Option<Fields<'_>> {
        serde_json::from_slice(entry).ok()
    }

    /// The purpose of the task: `metadata.intent` if it is a string, otherwise the plan's id.
    pub(super) fn intent(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Metadata<'a> {
            #[serde(borrow)]
            intent: Option<&'a RawValue>,
        }
        let intent = || {
            let metadata: Metadata<'_> = serde_json::from_str(self.metadata?.get()).ok()?;
            serde_json::from_str(metadata.intent?.get()).ok()
        };
        intent().or_else(|| self.plan_id.as_deref().map(str::to_owned))
    }
}

pub(super) struct Filter<'a> {
    args: &'a Args,
    /// The statuses of `--status`, and those that `--failures` means.
    statuses: Vec<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Whether an entry must be read to be shown.
    reads: bool,
}

impl<'a> Filter<'a> {
    pub(super) fn new(args: &'a Args, now: Timestamp) -> Result<Filter<'a>, UsageError> {
        let mut statuses = args.status.clone();
        if args.failures {
            statuses.push("failed".to_owned());
        }
        if let Some(wrong) = statuses
            .iter()
            .find(|name| !TaskStatus::is_valid_name(name))
        {
            let (wrong, names) = (Line(wrong), TaskStatus::NAMES);
            return Err(UsageError(format!("--status {wrong}: a status is {names}")));
        }
        for name in &args.reporter {
            if let Err(rule) = Reporter::parse(name) {
                let name = Line(name);
                return Err(UsageError(format!("--reporter {name}: a name {rule}")));
            }
        }
        let days = args.days.map(|days| {
            const DAY: i64 = 86_400_000_000;
            Timestamp::from_microseconds(now.microseconds().saturating_sub(i64::from(days) * DAY))
        });
        let since = time::option("--since", args.since.as_deref(), Bound::Since, now)?.or(days);
        let until = time::option("--until", args.until.as_deref(), Bound::Until, now)?;
        let lists = [
            &statuses,
            &args.service,
            &args.intent,
            &args.plan,
            &args.agent,
            &args.agent_pool,
        ];
        Ok(Filter {
            args,
            reads: lists.iter().any(|list| !list.is_empty()) || since.is_some() || until.is_some(),
            statuses,
            since,
            until,
        })
    }

    /// Whether this entry, and therefore every older one, is before the time span.
    ///
    /// Along a trail the times of commits do not decrease, and an entry with a different time counts with its
    /// commit's. One day of tolerance allows for commits that people inserted.
    pub(super) fn is_past(&self, logged: &LoggedEntry) -> bool {
        const GRACE: i64 = 86_400;
        self.since
            .is_some_and(|since| logged.time.seconds() < since.seconds() - GRACE)
    }

    pub(super) fn matches(&self, logged: &LoggedEntry, fields: Option<&Fields<'_>>) -> bool {
        let reporter = logged.reporter.as_ref().map(Reporter::as_str);
        if !any(&self.args.reporter, reporter) {
            return false;
        }
        if !self.args.source_id.is_empty() && !self.is_of_source(logged) {
            return false;
        }
        if !self.reads {
            return true;
        }
        let Some(fields) = fields else { return false };
        let services = &fields.execution_result.services_touched;
        let time = outcome::parse_time(&fields.timestamp).map_or(logged.time, |time| {
            time.bounded_by_commit(logged.time.seconds())
        });
        any(&self.statuses, Some(&fields.status))
            && (self.args.intent.is_empty() || any(&self.args.intent, fields.intent().as_deref()))
            && any(&self.args.plan, fields.plan_id.as_deref())
            && any(&self.args.agent, fields.dispatch_info.agent_id.as_deref())
            && any(
                &self.args.agent_pool,
                fields.dispatch_info.agent_pool.as_deref(),
            )
            && (self.args.service.is_empty()
                || services
                    .iter()
                    .any(|service| any(&self.args.service, Some(service))))
            && self.since.is_none_or(|since| since <= time)
            && self.until.is_none_or(|until| time <= until)
    }

    fn is_of_source(&self, logged: &LoggedEntry) -> bool {
        let Ok(task_id) = TaskId::parse(&logged.task_id) else {
            return false;
        };
        let mut wanted = self.args.source_id.iter();
        wanted.any(|source_id| is_of(&logged.entry, &task_id, source_id))
    }

    /// The part of the filter that a store can evaluate; [`Filter::matches`] checks the rest.
    pub(super) fn for_store(&self) -> store::Filter {
        let only = |list: &[String]| match list {
            [one] => Some(one.clone()),
            _ => None,
        };
        store::Filter {
            status: only(&self.statuses),
            service: only(&self.args.service),
            intent: only(&self.args.intent),
            reporter: only(&self.args.reporter),
            since: self.since,
            until: self.until,
        }
    }
}

/// Whether the filter is empty, or contains the value found.
fn any(wanted: &[String], found: Option<&str>) -> bool {
    wanted.is_empty() || found.is_some_and(|found| wanted.iter().any(|wanted| wanted == found))
}
