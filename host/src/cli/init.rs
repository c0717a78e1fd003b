//! `init`: turns a repository into a trail, with an identity that every clone can show.

use std::io::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::commit::short;
use super::exit::{Exit, UsageError};
use super::output::{COMMIT, FAINT, GOOD, SCHEMA, STRONG, paint, warn};
use super::session::{LayoutName, Session, separate_ref_note};
use super::text::{Line, shell_word};
use crate::cli::Result;
use crate::config::{self, Settings};
use crate::trail::{self, InitOptions, Layout, MAX_FLAT_ENTRIES, Trail};
use uuid::Uuid;

/// Make a trail: a genesis commit that gives it an identity
///
/// Creates a git repository in DIR if there is none; inside another repository, only if DIR is given. In a repository
/// with a work tree the trail is on the branch that is checked out, and entries appear as files. With --bare or --ref
/// only the object database and one ref change, which suits services and high volume. Running it again changes only
/// what an option names: --layout, for new entries, and --accept-tip.
///
/// In a clone whose remote holds a trail, this continues that trail: the local ref starts where the last `git fetch`
/// left the remote's.
///
/// A plain git repository needs no `init`: the first record makes it a trail.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The directory [default: the directory of -C, or the current one]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Create a repository without a work tree
    #[arg(long)]
    bare: bool,
    /// Keep the trail on this ref, such as refs/heads/audit, and leave the index and the work tree alone
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// Begin a second trail even if another ref of this repository or of a remote holds one
    #[arg(long, requires = "reference")]
    second_trail: bool,
    /// Store new entries in one directory, or spread over many [default: flat up to 512 entries, then sharded;
    /// sharded with --bare or --ref]
    #[arg(long, value_name = "LAYOUT", value_enum)]
    layout: Option<LayoutName>,
    /// Commit as `Name <email>` [default: git's user, or the tool's own identity]
    #[arg(long, value_name = "AUTHOR")]
    author: Option<String>,
    /// Sign the commit with this SSH key (ed25519)
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
    /// Accept a ref that was moved by force: continue from this commit
    #[arg(long, value_name = "COMMIT")]
    accept_tip: Option<String>,
}

#[derive(Serialize)]
struct InitReport<'a> {
    schema: u32,
    repository: &'a str,
    created_repository: bool,
    created_trail: bool,
    trail: Option<&'a str>,
    reference: &'a str,
    placement: &'static str,
    /// The layout of the next entry.
    layout: &'static str,
    /// Whether the layout was chosen and stays. Otherwise it becomes sharded after a certain number of entries.
    layout_chosen: bool,
    /// The remote-tracking ref whose trail was adopted.
    adopted: Option<&'a str>,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    if let Some(directory) = &args.directory {
        let base = session
            .directory
            .strip_prefix(".")
            .unwrap_or(&session.directory);
        session.directory = base.join(directory);
    }
    let around = trail::repository_around(&session.directory);
    if args.directory.is_none()
        && let Some(outer) = &around
    {
        let here = match session.directory.to_str() {
            Some(".") => "the current directory".to_owned(),
            _ => session.directory.display().to_string(),
        };
        let outer = outer.display();
        return Err(UsageError(format!(
            "{here} is within the repository {outer}, so no repository was created in it: `init {outer}` makes that a \
             trail, `init .` makes a new repository here"
        ))
        .into());
    }
    let flags = Settings {
        layout: args.layout.map(Into::into),
        author: args.author.clone(),
        signing: config::Signing {
            key: args.signing_key.clone(),
            ..config::Signing::default()
        },
        ..Settings::default()
    };
    let settings = session.settings(flags)?;
    let open = session.record_options(&settings)?;
    let options = InitOptions {
        bare: args.bare,
        reference: args.reference.clone(),
        layout: open.layout,
        second_trail: args.second_trail,
        accept_tip: args.accept_tip.clone(),
        uuid: Uuid::new_v4().to_string(),
        time: session.clock.now(),
        open,
    };
    let (trail, made) = Trail::init(&session.directory, options)?;
    let placement = trail.placement().as_str();
    let layout = trail.layout()?.as_str();
    let is_chosen = trail.chosen_layout().is_some();
    let git_dir = trail.common_dir().display().to_string();
    let output = &mut session.output;
    if let Some(outer) = around.filter(|_| made.created_repository) {
        output.note(format_args!(
            "note: the new repository lies within another, {}, which does not see what is recorded here",
            Line(&outer.display().to_string())
        ));
    }
    if let Some(warning) = trail.take_warning() {
        warn(output.is_quiet(), &warning);
    }
    if made.created_trail {
        session.note_adopted(&trail);
    }
    let output = &mut session.output;
    if let Some(why) = &made.own_ref_reason {
        let note = separate_ref_note(trail.reference(), why);
        output.note(format_args!("{note}"));
    }
    if output.is_json() {
        output.object(&InitReport {
            schema: SCHEMA,
            repository: &git_dir,
            created_repository: made.created_repository,
            created_trail: made.created_trail,
            trail: made.uuid.as_deref(),
            reference: trail.reference(),
            placement,
            layout,
            layout_chosen: is_chosen,
            adopted: trail.adopted().map(|adopted| adopted.from.as_str()),
        })?;
        return Ok(Exit::Done);
    }
    let did = match (made.created_repository, made.created_trail) {
        (true, _) => "created a repository and a trail",
        (false, true) => "made a trail",
        (false, false) if trail.adopted().is_some() => "continued the trail of a remote",
        (false, false) if args.accept_tip.is_some() => "accepted the tip by name",
        (false, false) if args.layout.is_some() => {
            "the trail already exists, and now has this layout"
        }
        (false, false) => "the trail already exists",
    };
    writeln!(output, "{}: {}", paint(GOOD, did), Line(&git_dir))?;
    if let Some(uuid) = &made.uuid {
        writeln!(output, "  trail   {}", paint(STRONG, Line(uuid)))?;
    }
    writeln!(
        output,
        "  ref     {} ({placement})",
        Line(trail.reference())
    )?;
    if let Some(adopted) = trail.adopted() {
        let (from, tip) = (Line(&adopted.from), short(&adopted.tip));
        writeln!(output, "  from    {from}, at {}", paint(COMMIT, tip))?;
    }
    if is_chosen || trail.layout()? == Layout::Sharded {
        writeln!(output, "  layout  {layout}")?;
    } else {
        writeln!(
            output,
            "  layout  {layout} up to {MAX_FLAT_ENTRIES} entries, then sharded"
        )?;
    }
    if made.created_trail {
        let program = shell_word(&session.program.to_string_lossy());
        let directory = shell_word(&session.directory.display().to_string());
        let next = format!("{program} -C {directory} commit outcome.json");
        writeln!(
            session.output,
            "{}",
            paint(FAINT, format_args!("next: {}", Line(&next)))
        )?;
    }
    Ok(Exit::Done)
}
