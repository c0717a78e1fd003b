//! The location of a store: `sqlite:PATH` or `postgres://…`. It is always displayed without its password.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::StoreError;

/// The location of a store.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// The path of a SQLite file.
    Sqlite(PathBuf),
    /// The URL of a PostgreSQL database. Its parameters say how much of the server's identity is checked; beyond this
    /// machine, all of it is by default.
    Postgres(PostgresUrl),
}

/// A PostgreSQL URL, which may contain a password, and the schema.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    text: String,
    schema: Option<String>,
}

/// The default schema of a PostgreSQL store.
pub const SCHEMA: &str = "chiffon_audit";

/// The default name of a SQLite store, in the state directory of the trail's git directory.
const FILE: &str = "store.sqlite";

impl StoreUrl {
    /// The longest time that one answer may take. After that it is an error, so that the store never hangs.
    pub fn patience(&self, options: &super::Options) -> Duration {
        match self {
            StoreUrl::Sqlite(_) => options.lock_wait,
            StoreUrl::Postgres(_) => super::postgres::PATIENCE,
        }
    }

    /// Parses a URL.
    ///
    /// # Errors
    ///
    /// [`StoreError::Invalid`] lists the valid forms. It does not quote the text, which may contain a password.
    pub fn parse(text: &str) -> Result<StoreUrl, StoreError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.contains('\0') {
                return Err(StoreError::Invalid(
                    "a store's URL `sqlite:PATH` needs a path".into(),
                ));
            }
            if path == ":memory:" {
                return Err(StoreError::Invalid(
                    "a store must survive the process, so it cannot be in memory: `sqlite:PATH` needs the path of a file"
                        .into(),
                ));
            }
            return Ok(StoreUrl::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            // The client library takes all before the first `@` for the user and the password, and others end those at the
            // `?`: a part of a password would be read as parameters.
            let parameters = text
                .split_once('?')
                .map(|(before, after)| (before.contains('@'), after));
            if parameters.is_some_and(|(has_user, after)| !has_user && after.contains('@')) {
                return Err(StoreError::Invalid(
                    "a store's URL must have `%3F` for a `?` in a password, and `%40` for an `@` in a parameter".into(),
                ));
            }
            let (text, schema) = without_schema(text)?;
            return Ok(StoreUrl::Postgres(PostgresUrl { text, schema }));
        }
        Err(StoreError::Invalid(
            "a store's URL must be `sqlite:PATH` or `postgres://USER@HOST/DATABASE`".into(),
        ))
    }

    /// Returns the same store in this schema, which a separate setting gives, unless the URL names one. A SQLite file
    /// has no schemas.
    ///
    /// # Errors
    ///
    /// [`StoreError::Invalid`] if a schema cannot have this name.
    pub fn in_schema(self, name: Option<&str>) -> Result<StoreUrl, StoreError> {
        let name = name.map(schema_name).transpose()?;
        Ok(match self {
            StoreUrl::Postgres(PostgresUrl { text, schema }) => StoreUrl::Postgres(PostgresUrl {
                text,
                schema: schema.or(name),
            }),
            file => file,
        })
    }

    /// The role that a PostgreSQL URL names.
    pub fn user(&self) -> Option<&str> {
        let StoreUrl::Postgres(url) = self else {
            return None;
        };
        let (_, rest) = url.text.split_once("://")?;
        let authority = rest.split(['?', '#']).next()?;
        let (who, _) = authority.rsplit_once('@')?;
        who.split(':').next().filter(|user| !user.is_empty())
    }

    /// The schema of a PostgreSQL store.
    pub fn schema(&self) -> Option<&str> {
        match self {
            StoreUrl::Postgres(url) => Some(url.schema()),
            StoreUrl::Sqlite(_) => None,
        }
    }

    /// The default store of a trail: a SQLite file in its git directory.
    pub fn beside_trail(common_dir: &Path) -> StoreUrl {
        StoreUrl::Sqlite(common_dir.join("chiffon-audit").join(FILE))
    }
}

impl PostgresUrl {
    /// The URL with its password.
    pub(super) fn secret(&self) -> &str {
        &self.text
    }

    /// The schema that contains all tables.
    pub(super) fn schema(&self) -> &str {
        self.schema.as_deref().unwrap_or(SCHEMA)
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUrl::Sqlite(path) => write!(out, "sqlite:{}", path.display()),
            StoreUrl::Postgres(url) => url.fmt(out),
        }
    }
}

/// Displays the URL without everything that can contain a password: the part after the user's name, and all parameters.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.text.split_once("://").unwrap_or(("postgres", ""));
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        // A password may contain an unescaped `@` or `/`, so the last `@` is the border.
        let shown = match rest.rsplit_once('@') {
            Some((who, place)) => {
                let user = who.split(':').next().unwrap_or_default();
                format!("{scheme}://{user}@{place}")
            }
            None => format!("{scheme}://{rest}"),
        };
        out.write_str(&shown)?;
        match self.schema() {
            SCHEMA => Ok(()),
            schema => write!(out, "?schema={schema}"),
        }
    }
}

/// Splits a URL into the URL without its parameter `schema`, which the server does not know, and that parameter's
/// value.
fn without_schema(text: &str) -> Result<(String, Option<String>), StoreError> {
    let Some((before, parameters)) = text.split_once('?') else {
        return Ok((text.to_owned(), None));
    };
    let mut schema = None;
    let mut others = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.strip_prefix("schema=") {
            Some(name) => schema = Some(schema_name(name)?),
            None => others.push(parameter),
        }
    }
    let text = match others.is_empty() {
        true => before.to_owned(),
        false => format!("{before}?{}", others.join("&")),
    };
    Ok((text, schema))
}

/// Checks a name for the store's schema: it must need no escaping anywhere, and must not be one of PostgreSQL's own.
///
/// # Errors
///
/// [`StoreError::Invalid`].
pub fn schema_name(name: &str) -> Result<String, StoreError> {
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let fits = (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let folded = name.to_ascii_lowercase();
    let is_taken =
        folded.starts_with("pg_") || ["public", "information_schema"].contains(&folded.as_str());
    if begins && fits && !is_taken {
        return Ok(name.to_owned());
    }
    Err(StoreError::Invalid(format!(
        "the store's schema cannot be named {name:?}: it must be a letter or `_`, then letters, digits, `_` and `-`, at most 63, \
         and not a name that PostgreSQL reserves"
    )))
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::StoreUrl;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (text, shown) in [
            ("sqlite:a/b.sqlite", "sqlite:a/b.sqlite"),
            ("sqlite:///a/b", "sqlite:/a/b"),
            ("postgres://u:secret@h:5433/d", "postgres://u@h:5433/d"),
            (
                "postgresql://u:se@cr/et@h/d?sslmode=disable",
                "postgresql://u@h/d",
            ),
            ("postgres://h/d?password=secret", "postgres://h/d"),
            (
                "postgres:///d?host=/run/pg&user=u&password=secret#secret",
                "postgres:///d",
            ),
        ] {
            let url = StoreUrl::parse(text).expect("a URL");
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }

    #[test]
    fn a_schema_is_taken_out_of_the_url_and_hostile_names_are_refused() {
        let url = StoreUrl::parse("postgres://u@h/d?schema=trail-2&connect_timeout=1");
        let url = url.expect("a URL");
        assert_eq!(
            (url.schema(), url.user(), url.to_string().as_str()),
            (
                Some("trail-2"),
                Some("u"),
                "postgres://u@h/d?schema=trail-2"
            )
        );
        let StoreUrl::Postgres(postgres) = &url else {
            panic!("it is PostgreSQL's");
        };
        assert_eq!(postgres.secret(), "postgres://u@h/d?connect_timeout=1");
        let same = url.in_schema(Some("Other")).expect("a name");
        assert_eq!(same.schema(), Some("trail-2"));
        let bare = StoreUrl::parse("postgres://u@h/d").expect("a URL");
        assert_eq!(bare.schema(), Some("chiffon_audit"));
        let other = bare.in_schema(Some("Other")).expect("a name");
        assert_eq!(other.schema(), Some("Other"));
        for name in [
            "",
            "a b",
            "a\"; DROP SCHEMA x; --",
            "a'",
            "é",
            "1a",
            "-a",
            "public",
            "PG_temp",
            "information_schema",
            "a.b",
            "a\0",
            "%61",
            &"a".repeat(64),
        ] {
            assert!(super::schema_name(name).is_err(), "{name}");
            let url = format!("postgres://u@h/d?schema={name}");
            assert!(StoreUrl::parse(&url).is_err(), "{name}");
        }
    }

    #[test]
    fn other_urls_are_refused_without_being_quoted() {
        for text in [
            "",
            "sqlite:",
            "sqlite::memory:",
            "mysql://u:secret@h",
            "/a/b",
            "u:secret@h",
            "postgres://u:secret?sslmode=disable&@h/d",
            "postgres://h/d?user=u&password=secret@1",
        ] {
            let error = StoreUrl::parse(text).expect_err(text).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
