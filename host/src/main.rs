//! The program `chiffon-audit`. Decides nothing: see `chiffon_audit_cli::cli`.

use std::process::ExitCode;

use chiffon_audit_cli::{cli, config::Environment};

fn main() -> ExitCode {
    cli::run(std::env::args_os(), Environment::of_process()).into()
}
