//! The projection and its queries: the same cases for both databases, compared with a plain scan.

use chiffon_audit_cli::outcome::Reporter;
use chiffon_audit_cli::store::{
    Cursor, Entry, Filter, Page, PageRequest, Settlement, SettlementResult, Store, StoreError,
};

use super::place::Place;
use super::{accept, completed, entry, lease};
use crate::support::{at, sweeps_are_whole, task};

super::cases! {
    every_query_answers_what_a_plain_scan_answers
    totals_count_what_all_filters_leave_whatever_the_page
    a_cursor_continues_where_it_was_though_more_is_recorded
    a_page_ends_early_where_its_entries_are_large
    an_entry_is_projected_once_and_replaced_when_the_trail_says_otherwise
    what_is_removed_is_in_no_query_and_no_total
    a_rebuild_answers_from_the_former_rows_until_it_is_done
    a_rebuild_keeps_what_is_recorded_meanwhile_and_touches_no_submission
    a_second_rebuild_ends_the_first
    entries_come_in_order_of_task_id
}

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// Entries over three days: every status, none to three services, intents and plans, several at one microsecond.
fn entries() -> Vec<Entry> {
    (0..400i64)
        .map(|number| {
            let status =
                ["completed", "failed", "rejected", "cancelled"][(number % 7 % 4) as usize];
            let services = [
                "",
                r#""checkout""#,
                r#""checkout","payments""#,
                r#""a'b","payments","payments""#,
            ];
            let intent = match number % 5 {
                0 => r#""metadata": {"intent": "roll out"}, "#,
                1 => r#""plan_id": "roll out", "#,
                2 => r#""plan_id": "p", "metadata": {"intent": 5}, "#,
                _ => "",
            };
            let members = format!(
                r#""execution_result": {{"services_touched": [{}]}}, {intent}"#,
                services[(number % 4) as usize]
            );
            // Steps onto, before and after the borders of minutes and days.
            let time = (number / 3) * 37 * MINUTE + (number / 3) % 3 - 1 - DAY;
            let mut entry = entry(
                &format!("t{:03}", number * 131 % 400),
                status,
                &members,
                time,
            );
            let reporter = [None, Some("deploy-bot"), Some("ci"), Some("deploy-bot")]
                [(number % 11 % 4) as usize];
            entry.reporter = reporter.and_then(|name| Reporter::parse(name).ok());
            entry
        })
        .collect()
}

fn filters() -> Vec<Filter> {
    let mut filters = Vec::new();
    let times = [
        None,
        Some(-DAY),
        Some(-1),
        Some(36_000 * 1_000_000),
        Some(DAY + 5 * MINUTE),
        Some(9 * DAY),
    ];
    for status in [None, Some("failed"), Some("nothing")] {
        for service in [None, Some("checkout"), Some("a'b")] {
            for (intent, reporter) in [
                (None, None),
                (Some("roll out"), None),
                (None, Some("deploy-bot")),
                (None, Some("nobody")),
                (Some("roll out"), Some("deploy-bot")),
            ] {
                for since in times {
                    for until in times {
                        filters.push(Filter {
                            status: status.map(str::to_owned),
                            service: service.map(str::to_owned),
                            intent: intent.map(str::to_owned),
                            reporter: reporter.map(str::to_owned),
                            since: since.map(at),
                            until: until.map(at),
                        });
                    }
                }
            }
        }
    }
    filters
}

/// The entries that match a filter, newest first.
fn scan(entries: &[Entry], filter: &Filter) -> Vec<Entry> {
    let mut left: Vec<Entry> = entries
        .iter()
        .filter(|entry| {
            filter
                .status
                .as_ref()
                .is_none_or(|status| *status == entry.status)
                && filter
                    .service
                    .as_ref()
                    .is_none_or(|service| entry.services.contains(service))
                && filter.intent.is_none_or_equal(&entry.intent)
                && filter
                    .reporter
                    .is_none_or_equal(&entry.reporter.as_ref().map(ToString::to_string))
                && filter.since.is_none_or(|since| since <= entry.recorded_at)
                && filter.until.is_none_or(|until| entry.recorded_at <= until)
        })
        .cloned()
        .collect();
    left.sort_by(|one, other| {
        (other.recorded_at, &other.task_id).cmp(&(one.recorded_at, &one.task_id))
    });
    left
}

trait NoneOrEqual {
    fn is_none_or_equal(&self, found: &Option<String>) -> bool;
}

impl NoneOrEqual for Option<String> {
    fn is_none_or_equal(&self, found: &Option<String>) -> bool {
        self.is_none() || self == found
    }
}

fn page(limit: u32, offset: u64, after: Option<Cursor>) -> PageRequest {
    PageRequest {
        limit,
        offset,
        after,
        ..PageRequest::default()
    }
}

async fn query(store: &dyn Store, filter: &Filter, request: &PageRequest) -> Page {
    store.query(filter, request).await.unwrap()
}

async fn every_query_answers_what_a_plain_scan_answers(place: Place) {
    let store = place.open().await;
    let entries = entries();
    for some in entries.chunks(70) {
        store.restore(some.to_vec()).await.unwrap();
    }
    for filter in filters() {
        let expected = scan(&entries, &filter);
        let answer = query(&*store, &filter, &page(1000, 0, None)).await;
        assert_eq!(answer.entries, expected, "{filter:?}");
        assert_eq!(answer.total, Some(expected.len() as u64), "{filter:?}");
        assert_eq!(answer.next, None);
        let second = query(&*store, &filter, &page(7, 5, None)).await;
        let window: Vec<_> = expected.iter().skip(5).take(7).cloned().collect();
        assert_eq!(second.entries, window, "{filter:?}");
        assert_eq!(second.total, Some(expected.len() as u64));
        assert_eq!(second.next.is_some(), expected.len() > 12);
    }
    // By cursor, page after page.
    let filter = Filter {
        service: Some("payments".into()),
        ..Filter::default()
    };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let answer = query(&*store, &filter, &page(9, 0, after)).await;
        seen.extend(answer.entries);
        after = answer.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, scan(&entries, &filter));
}

async fn totals_count_what_all_filters_leave_whatever_the_page(place: Place) {
    let store = place.open().await;
    store.restore(entries()).await.unwrap();
    let filter = Filter {
        status: Some("failed".into()),
        service: Some("checkout".into()),
        ..Filter::default()
    };
    let expected = scan(&entries(), &filter).len() as u64;
    assert!(expected > 20);
    for request in [
        page(1, 0, None),
        page(10, expected - 1, None),
        page(10, 100_000, None),
    ] {
        assert_eq!(
            query(&*store, &filter, &request).await.total,
            Some(expected)
        );
    }
    let uncounted = PageRequest {
        total: false,
        ..page(1, 0, None)
    };
    assert_eq!(query(&*store, &filter, &uncounted).await.total, None);
}

async fn a_page_ends_early_where_its_entries_are_large(place: Place) {
    let store = place.open().await;
    let entries = entries();
    for some in entries.chunks(70) {
        store.restore(some.to_vec()).await.unwrap();
    }
    let size = |entries: &[Entry]| entries.iter().map(|entry| entry.text.len()).sum::<usize>();
    // Each nineteenth is of every kind: nineteen divides no number of values.
    let step = if sweeps_are_whole() { 1 } else { 19 };
    for filter in filters().into_iter().step_by(step) {
        let expected = scan(&entries, &filter);
        // Pages of one entry take as many queries.
        let few = expected.len() < 60;
        let sizes = [(1, 5), (1, 1000), (1000, 3), (1000, 1000), (100_000, 1000)];
        for (bytes, limit) in sizes.into_iter().filter(|(bytes, _)| few || *bytes > 1) {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let request = PageRequest {
                    bytes,
                    ..page(limit, 0, after)
                };
                let answer = query(&*store, &filter, &request).await;
                assert_eq!(answer.total, Some(expected.len() as u64));
                // Counts up to the first entry beyond the limit.
                let but_last = answer.entries.len().saturating_sub(1);
                assert!(answer.entries.is_empty() || size(&answer.entries[..but_last]) < bytes);
                let is_full =
                    answer.entries.len() == limit as usize || size(&answer.entries) >= bytes;
                assert!(
                    is_full || answer.next.is_none(),
                    "{filter:?} {bytes} {limit}"
                );
                seen.extend(answer.entries);
                after = answer.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, expected, "{filter:?} {bytes} {limit}");
        }
    }
}

async fn a_cursor_continues_where_it_was_though_more_is_recorded(place: Place) {
    let store = place.open().await;
    store
        .restore(
            (1..=4)
                .map(|time| entry(&format!("t{time}"), "failed", "", time))
                .collect(),
        )
        .await
        .unwrap();
    let first = query(&*store, &Filter::default(), &page(2, 0, None)).await;
    store
        .restore(vec![entry("t5", "failed", "", 5)])
        .await
        .unwrap();
    let second = query(&*store, &Filter::default(), &page(2, 0, first.next)).await;
    let ids: Vec<_> = second.entries.iter().map(|entry| &*entry.task_id).collect();
    assert_eq!(ids, ["t2", "t1"]);
    assert_eq!((second.total, second.next), (Some(5), None));
}

async fn total(store: &dyn Store) -> u64 {
    query(store, &Filter::default(), &page(1, 0, None))
        .await
        .total
        .unwrap()
}

async fn an_entry_is_projected_once_and_replaced_when_the_trail_says_otherwise(place: Place) {
    let store = place.open().await;
    let services = r#""execution_result": {"services_touched": ["checkout"]}, "#;
    let first = entry("a", "failed", services, 1);
    assert_eq!(store.restore(vec![first.clone()]).await.unwrap(), 1);
    assert_eq!(store.restore(vec![first]).await.unwrap(), 0);
    assert_eq!(total(&*store).await, 1);
    let other = entry("a", "completed", "", DAY);
    assert_eq!(store.restore(vec![other.clone()]).await.unwrap(), 1);
    assert_eq!(store.entry(&task("a")).await.unwrap(), Some(other.clone()));
    assert_eq!(total(&*store).await, 1);
    let by_service = Filter {
        service: Some("checkout".into()),
        ..Filter::default()
    };
    let answer = query(&*store, &by_service, &page(10, 0, None)).await;
    assert_eq!((answer.entries.len(), answer.total), (0, Some(0)));
    // The committer's report counts as much.
    let accepted = accept(&*store, completed("a")).await;
    let lease = lease(&*store).await;
    let settlement = Settlement {
        sequence: accepted.sequence,
        result: SettlementResult::Committed(Box::new(other)),
    };
    store.settle(&lease, vec![settlement]).await.unwrap();
    assert_eq!(total(&*store).await, 1);
}

async fn what_is_removed_is_in_no_query_and_no_total(place: Place) {
    let store = place.open().await;
    let entries = entries();
    store.restore(entries.clone()).await.unwrap();
    let (gone, stay) = entries.split_at(150);
    let mut ids: Vec<_> = gone.iter().map(|entry| entry.task_id.clone()).collect();
    ids.push("unknown".into());
    assert_eq!(store.forget(ids).await.unwrap(), 150);
    for filter in filters().into_iter().step_by(5) {
        let expected = scan(stay, &filter);
        let answer = query(&*store, &filter, &page(1000, 0, None)).await;
        assert_eq!(answer.total, Some(expected.len() as u64), "{filter:?}");
        assert_eq!(answer.entries, expected);
    }
}

async fn a_rebuild_answers_from_the_former_rows_until_it_is_done(place: Place) {
    let store = place.open().await;
    store
        .restore(vec![entry("wrong", "failed", "", 1)])
        .await
        .unwrap();
    for round in 0..2 {
        let generation = store.begin_rebuild().await.unwrap();
        let entries = entries();
        for some in entries.chunks(150) {
            store.fill_rebuild(generation, some.to_vec()).await.unwrap();
        }
        let before = if round == 0 { 1 } else { 400 };
        assert_eq!(total(&*store).await, before);
        assert_eq!(store.finish_rebuild(generation).await.unwrap(), 400);
        for filter in filters().into_iter().step_by(7) {
            let expected = scan(&entries, &filter);
            let answer = query(&*store, &filter, &page(1000, 0, None)).await;
            assert_eq!(answer.total, Some(expected.len() as u64), "{filter:?}");
            assert_eq!(answer.entries, expected);
        }
    }
}

async fn a_rebuild_keeps_what_is_recorded_meanwhile_and_touches_no_submission(place: Place) {
    let (store, host) = (place.open().await, place.open().await);
    let waiting = accept(&*host, completed("waiting")).await;
    let generation = store.begin_rebuild().await.unwrap();
    store
        .fill_rebuild(generation, vec![entry("a", "completed", "", 1)])
        .await
        .unwrap();
    let accepted = accept(&*host, completed("b")).await;
    let lease = lease(&*host).await;
    let settlement = Settlement {
        sequence: accepted.sequence,
        result: SettlementResult::Committed(Box::new(entry("b", "completed", "", 2))),
    };
    host.settle(&lease, vec![settlement]).await.unwrap();
    assert_eq!(store.finish_rebuild(generation).await.unwrap(), 2);
    let answer = query(&*host, &Filter::default(), &page(10, 0, None)).await;
    let ids: Vec<_> = answer.entries.iter().map(|entry| &*entry.task_id).collect();
    assert_eq!(ids, ["b", "a"]);
    let due = host.due(None, 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].sequence, waiting.sequence);
}

async fn a_second_rebuild_ends_the_first(place: Place) {
    let store = place.open().await;
    let first = store.begin_rebuild().await.unwrap();
    let second = store.begin_rebuild().await.unwrap();
    let answer = store
        .fill_rebuild(first, vec![entry("a", "failed", "", 1)])
        .await;
    assert!(
        matches!(answer, Err(StoreError::Unavailable(_))),
        "{answer:?}"
    );
    assert!(store.finish_rebuild(first).await.is_err());
    store
        .fill_rebuild(second, vec![entry("b", "failed", "", 1)])
        .await
        .unwrap();
    assert_eq!(store.finish_rebuild(second).await.unwrap(), 1);
    assert!(store.finish_rebuild(second).await.is_err());
    assert!(store.entry(&task("b")).await.unwrap().is_some());
}

async fn entries_come_in_order_of_task_id(place: Place) {
    let store = place.open().await;
    // Ordered as bytes, whatever the database's collation.
    let ids = ["B", "a", "a-1", "a.1", "a_1", "aB", "ab"];
    let mut sorted = ids;
    sorted.sort_unstable();
    store
        .restore(ids.iter().map(|id| entry(id, "failed", "", 1)).collect())
        .await
        .unwrap();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let some = store.entries(after.as_deref(), 2).await.unwrap();
        let Some(last) = some.last() else { break };
        after = Some(last.task_id.clone());
        seen.extend(some.into_iter().map(|entry| entry.task_id));
    }
    assert_eq!(seen, sorted);
    let mut newest: Vec<_> = sorted.to_vec();
    newest.reverse();
    let answer = query(&*store, &Filter::default(), &page(10, 0, None)).await;
    assert_eq!(
        answer
            .entries
            .iter()
            .map(|entry| &*entry.task_id)
            .collect::<Vec<_>>(),
        newest
    );
}
