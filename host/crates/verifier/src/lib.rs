//! Checks a proof for a web page: a request in, the JSON of `verify --proof --json` out.
//!
//! Compiled to `wasm32-unknown-unknown`, this is the verifier that `chiffon-audit verifier` puts into one file. It uses
//! no file, clock or network, and knows only the core of `verify`.

#[cfg(target_arch = "wasm32")]
mod exports;
mod json;
mod request;

pub use json::{SafeFormatter, is_hidden, push_json_escape, to_json};
pub use request::{Answer, Options, TRAIL_RULE, answer, check};
