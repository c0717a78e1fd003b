//! The program `chiffon-audit`. Decides nothing: see `chiffon_audit_cli::cli`.

use std::process::ExitCode;

use chiffon_audit_cli::{cli, config::Environment};

// The allocator of musl's C library has one lock for all threads.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::run(std::env::args_os(), Environment::of_process()).into()
}
