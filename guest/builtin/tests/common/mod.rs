//! Outcomes for the tests: a document is parsed as the host would, with its defaults.
#![allow(dead_code, reason = "each test program uses its part")]

use chiffon_audit_policy::entry;
use chiffon_audit_policy::outcome::{DispatchInfo, ExecutionResult, Outcome, Time};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The time of recording in all tests.
pub const NOW: Time = Time {
    seconds: 1_768_989_902,
    nanoseconds: 123_000,
};

/// The same, as entries have it.
pub const TIMESTAMP: &str = "2026-01-21T10:05:02.000123Z";

/// An outcome that owns its texts.
#[derive(Clone, Default)]
pub struct Document {
    pub task_id: String,
    pub status: String,
    pub plan_id: Option<String>,
    pub plan_steps: Vec<String>,
    pub dispatch: [Option<String>; 3],
    pub outcome: String,
    pub resources_used: String,
    pub services_touched: Vec<String>,
    pub times: [Option<String>; 2],
    pub metadata: Option<String>,
}

#[derive(Deserialize)]
struct Parsed<'a> {
    task_id: String,
    status: String,
    plan_id: Option<String>,
    #[serde(default)]
    plan_steps: Vec<String>,
    #[serde(default)]
    dispatch_info: Dispatch,
    #[serde(default, borrow)]
    execution_result: Execution<'a>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Dispatch {
    agent_pool: Option<String>,
    agent_id: Option<String>,
    dispatch_timestamp: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Execution<'a> {
    #[serde(borrow, deserialize_with = "present")]
    outcome: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    resources_used: Option<&'a RawValue>,
    services_touched: Vec<String>,
    start_time: Option<String>,
    end_time: Option<String>,
}

/// `null` is a value of these members; only their absence is none.
fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

impl Document {
    pub fn named(task_id: &str, status: &str) -> Document {
        Document {
            task_id: task_id.to_owned(),
            status: status.to_owned(),
            outcome: "{}".to_owned(),
            resources_used: "{}".to_owned(),
            ..Document::default()
        }
    }

    pub fn parse(text: &str) -> Document {
        let parsed: Parsed<'_> = serde_json::from_str(text).unwrap();
        let Parsed {
            dispatch_info: dispatch,
            execution_result: result,
            ..
        } = parsed;
        let json = |raw: Option<&RawValue>| raw.map_or("{}", RawValue::get).to_owned();
        Document {
            task_id: parsed.task_id,
            status: parsed.status,
            plan_id: parsed.plan_id,
            plan_steps: parsed.plan_steps,
            dispatch: [
                dispatch.agent_pool,
                dispatch.agent_id,
                dispatch.dispatch_timestamp,
            ],
            outcome: json(result.outcome),
            resources_used: json(result.resources_used),
            services_touched: result.services_touched,
            times: [result.start_time, result.end_time],
            metadata: parsed.metadata.map(|raw| raw.get().to_owned()),
        }
    }

    pub fn outcome(&self) -> Outcome<'_> {
        let [agent_pool, agent_id, dispatch_timestamp] =
            self.dispatch.each_ref().map(Option::as_deref);
        let [start_time, end_time] = self.times.each_ref().map(Option::as_deref);
        Outcome {
            task_id: &self.task_id,
            status: &self.status,
            plan_id: self.plan_id.as_deref(),
            plan_steps: &self.plan_steps,
            dispatch_info: DispatchInfo {
                agent_pool,
                agent_id,
                dispatch_timestamp,
            },
            execution_result: ExecutionResult {
                outcome: &self.outcome,
                resources_used: &self.resources_used,
                services_touched: &self.services_touched,
                start_time,
                end_time,
            },
            metadata: self.metadata.as_deref(),
        }
    }

    pub fn entry(&self) -> String {
        String::from_utf8(entry::format(&self.outcome(), TIMESTAMP).unwrap()).unwrap()
    }
}
