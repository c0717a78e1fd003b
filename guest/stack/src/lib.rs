//! The driver of a stack: calls its layers in turn until none of them changes anything, and then the policy.
//!
//! Knows no layer. `policy compose` writes the layers' names into `names::BLOCK` and links the layers.

pub mod names;

#[cfg(target_arch = "wasm32")]
#[allow(missing_docs, reason = "generated; the WIT files document the items")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit", "../../wit/0.2", "wit"],
        world: "chiffon:stack/driver",
        additional_derives: [PartialEq],
        generate_all,
    });
}

#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    reason = "the export is generated here, as it is for policies in their kit"
)]
mod driver;
