//! A policy that keeps long outputs out of the trail: `policy.rs` decides, the rest performs and formats.
//!
//! Shaped as `chiffon-audit policy new` makes projects; what does not differ is taken from there.

#[path = "../../src/json.rs"]
mod indent;
#[path = "../../template/src/json.rs"]
pub mod json;
#[path = "../../template/src/outcome.rs"]
pub mod outcome;
#[cfg(target_arch = "wasm32")]
#[path = "../../template/src/perform.rs"]
mod perform;
pub mod policy;
#[path = "../../redact/src/rewrite.rs"]
mod rewrite;

#[cfg(target_arch = "wasm32")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "policy", generate_all });
}
