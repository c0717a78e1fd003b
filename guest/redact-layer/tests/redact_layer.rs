//! The layer makes of an outcome what the policy makes of its entry.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use chiffon_audit_layer_redact::layer::rewrite;
use chiffon_audit_policy_redact::policy::entry;
use layer_kit::Texts;
use policy_kit::json;
use policy_kit::outcome::{DispatchInfo, Entry, ExecutionResult, Outcome, Refusal};
use serde_json::value::RawValue;

const NOW: &str = "2026-01-21T10:05:02.000123Z";

fn texts(outcome: &str, metadata: &str) -> Texts {
    Texts {
        task_id: "deploy-42".to_owned(),
        plan_id: Some("mara@example.com password=hunter2".to_owned()),
        plan_steps: vec!["build".to_owned(), "AKIAIOSFODNN7EXAMPLE".to_owned()],
        agent_pool: None,
        agent_id: Some("postgres://shop:hunter2@db/orders".to_owned()),
        dispatch_timestamp: Some("2026-01-21T09:59:00Z".to_owned()),
        outcome: outcome.to_owned(),
        resources_used: "{ }".to_owned(),
        services_touched: vec!["https://a:b@c/".to_owned()],
        start_time: None,
        end_time: Some("2026-01-21T10:00:00Z".to_owned()),
        metadata: Some(metadata.to_owned()),
    }
}

fn outcome(texts: &Texts) -> Outcome {
    let json = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    Outcome {
        task_id: texts.task_id.clone(),
        status: "completed".to_owned(),
        plan_id: texts.plan_id.clone(),
        plan_steps: texts.plan_steps.clone(),
        dispatch_info: DispatchInfo {
            agent_pool: texts.agent_pool.clone(),
            agent_id: texts.agent_id.clone(),
            dispatch_timestamp: texts.dispatch_timestamp.clone(),
        },
        execution_result: ExecutionResult {
            outcome: json(&texts.outcome),
            resources_used: json(&texts.resources_used),
            services_touched: texts.services_touched.clone(),
            start_time: texts.start_time.clone(),
            end_time: texts.end_time.clone(),
        },
        metadata: texts.metadata.as_deref().map(json),
    }
}

fn setting(name: &str) -> Option<String> {
    (name == "rules").then(|| {
        r#"{"pointers":["/plan_steps/1","/execution_result/outcome/card","/metadata/deep"]}"#
            .to_owned()
    })
}

#[test]
fn an_entry_of_what_the_layer_answers_is_the_entry_of_the_policy() {
    let long = "words and password=hunter2 [redacted:url-password] ".repeat(40);
    for (result, metadata) in [
        ("{}", "{}"),
        (
            r#"{"password":"hunter2","card":"4111","n":12345678901234567890123,"x":[1.0E+2,[{"token":7}]]}"#,
            r#"{"deep":{"a":[1]}}"#,
        ),
        (
            &format!(r#"{{"output":"{long}\u0041","list":["{long}","short"]}}"#),
            r#"{"z":1,"a":"b@example.com"}"#,
        ),
        (
            r#"[ "ghp_0123456789abcdefghijklmnopqrstuvwxyz" , null, true ]"#,
            r#"{"api_key":"0123456789abcdef"}"#,
        ),
    ] {
        for settings in [&setting as &dyn Fn(&str) -> Option<String>, &|_: &str| None] {
            let mut texts = texts(result, metadata);
            let of_policy = entry(&outcome(&texts), NOW, settings).unwrap();
            rewrite(&mut texts, settings).unwrap();
            let of_layer = json::format(&Entry::new(&outcome(&texts), NOW));
            assert_eq!(of_layer, of_policy);
            let before = texts.clone();
            rewrite(&mut texts, settings).unwrap();
            assert_eq!(texts, before, "twice");
        }
    }
}

#[test]
fn a_setting_that_makes_no_sense_records_nothing() {
    let mut texts = texts("{}", "{}");
    let refused = rewrite(&mut texts, &|_: &str| Some("{".to_owned()));
    assert!(
        matches!(refused, Err(Refusal::Unavailable(_))),
        "{refused:?}"
    );
}
