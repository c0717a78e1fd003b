//! `checkpoint`: signs what the trail holds now, for safekeeping where the trail's writer cannot quietly rewrite it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::exit::{Exit, UsageError, cannot_read, check_exists};
use super::output::{BAD, FAINT, GOOD, Output, SCHEMA, paint};
use super::session::Session;
use super::text::Line;
use crate::checkpoint::witness::{CosignerKey, Witness};
use crate::checkpoint::{self, CheckpointKey, Target, Witnesses};
use crate::cli::Result;
use crate::config::{CheckpointSettings, Settings};
use crate::outcome::counted;
use crate::trail::Trail;

/// Sign what the trail holds now
///
/// A checkpoint fixes how many entries there are and what they say, in a few signed lines (a C2SP tlog-checkpoint).
/// Keep it where the writer of the trail cannot rewrite it. `verify --against` then reports anything that is cut
/// off, changed or backdated later, even if every commit is signed again.
///
/// With --to, the trail must extend the checkpoint that is there. Otherwise that one stays and the exit code is 3:
/// the trail was rolled back. The trail must also extend the last checkpoint that the key signed. That one is kept
/// beside the key, in KEY.signed, or where setting checkpoint.state says.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The key that signs, made by --new-key [default: setting checkpoint.key]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Keep it in this file, or in another git repository (a directory); - prints it [default: setting checkpoint.to,
    /// or -]
    #[arg(long, value_name = "FILE|DIR")]
    to: Option<PathBuf>,
    /// Keep earlier checkpoints in the file too
    #[arg(long)]
    append: bool,
    /// Have this witness cosign it (C2SP tlog-witness): http://HOST/PATH; can be repeated
    #[arg(long, value_name = "URL", requires = "witness_keys")]
    witness: Vec<Witness>,
    /// The witnesses' keys, one name+id+base64 per line
    #[arg(long, value_name = "FILE")]
    witness_keys: Option<PathBuf>,
    /// Create a key in this new file and print its public half, for `verify --checkpoint-key`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "to", "append", "witness", "witness_keys"])]
    new_key: Option<PathBuf>,
}

#[derive(Serialize)]
struct NewKey<'a> {
    schema: u32,
    file: String,
    public: &'a str,
}

#[derive(Serialize)]
struct CheckpointJson<'a> {
    schema: u32,
    origin: &'a str,
    size: u64,
    commit: Option<&'a str>,
    time: Option<&'a str>,
    kept: Option<String>,
    size_before: Option<u64>,
    witnesses: &'a [String],
    unwitnessed: &'a [String],
    checkpoint: &'a str,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(Settings {
        checkpoint: CheckpointSettings {
            key: args.key.clone(),
            to: args.to.clone(),
            ..CheckpointSettings::default()
        },
        ..Settings::default()
    })?;
    let trail = session.trail(&settings)?;
    if let Some(file) = &args.new_key {
        return make_key(file, &trail, session);
    }
    let key = key(&settings)?;
    let to = settings.checkpoint.to.as_deref();
    let target = to
        .filter(|to| *to != Path::new("-"))
        .map(|to| Target::of_path(to, args.append));
    let witnesses = Witnesses {
        at: args.witness.clone(),
        keys: witness_keys(args.witness_keys.as_deref())?,
    };
    let now = session.clock.now();
    let made = checkpoint::make_witnessed(&trail, &key, target.as_ref(), now, &witnesses)?;
    let output = &mut session.output;
    for why in &made.unwitnessed {
        output.note(format_args!(
            "{} {}",
            paint(BAD, "not cosigned:"),
            Line(why)
        ));
    }
    let exit = match made.unwitnessed[..] {
        [] => Exit::Done,
        _ => Exit::CouldNot,
    };
    warn_of_another_trail(&key, &made.checkpoint.origin, output);
    if output.is_json() {
        output.object(&CheckpointJson {
            schema: SCHEMA,
            origin: &made.checkpoint.origin,
            size: made.checkpoint.size,
            commit: made.checkpoint.commit.as_deref(),
            time: made.checkpoint.time.as_deref(),
            kept: target.as_ref().map(ToString::to_string),
            size_before: made.before.as_ref().map(|before| before.size),
            witnesses: &made.witnesses,
            unwitnessed: &made.unwitnessed,
            checkpoint: &made.note,
        })?;
        return Ok(exit);
    }
    let Some(target) = target else {
        output.write_all(made.note.as_bytes())?;
        return Ok(exit);
    };
    let size = made.checkpoint.size;
    writeln!(
        output,
        "{} of {} in {}",
        paint(GOOD, "checkpoint"),
        counted(size, "entry", "entries"),
        Line(&target.to_string())
    )?;
    if let Some(before) = made.before {
        let line = format!(
            "extends the one before, of {} at {}",
            counted(before.size, "entry", "entries"),
            before.time.as_deref().unwrap_or("an unstated time")
        );
        writeln!(output, "{}", paint(FAINT, Line(&line)))?;
    }
    if !made.witnesses.is_empty() {
        let line = format!("cosigned by {}", made.witnesses.join(", "));
        writeln!(output, "{}", paint(FAINT, Line(&line)))?;
    }
    Ok(exit)
}

/// Reads the witnesses' keys from a file.
pub(super) fn witness_keys(path: Option<&Path>) -> Result<Vec<CosignerKey>> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| cannot_read("the keys of witnesses", path, error))?;
    let keys = CosignerKey::parse_all(&text);
    let keys = keys.map_err(|why| UsageError(format!("{}: {why}", path.display())))?;
    if keys.is_empty() {
        return Err(UsageError(format!("{} holds no key of a witness", path.display())).into());
    }
    Ok(keys)
}

/// The key that the settings name.
pub(super) fn key(settings: &Settings) -> Result<CheckpointKey> {
    let path = settings.checkpoint.key.as_deref().ok_or_else(|| {
        UsageError("no key signs checkpoints: `checkpoint --new-key FILE` makes one, --key or setting checkpoint.key names it".into())
    })?;
    check_exists("the checkpoint key", path)?;
    let key = CheckpointKey::load(path)?;
    Ok(match &settings.checkpoint.state {
        Some(state) => key.keep_state_in(state.clone()),
        None => key,
    })
}

/// Warns if the key was made for another trail: an auditor who checks with this key would take this trail for the
/// other.
pub(super) fn warn_of_another_trail(key: &CheckpointKey, origin: &str, output: &mut Output) {
    if key.name().starts_with("chiffon-audit/") && key.name() != origin {
        output.note(format_args!(
            "the key {} was made for another trail, and this is {}: `verify` needs `--trail` to say which one is expected",
            Line(key.name()),
            Line(origin)
        ));
    }
}

fn make_key(file: &Path, trail: &Trail, session: &mut Session) -> Result<Exit> {
    // The key carries the trail's name, so that a checkpoint alone says which key it needs.
    let key = CheckpointKey::create(&trail.origin(&[])?, file)?;
    let public = key.public();
    let output = &mut session.output;
    if output.is_json() {
        output.object(&NewKey {
            schema: SCHEMA,
            file: file.display().to_string(),
            public: &public,
        })?;
    } else {
        writeln!(output, "{public}")?;
    }
    output.note(format_args!(
        "the private half is in {}; give auditors the line above",
        Line(&file.display().to_string())
    ));
    Ok(Exit::Done)
}
