//! A policy that keeps secrets out of the trail: `policy.rs` decides, `rules.rs` says what a secret is, the rest performs.
//!
//! Shaped as `chiffon-audit policy new` makes projects; what does not differ is taken from there.

#[path = "../../src/json.rs"]
mod indent;
#[path = "../../template/src/json.rs"]
pub mod json;
pub mod known;
mod needles;
#[path = "../../template/src/outcome.rs"]
pub mod outcome;
#[cfg(target_arch = "wasm32")]
#[path = "../../template/src/perform.rs"]
mod perform;
pub mod policy;
mod rewrite;
pub mod rules;

#[cfg(target_arch = "wasm32")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "policy", generate_all });
}
