//! How the commands that record take documents in: the flags, and the door that flags and settings make.

use crate::cli::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use intake::map::shipped;
use intake::treat::NonFinite;
use intake::words::{Meaning, StatusMap, meaning_of};
use intake::{ACCEPT_MAX_BYTES, Door, Map};

use super::exit::{UsageError, cannot_read};
use super::session::outcome_limits;
use super::text::Line;
use crate::config::{self, Settings};
use crate::outcome::Statuses;
use crate::recorder::Delivery;

/// Options for documents of other systems.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Intake options")]
pub struct IntakeFlags {
    /// Take any text as a task id and encode it; the original is kept as metadata.source_id
    #[arg(long)]
    encode_ids: bool,
    /// Read documents of another system, with this map
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    map: Option<PathBuf>,
    /// Read documents of another system, with a map of this program: airflow, argo, celery, claude-code, cloudevents,
    /// dagster, github, gitlab, langgraph, openai-agents, openlineage, prefect or temporal
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
}

impl IntakeFlags {
    /// The door that these flags and the settings make. The settings learn whether the map's system repeats itself.
    pub fn door(&self, settings: &mut Settings) -> Result<Door> {
        let map = match (&self.map, &self.from) {
            (Some(path), _) => {
                let map = load(path)?;
                check_statuses(&map, &path.display().to_string(), settings)?;
                Some(map)
            }
            (None, Some(name)) => Some(named(name)?),
            (None, None) => None,
        };
        let echoing = map.iter().filter(|map| map.echoes());
        settings
            .intake
            .echoing
            .extend(echoing.map(|map| map.source.clone()));
        Ok(Door {
            encodes_ids: self.encode_ids,
            map: map.map(Arc::new),
            ..door(settings)?
        })
    }
}

/// The door that the settings make, for documents of our own shape.
pub fn door(settings: &Settings) -> Result<Door> {
    // A setting that cannot be used is found now, not at the first conflict.
    delivery(settings, [])?;
    let given = &settings.intake;
    let accept = given.accept_max_bytes;
    let limits = outcome_limits(settings)?;
    Ok(Door {
        encodes_ids: false,
        status_map: given
            .status_map
            .as_ref()
            .map(|map| status_map(map, &limits.statuses))
            .transpose()?
            .map(Arc::new),
        map: None,
        non_finite: match given.non_finite {
            None | Some(config::NonFinite::Refuse) => NonFinite::Refuse,
            Some(config::NonFinite::Null) => NonFinite::Null,
            Some(config::NonFinite::String) => NonFinite::String,
        },
        accept_max_bytes: accept.map_or(ACCEPT_MAX_BYTES, |bytes| {
            usize::try_from(bytes).unwrap_or(usize::MAX)
        }),
        limits,
    })
}

/// Refuses a map that leads to a status that this trail does not have.
pub fn check_statuses(map: &Map, name: &str, settings: &Settings) -> Result<()> {
    let statuses = outcome_limits(settings)?.statuses;
    match map.statuses().find(|status| statuses.parse(status).is_none()) {
        None => Ok(()),
        Some(status) => Err(UsageError(format!(
            "{name}: `{status}` is not a status: use {}, announced or not_terminal, or add it to the setting statuses",
            names(&statuses)
        ))
        .into()),
    }
}

fn names(statuses: &Statuses) -> String {
    statuses.names().collect::<Vec<_>>().join(", ")
}

fn status_map(given: &config::StatusMap, statuses: &Statuses) -> Result<StatusMap, UsageError> {
    let table = match given {
        config::StatusMap::Common => return Ok(StatusMap::common()),
        config::StatusMap::Table(table) => table,
    };
    let mut map = StatusMap::new("status_map", false);
    for (word, meaning) in table {
        let meaning = meaning_of(meaning).filter(|meaning| *meaning != Meaning::Announced);
        let meaning = meaning.filter(|meaning| match meaning {
            Meaning::Status(status) => statuses.parse(status).is_some(),
            Meaning::Announced | Meaning::NotTerminal => true,
        });
        let Some(meaning) = meaning else {
            let says = format!(
                "setting status_map: {} must lead to `not_terminal` or to a status ({})",
                Line(word),
                names(statuses)
            );
            return Err(UsageError(says));
        };
        map.add(word, meaning);
    }
    Ok(map)
}

/// What does not decide whether two outcomes are the same. `maps` are those of webhooks.
pub fn delivery<'a>(
    settings: &Settings,
    maps: impl IntoIterator<Item = &'a Map>,
) -> Result<Delivery, UsageError> {
    let members = settings
        .intake
        .delivery_members
        .as_deref()
        .unwrap_or_default();
    let own = shipped()
        .iter()
        .filter(|shipped| shipped.text.contains("\necho = true"));
    let own = own.map(|shipped| shipped.name.to_owned());
    let maps = maps.into_iter().filter(|map| map.echoes());
    let echoing = own
        .chain(settings.intake.echoing.iter().cloned())
        .chain(maps.map(|map| map.source.clone()));
    let mut members = members.to_vec();
    if settings.intake.status_map.is_some() {
        // `SUCCESS` and `Succeeded` are two words for one end.
        members.push("/execution_result/outcome/native_state".to_owned());
    }
    Delivery::new(&members, echoing.collect()).map_err(|pointer| {
        UsageError(format!(
            "setting outcome.delivery_members: {} is not a pointer to a member that may differ",
            Line(&pointer)
        ))
    })
}

/// The map in a file.
pub fn load(path: &Path) -> Result<Map> {
    let text =
        std::fs::read_to_string(path).map_err(|error| cannot_read("the map", path, error))?;
    parsed(path, &text)
}

/// The map that a file's text describes.
pub fn parsed(path: &Path, text: &str) -> Result<Map> {
    Ok(Map::parse(text).map_err(|error| UsageError(format!("{}: {error}", path.display())))?)
}

/// The map of this program with this name.
pub fn named(name: &str) -> Result<Map, UsageError> {
    let found = shipped().iter().find(|shipped| shipped.name == name);
    found.map(intake::map::Shipped::map).ok_or_else(|| {
        let names: Vec<_> = shipped().iter().map(|shipped| shipped.name).collect();
        UsageError(format!(
            "--from {}: use one of {}",
            Line(name),
            names.join(", ")
        ))
    })
}
