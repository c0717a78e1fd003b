//! The default policy as a component: performs what [`policy::decide`] decides.
//!
//! Owns the bindings; no other file of the policy sees them, and none here decides anything.

pub mod compare;
pub mod entry;
pub mod json;
pub mod outcome;
mod place;
pub mod policy;
mod tape;

#[cfg(target_arch = "wasm32")]
mod component {
    use crate::entry;
    use crate::outcome::{DispatchInfo, ExecutionResult, Outcome, Time};
    use crate::policy::{self, Decision};
    use bindings::chiffon::audit::clock;
    use bindings::chiffon::audit::filesystem::{self, FileError};
    use bindings::chiffon::audit::git::{self, CommitError};
    use bindings::chiffon::audit::types::{TaskOutcome, TaskStatus};
    use bindings::exports::chiffon::audit::recorder::{Guest, Receipt, RecordError, Violation};

    mod bindings {
        wit_bindgen::generate!({ path: "../wit", world: "policy", generate_all });
    }

    struct DefaultPolicy;

    #[expect(
        unsafe_code,
        reason = "the export macro writes the component's entry points"
    )]
    mod exports {
        super::bindings::export!(DefaultPolicy with_types_in super::bindings);
        use super::DefaultPolicy;
    }

    impl Guest for DefaultPolicy {
        fn commit_task_outcome(outcome: TaskOutcome) -> Result<Receipt, RecordError> {
            let path = entry::path(&outcome.task_id);
            let existing = filesystem::read(&path).map_err(unreadable)?;
            let now = clock::now();
            let now = Time {
                seconds: now.seconds,
                nanoseconds: now.nanoseconds,
            };
            match policy::decide(&view(&outcome), existing.as_deref(), now) {
                Decision::Record { entry, subject } => {
                    filesystem::write_new(&path, &entry).map_err(unwritable)?;
                    git::commit(&subject).map_err(uncommitted)?;
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

    fn unreadable(error: FileError) -> RecordError {
        unavailable("could not read the task's entry", &said(error))
    }

    fn unwritable(error: FileError) -> RecordError {
        match error {
            // The read of the same snapshot found nothing, so what is there is not an entry that this call could compare.
            FileError::Exists => {
                unavailable("could not stage the task's entry", "there is one already")
            }
            FileError::TooLarge(limit) => RecordError::Refused(vec![Violation {
                pointer: String::new(),
                message: [
                    "the entry would be larger than the limit of ",
                    &limit.to_string(),
                    " bytes",
                ]
                .concat(),
            }]),
            error => unavailable("could not stage the task's entry", &said(error)),
        }
    }

    fn uncommitted(error: CommitError) -> RecordError {
        let cause = match error {
            CommitError::NoRepository => "there is no trail to commit to".to_owned(),
            CommitError::NothingStaged => "nothing is staged".to_owned(),
            CommitError::Other(cause) => cause,
        };
        unavailable("could not ask for the commit", &cause)
    }

    fn said(error: FileError) -> String {
        match error {
            FileError::InvalidPath(path) => ["the host does not accept the path ", &path].concat(),
            FileError::Exists => "there is one already".to_owned(),
            FileError::TooLarge(limit) => {
                ["it is larger than ", &limit.to_string(), " bytes"].concat()
            }
            FileError::Other(cause) => cause,
        }
    }

    fn unavailable(what: &str, cause: &str) -> RecordError {
        RecordError::Unavailable([what, ": ", cause].concat())
    }
}
