//! What commands that look into a store share: the runtime that a store needs, and how one is opened that must be there.

use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::store::Options;

/// A runtime for one command. One thread beside the command's own does what a database's connection has to.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
}

/// How a store is opened by whoever only asks: it makes none.
pub fn existing() -> Options {
    Options {
        create: false,
        ..Options::default()
    }
}
