//! Checkpoint settings as plain values.

use std::path::PathBuf;
use std::time::Duration;

/// How checkpoints are made: `checkpoint.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointSettings {
    /// The file of the key that signs checkpoints.
    pub key: Option<PathBuf>,
    /// Where checkpoints are kept: a file, or another git repository.
    pub to: Option<PathBuf>,
    /// The file that remembers the last checkpoint that the key signed; beside the key if not given.
    pub state: Option<PathBuf>,
    /// How often the service makes a checkpoint.
    pub every: Option<Duration>,
}
