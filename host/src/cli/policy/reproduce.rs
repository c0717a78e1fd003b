//! `policy reproduce`: repeats every decision of a trail.

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::cli::Result;
use crate::cli::exit::Exit;
use crate::cli::output::{BAD, GOOD, SCHEMA, UNSURE, paint};
use crate::cli::progress::Progress;
use crate::cli::sealing;
use crate::cli::session::{Session, engine, setting};
use crate::cli::text::{Line, shell_word};
use crate::config::Settings;
use crate::outcome::counted;
use crate::policies::{
    MissingKey, NotShown, ReproduceReport, Reproduction, read_secret_setting, reproduce,
};
use crate::policy::Allocation;

/// Repeat every decision of a trail
///
/// Gives each entry to the policy that decided it, with the original settings and at the original time. The policy
/// must produce the same bytes. The first entry that differs is named.
///
/// Exit codes: 0 all are the same; 3 one differs; 6 none differs, but a policy or its settings are not kept with the
/// trail.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The value of a secret setting, if the policy was not activated on this machine; can be repeated. Its key must be in
    /// FILE.key
    #[arg(long = "secret-setting", value_name = "NAME=FILE", value_parser = setting)]
    secrets: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    entries: u64,
    same: u64,
    differs: u64,
    first: Option<Named<'a>>,
    not_shown: Vec<Missing>,
}

#[derive(Serialize)]
struct Named<'a> {
    commit: &'a str,
    task_id: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct Missing {
    entries: u64,
    reason: String,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(Settings::default())?;
    let trail = session.trail(&settings)?;
    let engine = engine(
        &settings,
        Allocation::Pooling,
        session.output.slow_compile_notice(),
    )?;
    let decisions = trail.decisions()?.collect::<Result<Vec<_>, _>>()?;
    let mut progress = Progress::new(Some(decisions.len() as u64), session);
    let secrets = args.secrets.iter();
    let secrets = secrets.map(|(_, file)| read_secret_setting(Path::new(file), MissingKey::Refuse));
    let secrets = secrets.collect::<Result<Vec<_>, _>>()?;
    let sealer = sealing::sealer(&settings, &trail, session.clock.now())?;
    let sealer = sealer.as_deref();
    let found = reproduce(&trail, &engine, secrets, sealer, decisions, |done| {
        progress.reach(done, done, "entries");
    });
    progress.finish();
    let found = found?;
    print(&found, session)?;
    let is_missing = |why: &NotShown| {
        matches!(why, NotShown::Policy(digest) if !digest.is_empty())
            || matches!(why, NotShown::Settings(_))
    };
    if found.not_shown.keys().any(is_missing) {
        let remote = trail.policies_remote();
        session
            .output
            .note(format_args!("{}", how_to_fetch(remote.as_deref())));
    }
    Ok(if found.differs > 0 {
        Exit::Broken
    } else if !found.not_shown.is_empty() {
        Exit::NotShown
    } else {
        Exit::Done
    })
}

fn print(found: &ReproduceReport, session: &mut Session) -> Result<()> {
    let first = match &found.first {
        Some(Reproduction::Differs {
            commit,
            task_id,
            reason,
        }) => Some(Named {
            commit,
            task_id,
            reason,
        }),
        _ => None,
    };
    let not_shown: Vec<Missing> = found
        .not_shown
        .iter()
        .map(|(why, entries)| Missing {
            entries: *entries,
            reason: reason(why),
        })
        .collect();
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Report {
            schema: SCHEMA,
            entries: found.entries,
            same: found.same,
            differs: found.differs,
            first,
            not_shown,
        })?;
        return Ok(());
    }
    writeln!(
        output,
        "{} {} of {}, byte for byte",
        paint(GOOD, "reproduced"),
        found.same,
        counted(found.entries, "entry", "entries")
    )?;
    if let Some(first) = first {
        let others = match found.differs {
            1 => String::new(),
            more => format!(", and {} more", more - 1),
        };
        writeln!(
            output,
            "{} {} in commit {}{others}",
            paint(BAD, "differs"),
            Line(first.task_id),
            first.commit
        )?;
        writeln!(output, "  {}", Line(first.reason))?;
    }
    for missing in not_shown {
        writeln!(
            output,
            "{} {}: {}",
            paint(UNSURE, "not shown"),
            counted(missing.entries, "entry", "entries"),
            Line(&missing.reason)
        )?;
    }
    Ok(())
}

/// How to get the policies that a clone of one branch does not have.
fn how_to_fetch(remote: Option<&str>) -> String {
    let remote = remote.map_or_else(|| "REMOTE".to_owned(), shell_word);
    format!(
        "note: `git fetch {} audit-policies:audit-policies` brings the policies and settings, if the remote has them",
        Line(&remote)
    )
}

fn reason(why: &NotShown) -> String {
    match why {
        NotShown::Policy(digest) if digest.is_empty() => "the commits name no policy".to_owned(),
        NotShown::Policy(digest) => {
            format!(
                "the policy {digest} is not on refs/heads/audit-policies, and this program does not include it"
            )
        }
        NotShown::Settings(digest) => {
            format!("the settings {digest} are not on refs/heads/audit-policies")
        }
        NotShown::Secret(names) => {
            format!("the value of the secret setting {names} is not available (--secret-setting)")
        }
        NotShown::Erased => "sealed members were erased".to_owned(),
        NotShown::Sealed => {
            "sealed members need keys (setting seal.key_file or seal.key_program)".to_owned()
        }
        NotShown::Entry { task_id, reason } => {
            format!("the entry of {task_id} cannot be given to a policy: {reason}")
        }
    }
}
