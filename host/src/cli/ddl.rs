//! `store`: commands that concern only the store's database.

use std::io::Write as _;

use clap::Subcommand;

use super::exit::Exit;
use super::session::Session;
use super::store::place;
use crate::cli::Result;
use crate::config::{Private, Settings};
use crate::store::{SCHEMA, schema_name, statements_for_dba};

/// Look after the store's database
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ddl(DdlArgs),
}

/// Print the statements that create a PostgreSQL store, for a DBA
///
/// For a role that may not create a schema. A DBA runs them in the database, for example with `chiffon-audit store
/// ddl --role audit | psql --dbname=audit`; the store then opens under that role. An empty schema that the role owns
/// works as well.
#[derive(clap::Args, Debug)]
struct DdlArgs {
    /// The schema [default: the one from the settings, or else chiffon_audit]
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// The service's role, which will own the schema [default: the user in the store's URL, or the role that runs the
    /// statements]
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// Where the store will be: postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let Command::Ddl(args) = &args.command;
    let settings = session.settings(Settings {
        store: args.store.clone().map(Private),
        ..Settings::default()
    })?;
    let url = settings
        .store
        .as_ref()
        .map(|url| place(url, &settings))
        .transpose()?;
    let schema = match (&args.schema, url.as_ref().and_then(|url| url.schema())) {
        (Some(name), _) => schema_name(name)?,
        (None, Some(name)) => name.to_owned(),
        (None, None) => settings
            .store_schema
            .clone()
            .unwrap_or_else(|| SCHEMA.to_owned()),
    };
    let role = args
        .role
        .as_deref()
        .or_else(|| url.as_ref().and_then(|url| url.user()));
    let owner = match role {
        Some(role) => format!("The role {} owns", super::text::Line(role)),
        None => "The role that runs this owns".to_owned(),
    };
    let output = &mut session.output;
    writeln!(
        output,
        "-- The store of chiffon-audit. {owner} the schema and what is in it; the service must run as that role."
    )?;
    output.write_all(statements_for_dba(&schema, role)?.as_bytes())?;
    Ok(Exit::Done)
}
