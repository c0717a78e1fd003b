//! Policies: WebAssembly components that decide how an outcome is recorded, and the host that does not trust them.
//!
//! Owns everything about WebAssembly: loading and checking a component, its limits, its imports, one sandboxed call,
//! and the checks on its answer. Knows no trail: a policy reads it only through [`Snapshot`].
//!
//! A call leaves nothing behind. Whatever the policy does, the only effect is the returned [`Call`].

mod annotate;
mod answer;
mod archive;
mod bindings;
mod call;
mod cases;
mod check;
mod compile;
mod completeness;
mod contract;
mod convert;
mod engine;
mod entry;
mod fault;
mod imports;
mod inspect;
mod limits;
mod lines;
mod load;
mod log;
mod measure;
mod outermost;
mod problem;
mod profile;
mod schema;
mod schema_file;
mod secrets;
mod settings;
mod settings_file;
mod stack;
mod state;
mod strip;
mod summary;
mod ticker;
mod trial;
mod wasi;
mod wasi_io;

pub use annotate::{Annotation, AnnotationError, annotate};
pub use archive::{ArchiveError, PolicyArchive};
pub use call::{Call, Verdict};
pub use cases::{
    CASES_SUFFIX, CaseDraft, CaseError, CaseFile, CaseReport, Coverage, Covered, Difference,
    Mismatch,
};
pub use compile::{CompileError, Compiler, compile};
pub use contract::{Claim, ClaimResult, Contract, Report};
pub use engine::{Allocation, Engine};
pub use fault::Fault;
pub use inspect::{Import, Inspection};
pub use limits::Limits;
pub use load::Policy;
pub use log::{Level, LogLine, Source};
pub use measure::{Measurement, Workload, measure};
pub use problem::{LoadError, Problem};
pub use profile::{Profile, ProfileError};
pub use schema::{DeclaredSetting, SchemaError, SettingType, SettingsSchema};
pub use schema_file::parse_schema_file;
pub use secrets::SecretSetting;
pub use settings::PolicySettings;
pub use settings_file::{SettingsFileError, parse_settings_file};
pub use stack::StackPart;
pub use state::HostCall;
pub use strip::{StripError, Stripped, strip};
pub use summary::ComponentSummary;
pub use trial::{
    Answer, Contents, Exchange, HostError, HostFault, HostFunction, Recording, RecordingError,
    Replay, Resubmission, Trial, level_name,
};

/// The version of `chiffon:audit` that this host implements. A policy may be built for another of the same line:
/// [`Policy::built_for`].
pub const INTERFACE: &str = "chiffon:audit@0.1.0";

/// The trail at the time of one call, for one task: everything that the policy may read.
///
/// The host asks at most once in a call. However often the policy reads, it gets the same answer.
pub trait Snapshot: Send {
    /// Returns the bytes of the task's entry, or `None` if the trail has none.
    ///
    /// # Errors
    ///
    /// Why the trail could not be read, as a text for the policy.
    fn read_entry(&mut self) -> Result<Option<Vec<u8>>, String>;
}
