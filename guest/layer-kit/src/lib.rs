//! The kit that layers are made with: the bindings to the host, and rewriting an outcome text by text.
//!
//! A layer is one function in a module that [`export!`] makes a component of:
//!
//! ```ignore
//! pub mod layer;
//! layer_kit::export!(crate::layer);
//! ```
//!
//! It takes the outcome's [`Texts`] and the settings, and answers the texts or a refusal. Task id and status are not among
//! the texts that it can change.

pub mod texts;

pub use texts::Texts;

/// The bindings to the world `chiffon:audit/layer`, generated from `wit/0.2/`.
#[cfg(target_arch = "wasm32")]
#[allow(missing_docs, reason = "generated; the WIT files document the items")]
pub mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit", "../../wit/0.2"],
        world: "chiffon:audit/layer@0.2.0",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "layer_kit::bindings",
    });
}

#[cfg(target_arch = "wasm32")]
pub mod perform;

/// Makes a component of a layer: a module with the function `rewrite`.
///
/// Expands to nothing in a native build, so that native tests can call the function.
#[macro_export]
macro_rules! export {
    ($($layer:ident)::+) => {
        #[cfg(target_arch = "wasm32")]
        mod component {
            use $crate::bindings::chiffon::audit0_1_0::types::TaskOutcome;
            use $crate::bindings::exports::chiffon::audit0_2_0::rewriting::{Guest, RewriteError};

            struct Layer;

            impl Guest for Layer {
                fn rewrite(outcome: TaskOutcome) -> Result<TaskOutcome, RewriteError> {
                    $crate::perform::perform(outcome, $($layer)::+::rewrite)
                }
            }

            $crate::bindings::export!(Layer with_types_in $crate::bindings);
        }
    };
}
