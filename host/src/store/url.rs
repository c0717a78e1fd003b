//! Where a store is: `sqlite:PATH` or `postgres://…`. Shown without its password, always.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::StoreError;

/// Where a store is.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(PostgresUrl),
}

/// A PostgreSQL URL, which may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

/// The file beside the trail, in the state directory of the git directory.
const FILE: &str = "store.sqlite";

impl StoreUrl {
    /// The longest that one answer of such a store takes: then it is an error, and not a store that hangs.
    pub fn patience(&self, options: &super::Options) -> Duration {
        match self {
            StoreUrl::Sqlite(_) => options.lock_wait,
            StoreUrl::Postgres(_) => super::postgres::PATIENCE,
        }
    }

    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// [`StoreError::Invalid`] says which forms there are; it does not quote the text, which may hold a password.
    pub fn parse(text: &str) -> Result<StoreUrl, StoreError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.contains('\0') {
                return Err(StoreError::Invalid(
                    "a store's URL `sqlite:PATH` needs a path".into(),
                ));
            }
            return Ok(StoreUrl::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(StoreUrl::Postgres(PostgresUrl(text.to_owned())));
        }
        Err(StoreError::Invalid(
            "a store's URL must be `sqlite:PATH` or `postgres://USER@HOST/DATABASE`".into(),
        ))
    }

    /// The store that a trail has where none is named: a SQLite file in its git directory.
    pub fn beside_trail(common_dir: &Path) -> StoreUrl {
        StoreUrl::Sqlite(common_dir.join("chiffon-audit").join(FILE))
    }
}

impl PostgresUrl {
    /// The URL with its password.
    pub(super) fn secret(&self) -> &str {
        &self.0
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

/// Without everything that can hold a password: the part after the user's name, and all parameters.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("postgres", ""));
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        // A password may hold what should have been escaped, an `@` or a `/`: the last `@` is the border.
        let shown = match rest.rsplit_once('@') {
            Some((who, place)) => {
                let user = who.split(':').next().unwrap_or_default();
                format!("{scheme}://{user}@{place}")
            }
            None => format!("{scheme}://{rest}"),
        };
        out.write_str(&shown)
    }
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
    fn other_urls_are_refused_without_being_quoted() {
        for text in ["", "sqlite:", "mysql://u:secret@h", "/a/b", "u:secret@h"] {
            let error = StoreUrl::parse(text).expect_err(text).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
