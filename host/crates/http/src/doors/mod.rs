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
mod sent;
mod tasks;

pub use accept::{kept_if_refused, outcomes};
pub use answer::{DoorAnswer, respond, text_of};
pub use events::{cloudevents, handshake};
pub use hooks::{Deliveries, Hook, Scheme, hook};
pub use lineage::lineage;
pub use sent::{Sent, Shape};
pub use tasks::by_source_id;

// The paths that the description of the service is made from.
pub use accept::__path_outcomes;
pub use events::{__path_cloudevents, __path_handshake};
pub use hooks::__path_hook;
pub use lineage::__path_lineage;
pub use tasks::__path_by_source_id;
