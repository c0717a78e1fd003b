//! Settings of sealed members as plain values.

use std::path::PathBuf;

/// Which members are sealed, and with what keys: `seal.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealSettings {
    /// JSON pointers, with `*` for every member or element.
    pub pointers: Option<Vec<String>>,
    /// The pointer to the value that names the person or tenant.
    pub subject: Option<String>,
    /// The file of the key-encryption key.
    pub key_file: Option<PathBuf>,
    /// The program that wraps the key-encryption key.
    pub key_program: Option<PathBuf>,
    /// The file of the store of keys.
    pub key_store: Option<PathBuf>,
}
