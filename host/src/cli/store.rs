//! Shared by commands that read a store: the runtime that it needs, and opening a store that must exist.

use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use crate::binding::{self, Rebind};
use crate::config::{Private, Settings};
use crate::store::{self, Options, Store, StoreError, StoreUrl};
use crate::trail::Trail;

/// A runtime for one command. One thread besides the command's own drives a database's connections.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
}

/// The store that the settings name.
///
/// # Errors
///
/// The URL or the schema is invalid.
pub fn place(url: &Private, settings: &Settings) -> Result<StoreUrl, StoreError> {
    StoreUrl::parse(&url.0)?.in_schema(settings.store_schema.as_deref())
}

/// The store options from the settings.
pub fn options_of(settings: &Settings) -> Options {
    let pool = settings.store_pool.map(usize::try_from);
    Options {
        pool: pool.map_or(store::POOL, |pool| pool.unwrap_or(usize::MAX)),
        ..Options::default()
    }
}

/// Options for a reader: the store must exist, and is not created.
pub fn existing() -> Options {
    Options {
        create: false,
        ..Options::default()
    }
}

/// Opens a store for a command that only reads. Refuses a store that belongs to another trail.
pub async fn open_to_read(
    url: &StoreUrl,
    trail: Option<&Trail>,
) -> Result<Arc<dyn Store>, StoreError> {
    let store = store::open(url, &existing()).await?;
    if let Some(trail) = trail {
        binding::check(&*store, trail).await?;
    }
    Ok(store)
}

/// The option of commands that bind a store to a trail.
#[derive(clap::Args, Debug)]
pub struct RebindFlag {
    /// Make a store that belongs to the trail FROM belong to this repository's trail TO; the refusal names both
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"])]
    rebind: Option<Vec<String>>,
}

impl RebindFlag {
    /// The trails to rebind, if the option was given.
    pub fn given(&self) -> Option<Rebind> {
        match self.rebind.as_deref() {
            Some([from, to]) => Some(Rebind {
                from: from.clone(),
                to: to.clone(),
            }),
            _ => None,
        }
    }
}
