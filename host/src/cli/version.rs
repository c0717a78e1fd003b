//! `version`: what this program is, and what it can read.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::Serialize;

use super::exit::Exit;
use super::output::SCHEMA;
use super::session::Session;
use crate::cli::Result;
use crate::outcome::digest::sha256;
use crate::policy::{INTERFACE, Policy};
use crate::{store, trail};

/// The commit that the program was built from. Only `.ci/package` sets it: a build must not depend on git.
const COMMIT: Option<&str> = option_env!("CHIFFON_AUDIT_COMMIT");

/// What a build can have or not have.
const FEATURES: &[&str] = if cfg!(target_env = "musl") {
    &["postgresql", "sqlite", "static", "jemalloc"]
} else {
    &["postgresql", "sqlite"]
};

/// Print the version, and which stores and trails it can read
///
/// With `--json` also the digests of the policies that come with the program.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// The oldest and the newest version of a format that the program reads. It writes the newest.
#[derive(Serialize)]
struct Versions {
    oldest: u32,
    newest: u32,
}

impl From<RangeInclusive<u32>> for Versions {
    fn from(versions: RangeInclusive<u32>) -> Versions {
        Versions {
            oldest: *versions.start(),
            newest: *versions.end(),
        }
    }
}

#[derive(Serialize)]
struct VersionJson {
    schema: u32,
    version: &'static str,
    commit: Option<&'static str>,
    features: &'static [&'static str],
    interface: &'static str,
    /// The digest of each policy, layer and driver by name.
    policies: BTreeMap<String, String>,
    store: BTreeMap<&'static str, Versions>,
    trail: Versions,
}

/// The digests of the components that come with the program.
fn policies() -> BTreeMap<String, String> {
    let own = [
        ("built-in", Policy::builtin_component()),
        ("stack driver", Policy::stack_driver()),
    ];
    let bundled = own.iter().chain(Policy::bundled());
    let policies = bundled.map(|(name, bytes)| ((*name).to_owned(), sha256(bytes)));
    let layers = Policy::bundled_layers().iter();
    let layers = layers.map(|(name, bytes)| (format!("{name} as a layer"), sha256(bytes)));
    policies.chain(layers).collect()
}

/// Runs the command.
pub fn run(_: &Args, session: &mut Session) -> Result<Exit> {
    let version = VersionJson {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        commit: COMMIT,
        features: FEATURES,
        interface: INTERFACE,
        policies: policies(),
        store: BTreeMap::from([
            ("sqlite", store::SQLITE_VERSIONS.into()),
            ("postgresql", store::POSTGRES_VERSIONS.into()),
        ]),
        trail: trail::FORMAT_VERSIONS.into(),
    };
    let output = &mut session.output;
    if output.is_json() {
        output.object(&version)?;
        return Ok(Exit::Done);
    }
    output.line(format_args!("chiffon-audit {}", version.version))?;
    let commit = version.commit.unwrap_or("unknown");
    output.line(format_args!("commit    {commit}"))?;
    output.line(format_args!("features  {}", version.features.join(", ")))?;
    for (kind, versions) in &version.store {
        let Versions { oldest, newest } = versions;
        output.line(format_args!("reads     {kind} {oldest} to {newest}"))?;
    }
    let Versions { oldest, newest } = version.trail;
    output.line(format_args!("reads     trail {oldest} to {newest}"))?;
    Ok(Exit::Done)
}
