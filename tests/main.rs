//! Every integration test in one binary, so that wasmtime is linked and the engine compiled once.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests run git and the built program, and give them an environment"
)]

mod cli;
mod docs;
mod http;
mod orchestrator;
mod outcome;
mod policy;
mod seed;
mod store;
mod support;
mod tidy;
mod trail;
mod verify;
