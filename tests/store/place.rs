//! Where the tests' stores are: each in a place of its own that is gone with it.

use std::path::PathBuf;
use std::sync::Arc;

use chiffon_audit::store::{self, Options, Store, StoreError, StoreUrl};

/// A place for one store.
pub struct Place {
    pub url: StoreUrl,
    _dir: tempfile::TempDir,
}

impl Place {
    /// A SQLite file that is not there yet.
    pub fn sqlite() -> Place {
        let dir = tempfile::tempdir().unwrap();
        Place {
            url: StoreUrl::Sqlite(dir.path().join("store.sqlite")),
            _dir: dir,
        }
    }

    /// The SQLite file.
    pub fn file(&self) -> PathBuf {
        match &self.url {
            StoreUrl::Sqlite(path) => path.clone(),
            StoreUrl::Postgres(_) => panic!("not a file"),
        }
    }

    pub async fn try_open(&self, options: &Options) -> Result<Arc<dyn Store>, StoreError> {
        store::open(&self.url, options).await
    }

    pub async fn open(&self) -> Arc<dyn Store> {
        self.try_open(&options()).await.unwrap()
    }

    pub async fn open_keeping(&self) -> Arc<dyn Store> {
        let options = Options {
            keep_submissions: true,
            ..options()
        };
        self.try_open(&options).await.unwrap()
    }
}

/// As callers have them, but for a wait that a test has the patience for.
pub fn options() -> Options {
    Options {
        lock_wait: std::time::Duration::from_millis(200),
        ..Options::default()
    }
}
