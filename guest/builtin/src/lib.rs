//! The built-in policy as a component: performs what [`policy::decide`] decides.
//!
//! Borrows the outcome where the kit's `perform` owns it: most calls copy nothing of it.

pub mod entry;
pub mod outcome;
pub mod policy;

#[cfg(target_arch = "wasm32")]
mod component {
    use crate::outcome::{DispatchInfo, ExecutionResult, Outcome, Time};
    use crate::policy::{self, Decision};
    use policy_kit::bindings::chiffon::audit::clock;
    use policy_kit::bindings::chiffon::audit::types::{TaskOutcome, TaskStatus};
    use policy_kit::bindings::exports::chiffon::audit::recorder::{
        Guest, Receipt, RecordError, Violation,
    };
    use policy_kit::host;

    struct BuiltinPolicy;

    policy_kit::bindings::export!(BuiltinPolicy with_types_in policy_kit::bindings);

    impl Guest for BuiltinPolicy {
        fn commit_task_outcome(outcome: TaskOutcome) -> Result<Receipt, RecordError> {
            let path = host::path(&outcome.task_id);
            let existing = host::read(&path)?;
            let now = clock::now();
            let now = Time {
                seconds: now.seconds,
                nanoseconds: now.nanoseconds,
            };
            match policy::decide(&view(&outcome), existing.as_deref(), now) {
                Decision::Record { entry, subject } => {
                    host::record(&path, &entry, &subject)?;
                    Ok(Receipt::Committed)
                }
                Decision::AlreadyRecorded => Ok(Receipt::AlreadyRecorded),
                Decision::Refused(violations) => Err(RecordError::Refused(
                    violations
                        .into_iter()
                        .map(|violation| Violation {
                            pointer: violation.pointer.to_owned(),
                            message: violation.message,
                        })
                        .collect(),
                )),
                Decision::Conflicting(reason) => Err(RecordError::Conflicting(reason)),
                Decision::Unavailable(reason) => Err(RecordError::Unavailable(reason.to_owned())),
            }
        }
    }

    fn view(outcome: &TaskOutcome) -> Outcome<'_> {
        let dispatch = &outcome.dispatch_info;
        let result = &outcome.execution_result;
        Outcome {
            task_id: &outcome.task_id,
            status: match &outcome.status {
                TaskStatus::Completed => "completed",
                TaskStatus::Failed => "failed",
                TaskStatus::Rejected => "rejected",
                TaskStatus::Cancelled => "cancelled",
                TaskStatus::Other(name) => name,
            },
            plan_id: outcome.plan_id.as_deref(),
            plan_steps: &outcome.plan_steps,
            dispatch_info: DispatchInfo {
                agent_pool: dispatch.agent_pool.as_deref(),
                agent_id: dispatch.agent_id.as_deref(),
                dispatch_timestamp: dispatch.dispatch_timestamp.as_deref(),
            },
            execution_result: ExecutionResult {
                outcome: &result.outcome,
                resources_used: &result.resources_used,
                services_touched: &result.services_touched,
                start_time: result.start_time.as_deref(),
                end_time: result.end_time.as_deref(),
            },
            metadata: outcome.metadata.as_deref(),
        }
    }
}
