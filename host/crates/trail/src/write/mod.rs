//! From a decided entry to a durable commit: the queue, the writer's thread, packs and the ref, under the writer lock.

pub(crate) mod fence;
pub(crate) mod flush;
pub(crate) mod flush_thread;
pub(crate) mod holder;
pub(crate) mod lock;
pub(crate) mod maintenance;
pub(crate) mod merge;
pub(crate) mod packs;
pub(crate) mod progress;
pub(crate) mod queue;
pub(crate) mod recover;
pub(crate) mod refresh;
pub(crate) mod sequence;
pub(crate) mod ticket;
pub(crate) mod writer;
