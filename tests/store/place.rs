//! The places of the tests' stores: each is removed with its test.

use std::path::PathBuf;
use std::sync::Arc;

use chiffon_audit_cli::store::{self, Options, Store, StoreError, StoreUrl};

use super::server;

/// A place for one store.
pub struct Place {
    pub url: StoreUrl,
    _dir: Option<tempfile::TempDir>,
}

impl Place {
    /// A SQLite file that does not exist yet.
    pub fn sqlite() -> Place {
        let dir = crate::support::temporary();
        Place {
            url: StoreUrl::Sqlite(dir.path().join("store.sqlite")),
            _dir: Some(dir),
        }
    }

    /// An empty PostgreSQL database, if a server is available.
    pub async fn postgres() -> Option<Place> {
        let server = server::shared()?;
        Some(Place {
            url: server.database().await,
            _dir: None,
        })
    }

    /// The path of the SQLite file.
    pub fn file(&self) -> PathBuf {
        match &self.url {
            StoreUrl::Sqlite(path) => path.clone(),
            StoreUrl::Postgres(_) => panic!("not a file"),
        }
    }

    /// The name of the PostgreSQL database.
    pub fn database(&self) -> String {
        let url = self.url.to_string();
        url.rsplit('/').next().unwrap().to_owned()
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

/// The default options, with a shorter time limit.
pub fn options() -> Options {
    Options {
        lock_wait: std::time::Duration::from_millis(200),
        ..Options::default()
    }
}
