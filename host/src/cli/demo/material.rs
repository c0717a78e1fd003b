//! The made-up outcomes that the demo records, the same on every run.

use std::fmt::Write as _;

/// The demo's outcomes, by file name.
pub const OUTCOMES: [(&str, &str); 6] = [
    (
        "deploy-1",
        r#"{
  "task_id": "deploy-1",
  "status": "completed",
  "plan_id": "release-7",
  "plan_steps": ["build", "push", "roll out"],
  "dispatch_info": {"agent_pool": "deployers", "agent_id": "agent-3", "dispatch_timestamp": "2026-01-21T10:00:00Z"},
  "execution_result": {
    "outcome": {"exit_code": 0, "replicas": 3},
    "resources_used": {"cpu_seconds": 12.50},
    "services_touched": ["checkout", "payments"],
    "start_time": "2026-01-21T10:00:02Z",
    "end_time": "2026-01-21T10:00:41Z"
  },
  "metadata": {"approver": "mara"}
}
"#,
    ),
    (
        "deploy-1-changed",
        r#"{
  "task_id": "deploy-1",
  "status": "completed",
  "plan_id": "release-7",
  "plan_steps": ["build", "push", "roll out"],
  "dispatch_info": {"agent_pool": "deployers", "agent_id": "agent-3", "dispatch_timestamp": "2026-01-21T10:00:00Z"},
  "execution_result": {
    "outcome": {"exit_code": 0, "replicas": 5},
    "resources_used": {"cpu_seconds": 12.50},
    "services_touched": ["checkout", "payments"],
    "start_time": "2026-01-21T10:00:02Z",
    "end_time": "2026-01-21T10:00:41Z"
  },
  "metadata": {"approver": "mara"}
}
"#,
    ),
    (
        "deploy-2",
        r#"{
  "task_id": "deploy-2",
  "status": "failed",
  "plan_id": "release-7",
  "dispatch_info": {"agent_pool": "deployers", "agent_id": "agent-4"},
  "execution_result": {
    "outcome": {"exit_code": 1, "error": "health check did not pass"},
    "services_touched": ["search"]
  }
}
"#,
    ),
    (
        "deploy-3",
        "{\"task_id\": \"deploy-3\", \"status\": \"cancelled\", \"plan_id\": \"release-7\"}\n",
    ),
    (
        "deploy-4",
        "{\"task_id\": \"deploy-4\", \"status\": \"completed\"}\n",
    ),
    (
        "deploy-5",
        r#"{
  "task_id": "deploy-5",
  "status": "failed",
  "execution_result": {
    "outcome": {"exit_code": 1, "stderr": "cannot reach postgres://shop:hunter2@db.internal/orders"},
    "services_touched": ["checkout"]
  }
}
"#,
    ),
];

/// The first `count` outcomes of a stream, one per line.
pub fn runs(count: usize) -> String {
    let mut lines = String::new();
    for number in 1..=count {
        let (agent, reward) = (number % 7, if number % 5 == 0 { "0.0" } else { "1.0" });
        // Cannot fail: a String takes everything.
        let _ = writeln!(
            lines,
            r#"{{"task_id":"run-{number:03}","status":"completed","plan_id":"nightly","plan_steps":["plan","act"],"dispatch_info":{{"agent_pool":"night","agent_id":"agent-{agent}","dispatch_timestamp":null}},"execution_result":{{"outcome":{{"reward":{reward}}},"resources_used":{{"tokens":{}}},"services_touched":["calendar"]}}}}"#,
            1000 + number * 37
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{OUTCOMES, runs};
    use crate::outcome::{Limits, TaskOutcome};

    #[test]
    fn all_of_it_is_outcomes() {
        let runs = runs(20);
        for document in OUTCOMES
            .iter()
            .map(|(_, outcome)| *outcome)
            .chain(runs.lines())
        {
            TaskOutcome::parse(document.as_bytes(), &Limits::default()).expect(document);
        }
    }
}
