//! The rules for a trail's bytes: commit, message, tree, path, entry. They are pure functions over bytes and read no
//! object. They are written from the design, not from the writer: code that both share would share its defects.

pub(crate) mod commit;
pub(crate) mod encoding;
pub(crate) mod entry;
pub(crate) mod json;
pub(crate) mod message;
pub(crate) mod path;
#[cfg_attr(
    not(feature = "repository"),
    expect(dead_code, reason = "a proof needs only that subject and entry agree")
)]
pub(crate) mod subject;
pub(crate) mod time;
pub(crate) mod trailers;
#[cfg(feature = "repository")]
pub(crate) mod tree;
