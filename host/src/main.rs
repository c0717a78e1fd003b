//! The program `chiffon-audit`. Decides nothing: see `chiffon_audit::cli`.

use std::process::ExitCode;

use chiffon_audit::{cli, config::Environment};

fn main() -> ExitCode {
    cli::run(std::env::args_os(), Environment::of_process()).into()
}
