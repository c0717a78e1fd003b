//! `reconcile`: compares store and trail, rebuilds the projection from git, and restores what it can.

use std::io::{self, Write as _};

use serde::Serialize;

use super::commit::short;
use super::exit::Exit;
use super::output::{BAD, GOOD, Output, SCHEMA, UNSURE, paint};
use super::progress::Progress;
use super::session::Session;
use super::store::{RebindFlag, options_of, place, runtime};
use super::text::Line;
use crate::binding;
use crate::cli::{Failure, Result};
use crate::config::{Private, Settings};
use crate::outcome::counted;
use crate::reconcile::{self, EntryLocation, Layers, RepairReport, Report};
use crate::store::{self, StoreError, StoreUrl};

/// Compare the store with the trail, both ways
///
/// Reports entries without a row, rows without an entry, rows that differ and how, and entries that were committed
/// once and are gone. Git is the authority, and this command does not change it. Exits with 3 if the two disagree.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Where the store is: sqlite:PATH or postgres://USER@HOST/DATABASE [default: the file beside the trail]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Rebuild the rows from git alone; submissions and the outbox stay as they are
    #[arg(long, conflicts_with = "repair")]
    rebuild: bool,
    /// Restore rows from the trail, and put outcomes that the trail has lost back into the outbox
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    rebind: RebindFlag,
}

/// The most items of each kind to print. The totals count all of them.
const MAX_SHOWN: usize = 1000;

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(Settings {
        store: args.store.clone().map(Private),
        ..Settings::default()
    })?;
    let trail = session.trail(&settings)?;
    let url = match &settings.store {
        Some(url) => place(url, &settings)?,
        None => StoreUrl::beside_trail(trail.common_dir()),
    };
    let options = store::Options {
        create: args.rebuild,
        ..options_of(&settings)
    };
    let runtime = runtime()?;
    let mut progress = Progress::new(None, session);
    let mut step = |number| progress.reach(number, number, "read");
    let ended = runtime.block_on(async {
        let store = store::open(&url, &options).await?;
        binding::bind(&*store, &trail, args.rebind.given().as_ref())
            .await
            .map_err(StoreError::from)?;
        let layers = Layers { store, trail };
        if args.rebuild {
            let (rows, unreadable) = reconcile::rebuild(&layers, &mut step).await?;
            return Ok(Ended::Rebuilt { rows, unreadable });
        }
        let report = reconcile::compare(&layers, &mut step).await?;
        let repaired = match args.repair {
            true => Some(reconcile::repair(&layers, &report).await?),
            false => None,
        };
        Ok::<_, Failure>(Ended::Compared {
            report: Box::new(report),
            repaired,
        })
    });
    progress.finish();
    let output = &mut session.output;
    match ended? {
        Ended::Rebuilt { rows, unreadable } => {
            if output.is_json() {
                output.object(&Rebuilt {
                    schema: SCHEMA,
                    store: url.to_string(),
                    rows,
                    unreadable: &unreadable,
                })?;
            } else {
                writeln!(
                    output,
                    "{} rebuilt from the trail, in {url}",
                    counted(rows, "row", "rows")
                )?;
                print_list(
                    output,
                    ("file that is not an entry", "files that are not entries"),
                    &unreadable,
                    unreadable.len(),
                    |text| Line(text).to_string(),
                )?;
            }
            Ok(Exit::Done)
        }
        Ended::Compared { report, repaired } => {
            if output.is_json() {
                output.object(&Compared::new(&url, &report, repaired.as_ref()))?;
            } else {
                print(output, &url, &report, repaired.as_ref())?;
            }
            let is_restored = repaired.is_some_and(|repaired| repaired.is_complete());
            Ok(if report.agrees() || is_restored {
                Exit::Done
            } else {
                Exit::Broken
            })
        }
    }
}

enum Ended {
    Rebuilt {
        rows: u64,
        unreadable: Vec<String>,
    },
    Compared {
        report: Box<Report>,
        repaired: Option<RepairReport>,
    },
}

fn print(
    output: &mut Output,
    url: &StoreUrl,
    report: &Report,
    repaired: Option<&RepairReport>,
) -> io::Result<()> {
    let named = |named: &EntryLocation| {
        format!(
            "{} {} {}",
            short(&named.commit),
            Line(&named.task_id),
            Line(&named.path)
        )
    };
    writeln!(
        output,
        "{} in the trail, {} in {url}",
        counted(report.entries, "entry", "entries"),
        counted(report.rows, "row", "rows")
    )?;
    print_list(
        output,
        ("entry without row", "entries without row"),
        &report.gaps,
        report.without_row.len(),
        |gap| {
            let (first, last) = (short(&gap.first), short(&gap.last));
            match gap.entries {
                1 => format!("{first}, 1 entry"),
                entries => format!("{first}..{last}, {}", counted(entries, "entry", "entries")),
            }
        },
    )?;
    print_list(
        output,
        ("row without entry", "rows without entry"),
        &report.without_entry,
        report.without_entry.len(),
        named,
    )?;
    print_list(
        output,
        ("row that differs", "rows that differ"),
        &report.different,
        report.different.len(),
        |row| {
            format!(
                "{} {} in {}",
                short(&row.commit),
                Line(&row.task_id),
                row.columns.join(", ")
            )
        },
    )?;
    print_list(
        output,
        (
            "committed submission missing from both",
            "committed submissions missing from both",
        ),
        &report.lost,
        report.lost.len(),
        named,
    )?;
    print_list(
        output,
        ("file that is not an entry", "files that are not entries"),
        &report.unreadable,
        report.unreadable.len(),
        |text| Line(text).to_string(),
    )?;
    if let Some(total) = report.miscounted {
        let advice = match repaired {
            Some(_) => "",
            None => ": `reconcile --rebuild` counts them again",
        };
        writeln!(
            output,
            "  {}  the totals count {}{advice}",
            paint(BAD, "miscounted"),
            counted(total, "row", "rows")
        )?;
    }
    if report.announced_without_entry > 0 {
        writeln!(
            output,
            "{} without an entry: `submissions --state overdue` lists those that have not ended in time",
            counted(
                report.announced_without_entry,
                "announced task",
                "announced tasks"
            )
        )?;
    }
    if report.agrees() {
        return writeln!(output, "{}", paint(GOOD, "Store and trail agree."));
    }
    let Some(repaired) = repaired else {
        return writeln!(
            output,
            "Store and trail {}. `reconcile --repair` restores what can be restored.",
            paint(BAD, "differ")
        );
    };
    match repaired.is_rebuilt {
        true => writeln!(output, "all rows rebuilt from the trail and counted")?,
        false => writeln!(
            output,
            "{} restored from the trail",
            counted(repaired.rows, "row", "rows")
        )?,
    }
    print_list(
        output,
        (
            "submission returned to the outbox",
            "submissions returned to the outbox",
        ),
        &repaired.returned,
        repaired.returned.len(),
        |id| Line(id).to_string(),
    )?;
    print_list(
        output,
        (
            "entry that cannot be restored",
            "entries that cannot be restored",
        ),
        &repaired.beyond,
        repaired.beyond.len(),
        named,
    )?;
    if repaired.is_complete() {
        writeln!(output, "{}", paint(GOOD, "Store and trail agree now."))
    } else {
        writeln!(
            output,
            "Store and trail still {}: `serve` records the returned submissions again; the rest cannot be restored.",
            paint(BAD, "differ")
        )
    }
}

fn print_list<T>(
    output: &mut Output,
    (one, many): (&str, &str),
    list: &[T],
    count: usize,
    show: impl Fn(&T) -> String,
) -> io::Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    writeln!(output, "  {}", paint(UNSURE, counted(count, one, many)))?;
    for item in list.iter().take(MAX_SHOWN) {
        writeln!(output, "    {}", show(item))?;
    }
    match list.len().saturating_sub(MAX_SHOWN) {
        0 => Ok(()),
        more => writeln!(output, "    and {more} more"),
    }
}

#[derive(Serialize)]
struct Rebuilt<'a> {
    schema: u32,
    store: String,
    rows: u64,
    unreadable: &'a [String],
}

#[derive(Serialize)]
struct Compared<'a> {
    schema: u32,
    store: String,
    agrees: bool,
    entries: u64,
    rows: u64,
    without_row: List<NamedJson<'a>>,
    gaps: List<GapJson<'a>>,
    without_entry: List<NamedJson<'a>>,
    different: List<DifferentJson<'a>>,
    lost: List<NamedJson<'a>>,
    unreadable: &'a [String],
    miscounted: Option<u64>,
    announced_without_entry: u64,
    repaired: Option<RepairedJson<'a>>,
}

/// The first items of a kind, and how many there are in all.
#[derive(Serialize)]
struct List<T> {
    count: usize,
    first: Vec<T>,
}

impl<T> List<T> {
    fn of<'a, S>(list: &'a [S], show: impl Fn(&'a S) -> T) -> List<T> {
        List {
            count: list.len(),
            first: list.iter().take(MAX_SHOWN).map(show).collect(),
        }
    }
}

#[derive(Serialize)]
struct NamedJson<'a> {
    task_id: &'a str,
    commit: &'a str,
    path: &'a str,
}

impl<'a> From<&'a EntryLocation> for NamedJson<'a> {
    fn from(named: &'a EntryLocation) -> NamedJson<'a> {
        NamedJson {
            task_id: &named.task_id,
            commit: &named.commit,
            path: &named.path,
        }
    }
}

#[derive(Serialize)]
struct GapJson<'a> {
    first: &'a str,
    last: &'a str,
    entries: u64,
}

#[derive(Serialize)]
struct DifferentJson<'a> {
    task_id: &'a str,
    commit: &'a str,
    columns: &'a [&'static str],
}

#[derive(Serialize)]
struct RepairedJson<'a> {
    rows: u64,
    rebuilt: bool,
    returned: List<&'a str>,
    beyond: List<NamedJson<'a>>,
}

impl<'a> Compared<'a> {
    fn new(url: &StoreUrl, report: &'a Report, repaired: Option<&'a RepairReport>) -> Compared<'a> {
        Compared {
            schema: SCHEMA,
            store: url.to_string(),
            agrees: report.agrees(),
            entries: report.entries,
            rows: report.rows,
            without_row: List::of(&report.without_row, NamedJson::from),
            gaps: List::of(&report.gaps, |gap| GapJson {
                first: &gap.first,
                last: &gap.last,
                entries: gap.entries,
            }),
            without_entry: List::of(&report.without_entry, NamedJson::from),
            different: List::of(&report.different, |row| DifferentJson {
                task_id: &row.task_id,
                commit: &row.commit,
                columns: &row.columns,
            }),
            lost: List::of(&report.lost, NamedJson::from),
            unreadable: &report.unreadable,
            miscounted: report.miscounted,
            announced_without_entry: report.announced_without_entry,
            repaired: repaired.map(|repaired| RepairedJson {
                rows: repaired.rows,
                rebuilt: repaired.is_rebuilt,
                returned: List::of(&repaired.returned, String::as_str),
                beyond: List::of(&repaired.beyond, NamedJson::from),
            }),
        }
    }
}
