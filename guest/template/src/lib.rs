//! A policy for Chiffon Audit. `policy.rs` decides, and is the file to edit; the rest performs and formats.

#[path = "../../src/json.rs"]
mod indent;
pub mod json;
pub mod outcome;
#[cfg(target_arch = "wasm32")]
mod perform;
pub mod policy;

#[cfg(target_arch = "wasm32")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "policy", generate_all });
}
