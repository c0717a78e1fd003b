//! Policies: WebAssembly components that decide what an outcome becomes, and the host that does not trust them.
//!
//! Owns all that is WebAssembly: loading and checking a component, its limits, its imports, one call in a sandbox of its own,
//! and the checks on its answer. Knows no trail: what a policy may see of it comes through [`Snapshot`].
//!
//! A call leaves nothing behind. Whatever the policy does, its effect is the [`Call`] that is returned.

mod answer;
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
mod load;
mod log;
mod measure;
mod problem;
mod secrets;
mod settings;
mod stack;
mod state;
mod ticker;
mod trial;
mod wasi;
mod wasi_io;

pub use call::{Call, Verdict};
pub use cases::{CASES_SUFFIX, CaseError, CaseFile, CaseReport, Mismatch};
pub use compile::{CompileError, Compiler, compile};
pub use contract::{Claim, Contract, Report, Standing};
pub use engine::{Allocation, Engine};
pub use fault::Fault;
pub use inspect::{Import, Inspection};
pub use limits::Limits;
pub use load::Policy;
pub use log::{Level, LogLine, Source};
pub use measure::{Measured, Workload, measure};
pub use problem::{LoadError, Problem};
pub use secrets::SecretSetting;
pub use settings::PolicySettings;
pub use stack::StackPart;
pub use state::HostCall;
pub use trial::{
    Again, Answer, Contents, Exchange, HostError, HostFault, HostFunction, Recording,
    RecordingError, Replay, Trial, level_name,
};

/// The version of `chiffon:audit` that this host implements. A policy may be built for another of the same line:
/// [`Policy::built_for`].
pub const INTERFACE: &str = "chiffon:audit@0.1.0";

/// The trail as of one call, for one task: what the policy may read.
///
/// The host asks at most once in a call, and gives the policy the same answer however often it reads.
pub trait Snapshot: Send {
    /// The bytes of the task's entry, or `None` if the trail has none.
    ///
    /// # Errors
    ///
    /// Says, for the policy, why the trail could not be read.
    fn read_entry(&mut self) -> Result<Option<Vec<u8>>, String>;
}
