//! Event ids: the entry's number in the trail and its commit, as in `17-ece314478f…`.

use std::fmt;
use std::str::FromStr;

use outcome::TaskId;
use trail::NumberedCommit;

/// The position of an entry in the trail. Its text is the id of the entry's event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The number of the entry in first-parent history, starting at 1.
    pub number: u64,
    /// The commit that added it, in hexadecimal. The number alone would mean another entry after a rollback.
    pub commit: String,
}

impl Position {
    pub(super) fn of(place: &NumberedCommit) -> Position {
        Position {
            number: place.number,
            commit: place.commit(),
        }
    }

    pub(super) fn as_numbered_commit(&self) -> Option<NumberedCommit> {
        NumberedCommit::claimed(self.number, &self.commit)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.number, self.commit)
    }
}

/// An event id that a follower sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventId {
    /// A position in the trail.
    Position(Position),
    /// The old form, from before entries had numbers: the time of recording, a dot, the task.
    Former {
        /// Microseconds since the epoch.
        time: i64,
        /// The task.
        task_id: TaskId,
    },
}

impl FromStr for EventId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<EventId, &'static str> {
        let position = || {
            let (number, commit) = text.split_once('-')?;
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let is_id = matches!(commit.len(), 40 | 64)
                && commit
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            let number = number.parse().ok().filter(|_| is_number && is_id)?;
            let commit = commit.to_owned();
            Some(EventId::Position(Position { number, commit }))
        };
        let former = || {
            let (time, task_id) = text.split_once('.')?;
            Some(EventId::Former {
                time: time.parse().ok()?,
                task_id: TaskId::parse(task_id).ok()?,
            })
        };
        position()
            .or_else(former)
            .ok_or("must be the id of an event")
    }
}

#[cfg(test)]
mod tests {
    use super::EventId;

    #[test]
    fn ids_of_both_kinds_are_read_and_nothing_else_is() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let id = format!("17-{commit}").parse();
        let Ok(EventId::Position(position)) = id else {
            panic!("{id:?}");
        };
        assert_eq!(position.to_string(), format!("17-{commit}"));
        let former = "1768989600000000.a.b-1".parse();
        assert!(matches!(
            former,
            Ok(EventId::Former {
                time: 1_768_989_600_000_000,
                ..
            })
        ));
        for text in [
            "", "17", "17-", "17-abc", "+17-", "x.a", "1.", "1.-a", "-1-0", " 1.a",
        ] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
        assert!(format!("+1-{commit}").parse::<EventId>().is_err());
    }
}
