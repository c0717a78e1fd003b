//! `keys`: the key store of sealed members.

use std::io::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::exit::Exit;
use super::output::{GOOD, SCHEMA, UNSURE, paint};
use super::progress::Progress;
use super::sealing::{encryption, key_store, path, uuid};
use super::session::Session;
use super::text::Line;
use crate::cli::Result;
use crate::cli::failure::Context as _;
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::outcome::counted;
use crate::recorder::erasures;
use crate::sealing::{KeyStatus, KeyStore, Rotated};

/// Care for the keys of sealed members
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Print how many keys there are, and what needs care
    Status,
    /// Wrap all keys under a new key-encryption key
    ///
    /// Replaces the key file by a new one, or asks the key program to wrap a new key. Afterwards no backup of the key
    /// store opens any more, so erasures are final. May be stopped at any time: the next rotation continues.
    Rotate,
    /// Copy the key store to a new file
    ///
    /// Keep backups apart from the key-encryption key, and no longer than erasures may take to become final.
    Backup {
        /// The new file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Put a backup in the place of a lost key store
    ///
    /// First the erasures of the trail are carried out again, so no erased key comes back.
    Restore {
        /// The backup
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Serialize)]
struct StatusJson<'a> {
    schema: u32,
    path: &'a str,
    trail: &'a str,
    live: u32,
    erased: u32,
    generation: i64,
    of_older_generations: u32,
    newest_key: Option<String>,
    backed_up: Option<String>,
    erasures: u32,
    erasures_without_entry: u32,
}

#[derive(Serialize)]
struct RotatedJson {
    schema: u32,
    generation: i64,
    keys: u64,
    resumed: bool,
}

#[derive(Serialize)]
struct CopyJson<'a> {
    schema: u32,
    path: &'a str,
    erased_again: usize,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(Settings::default())?;
    let trail = session.trail(&settings)?;
    let now = session.clock.now().microseconds();
    match &args.command {
        Command::Status => {
            let status = key_store(&settings, &trail)?.status()?;
            print_status(&status, session)?;
        }
        Command::Rotate => {
            let keys = key_store(&settings, &trail)?;
            let all = u64::from(keys.status()?.live);
            let mut progress = Progress::new(Some(all), session);
            let rotated = keys.rotate(now, |done| progress.reach(done, done, "keys"));
            progress.finish();
            print_rotated(&rotated?, session)?;
        }
        Command::Backup { file } => {
            let keys = key_store(&settings, &trail)?;
            keys.back_up(file, now)
                .with_context(|| format!("cannot write the backup {}", file.display()))?;
            let name = file.display().to_string();
            print_copy("backed up to", &name, 0, session)?;
        }
        Command::Restore { file } => {
            let encryption = encryption(&settings)?.context("no keys are configured")?;
            let path = path(&settings, &trail);
            let keys = KeyStore::restore(file, &path, &uuid(&trail)?, &encryption)
                .with_context(|| format!("cannot restore {}", file.display()))?;
            // If this fails, every later command does it before it opens anything.
            let erased = erasures::replay(&trail, &keys)?;
            print_copy("restored", &path.display().to_string(), erased, session)?;
        }
    }
    Ok(Exit::Done)
}

fn time(microseconds: i64) -> String {
    Timestamp::from_microseconds(microseconds).to_rfc3339()
}

fn print_status(status: &KeyStatus, session: &mut Session) -> Result<()> {
    let path = status.path.display().to_string();
    let output = &mut session.output;
    if output.is_json() {
        output.object(&StatusJson {
            schema: SCHEMA,
            path: &path,
            trail: &status.trail,
            live: status.live,
            erased: status.erased,
            generation: status.generation,
            of_older_generations: status.of_older_generations,
            newest_key: status.newest_key.map(time),
            backed_up: status.backed_up.map(time),
            erasures: status.replayed,
            erasures_without_entry: status.erasures_without_entry,
        })?;
        return Ok(());
    }
    writeln!(output, "Key store:  {}", Line(&path))?;
    writeln!(output, "Trail:      {}", Line(&status.trail))?;
    writeln!(
        output,
        "Keys:       {} live, {} erased",
        status.live, status.erased
    )?;
    writeln!(output, "Generation: {}", status.generation)?;
    if status.of_older_generations > 0 {
        let keys = counted(u64::from(status.of_older_generations), "key", "keys");
        let note = format!("{keys} of an older generation: `keys rotate` continues");
        writeln!(output, "            {}", paint(UNSURE, note))?;
    }
    let backed_up = status.backed_up.map_or_else(|| "never".into(), time);
    writeln!(output, "Backup:     {backed_up}")?;
    if status.newest_key > status.backed_up {
        let note = "there are newer keys than the last backup: `keys backup FILE`";
        writeln!(output, "            {}", paint(UNSURE, note))?;
    }
    if status.erasures_without_entry > 0 {
        let erasures = counted(
            u64::from(status.erasures_without_entry),
            "erasure",
            "erasures",
        );
        let note = format!("{erasures} without an entry in the trail: `erasures` records them");
        writeln!(output, "            {}", paint(UNSURE, note))?;
    }
    Ok(())
}

fn print_rotated(rotated: &Rotated, session: &mut Session) -> Result<()> {
    let Rotated {
        generation,
        keys,
        resumed,
    } = *rotated;
    let output = &mut session.output;
    if output.is_json() {
        output.object(&RotatedJson {
            schema: SCHEMA,
            generation,
            keys,
            resumed,
        })?;
        return Ok(());
    }
    let how = if resumed { "continued: " } else { "" };
    writeln!(
        output,
        "{} {how}{} wrapped again, generation {generation}",
        paint(GOOD, "rotated"),
        counted(keys, "key", "keys"),
    )?;
    Ok(())
}

fn print_copy(did: &str, path: &str, erased_again: usize, session: &mut Session) -> Result<()> {
    let output = &mut session.output;
    if output.is_json() {
        output.object(&CopyJson {
            schema: SCHEMA,
            path,
            erased_again,
        })?;
        return Ok(());
    }
    writeln!(output, "{} {}", paint(GOOD, did), Line(path))?;
    if erased_again > 0 {
        let keys = counted(erased_again as u64, "key", "keys");
        output.note(format_args!("{keys} erased again, as the trail says"));
    }
    Ok(())
}
