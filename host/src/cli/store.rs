//! What commands that look into a store share: the runtime that a store needs, and how one is opened that must be there.

use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use crate::binding::{self, Rebind};
use crate::config::{Private, Settings};
use crate::store::{self, Options, Store, StoreError, StoreUrl};
use crate::trail::Trail;

/// A runtime for one command. One thread beside the command's own does what a database's connection has to.
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
/// The URL, or the schema, makes no sense.
pub fn place(url: &Private, settings: &Settings) -> Result<StoreUrl, StoreError> {
    StoreUrl::parse(&url.0)?.in_schema(settings.store_schema.as_deref())
}

/// How the settings have a store opened.
pub fn options_of(settings: &Settings) -> Options {
    let pool = settings.store_pool.map(usize::try_from);
    Options {
        pool: pool.map_or(store::POOL, |pool| pool.unwrap_or(usize::MAX)),
        ..Options::default()
    }
}

/// How a store is opened by whoever only asks: it makes none.
pub fn existing() -> Options {
    Options {
        create: false,
        ..Options::default()
    }
}

/// Opens a store for a command that only reads. One that belongs to another trail than this is not read.
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
    /// Make a store that belongs to the trail FROM belong to this repository's trail TO; what refused it says both
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"])]
    rebind: Option<Vec<String>>,
}

impl RebindFlag {
    /// What was given, if it was.
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
