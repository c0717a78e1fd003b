//! The doors: reports in other shapes than one outcome document. Lines, events, lineage, documents of other systems.
//!
//! Owns media types, encodings and answers about several outcomes. What a document means is decided by `intake`.

mod accept;
mod answer;
mod encoding;
mod events;
mod hooks;
mod large;
mod lineage;
mod maps;
mod records;
mod report_body;
mod tasks;
mod work_result;

pub use accept::outcomes;
pub use answer::text_of;
pub use events::{cloudevents, handshake};
pub use hooks::{Deliveries, Hook, Scheme, hook};
pub use lineage::lineage;
pub use tasks::{by_source_id, first_by_source_id};
pub use work_result::{plan, work_result};

// The paths that the description of the service is made from.
pub use accept::__path_outcomes;
pub use events::{__path_cloudevents, __path_handshake};
pub use hooks::__path_hook;
pub use lineage::__path_lineage;
pub use tasks::__path_by_source_id;
pub use work_result::{__path_plan, __path_work_result};
