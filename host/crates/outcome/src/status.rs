//! A task's final status: the four statuses of the format, and those from the configuration.

use std::fmt;

/// A task's final status.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TaskStatus {
    /// The task did its work.
    Completed,
    /// The task failed.
    Failed,
    /// The task was not allowed to run.
    Rejected,
    /// The task was stopped.
    Cancelled,
    /// A status from the operator's configuration.
    Other(String),
}

impl TaskStatus {
    /// The status as documents write it.
    pub fn as_str(&self) -> &str {
        match self {
            TaskStatus::Completed => "completed",
            TaskStatus::Failed => "failed",
            TaskStatus::Rejected => "rejected",
            TaskStatus::Cancelled => "cancelled",
            TaskStatus::Other(name) => name,
        }
    }
}

impl TaskStatus {
    /// The rule for status names, for messages.
    pub const NAMES: &str =
        "1 to 32 lower-case ASCII letters, digits, `_` or `-`, such as `completed`";

    /// Whether a status may have this name, known here or not. The configuration can add statuses.
    pub fn is_valid_name(name: &str) -> bool {
        (1..=32).contains(&name.len())
            && name.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte)
            })
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The known statuses: the format's four and the configured ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses {
    added: Vec<String>,
}

impl Statuses {
    /// The four statuses and `added`.
    ///
    /// # Errors
    ///
    /// The first of `added` that is not 1 to 32 lower-case ASCII letters, digits, `_` or `-`.
    pub fn with(added: Vec<String>) -> Result<Statuses, String> {
        match added.iter().find(|name| !TaskStatus::is_valid_name(name)) {
            Some(name) => Err(name.clone()),
            None => Ok(Statuses { added }),
        }
    }

    /// The names of all known statuses, the format's four first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        ["completed", "failed", "rejected", "cancelled"]
            .into_iter()
            .chain(self.added.iter().map(String::as_str))
    }

    /// The status with this name, if it is known.
    pub fn parse(&self, name: &str) -> Option<TaskStatus> {
        Some(match name {
            "completed" => TaskStatus::Completed,
            "failed" => TaskStatus::Failed,
            "rejected" => TaskStatus::Rejected,
            "cancelled" => TaskStatus::Cancelled,
            name if self.added.iter().any(|added| added == name) => {
                TaskStatus::Other(name.to_owned())
            }
            _ => return None,
        })
    }
}
