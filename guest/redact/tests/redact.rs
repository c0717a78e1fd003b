//! What is redacted and what is left, that doing it twice changes nothing, and that bad rules record nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use chiffon_audit_policy_redact::known::{KNOWN, NAMES};
use chiffon_audit_policy_redact::policy::{entry, same};
use chiffon_audit_policy_redact::rules::Rules;
use policy_kit::outcome::{DispatchInfo, ExecutionResult, Outcome, Refusal};
use serde_json::value::RawValue;

const NOW: &str = "2026-01-21T10:05:02.000123Z";

fn outcome(task_id: &str, result: &str) -> Outcome {
    Outcome {
        task_id: task_id.to_owned(),
        status: "completed".to_owned(),
        plan_id: Some("p".to_owned()),
        plan_steps: vec!["build".to_owned()],
        dispatch_info: DispatchInfo {
            agent_pool: None,
            agent_id: None,
            dispatch_timestamp: None,
        },
        execution_result: ExecutionResult {
            outcome: RawValue::from_string(result.to_owned()).unwrap(),
            resources_used: RawValue::from_string("{}".to_owned()).unwrap(),
            services_touched: Vec::new(),
            start_time: None,
            end_time: None,
        },
        metadata: None,
    }
}

/// What the outcome's own member becomes; laid out without white space.
fn redacted(result: &str, rules: Option<&str>) -> Result<String, Refusal> {
    let entry = entry(&outcome("t", result), NOW, &|key| {
        (key == "rules").then(|| rules.map(str::to_owned)).flatten()
    })?;
    let again = text(&entry);
    let twice = self::entry(&outcome("t", &again), NOW, &|key| {
        (key == "rules").then(|| rules.map(str::to_owned)).flatten()
    })?;
    assert_eq!(text(&twice), again, "twice");
    Ok(again)
}

/// The member `outcome` of an entry as it stands there, white space outside of strings left out.
fn text(entry: &str) -> String {
    let (_, rest) = entry.split_once("\"outcome\": ").unwrap();
    let mut out = String::new();
    let (mut depth, mut in_string, mut escaped) = (0, false, false);
    for character in rest.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ if in_string => {}
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ',' if depth == 0 => break,
            ' ' | '\n' => continue,
            _ => {}
        }
        out.push(character);
    }
    out
}

#[test]
fn every_known_form_does_what_its_samples_say() {
    let rules = Rules::load(None).unwrap();
    for known in KNOWN {
        let finds: Vec<String> = known.finds.iter().map(|parts| parts.concat()).collect();
        rules
            .try_on(
                known.name,
                finds.iter().map(String::as_str),
                known.leaves.iter().copied(),
            )
            .unwrap();
        for sample in &finds {
            let redacted = rules
                .text(&format!("before {sample} after"))
                .unwrap()
                .unwrap();
            assert!(redacted.starts_with("before "), "{redacted}");
            assert!(redacted.ends_with(" after"), "{redacted}");
            assert!(redacted.contains("[redacted:"), "{redacted}");
        }
        for sample in known.leaves {
            assert_eq!(
                rules.text(sample).unwrap(),
                None,
                "{}: {sample}",
                known.name
            );
        }
    }
}

#[test]
fn only_the_secret_goes_and_the_rest_stays_as_it_was_written() {
    for (result, expected) in [
        (
            r#"{"log":"GET https://shop:hunter2@db.example/x","n":1.0E+2,"caf\u00e9":"\u00e9"}"#,
            r#"{"log":"GET https://shop:[redacted:url-password]@db.example/x","n":1.0E+2,"caf\u00e9":"\u00e9"}"#,
        ),
        (
            r#"["a\npassword=hunter2\nb",null,true]"#,
            r#"["a\npassword=[redacted:password]\nb",null,true]"#,
        ),
        (
            r#"{"Api-Key":"x","password":["a",1],"secret":7,"client_secret":null,"passwords":"y"}"#,
            r#"{"Api-Key":"[redacted]","password":"[redacted]","secret":"[redacted]","client_secret":null,"passwords":"y"}"#,
        ),
        (
            r#""password=[redacted:password]""#,
            r#""password=[redacted:password]""#,
        ),
    ] {
        assert_eq!(redacted(result, None).unwrap(), expected);
    }
    assert!(!NAMES.is_empty());
}

#[test]
fn the_operators_pointers_patterns_and_names_are_followed() {
    let rules = r#"{"pointers": ["/execution_result/outcome/cards/*/number", "/plan_steps/0"], "names": ["pin"],
        "patterns": [{"name": "order", "regex": "order (?<secret>[0-9]{4})", "finds": ["order 1234"], "leaves": ["order 12"]}]}"#;
    let result = r#"{"cards":[{"number":4111,"of":"order 5678"},{"number":"x"}],"PIN":"0000"}"#;
    let entry = entry(&outcome("t", result), NOW, &|_| Some(rules.to_owned())).unwrap();
    assert_eq!(
        text(&entry),
        r#"{"cards":[{"number":"[redacted]","of":"order [redacted:order]"},{"number":"[redacted]"}],"PIN":"[redacted]"}"#
    );
    assert!(
        entry.contains("\"plan_steps\": [\n    \"[redacted]\"\n  ]"),
        "{entry}"
    );
    assert_eq!(
        redacted(r#""password=hunter2""#, Some(r#"{"well_known": false}"#)).unwrap(),
        r#""password=hunter2""#
    );
}

#[test]
fn rules_that_are_wrong_in_any_way_record_nothing() {
    for (rules, problem) in [
        ("{", "the setting `rules` is not what it must be"),
        ("[]", "the setting `rules` is not what it must be"),
        (r#"{"pattern": []}"#, "unknown field `pattern`"),
        (
            r#"{"pointers": ["/status"]}"#,
            "leads to nothing that can be redacted",
        ),
        (
            r#"{"pointers": ["/metadata"]}"#,
            "leads to nothing that can be redacted",
        ),
        (
            r#"{"pointers": ["execution_result/outcome"]}"#,
            "leads to nothing that can be redacted",
        ),
        (
            r#"{"patterns": [{"name": "x", "regex": "(", "finds": ["a"]}]}"#,
            "the regex of the pattern `x`",
        ),
        (
            r#"{"patterns": [{"name": "x", "regex": "a", "finds": []}]}"#,
            "no sample in `finds`",
        ),
        (
            r#"{"patterns": [{"name": "x", "regex": "a", "finds": ["b"]}]}"#,
            "does not find its sample 1",
        ),
        (
            r#"{"patterns": [{"name": "x", "regex": "q", "finds": ["q"], "leaves": ["b", "q"]}]}"#,
            "finds its sample 2 in `leaves`",
        ),
        (
            r#"{"patterns": [{"name": "x", "regex": "a*", "finds": ["a"]}]}"#,
            "finds nothing at all",
        ),
        (
            r#"{"patterns": [{"name": "X", "regex": "a", "finds": ["a"]}]}"#,
            "a pattern's name must be",
        ),
        (
            r#"{"patterns": [{"name": "jwt", "regex": "a", "finds": ["a"]}]}"#,
            "two patterns `jwt`",
        ),
        (
            r#"{"patterns": [{"name": "x", "regex": "e", "finds": ["e"]}]}"#,
            "the rules find what they have put in a secret's place",
        ),
    ] {
        match redacted("{}", Some(rules)) {
            Err(Refusal::Unavailable(reason)) => {
                assert!(
                    reason.starts_with("nothing is recorded, since "),
                    "{reason}"
                );
                assert!(reason.contains(problem), "{reason}");
            }
            other => panic!("{rules}: {other:?}"),
        }
    }
}

#[test]
fn a_secret_where_nothing_can_be_replaced_is_refused_without_being_quoted() {
    let token = ["ghp_", "abcdefghijklmnopqrstuvwxyz0123456789"].concat();
    let in_name = format!(r#"{{"deep":{{"{token}":1}}}}"#);
    for (task_id, result, pointer) in [
        (token.as_str(), "{}", "/task_id"),
        ("t", in_name.as_str(), "/execution_result/outcome/deep"),
    ] {
        let Err(Refusal::Violations(violations)) = entry(&outcome(task_id, result), NOW, &|_| None)
        else {
            panic!("{task_id}");
        };
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].pointer, pointer);
        assert!(!violations[0].message.contains("ghp_"));
    }
}

#[test]
fn the_same_again_is_the_same_and_another_outcome_is_not() {
    let made = |result, now| entry(&outcome("t", result), now, &|_| None).unwrap();
    let first = made(r#"{"a":1,"password":"x"}"#, NOW);
    assert!(same(&made(r#"{"password":"y","a":1}"#, "later"), &first));
    assert!(!same(&made(r#"{"a":1.0,"password":"x"}"#, NOW), &first));
    assert!(!same(&first, "{"));
}
