//! The kit that policies are made with: the bindings to the host, and what turns an outcome into an entry.
//!
//! A policy is two functions, `entry` and `same`, in a module that [`export!`] makes a component of:
//!
//! ```ignore
//! pub mod policy;
//! policy_kit::export!(crate::policy);
//! ```
//!
//! Numbers and the order of members stay as they were submitted: JSON is handled as text throughout.

pub mod compare;
pub mod json;
pub mod layout;
pub mod marker;
pub mod outcome;
mod place;
pub mod rewrite;
mod tape;
pub mod time;

#[cfg(all(target_arch = "wasm32", feature = "bindings"))]
pub mod host;
#[cfg(all(target_arch = "wasm32", feature = "bindings"))]
pub mod perform;

/// The bindings to the world `chiffon:audit/policy`, generated from `wit/`.
#[cfg(all(target_arch = "wasm32", feature = "bindings"))]
#[allow(missing_docs, reason = "generated; the WIT files document the items")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "policy",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "policy_kit::bindings",
    });
}

/// Makes a component of a policy: a module with the functions `entry` and `same`.
///
/// Expands to nothing in a native build, so that native tests can call the functions.
#[macro_export]
macro_rules! export {
    ($($policy:ident)::+) => {
        #[cfg(target_arch = "wasm32")]
        mod component {
            use $crate::bindings::chiffon::audit::types::TaskOutcome;
            use $crate::bindings::exports::chiffon::audit::recorder::{
                Guest, Receipt, RecordError,
            };

            struct Policy;

            impl Guest for Policy {
                fn commit_task_outcome(outcome: TaskOutcome) -> Result<Receipt, RecordError> {
                    $crate::perform::perform(
                        outcome,
                        $($policy)::+::entry,
                        $($policy)::+::same,
                    )
                }
            }

            $crate::bindings::export!(Policy with_types_in $crate::bindings);
        }
    };
}
