//! The program `chiffon-audit`. Decides nothing: see `chiffon_audit_cli::cli`.

use std::process::ExitCode;
use std::sync::Arc;

use chiffon_audit_cli::{cli, config::Environment};
use rustix::process::Signal;

// The allocator of musl's C library has one lock for all threads.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // A file that may not grow any more is an error of the write, like a full disk, and no reason to die. If the handler
    // cannot be installed, the program works as well as without it.
    let _ = signal_hook::flag::register(Signal::XFSZ.as_raw(), Arc::default());
    cli::run(std::env::args_os(), Environment::of_process()).into()
}
