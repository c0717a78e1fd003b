//! `trail list`: the predecessors and successors of this trail, and where they are.

use std::io::Write as _;

use serde::Serialize;

use super::successor::remember;
use crate::cli::Result;
use crate::cli::exit::Exit;
use crate::cli::output::{FAINT, SCHEMA, STRONG, UNSURE, paint};
use crate::cli::session::Session;
use crate::cli::text::Line;
use crate::config::Settings;
use crate::outcome::counted;
use crate::trail::{KnownTrail, Trail, id_of, origin_with_id, places_of};

/// List the trails that continue each other
///
/// Begins with the oldest. The git directory caches the list. It is checked against the entries, and rebuilt if missing
/// or damaged. A trail that was moved is searched for beside this repository.
#[derive(clap::Args, Debug)]
pub struct Args {}

#[derive(Serialize)]
struct Listed<'a> {
    schema: u32,
    name: &'a str,
    /// The uuid, or `commit-` and the id of the first entry's commit.
    trail: &'a str,
    /// The directory; `null` if it is not known.
    place: Option<String>,
    /// Whether the trail was found there.
    found: bool,
    /// Whether it is the trail of this repository.
    here: bool,
    size: Option<u64>,
    root: Option<&'a str>,
    /// The uuid of the trail that continues it; `null` if it has not ended.
    successor: Option<&'a str>,
}

/// A trail of the list.
struct Row {
    known: KnownTrail,
    found: bool,
    here: bool,
}

/// The most trails that are followed in one direction.
const MOST: usize = 1000;

/// Runs the command.
pub fn run(_: &Args, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(Settings::default())?;
    let trail = session.trail(&settings)?;
    if trail.tip()?.is_none() {
        return Ok(Exit::Done);
    }
    let (known, was_damaged) = trail.known_trails();
    if was_damaged {
        session.output.note(format_args!(
            "note: the list of known trails was damaged, and is rebuilt from the entries"
        ));
    }
    let search = Search {
        known,
        here: &trail,
    };
    let mut rows = search.before()?;
    rows.push(Row {
        known: describe(&trail)?,
        found: true,
        here: true,
    });
    rows.extend(search.after()?);
    remember(&trail, rows.iter().map(Row::to_remember).collect());
    let output = &mut session.output;
    for row in &rows {
        let KnownTrail {
            name,
            place,
            size,
            root,
            successor,
            ..
        } = &row.known;
        let uuid = row.known.id();
        let place = place.as_ref().map(|place| place.display().to_string());
        if output.is_json() {
            output.object(&Listed {
                schema: SCHEMA,
                name,
                trail: uuid,
                place,
                found: row.found,
                here: row.here,
                size: *size,
                root: root.as_deref(),
                successor: successor.as_deref(),
            })?;
            continue;
        }
        let state = match (row.found, row.here, successor) {
            (false, ..) => paint(UNSURE, "not found").to_string(),
            (_, true, _) => paint(STRONG, "here").to_string(),
            (_, _, Some(_)) => "ended".to_owned(),
            (_, _, None) => "open".to_owned(),
        };
        let entries = size.map(|size| counted(size, "entry", "entries"));
        let place = place.unwrap_or_else(|| "in an unknown place".to_owned());
        writeln!(
            output,
            "{uuid}  {state}  {}  {}",
            entries.unwrap_or_else(|| "-".into()),
            paint(FAINT, Line(&place))
        )?;
    }
    Ok(Exit::Done)
}

impl Row {
    /// What the list of known trails has of it: an open trail grows.
    fn to_remember(&self) -> KnownTrail {
        let known = self.known.clone();
        match known.successor {
            Some(_) => known,
            None => KnownTrail {
                size: None,
                root: None,
                ..known
            },
        }
    }
}

struct Search<'a> {
    known: Vec<KnownTrail>,
    here: &'a Trail,
}

impl Search<'_> {
    /// The predecessors, the oldest first.
    fn before(&self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let mut next = self.here.predecessor()?;
        while let Some(described) = next.take().filter(|_| rows.len() < MOST) {
            let opened = self.open(&described.origin);
            let known = KnownTrail {
                size: Some(described.size),
                root: Some(described.root.clone()),
                successor: rows
                    .last()
                    .map_or_else(
                        || self.here.origin(&[]).ok(),
                        |row: &Row| Some(row.known.origin.clone()),
                    )
                    .map(|origin| id_of(&origin).to_owned()),
                ..self.remembered(&described.origin, opened.as_ref())
            };
            rows.push(Row {
                known,
                found: opened.is_some(),
                here: false,
            });
            next = match opened {
                Some(opened) => opened.predecessor()?,
                None => None,
            };
        }
        rows.reverse();
        Ok(rows)
    }

    /// The successors, in their order.
    fn after(&self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let mut next = self.here.ended()?.flatten();
        while let Some(uuid) = next.take().filter(|_| rows.len() < MOST) {
            let origin = origin_with_id(&uuid);
            let opened = self.open(&origin);
            let known = match &opened {
                Some(opened) => describe(opened)?,
                None => self.remembered(&origin, None),
            };
            next = known.successor.clone();
            rows.push(Row {
                known,
                found: opened.is_some(),
                here: false,
            });
        }
        Ok(rows)
    }

    fn open(&self, origin: &str) -> Option<Trail> {
        let places = places_of(origin, &self.known, &[self.here.directory()]);
        places.iter().find_map(|place| {
            let trail = Trail::open(place, self.here.options_for_known()).ok()?;
            let name = trail.name().ok()??;
            let is_it = match &name.uuid {
                Some(uuid) => id_of(origin) == uuid,
                None => trail.origin(&[]).is_ok_and(|found| found == origin),
            };
            is_it.then_some(trail)
        })
    }

    /// What is known of a trail that was found or not.
    fn remembered(&self, origin: &str, opened: Option<&Trail>) -> KnownTrail {
        if let Some(opened) = opened {
            return KnownTrail::at(opened.directory(), origin);
        }
        let known = self.known.iter().find(|known| known.origin == origin);
        known.cloned().unwrap_or_else(|| KnownTrail {
            origin: origin.to_owned(),
            ..KnownTrail::default()
        })
    }
}

/// Describes an open trail from its entries.
fn describe(trail: &Trail) -> Result<KnownTrail> {
    let origin = trail.origin(&[])?;
    let tree = trail.tree().ok();
    let successor = trail.ended()?.flatten();
    Ok(KnownTrail {
        size: tree.as_ref().map(|tree| tree.size()),
        root: tree.as_ref().map(|tree| tree.root_in_base64()),
        successor,
        ..KnownTrail::at(trail.directory(), &origin)
    })
}
