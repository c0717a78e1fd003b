//! The paths of entries in both layouts, and the task of each.

use sha2::{Digest, Sha256};

/// The directory of all entries.
pub(crate) const TASKS: &[u8] = b".audit/tasks/";

/// The longest task id, in bytes.
const MAX_ID: usize = 128;

/// The task of the entry at this path.
///
/// # Errors
///
/// The reason why an entry cannot have this path.
pub(crate) fn task_at(path: &[u8]) -> Result<&str, &'static str> {
    let rest = path
        .strip_prefix(TASKS)
        .ok_or("it is not in `.audit/tasks/`")?;
    let (shard, name) = match rest.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (Some(&rest[..slash]), &rest[slash + 1..]),
        None => (None, rest),
    };
    let task = name
        .strip_suffix(b".json")
        .ok_or("its name does not end in `.json`")?;
    let task = task_id(task)?;
    match shard {
        Some(shard) if shard != shard_of(task) => Err("it is in the wrong directory for its task"),
        _ => Ok(task),
    }
}

/// The name of a file without `.json`, which is the task if the path is that of an entry.
pub(crate) fn name(path: &[u8]) -> Option<&str> {
    let name = path.rsplit(|byte| *byte == b'/').next()?;
    std::str::from_utf8(name.strip_suffix(b".json")?).ok()
}

/// The four directories of a task in the sharded layout.
fn shard_of(task: &str) -> [u8; 7] {
    let digest = Sha256::digest(task.to_ascii_lowercase().as_bytes());
    let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
    [
        digit(digest[0] >> 4),
        b'/',
        digit(digest[0] & 15),
        b'/',
        digit(digest[1] >> 4),
        b'/',
        digit(digest[1] & 15),
    ]
}

/// Checks a task id.
///
/// # Errors
///
/// Names the rule that it breaks.
pub(crate) fn task_id(bytes: &[u8]) -> Result<&str, &'static str> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let text = std::str::from_utf8(bytes).map_err(|_| "its task id is not ASCII")?;
    if bytes.is_empty() || bytes.len() > MAX_ID {
        return Err("its task id is not between 1 and 128 bytes long");
    }
    if !bytes.iter().all(allowed) || !bytes[0].is_ascii_alphanumeric() {
        return Err("its task id has a character that is not allowed");
    }
    let lower = text.to_ascii_lowercase();
    if text.contains("..") || text.ends_with('.') || lower.ends_with(".lock") {
        return Err("its task id is not a safe file name");
    }
    let stem = lower.split('.').next().unwrap_or_default();
    let device = match stem.as_bytes() {
        b"con" | b"prn" | b"aux" | b"nul" => true,
        [b'c', b'o', b'm', digit] | [b'l', b'p', b't', digit] => digit.is_ascii_digit(),
        _ => false,
    };
    if device {
        Err("its task id is a Windows device name")
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::task_at;

    #[test]
    fn entries_are_flat_or_in_the_shard_of_their_task() {
        // printf %s deploy-42.2 | sha256sum begins with 4543.
        for path in [
            ".audit/tasks/deploy-42.2.json",
            ".audit/tasks/4/5/4/3/deploy-42.2.json",
            ".audit/tasks/4/5/4/3/Deploy-42.2.json",
        ] {
            assert!(task_at(path.as_bytes()).is_ok(), "{path}");
        }
    }

    #[test]
    fn no_other_path_is_an_entry() {
        let long = format!(".audit/tasks/{}.json", "x".repeat(129));
        for path in [
            "README",
            ".audit/x.json",
            ".audit/tasks/x",
            ".audit/tasks/.json",
            ".audit/tasks/a/deploy-42.2.json",
            ".audit/tasks/4/5/4/z/deploy-42.2.json",
            ".audit/tasks/Z/5/4/3/deploy-42.2.json",
            ".audit/tasks/4/5/4/3/e/deploy-42.2.json",
            ".audit/tasks//x.json",
            ".audit/tasks/../x.json",
            ".audit/tasks/-x.json",
            ".audit/tasks/a..b.json",
            ".audit/tasks/x.lock.json",
            ".audit/tasks/x..json",
            ".audit/tasks/NUL.x.json",
            ".audit/tasks/com1.json",
            ".audit/tasks/a b.json",
            ".audit/tasks/é.json",
            &long,
        ] {
            assert!(task_at(path.as_bytes()).is_err(), "{path}");
        }
    }
}
