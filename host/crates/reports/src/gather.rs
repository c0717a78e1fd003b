//! Counts entries during an audit. Memory is bounded, except for eight bytes per entry.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use super::count::{self, MAX_STATUSES, NameCounts, PeriodCounts, Row};
use super::facts::{
    ClaimRow, Facts, Failure, Gap, Kept, NamedTally, Period, PolicySpan, Span, Tally,
};
use super::time;
use outcome::clock::Timestamp;
use outcome::continuation::is_reserved;
use verify::{Report, TrailCommit, Verdict, Visitor};

/// How many failures to list.
const FAILURES: usize = 25;

/// How many gaps to list.
const GAPS: usize = 8;

/// How many bars a chart can show readably.
const BARS: usize = 12;

/// How many periods a chart can show readably.
const PERIODS: i64 = 60;

/// The most policies to count separately; each change of settings makes one more.
const MAX_POLICIES: usize = 1000;

/// Counts the entries of a time span.
#[derive(Default)]
pub struct ReportCounter {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    counts: Mutex<Counts>,
}

/// The parts of a report that are not counted.
pub struct ReportContext {
    /// When the report is made.
    pub now: Timestamp,
    /// The repository, as it was named.
    pub repository: String,
    /// The questions of the audit, in words.
    pub asked: Vec<String>,
    /// Refusals and conflicts.
    pub kept: Kept,
}

#[derive(Default)]
struct Counts {
    counted: u64,
    statuses: Vec<String>,
    by_status: Row,
    periods: PeriodCounts,
    services: NameCounts,
    pools: NameCounts,
    reporters: NameCounts,
    times: Vec<i64>,
    failed: u64,
    failures: BTreeMap<(i64, String), Failure>,
    policies: BTreeMap<(String, String), PolicyCount>,
}

struct PolicyCount {
    entries: u64,
    first: (u64, i64, String),
    last: (u64, i64, String),
}

/// The members of an entry that are counted.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    task_id: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow, default)]
    dispatch_info: Option<Dispatch<'a>>,
    #[serde(borrow, default)]
    execution_result: Option<Execution<'a>>,
}

#[derive(Default, Deserialize)]
struct Dispatch<'a> {
    #[serde(borrow, default)]
    agent_pool: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Execution<'a> {
    #[serde(borrow, default)]
    services_touched: Option<Vec<Cow<'a, str>>>,
}

impl ReportCounter {
    /// Counts entries that were recorded in this span.
    pub fn new(since: Option<Timestamp>, until: Option<Timestamp>) -> ReportCounter {
        ReportCounter {
            since,
            until,
            counts: Mutex::default(),
        }
    }

    /// The report, after the audit.
    pub fn facts(self, audit: Report, asked: ReportContext) -> Facts {
        let counts = self.counts.into_inner();
        let counts = counts.unwrap_or_else(PoisonError::into_inner);
        counts.facts(audit, asked)
    }
}

impl Visitor for ReportCounter {
    fn visit(&self, commit: &TrailCommit<'_>) {
        let Some(entry) = commit.entry.filter(|_| !commit.is_genesis) else {
            return;
        };
        // The audit reports data that is not an entry.
        let Ok(members) = serde_json::from_slice::<Members<'_>>(entry.bytes) else {
            return;
        };
        // The ends of a trail are entries of the host, not outcomes.
        if is_reserved(&members.task_id) {
            return;
        }
        let Some(time) = Timestamp::parse_rfc3339(&members.timestamp) else {
            return;
        };
        let time = commit
            .seconds
            .map_or(time, |seconds| time.bounded_by_commit(seconds));
        if self.since.is_some_and(|since| time < since)
            || self.until.is_some_and(|until| time > until)
        {
            return;
        }
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(commit, &members, time.seconds());
    }
}

impl Counts {
    fn add(&mut self, commit: &TrailCommit<'_>, members: &Members<'_>, seconds: i64) {
        let status = self.status(&members.status);
        self.counted += 1;
        self.by_status[status] += 1;
        self.periods.add(seconds, status);
        self.times.push(seconds);
        let execution = members.execution_result.as_ref();
        let mut services = execution
            .and_then(|execution| execution.services_touched.clone())
            .unwrap_or_default();
        services.sort_unstable();
        services.dedup();
        for service in &services {
            self.services.add(service, status);
        }
        let dispatch = members.dispatch_info.as_ref();
        let pool = dispatch.and_then(|dispatch| dispatch.agent_pool.as_deref());
        self.pools.add(pool.unwrap_or_default(), status);
        self.reporters
            .add(commit.reporter.unwrap_or_default(), status);
        if members.status == "failed" {
            self.failed += 1;
            let key = (seconds, members.task_id.to_string());
            let is_late = self.failures.len() < FAILURES
                || self
                    .failures
                    .keys()
                    .next()
                    .is_some_and(|first| *first < key);
            if is_late {
                let failure = Failure {
                    time: time::format_moment(seconds),
                    task_id: count::cut(&members.task_id).to_owned(),
                    commit: commit.id.to_string(),
                    services: services
                        .iter()
                        .take(8)
                        .map(|service| count::cut(service).to_owned())
                        .collect(),
                    agent_pool: pool.map(|pool| count::cut(pool).to_owned()),
                    reporter: commit.reporter.map(str::to_owned),
                };
                self.failures.insert(key, failure);
            }
            if self.failures.len() > FAILURES {
                self.failures.pop_first();
            }
        }
        self.add_policy(commit, seconds);
    }

    fn add_policy(&mut self, commit: &TrailCommit<'_>, seconds: i64) {
        let key = (commit.policy.to_owned(), commit.settings.to_owned());
        let here = || (commit.position, seconds, commit.id.to_string());
        if let Some(count) = self.policies.get_mut(&key) {
            count.entries += 1;
            if commit.position < count.first.0 {
                count.first = here();
            }
            if commit.position > count.last.0 {
                count.last = here();
            }
        } else if self.policies.len() < MAX_POLICIES {
            let count = PolicyCount {
                entries: 1,
                first: here(),
                last: here(),
            };
            self.policies.insert(key, count);
        }
    }

    /// The index of a status; the last index is for all statuses beyond the limit.
    fn status(&mut self, name: &str) -> usize {
        let name = count::cut(name);
        if let Some(place) = self.statuses.iter().position(|known| known == name) {
            return place;
        }
        if self.statuses.len() == MAX_STATUSES {
            return MAX_STATUSES - 1;
        }
        let many = self.statuses.len() == MAX_STATUSES - 1;
        self.statuses
            .push(if many { "(others)" } else { name }.to_owned());
        self.statuses.len() - 1
    }

    fn facts(self, audit: Report, asked: ReportContext) -> Facts {
        // First the seed's four statuses in their order, then the others by number, so that colours keep their
        // meaning.
        let mut order: Vec<usize> = (0..self.statuses.len()).collect();
        order.sort_by_key(|place| {
            let name = self.statuses[*place].as_str();
            let known = ["completed", "failed", "rejected", "cancelled"];
            let rank = known.iter().position(|known| *known == name);
            (
                rank.unwrap_or(known.len()),
                u64::MAX - self.by_status[*place],
            )
        });
        let tally = |row: &Row| Tally {
            total: row.iter().sum(),
            by_status: order.iter().map(|place| row[*place]).collect(),
        };
        let named = |(name, row): (String, Row)| NamedTally {
            name,
            tally: tally(&row),
        };
        let table = |names: NameCounts| {
            let (greatest, others) = names.greatest(BARS);
            let mut list: Vec<NamedTally> = greatest.into_iter().map(named).collect();
            if others.iter().any(|number| *number > 0) {
                list.push(named(("(others)".to_owned(), others)));
            }
            list
        };
        let statuses = order.iter().map(|place| {
            let mut row = Row::default();
            row[*place] = self.by_status[*place];
            named((self.statuses[*place].clone(), row))
        });
        let statuses = statuses.collect();
        let (period, over_time) = self.periods.even(PERIODS);
        let mut times = self.times;
        times.sort_unstable();
        let span = times.first().zip(times.last()).map(|(from, to)| Span {
            from: time::format_moment(*from),
            to: time::format_moment(*to),
        });
        let outcome = audit.result();
        Facts {
            schema: 1,
            made_at: time::format_moment(asked.now.seconds()),
            repository: asked.repository,
            asked: asked.asked,
            outcome,
            signers: audit
                .claims
                .iter()
                .filter(|claim| claim.id == "signatures")
                .flat_map(|claim| claim.notes.clone())
                .collect(),
            claims: audit.claims.iter().map(claim_row).collect(),
            reference: audit.reference,
            tip: audit.tip,
            trail_id: audit.trail_id,
            commits: audit.commits,
            entries: audit.entries,
            objects: audit.objects,
            span,
            counted: self.counted,
            statuses,
            period,
            over_time: over_time
                .iter()
                .map(|(begin, row)| Period {
                    from: time::format_moment(*begin),
                    tally: tally(row),
                })
                .collect(),
            services: table(self.services),
            pools: table(self.pools),
            reporters: table(self.reporters),
            failed: self.failed,
            failures: self.failures.into_values().rev().collect(),
            gaps: gaps(&times),
            policies: policies(self.policies),
            kept: asked.kept,
        }
    }
}

fn claim_row(claim: &verify::Claim) -> ClaimRow {
    let (verdict, label, what, commit) = match &claim.verdict {
        Verdict::Holds => ("holds", "holds", None, None),
        Verdict::Broken {
            commit,
            what,
            count,
        } => {
            let more = match count {
                0 | 1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            let what = Some(format!("{what}{more}"));
            ("broken", "BROKEN", what, commit.clone())
        }
        Verdict::NotShown { missing } => ("not-shown", "not shown", Some(missing.clone()), None),
        Verdict::NotAsked { why } => ("not-asked", "not asked", Some((*why).to_owned()), None),
    };
    ClaimRow {
        id: claim.id,
        title: claim.title.to_string(),
        verdict,
        label,
        what,
        commit,
        notes: claim.notes.clone(),
    }
}

/// The longest times between consecutive entries, longest first.
fn gaps(times: &[i64]) -> Vec<Gap> {
    let mut gaps: Vec<(i64, i64)> = Vec::new();
    for pair in times.windows(2) {
        let seconds = pair[1] - pair[0];
        let is_long = gaps.len() < GAPS || gaps.last().is_some_and(|(least, _)| *least < seconds);
        if seconds > 0 && is_long {
            let place = gaps.partition_point(|(length, _)| *length >= seconds);
            gaps.insert(place, (seconds, pair[0]));
            gaps.truncate(GAPS);
        }
    }
    let gap = |(seconds, from): (i64, i64)| Gap {
        seconds,
        length: time::format_length(seconds),
        from: time::format_moment(from),
        to: time::format_moment(from + seconds),
    };
    gaps.into_iter().map(gap).collect()
}

fn policies(counts: BTreeMap<(String, String), PolicyCount>) -> Vec<PolicySpan> {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| count.first.0);
    let span = |((policy, settings), count): ((String, String), PolicyCount)| PolicySpan {
        policy,
        settings,
        entries: count.entries,
        from: time::format_moment(count.first.1),
        to: time::format_moment(count.last.1),
        first_commit: count.first.2,
        last_commit: count.last.2,
    };
    counts.into_iter().map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::gaps;

    #[test]
    fn the_longest_gaps_come_first() {
        let times: Vec<i64> = (0..20).map(|number| number * number).collect();
        let found: Vec<i64> = gaps(&times).iter().map(|gap| gap.seconds).collect();
        assert_eq!(found, [37, 35, 33, 31, 29, 27, 25, 23]);
        assert!(gaps(&[5]).is_empty());
    }
}
