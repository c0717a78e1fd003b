//! The successor of a trail: made like its predecessor, and completed once that has ended.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::checkpoint::{Checkpoint, Target};
use crate::cli::Result;
use crate::cli::exit::UsageError;
use crate::cli::session::{LayoutName, Session, engine};
use crate::cli::text::Line;
use crate::config::{self, Settings, repository_file};
use crate::files;
use crate::outcome::continuation::Predecessor;
use crate::policies;
use crate::policy::{Allocation, Engine};
use crate::recorder::continuation;
use crate::trail::{InitOptions, KnownTrail, Placement, Trail};

/// How the successor is made, if not like its predecessor.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Options for the successor")]
pub struct SuccessorFlags {
    /// Create a repository without a work tree [default: as its predecessor]
    #[arg(long)]
    bare: bool,
    /// Keep the new trail on this ref [default: as its predecessor]
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// Store its entries in one directory, or spread over many [default: as its predecessor]
    #[arg(long, value_name = "LAYOUT", value_enum)]
    layout: Option<LayoutName>,
    /// Commit as `Name <email>` [default: git's user, or the tool's own identity]
    #[arg(long, value_name = "AUTHOR")]
    author: Option<String>,
    /// Sign with this SSH key (ed25519)
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
    /// Put the newest checkpoint from here into the first entry: a file, or a repository that keeps it [default:
    /// setting checkpoint.to]
    #[arg(long, value_name = "FILE|DIR")]
    checkpoint: Option<PathBuf>,
}

impl SuccessorFlags {
    /// The settings that these flags give.
    pub fn settings(&self) -> Settings {
        Settings {
            layout: self.layout.map(Into::into),
            author: self.author.clone(),
            signing: config::Signing {
                key: self.signing_key.clone(),
                ..config::Signing::default()
            },
            checkpoint: config::CheckpointSettings {
                to: self.checkpoint.clone(),
                ..config::CheckpointSettings::default()
            },
            ..Settings::default()
        }
    }
}

/// A successor that may not have begun yet.
pub struct Successor {
    /// The trail.
    pub trail: Trail,
    /// Its uuid.
    pub uuid: String,
    /// Whether the trail was created now.
    pub is_new: bool,
}

/// Makes the successor of `before` in `directory`, or opens it. Placement, layout, the repository's settings and the policy
/// in force are those of `before`, unless flags say otherwise or the successor has its own.
pub fn prepare(
    before: &Trail,
    directory: &Path,
    flags: &SuccessorFlags,
    settings: &Settings,
    session: &mut Session,
) -> Result<Successor> {
    let origin = before.origin(&[])?;
    let mut open = session.record_options(settings)?;
    open.layout = flags.layout.and(open.layout);
    if is_within(directory, before.directory()) {
        let message = format!(
            "{} lies within the repository of the predecessor: name a directory beside it",
            Line(&directory.display().to_string())
        );
        return Err(UsageError(message).into());
    }
    let existing = Trail::open(directory, open.clone());
    let existing = existing
        .ok()
        .filter(|trail| trail.directory() == absolute(directory));
    if existing
        .as_ref()
        .is_some_and(|trail| trail.common_dir() == before.common_dir())
    {
        let message = "a trail cannot continue itself: the successor needs a separate repository";
        return Err(UsageError(message.into()).into());
    }
    let has_trail = existing.is_some_and(|trail| trail.has_begun().unwrap_or(false));
    let is_bare = before.directory() == before.common_dir();
    let is_on_ref = before.placement() == Placement::Ref;
    let as_before = || is_on_ref.then(|| before.reference().to_owned());
    let reference = match has_trail {
        true => flags.reference.clone(),
        false => flags.reference.clone().or_else(as_before),
    };
    let init = InitOptions {
        bare: flags.bare || is_bare,
        reference,
        layout: open
            .layout
            .or_else(|| before.chosen_layout().filter(|_| !has_trail)),
        second_trail: false,
        accept_tip: None,
        uuid: Uuid::new_v4().to_string(),
        time: session.clock.now(),
        open,
    };
    let (trail, report, uuid) = continuation::prepare(directory, init, &origin)?;
    copy_settings(before, &trail)?;
    let engine = own_engine(settings, session)?;
    let is_decided = trail.in_force()?.is_some() || trail.predecessor()?.is_some();
    if !is_decided && let Some(in_force) = policies::in_force(before, &engine)? {
        let used = before.used_policies()?;
        let secrets = in_force.settings.secrets().filter_map(|(_, secret)| {
            let file = used.secret_file(secret.tag())?;
            Some((secret.tag().to_owned(), file.to_owned()))
        });
        trail.note_secret_files(&secrets.collect::<Vec<_>>())?;
        let now = session.clock.now();
        policies::activate_despite(&trail, &in_force.policy, &in_force.settings, &[], now)?;
    }
    Ok(Successor {
        trail,
        uuid,
        is_new: report.created_trail,
    })
}

/// Records the beginning of the successor, after the end of `before`.
pub fn complete(
    before: &Trail,
    successor: &Successor,
    settings: &Settings,
    session: &Session,
) -> Result<(Predecessor, bool)> {
    let checkpoint = newest_checkpoint(settings, &before.origin(&[])?)?;
    let engine = own_engine(settings, session)?;
    let ends = (&successor.trail, &*successor.uuid);
    Ok(continuation::complete(
        before,
        ends,
        checkpoint,
        &engine,
        &session.clock,
    )?)
}

/// The engine for the built-in policy, which decides the host's own entries.
pub fn own_engine(settings: &Settings, session: &Session) -> Result<Engine> {
    engine(
        settings,
        Allocation::OnDemand,
        session.output.slow_compile_notice(),
    )
}

/// The newest checkpoint of the trail with this origin, where checkpoints are kept.
fn newest_checkpoint(settings: &Settings, origin: &str) -> Result<Option<String>> {
    let kept = settings.checkpoint.to.as_deref();
    let Some(kept) = kept.filter(|path| *path != Path::new("-")) else {
        return Ok(None);
    };
    let newest = Target::of_path(kept, false).newest(origin)?;
    let newest = newest.as_deref().and_then(Checkpoint::read_last);
    let newest = newest.filter(|(checkpoint, _)| checkpoint.origin == origin);
    Ok(newest.map(|(_, note)| note.to_owned()))
}

/// Copies the repository's settings, unless the successor has its own.
fn copy_settings(before: &Trail, successor: &Trail) -> Result<()> {
    let Some(from) = repository_file(before.directory()).filter(|file| file.is_file()) else {
        return Ok(());
    };
    let Some(to) = repository_file(successor.directory()).filter(|file| !file.exists()) else {
        return Ok(());
    };
    files::require_regular(&from)?;
    let text = fs::read(&from)?;
    match files::replace(&to, &text) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        copied => Ok(copied?),
    }
}

/// Whether a directory, which need not exist yet, lies within another one.
fn is_within(directory: &Path, outer: &Path) -> bool {
    let there = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let mut levels = there.ancestors().skip(1);
    let first = levels.find(|level| level.exists());
    first.is_some_and(|level| absolute(level).starts_with(absolute(outer)))
}

fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Notes in a trail where others are. The list is a cache, so a failure is only logged.
pub fn remember(trail: &Trail, known: Vec<KnownTrail>) {
    if let Err(error) = trail.note_known_trails(known) {
        tracing::debug!(%error, "the list of known trails could not be written");
    }
}
