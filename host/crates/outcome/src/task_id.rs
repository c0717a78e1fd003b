//! Task ids: names that are safe as a file name on every system and as one line of a commit message.

use std::fmt;

/// A task id: `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`, no `..`, not ending in `.` or `.lock`, no Windows device name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(String);

/// The longest task id, in bytes. With `.json` and a shard path the name stays below the 255 bytes of every file
/// system.
pub const MAX_LENGTH: usize = 128;

impl TaskId {
    /// Checks a task id.
    ///
    /// # Errors
    ///
    /// The rule that the id breaks, without quoting it.
    pub fn parse(text: &str) -> Result<TaskId, &'static str> {
        let bytes = text.as_bytes();
        let Some(&first) = bytes.first() else {
            return Err("must not be empty");
        };
        if !first.is_ascii_alphanumeric() {
            return Err("must begin with an ASCII letter or digit");
        }
        if !bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
        {
            return Err("may hold only ASCII letters, digits, `.`, `_` and `-`");
        }
        if bytes.len() > MAX_LENGTH {
            return Err("must be at most 128 bytes long");
        }
        if text.contains("..") {
            return Err("must not contain `..`");
        }
        if text.ends_with('.') {
            return Err("must not end in `.`");
        }
        if text.to_ascii_lowercase().ends_with(".lock") {
            return Err("must not end in `.lock`");
        }
        if is_device_name(text) {
            return Err("must not be a Windows device name");
        }
        Ok(TaskId(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id in lower case. Ids with the same lower case collide on file systems that ignore case.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Windows opens the device whatever extension follows, so `NUL.x` is a device name too.
fn is_device_name(text: &str) -> bool {
    let stem = text
        .split('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit())
    };
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

#[cfg(test)]
mod tests {
    use super::TaskId;

    #[test]
    fn ids_that_are_not_safe_file_names_are_refused() {
        let long = "x".repeat(129);
        for id in [
            "../../x",
            "..",
            ".git/config",
            ".GIT",
            "git~1",
            ".g\u{200c}it",
            "a/b",
            "a\\b",
            "/etc/passwd",
            "C:x",
            "",
            " ",
            "a\0",
            "a\nAudit-Task: b",
            "\u{1b}",
            "a\u{202e}",
            long.as_str(),
            "\u{e9}",
            "e\u{301}",
            "CON",
            "NUL.x",
            "-x",
            "--help",
            "x.lock",
            "X.LOCK",
            "x.",
            "%2e%2e%2f",
            "com1",
            "LPT9.txt",
            "a..b",
        ] {
            assert!(TaskId::parse(id).is_err(), "{id:?} was accepted");
        }
    }

    #[test]
    fn ordinary_ids_are_accepted() {
        for id in [
            "a",
            "0",
            "deploy-42.2",
            "tau-airline-000.0",
            "CONSOLE",
            "com10",
            "x.lock.y",
            &"x".repeat(128),
        ] {
            assert!(TaskId::parse(id).is_ok(), "{id:?} was refused");
        }
    }
}
