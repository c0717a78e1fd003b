//! Names with anything that JSON allows: no answer may confuse two of them, or ignore one.

use std::collections::BTreeSet;

use chiffon_audit_cli::store::{Entry, Filter, PageRequest, Plan, Store};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::entry;
use super::place::Place;
use crate::support::task;

super::cases! {
    any_name_is_counted_and_found_as_a_plain_scan_finds_it
    what_was_planned_comes_back_as_it_was_said
}

/// Names that a program could mistake for something else, among others.
fn name() -> impl Strategy<Value = String> {
    let special = [
        "",
        " ",
        "\0",
        "a\0",
        "\0\0",
        "\u{1}",
        "\u{1}0",
        "\u{1}1",
        "\u{fffd}",
        "a\u{fffd}",
        "null",
        "NULL",
        "-1",
        "0",
        "9223372036854775807",
        "''",
        "%",
        "_",
        "[]",
        "{}",
        "\\",
        "\"",
        "é",
        "e\u{301}",
        "A",
        "a",
    ];
    let special = special.map(str::to_owned).to_vec();
    prop_oneof![
        3 => proptest::sample::select(special),
        1 => "[\0\u{1}01a\u{fffd}]{0,4}",
        1 => any::<String>().prop_map(|text| text.chars().take(40).collect()),
    ]
}

/// The services, intent and plan of a task.
fn names() -> impl Strategy<Value = (Vec<String>, Option<String>, Option<String>)> {
    (
        proptest::collection::vec(name(), 0..4),
        proptest::option::of(name()),
        proptest::option::of(name()),
    )
}

fn entries() -> Vec<Entry> {
    let mut runner = TestRunner::deterministic();
    (0..120)
        .map(|number| {
            let (services, intent, plan) = names().new_tree(&mut runner).unwrap().current();
            let members = format!(
                r#""plan_id": {}, "dispatch_info": {{"agent_pool": {}}}, "execution_result": {{"services_touched": {}}}, {}"#,
                json(&plan),
                json(&intent),
                json(&services),
                match &intent {
                    Some(intent) => format!(r#""metadata": {{"intent": {}}}, "#, json(intent)),
                    None => String::new(),
                }
            );
            let status = if number % 2 == 0 { "completed" } else { "failed" };
            entry(&format!("t{number}"), status, &members, number * 40_000_000)
        })
        .collect()
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

/// Checks every name, and some that do not exist, as service and as intent: totals and rows are those of a plain scan.
async fn check(store: &dyn Store, entries: &[Entry]) {
    let mut names: BTreeSet<String> = entries
        .iter()
        .flat_map(|entry| entry.services.iter().chain(&entry.intent))
        .cloned()
        .collect();
    names.extend(["", "\0", "\u{fffd}", "\u{1}0", "nothing"].map(str::to_owned));
    let all = |filter: Filter| async move {
        let page = PageRequest {
            limit: 1000,
            ..PageRequest::default()
        };
        let page = store.query(&filter, &page).await.unwrap();
        assert_eq!(page.total, Some(page.entries.len() as u64), "{filter:?}");
        let mut entries = page.entries;
        entries.sort_by(|one, other| one.task_id.cmp(&other.task_id));
        entries
    };
    let sorted = |keep: &dyn Fn(&Entry) -> bool| {
        let mut left: Vec<Entry> = entries
            .iter()
            .filter(|entry| keep(entry))
            .cloned()
            .collect();
        left.sort_by(|one, other| one.task_id.cmp(&other.task_id));
        left
    };
    assert_eq!(all(Filter::default()).await, sorted(&|_| true));
    for name in names {
        let of_service = Filter {
            service: Some(name.clone()),
            ..Filter::default()
        };
        let failed = Filter {
            status: Some("failed".into()),
            ..of_service.clone()
        };
        let of_intent = Filter {
            intent: Some(name.clone()),
            ..Filter::default()
        };
        let touches = |entry: &Entry| entry.services.contains(&name);
        assert_eq!(all(of_service).await, sorted(&touches), "{name:?}");
        assert_eq!(
            all(failed).await,
            sorted(&|entry| touches(entry) && entry.status == "failed"),
            "{name:?}"
        );
        assert_eq!(
            all(of_intent).await,
            sorted(&|entry| entry.intent.as_ref() == Some(&name)),
            "{name:?}"
        );
    }
}

async fn any_name_is_counted_and_found_as_a_plain_scan_finds_it(place: Place) {
    let store = place.open().await;
    let entries = entries();
    store.restore(entries.clone()).await.unwrap();
    check(&*store, &entries).await;
    let (gone, stay) = entries.split_at(50);
    let ids = gone.iter().map(|entry| entry.task_id.clone()).collect();
    assert_eq!(store.forget(ids).await.unwrap(), 50);
    check(&*store, stay).await;
    let generation = store.begin_rebuild().await.unwrap();
    store
        .fill_rebuild(generation, entries.clone())
        .await
        .unwrap();
    assert_eq!(store.finish_rebuild(generation).await.unwrap(), 120);
    check(&*store, &entries).await;
}

async fn what_was_planned_comes_back_as_it_was_said(place: Place) {
    let store = place.open().await;
    let mut runner = TestRunner::deterministic();
    for number in 0..60 {
        let (services, intent, plan_id) = names().new_tree(&mut runner).unwrap().current();
        let planned = Plan {
            plan_id: plan_id.clone(),
            agent_pool: intent.clone(),
            agent_id: plan_id.clone(),
            plan_steps: Some(services.clone()),
            services_touched: Some(services.clone()),
            ..Plan::new(task(&format!("p{number}")))
        };
        let noted = store.plan(planned).await.unwrap();
        let found = store.task(&noted.plan.task_id).await.unwrap().unwrap();
        assert_eq!(found.plan.plan_id, plan_id);
        assert_eq!(found.plan.agent_id, plan_id);
        assert_eq!(found.plan.agent_pool, intent);
        assert_eq!(found.plan.plan_steps, Some(services.clone()));
        assert_eq!(found.plan.services_touched, Some(services));
    }
}
