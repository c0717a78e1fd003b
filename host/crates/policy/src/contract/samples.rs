//! Outcomes of every kind, as an orchestrator might report them.

use outcome::{Limits, Statuses, TaskOutcome};

/// An outcome to check policies with.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Describes the sample, for people.
    pub name: String,
    /// The text of the document.
    pub document: String,
    /// The parsed outcome.
    pub outcome: TaskOutcome,
}

impl Sample {
    /// Creates the sample with this document, or returns `None` if it is not an outcome.
    pub fn new(name: String, document: String, limits: &Limits) -> Option<Sample> {
        let outcome = TaskOutcome::parse(document.as_bytes(), limits).ok()?;
        Some(Sample {
            name,
            document,
            outcome,
        })
    }
}

const KINDS: &[(&str, &str)] = &[
    (
        "with only the required members",
        r#"{"task_id":"t","status":"completed"}"#,
    ),
    (
        "with every field",
        r#"{"task_id":"deploy-42.2","status":"completed","plan_id":"release-7","plan_steps":["build","roll out"],
            "dispatch_info":{"agent_pool":"deployers","agent_id":"agent-3","dispatch_timestamp":"2026-01-21T09:59:00Z"},
            "execution_result":{"outcome":{"exit_code":0,"replicas":3,"ratio":1.50},"resources_used":{"cpu_ms":1.0E+2},
              "services_touched":["checkout","search"],"start_time":"2026-01-21T09:59:02Z","end_time":"2026-01-21T10:00:00+01:00"},
            "metadata":{"approver":"mara","attempt_of":"deploy-42"}}"#,
    ),
    (
        "that failed",
        r#"{"task_id":"t","status":"failed","execution_result":{"outcome":{"exit_code":1,"error_message":"no route to host"}}}"#,
    ),
    (
        "that was rejected",
        r#"{"task_id":"t","status":"rejected","metadata":{"reason":"not approved"}}"#,
    ),
    (
        "that was cancelled",
        r#"{"task_id":"t","status":"cancelled"}"#,
    ),
    (
        "with every field null",
        r#"{"task_id":"t","status":"completed","plan_id":null,"plan_steps":null,"dispatch_info":{"agent_pool":null,"agent_id":null,
            "dispatch_timestamp":null},"execution_result":{"services_touched":null,"start_time":null,"end_time":null},"metadata":null}"#,
    ),
    (
        "with results that are not objects",
        r#"{"task_id":"t","status":"completed","execution_result":{"outcome":[1,[2,{"three":3}],"vier",null,true],"resources_used":"none"}}"#,
    ),
    (
        "with text of many scripts",
        r#"{"task_id":"t","status":"completed","plan_id":"Straße 東京 🚀 عربى","plan_steps":["\u00e9","e\u0301","\ud83d\ude00"],
            "execution_result":{"outcome":{"naïve":"\"\\\/\b\f\n\r\t\u0000\u001f\u2028","":"empty key"}}}"#,
    ),
    (
        "with numbers of every form",
        r#"{"task_id":"t","status":"completed","execution_result":{"outcome":[0,-0,0.0,1e5,1E+5,1.0E-7,12345678901234567890,
            0.1000,1.7976931348623157e308,5e-324]}}"#,
    ),
    (
        "with a long output",
        r#"{"task_id":"t","status":"failed","execution_result":{"outcome":{"exit_code":2,"output":"OUTPUT"}}}"#,
    ),
];

/// The number of log lines in the sample with a long output.
const OUTPUT_LINES: usize = 2_000;

/// One outcome of every kind, one with a status that the operator has added, and `documents`.
pub(super) fn all(documents: &[Vec<u8>], limits: &Limits) -> Vec<Sample> {
    let mut samples: Vec<Sample> = KINDS
        .iter()
        .filter_map(|(kind, document)| {
            let output: String = (0..OUTPUT_LINES)
                .map(|line| format!("line {line} of the output\\n"))
                .collect();
            let document = document.replace("OUTPUT", &output);
            Sample::new(format!("for an outcome {kind}"), document, limits)
        })
        .collect();
    let added = Limits {
        statuses: Statuses::with(vec!["timed_out".to_owned()]).unwrap_or_default(),
        ..limits.clone()
    };
    samples.extend(Sample::new(
        "for an outcome with a status that the operator has added".to_owned(),
        r#"{"task_id":"t","status":"timed_out"}"#.to_owned(),
        &added,
    ));
    for (number, document) in (1..).zip(documents) {
        let Ok(document) = String::from_utf8(document.clone()) else {
            continue;
        };
        let name = format!("for outcome {number} of the given ones");
        samples.extend(Sample::new(name, document, limits));
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::{KINDS, all};
    use outcome::Limits;

    #[test]
    fn every_sample_is_an_outcome() {
        let given = br#"{"task_id":"mine","status":"completed"}"#.to_vec();
        assert_eq!(all(&[given], &Limits::default()).len(), KINDS.len() + 2);
    }
}
