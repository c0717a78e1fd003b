//! Options for commands that talk to a registry.

use std::path::PathBuf;
use std::time::Duration;

use ::registry::{Client, Credentials, Host, Options, Reference};
use clap::Args;

use crate::cli::Result;
use crate::cli::exit::{UsageError, read_file};

/// How to reach the registry.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Registry options")]
pub struct RegistryFlags {
    /// The time limit for each request
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Allow the registry to redirect downloads, uploads and token requests to this host (HOST or HOST:PORT); can be repeated
    #[arg(long = "allow-host", value_name = "HOST", value_parser = host)]
    allowed_hosts: Vec<Host>,
    /// Sign in with the first line of this file, USER:PASSWORD
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
}

impl RegistryFlags {
    /// A client for the registry of this reference.
    pub fn client(&self, reference: &Reference) -> Result<Client> {
        let options = Options {
            timeout: Duration::from_secs(self.timeout),
            allowed_hosts: self.allowed_hosts.clone(),
            credentials: self.credentials()?,
        };
        Ok(Client::new(reference, options))
    }

    fn credentials(&self) -> Result<Option<Credentials>> {
        let Some(path) = &self.credentials else {
            return Ok(None);
        };
        let text = read_file("the credentials", path)?;
        let pair = text.lines().next().and_then(|line| line.split_once(':'));
        let Some((user, password)) = pair else {
            let path = path.display();
            return Err(UsageError(format!("the credentials {path} must be USER:PASSWORD")).into());
        };
        Ok(Some(Credentials {
            user: user.to_owned(),
            password: password.to_owned(),
        }))
    }
}

/// Reads a reference from the command line.
pub fn reference(text: &str) -> Result<Reference, String> {
    text.parse()
        .map_err(|error: ::registry::ReferenceError| error.to_string())
}

/// Reads a host from the command line.
fn host(text: &str) -> Result<Host, &'static str> {
    Host::parse(text).ok_or("must be HOST or HOST:PORT, without a scheme or a path")
}
