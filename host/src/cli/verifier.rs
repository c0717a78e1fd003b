//! `verifier`: writes the verifier of proofs as one HTML file.

use std::io::Write as _;

use super::exit::Exit;
use super::session::Session;
use crate::cli::Result;
use crate::pages::VerifierPage;

/// Print a page that verifies proofs in a browser
///
/// One HTML file that checks proofs on the machine that opens it, with the same code, claims and JSON as `verify
/// --proof`. It makes no request and needs no network. Its SHA-256 is printed on standard error: compare it with the
/// one in the release. A verifier that the writer of a trail gave you proves little.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
pub fn run(_: &Args, session: &mut Session) -> Result<Exit> {
    let page = VerifierPage::new(env!("CARGO_PKG_VERSION"))?;
    let output = &mut session.output;
    output.write_all(page.html.as_bytes())?;
    output.note(format_args!("SHA-256 {}", page.sha256));
    Ok(Exit::Done)
}
