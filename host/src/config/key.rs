//! A setting's definition, and the forms that values have. The settings themselves are in `table.rs`.

use std::path::PathBuf;
use std::time::Duration;

use super::author::is_author;
use super::table::KEYS;
use super::value::{Value, host, span};
use super::{
    Layout, NonFinite, OverdueSettings, Private, Settings, SigningExtent, SigningFailure, StatusMap,
};

/// One setting: everything that is known about it.
pub(super) struct Key {
    /// Its name in files, dots between the tables.
    pub(super) name: &'static str,
    /// The section of the reference that lists it.
    pub(super) section: &'static str,
    /// What its value must be, as error messages and the reference say it.
    pub(super) expected: &'static str,
    /// What holds if nobody gives it, as the reference says it.
    pub(super) default: &'static str,
    /// What it is for, as the reference says it.
    pub(super) about: &'static str,
    /// Whether a repository's own file may set it: only settings about the trail's appearance.
    pub(super) repository: bool,
    /// Whether it limits something by a number or a time.
    pub(super) is_limit: bool,
    /// Stores a value, or returns `None` if the value is not of the expected form.
    pub(super) store: fn(&mut Settings, Value<'_>) -> Option<()>,
    /// Fills a gap in the first settings from the second, which have lower precedence.
    pub(super) merge: fn(&mut Settings, &mut Settings),
    /// Whether two settings differ in it.
    pub(super) differs: fn(&Settings, &Settings) -> bool,
}

impl Key {
    pub(super) fn find(name: &str) -> Option<&'static Key> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// The name of the environment variable for the same setting.
    pub(super) fn variable(&self) -> String {
        variable(self.name)
    }
}

/// What values of one kind look like, and how they are read.
pub(super) struct Form<T> {
    pub(super) expected: &'static str,
    pub(super) is_limit: bool,
    pub(super) read: fn(Value<'_>) -> Option<T>,
}

impl<T> Form<T> {
    const fn new(expected: &'static str, read: fn(Value<'_>) -> Option<T>) -> Form<T> {
        Form {
            expected,
            is_limit: false,
            read,
        }
    }

    const fn limit(expected: &'static str, read: fn(Value<'_>) -> Option<T>) -> Form<T> {
        Form {
            expected,
            is_limit: true,
            read,
        }
    }
}

pub(super) const LIMIT: Form<u64> = Form::limit("a whole number of at least 1", |value| {
    value.number().filter(|number| *number > 0)
});

pub(super) const TIME: Form<Duration> =
    Form::limit("a number of seconds above 0", |value| value.seconds());

pub(super) const WHOLE_SECONDS: Form<Duration> = Form::new("a whole number of seconds", |value| {
    value.number().map(Duration::from_secs)
});

pub(super) const SPAN: Form<Duration> = Form::new(
    "a whole number above 0 and `d`, `h`, `m` or `s`, such as `90d`",
    |value| span(value.text()?),
);

pub(super) const SWITCH: Form<bool> = Form::new("`true` or `false`", |value| value.boolean());

pub(super) const PATH: Form<PathBuf> = Form::new("a path", |value| value.path());

pub(super) const PROGRAM: Form<PathBuf> = Form::new("a program", |value| {
    let text = value.text().filter(|text| !text.is_empty())?;
    // A bare name is searched for in `PATH`, not beside the configuration file.
    match text.contains('/') {
        true => value.path(),
        false => Some(PathBuf::from(text)),
    }
});

pub(super) const FINGERPRINT: Form<String> = Form::new("a key's fingerprint", non_empty);

pub(super) const SCHEMA_NAME: Form<String> = Form::new("a schema's name", non_empty);

pub(super) const LISTEN: Form<String> = Form::new("ADDRESS:PORT or unix:PATH", non_empty);

pub(super) const AUTHOR: Form<String> = Form::new("`Name <email>` on one line", |value| {
    Some(value.text().filter(|text| is_author(text))?.to_owned())
});

pub(super) const NAMES: Form<Vec<String>> = Form::new(
    "a list of names of 1 to 32 lower-case letters, digits, `_` and `-`",
    |value| value.names(),
);

pub(super) const POINTERS: Form<Vec<String>> = Form::new(
    "a list of JSON pointers, such as `/metadata/delivered_at`",
    |value| value.pointers(),
);

pub(super) const SEALED_POINTERS: Form<Vec<String>> = Form::new(
    "a list of JSON pointers, with `*` for every member or element, such as `/metadata/*/email`",
    |value| value.pointers(),
);

pub(super) const POINTER: Form<String> =
    Form::new("a JSON pointer, such as `/metadata/user`", |value| {
        let text = value.text().filter(|text| text.starts_with('/'))?;
        Some(text.to_owned())
    });

pub(super) const STATUS_MAP: Form<StatusMap> = Form::new(
    "`common`, or a table from words to statuses or `not_terminal`",
    |value| value.status_map(),
);

pub(super) const OVERDUE: Form<OverdueSettings> = Form::new(
    "a time span such as `2h`, or a table from pools to time spans, in which `*` is all others",
    |value| value.overdue(),
);

pub(super) const NON_FINITE: Form<NonFinite> = Form::new("`refuse`, `null` or `string`", |value| {
    match value.text()? {
        "refuse" => Some(NonFinite::Refuse),
        "null" => Some(NonFinite::Null),
        "string" => Some(NonFinite::String),
        _ => None,
    }
});

pub(super) const HOSTS: Form<Vec<String>> =
    Form::new("a list of host names, with a port or without", |value| {
        value.list()?.into_iter().map(host).collect()
    });

pub(super) const STORE_URL: Form<Private> =
    Form::new("`sqlite:PATH` or `postgres://…`", |value| {
        value.store_url().map(Private)
    });

pub(super) const TOKENS: Form<Private> = Form::new("a list of rights and tokens", |value| {
    Some(Private(value.text()?.to_owned()))
});

pub(super) const LAYOUT: Form<Layout> =
    Form::new("`flat` or `sharded`", |value| match value.text()? {
        "flat" => Some(Layout::Flat),
        "sharded" => Some(Layout::Sharded),
        _ => None,
    });

pub(super) const EXTENT: Form<SigningExtent> =
    Form::new("`commit` or `group`", |value| match value.text()? {
        "commit" => Some(SigningExtent::Commit),
        "group" => Some(SigningExtent::Group),
        _ => None,
    });

pub(super) const ON_FAILURE: Form<SigningFailure> =
    Form::new("`hold` or `unsigned`", |value| match value.text()? {
        "hold" => Some(SigningFailure::Hold),
        "unsigned" => Some(SigningFailure::Unsigned),
        _ => None,
    });

pub(super) const ON_POLICY_FAULT: Form<String> = Form::new("`hold` or `builtin`", |value| {
    let text = value.text();
    let text = text.filter(|text| ["hold", "builtin"].contains(text))?;
    Some(text.to_owned())
});

fn non_empty(value: Value<'_>) -> Option<String> {
    Some(value.text().filter(|text| !text.is_empty())?.to_owned())
}

/// The prefix of every environment variable that is a setting.
pub(super) const PREFIX: &str = "CHIFFON_AUDIT_";

pub(super) fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.replace('.', "_").to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::KEYS;

    #[test]
    fn a_repository_may_only_say_how_its_trail_looks() {
        let names: Vec<_> = KEYS
            .iter()
            .filter(|key| key.repository)
            .map(|key| key.name)
            .collect();
        assert_eq!(names, ["layout", "statuses", "author"]);
    }
}
