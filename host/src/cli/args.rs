//! The command line's syntax: the commands, the options common to all of them, and the help's layout.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use super::output::{HEADING, STRONG};
use super::{
    checkpoint, commit, completions, ddl, demo, doctor, erase, export, hook, ingest, init, keys,
    log, man, map, policy, prove, ready, reconcile, replica, report, sample, serve, show,
    submissions, sync, trail, verifier, verify, version, witness,
};

/// Every task outcome becomes exactly one durable git commit
///
/// Chiffon Audit records what orchestrators report about finished tasks. Each outcome becomes one commit that adds one
/// entry, .audit/tasks/{task_id}.json, to an append-only trail in a git repository. A sandboxed WebAssembly policy
/// decides what the entry says; plain git reads everything.
#[derive(Debug, Parser)]
#[command(
    name = "chiffon-audit",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    /// The global options.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command, before or after its name.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The repository, or a directory in it [default: the current directory]
    #[arg(short = 'C', long = "repo", value_name = "DIR", global = true)]
    pub repo: Option<PathBuf>,
    /// Print results as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colour
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true)]
    pub color: ColorWhen,
    /// Print nothing on standard error
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print details, such as what the policy logs
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// When to use colour. The variants have no documentation, so that the help lists them on one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    #[default]
    Auto,
    Always,
    Never,
}

/// The commands. Their documentation is the help that they print.
#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(demo::Args),
    Init(init::Args),
    Doctor(doctor::Args),
    Commit(commit::Args),
    Ingest(ingest::Args),
    Serve(serve::Args),
    Sync(sync::Args),
    Ready(ready::Args),
    Show(show::Args),
    Log(log::Args),
    Submissions(submissions::Args),
    Report(report::Args),
    Export(export::Args),
    Erase(erase::Args),
    Erasures(erase::ListArgs),
    Keys(keys::Args),
    Verify(verify::Args),
    Verifier(verifier::Args),
    Checkpoint(checkpoint::Args),
    Prove(prove::Args),
    Sample(sample::Args),
    Witness(witness::Args),
    Reconcile(reconcile::Args),
    Trail(trail::Args),
    Replica(replica::Args),
    Hook(hook::Args),
    Map(map::Args),
    Policy(policy::Args),
    Store(ddl::Args),
    Completions(completions::Args),
    Man(man::Args),
    Version(version::Args),
}

/// The help's groups. The help would omit a command without a group; a test checks that none is missing.
pub(super) const GROUPS: &[(&str, &[&str])] = &[
    ("Start", &["demo", "init", "trail", "doctor"]),
    ("Record", &["commit", "ingest", "serve", "ready"]),
    ("Copy", &["sync", "replica"]),
    ("Read", &["show", "log", "submissions", "report", "export"]),
    ("Erase", &["erase", "erasures", "keys"]),
    (
        "Prove",
        &[
            "verify",
            "checkpoint",
            "prove",
            "sample",
            "verifier",
            "witness",
            "reconcile",
        ],
    ),
    ("Policy", &["policy"]),
    ("Other systems", &["hook", "map"]),
    ("Database", &["store"]),
    ("Shell", &["completions", "man", "version"]),
];

/// The command line as clap knows it, with its help laid out by [`GROUPS`].
pub fn command() -> clap::Command {
    let command = Cli::command();
    let mut groups = String::new();
    for (group, names) in GROUPS {
        groups.push_str(&format!("{HEADING}{group}:{HEADING:#}\n"));
        for name in *names {
            let about = command
                .find_subcommand(name)
                .and_then(clap::Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            groups.push_str(&format!("  {STRONG}{name:<12}{STRONG:#} {about}\n"));
        }
        groups.push('\n');
    }
    let heading = format!("{HEADING}Options:{HEADING:#}");
    command
        .help_template(format!(
            "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}{heading}\n{{options}}{{after-help}}"
        ))
        .after_help(
            "Run `chiffon-audit COMMAND --help` for more.\n\
             Exit codes: 0 done, 1 could not, 2 usage, 3 broken, 4 refused, 5 conflicting, 6 not shown.",
        )
}

impl Cli {
    /// Parses the arguments; the first is the program's name.
    ///
    /// # Errors
    ///
    /// clap's message: a mistake in the arguments, or the requested help or version.
    pub fn parse_arguments(arguments: &[OsString]) -> Result<Cli, clap::Error> {
        let mut command = command();
        let matches = command.try_get_matches_from_mut(arguments)?;
        Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

#[cfg(test)]
mod tests {
    use super::{GROUPS, command};

    #[test]
    fn the_help_shows_every_command_once() {
        let mut grouped: Vec<_> = GROUPS
            .iter()
            .flat_map(|(_, names)| names.iter().copied())
            .collect();
        let command = command();
        let mut all: Vec<_> = command
            .get_subcommands()
            .map(clap::Command::get_name)
            .collect();
        grouped.sort_unstable();
        all.sort_unstable();
        assert_eq!(grouped, all);
    }

    #[test]
    fn the_arguments_are_well_defined() {
        command().debug_assert();
    }
}
