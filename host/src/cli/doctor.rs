//! `doctor`: checks whether this machine, trail and store are fit to record, and tries it on a temporary trail.

mod continuation;
pub mod machine;
mod replicas;
mod sealing;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::exit::Exit;
use super::output::{BAD, GOOD, SCHEMA, UNSURE, paint};
use super::replica::attach_log;
use super::session::{Session, outcome_limits, policy_in_force};
use super::store::{open_to_read, place, runtime};
use super::text::Line;
use crate::cli::failure::{Context as _, ensure};
use crate::cli::{Failure, Result};
use crate::config::{Private, Settings};
use crate::outcome::counted;
use crate::policy::Allocation;
use crate::recorder::{AnswerKind, Options, Recorder};
use crate::store::{StoreError, StoreUrl};
use crate::trail::{self, InitOptions, Layout, MAX_FLAT_ENTRIES, Placement, Trail};
use crate::verify;

/// Check whether this machine, store and trail are fit to record
///
/// Checks the trail (repository, ref, identity, file system, locks, whether it can be written now), the policy and
/// the store (durability, backlog). Then records, reads back and verifies an outcome in a temporary trail beside this
/// one, on the same file system. Changes nothing except to remove what a crash left behind.
///
/// Exit codes: 0 fit; 1 not fit.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The store to check: sqlite:PATH or postgres://… [default: a SQLite file beside the trail]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

/// An outcome that has been pending for longer than this is not just about to be committed.
const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) enum Finding {
    Good,
    Warning,
    Bad,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    finding: Finding,
    says: String,
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    fit: bool,
    checks: &'a [Check],
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(Settings {
        store: args.store.clone().map(Private),
        ..Settings::default()
    })?;
    let mut doctor = Doctor { checks: Vec::new() };
    let trail = doctor.trail(&settings, session);
    let url = match &settings.store {
        Some(url) => Some(place(url, &settings)?),
        None => trail
            .as_ref()
            .map(|trail| StoreUrl::beside_trail(trail.common_dir())),
    };
    if let Some(url) = &url {
        doctor.store(url, trail.as_ref());
    }
    if let Some(trail) = trail {
        doctor.sealing(&trail, &settings);
        doctor.replicas(url.as_ref(), &trail);
        doctor.policy(&trail, &settings, session);
        let tried = round_trip(trail.common_dir(), &settings, session);
        doctor.note(
            "round trip",
            tried.map(|()| {
                "an outcome was recorded, read back and verified in a trail beside this one".into()
            }),
        );
    }
    let fit = doctor
        .checks
        .iter()
        .all(|check| check.finding != Finding::Bad);
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Report {
            schema: SCHEMA,
            fit,
            checks: &doctor.checks,
        })?;
    } else {
        for Check {
            name,
            finding,
            says,
        } in &doctor.checks
        {
            let (style, word) = match finding {
                Finding::Good => (GOOD, "good"),
                Finding::Warning => (UNSURE, "look"),
                Finding::Bad => (BAD, "BAD "),
            };
            writeln!(output, "{}  {name:<12} {}", paint(style, word), Line(says))?;
        }
    }
    Ok(if fit { Exit::Done } else { Exit::CouldNot })
}

struct Doctor {
    checks: Vec<Check>,
}

impl Doctor {
    fn add(&mut self, name: &'static str, finding: Finding, says: impl Into<String>) {
        self.checks.push(Check {
            name,
            finding,
            says: says.into(),
        });
    }

    fn note(&mut self, name: &'static str, result: Result<String>) {
        match result {
            Ok(says) => self.add(name, Finding::Good, says),
            Err(error) => self.add(name, Finding::Bad, format!("{error:#}")),
        }
    }

    fn trail(&mut self, settings: &Settings, session: &Session) -> Option<Trail> {
        let options = session.record_options(settings);
        let opened = options.and_then(|options| Ok(Trail::open(&session.directory, options)?));
        let trail = match opened {
            Ok(trail) => match attach_log(&trail, settings) {
                Ok(()) => trail,
                Err(error) => {
                    self.add("trail", Finding::Bad, error.to_string());
                    return None;
                }
            },
            Err(error) => {
                self.add("trail", Finding::Bad, format!("{error:#}"));
                return None;
            }
        };
        let text = format!(
            "{} of {}, {}; commits are by {}",
            trail.reference(),
            trail.common_dir().display(),
            trail.placement().as_str(),
            trail.author()
        );
        self.add("trail", Finding::Good, text);
        self.place(&trail);
        self.attributes(&trail, settings);
        self.left_out(&trail);
        self.history(&trail);
        self.remotes(&trail);
        self.continuation(&trail);
        let (finding, says) = machine::file_system(trail.common_dir());
        self.add("file system", finding, says);
        match trail.has_begun() {
            // Trying it would take over the remote's trail.
            Ok(true) if trail.reads_from().is_some() => {
                self.add("writing", Finding::Good, "nothing is recorded here yet");
                self.layout(&trail);
            }
            Ok(true) => {
                // Takes the lock, removes what a crash left behind, and checks for a rollback.
                let checked = trail.check();
                let locks = machine::locks(&trail, session.clock.now());
                match checked {
                    Err(error) => self.add("writing", Finding::Bad, error.to_string()),
                    Ok(()) if locks.is_empty() => {
                        let says = "it can be written: no lock is held, no crash left anything behind, nothing was rolled back";
                        self.add("writing", Finding::Good, says);
                    }
                    Ok(()) => {}
                }
                for (finding, says) in locks {
                    self.add("writing", finding, says);
                }
                self.layout(&trail);
            }
            Ok(false) => self.add("writing", Finding::Good, "nothing is recorded yet"),
            Err(error) => self.add("writing", Finding::Bad, error.to_string()),
        }
        Some(trail)
    }

    /// Reports where a filter would encrypt entries, and where git may change them in a work tree.
    fn attributes(&mut self, trail: &Trail, settings: &Settings) {
        let allowed = settings.checkout_plaintext.unwrap_or(false);
        match trail.encrypting_filter() {
            Ok(None) => {}
            Ok(Some(filter)) => {
                let finding = match trail.placement() {
                    Placement::Checkout if !allowed => Finding::Bad,
                    _ => Finding::Warning,
                };
                let says = format!(
                    "the filter `{filter}` encrypts files of this repository, and entries are recorded in clear text: outcomes of a \
                     checkout trail are refused unless the setting checkout.plaintext is true"
                );
                self.add("filter", finding, says);
            }
            Err(error) => self.add("filter", Finding::Bad, error.to_string()),
        }
        let dir = trail.common_dir().display();
        let says = match trail.entry_attributes() {
            Some(trail::EntryAttributes::Missing) => format!(
                "{dir}/info/attributes, which clones do not copy, lacks the line that keeps filters and line endings off entries: \
                 add `{}`",
                trail::ATTRIBUTES
            ),
            Some(trail::EntryAttributes::Overridden) => format!(
                "in {dir}/info/attributes, later lines have precedence over `{}`, so git may change entries in the work tree: the \
                 next command that records moves it to the end",
                trail::ATTRIBUTES
            ),
            Some(trail::EntryAttributes::InForce) | None => return,
        };
        if matches!(trail.has_begun(), Ok(true)) {
            self.add("attributes", Finding::Warning, says);
        }
    }

    /// Reports entries whose files could not be written to the work tree.
    fn left_out(&mut self, trail: &Trail) {
        match trail.left_out() {
            Ok(None) => {}
            Ok(Some(files)) => {
                let (root, remedy) = (files.root.display(), files.remedy);
                let says = match files.count {
                    1 => format!(
                        "1 file of an entry is missing in {root}, because it could not be written: {remedy}"
                    ),
                    count => format!(
                        "{count} files of entries are missing in {root}, because they could not be written: {remedy}"
                    ),
                };
                self.add("work tree", Finding::Warning, says);
            }
            Err(error) => self.add("work tree", Finding::Bad, error.to_string()),
        }
    }

    /// Reports what is missing in a shallow clone.
    fn history(&mut self, trail: &Trail) {
        // Before the first record, this is among the findings about remotes.
        if trail.unfetched_branches_warning().is_none()
            && let Some(says) = trail.cut_off_note()
        {
            self.add("history", Finding::Warning, says.to_owned());
        }
    }

    /// Reports where a new trail begins, and whether a trail is on a branch that may be deleted.
    fn place(&mut self, trail: &Trail) {
        if let Some(why) = trail.own_ref_reason() {
            let says = format!("it begins on {}, because {why}", trail.reference());
            return self.add("ref", Finding::Good, says);
        }
        match trail.other_default_branch() {
            Ok(None) => {}
            Ok(Some(default)) => self.add(
                "ref",
                Finding::Warning,
                format!(
                    "the trail is on {}, which is not the default branch {default}: where that branch is squashed or deleted, \
                     recording stops and its entries are lost. Keep it, and merge it without squashing",
                    trail.reference()
                ),
            ),
            Err(error) => self.add("ref", Finding::Bad, error.to_string()),
        }
    }

    /// Reports how entries are stored, and when a directory is so large that reading it for each commit takes
    /// quadratic time.
    fn layout(&mut self, trail: &Trail) {
        /// `verify` takes a few seconds for this many entries, and four times as long for twice as many.
        const MANY: usize = 5_000;
        let looked = trail
            .layout()
            .and_then(|layout| Ok((layout, trail.chosen_layout(), trail.flat_entries()?)));
        let (finding, says) = match looked {
            Err(error) => (Finding::Bad, error.to_string()),
            Ok((Layout::Flat, Some(_), entries)) if entries >= MANY => (
                Finding::Warning,
                format!(
                    "{entries} entries are in one directory, which `verify` and `report` read for each commit: \
                     `chiffon-audit init --layout sharded` spreads new ones \
                     over many"
                ),
            ),
            Ok((Layout::Flat, Some(_), entries)) => (
                Finding::Good,
                format!(
                    "flat, by choice: {} in one directory",
                    counted(entries, "entry", "entries")
                ),
            ),
            Ok((Layout::Flat, None, entries)) => (
                Finding::Good,
                format!(
                    "flat up to {MAX_FLAT_ENTRIES} entries in one directory, {entries} so far; later ones are \
                     spread over many (sharded)"
                ),
            ),
            Ok((Layout::Sharded, Some(_), _)) => (
                Finding::Good,
                "sharded: entries are spread over many directories".into(),
            ),
            Ok((Layout::Sharded, None, entries)) => (
                Finding::Good,
                format!(
                    "sharded: {} in one directory, and new ones are spread over many; \
                     `chiffon-audit init --layout flat` chooses one directory for good",
                    counted(entries, "entry is", "entries are")
                ),
            ),
        };
        self.add("layout", finding, says);
    }

    /// Reports how much of the trail the remote-tracking refs have.
    fn remotes(&mut self, trail: &Trail) {
        match trail.remotes() {
            Ok(told) => {
                for (is_trouble, says) in told {
                    let finding = if is_trouble {
                        Finding::Warning
                    } else {
                        Finding::Good
                    };
                    self.add("remotes", finding, says);
                }
            }
            Err(error) => self.add("remotes", Finding::Bad, error.to_string()),
        }
    }

    fn policy(&mut self, trail: &Trail, settings: &Settings, session: &Session) {
        let found = policy_in_force(
            trail,
            settings,
            Allocation::OnDemand,
            session.output.slow_compile_notice(),
        );
        let says =
            found.map(|found| format!("{} ({})", found.policy.name(), found.policy.digest()));
        self.note("policy", says);
    }

    fn store(&mut self, url: &StoreUrl, trail: Option<&Trail>) {
        let looked = match runtime().context("cannot start the runtime") {
            Ok(runtime) => runtime.block_on(async {
                let store = open_to_read(url, trail).await?;
                store.ping().await?;
                let backlog = store.backlog().await?;
                Ok::<_, StoreError>((store.info().clone(), backlog))
            }),
            Err(error) => return self.add("store", Finding::Bad, format!("{error:#}")),
        };
        let (about, backlog) = match looked {
            Ok(found) => found,
            Err(StoreError::Missing(_)) => {
                return self.add("store", Finding::Good, "there is none; `serve` creates one, and `reconcile --rebuild` fills it with a row for each entry");
            }
            Err(error) => {
                let failure = Failure::from(error);
                return self.add("store", Finding::Bad, format!("{failure:#}"));
            }
        };
        let durability: Vec<String> = about
            .durability
            .iter()
            .map(|(name, value)| format!("{name} is {value}"))
            .collect();
        let text = format!(
            "{}, {}; {}",
            about.url,
            about.database,
            durability.join(", ")
        );
        self.add("store", Finding::Good, text);
        for warning in about.warnings {
            self.add("store", Finding::Warning, warning);
        }
        if let StoreUrl::Sqlite(file) = url
            && let Some(directory) = file.parent()
        {
            let (finding, says) = machine::file_system(directory);
            if finding != Finding::Good {
                self.add("store", finding, says);
            }
        }
        let mut text = format!(
            "{} pending, {} blocked, {} conflicting, {} refused",
            backlog.pending, backlog.blocked, backlog.conflicting, backlog.refused
        );
        let waits = backlog.oldest_pending.unwrap_or_default();
        if waits >= LONG {
            let seconds = waits.as_secs();
            text += &format!(
                "; the oldest has been pending for {seconds} s: is a `serve` running, and what does its /readyz say?"
            );
        }
        if backlog.blocked > 0 {
            text += "; blocked outcomes are retried automatically, and at once when `serve` gets a SIGHUP";
        }
        let looks = waits >= LONG || backlog.blocked + backlog.conflicting + backlog.refused > 0;
        let finding = if looks {
            text += "; `submissions` lists them";
            Finding::Warning
        } else {
            Finding::Good
        };
        self.add("backlog", finding, text);
    }
}

/// Records, reads back and verifies an outcome on the trail's own file system.
fn round_trip(beside: &Path, settings: &Settings, session: &Session) -> Result<()> {
    let scratch = tempfile::Builder::new()
        .prefix("chiffon-audit-doctor-")
        .tempdir_in(beside)
        .with_context(|| format!("cannot make a directory in {}", beside.display()))?;
    let directory = scratch.path().join("trail.git");
    std::fs::create_dir(&directory).context("cannot make a directory")?;
    let options = InitOptions {
        bare: true,
        reference: None,
        layout: None,
        second_trail: false,
        accept_tip: None,
        uuid: uuid::Uuid::new_v4().to_string(),
        time: session.clock.now(),
        open: session.record_options(settings)?,
    };
    let (trail, _) = Trail::init(&directory, options)?;
    let found = policy_in_force(
        &trail,
        settings,
        Allocation::OnDemand,
        session.output.slow_compile_notice(),
    )?;
    let options = Options {
        clock: Arc::clone(&session.clock),
        limits: outcome_limits(settings)?,
        settings: found.settings,
        secret: None,
        delivery: crate::recorder::Delivery::default(),
        sealer: None,
    };
    let recorder = Recorder::new(trail, found.policy, options);
    let outcome = br#"{"task_id":"doctor","status":"completed"}"#;
    for expected in [AnswerKind::Committed, AnswerKind::AlreadyRecorded] {
        let answer = recorder.record(outcome);
        ensure!(
            answer.result == expected,
            "{}",
            answer
                .reason
                .unwrap_or_else(|| "the outcome was not recorded".into())
        );
    }
    drop(recorder);
    verified(&directory)
}

fn verified(directory: &Path) -> Result<()> {
    let report = verify::verify(directory, &verify::Options::default())?;
    ensure!(
        report.result() == verify::AuditResult::Holds,
        "the recorded outcome does not verify"
    );
    Ok(())
}
