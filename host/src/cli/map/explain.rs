//! `map explain`: shows which value of an outcome comes from where in a sample.

use crate::cli::Result;
use std::io::Write as _;
use std::path::PathBuf;

use intake::map::{Item, ItemKind};
use serde::Serialize;
use serde_json::value::RawValue;

use super::find;
use crate::cli::exit::{Exit, UsageError, cannot_read};
use crate::cli::output::{BAD, FAINT, GOOD, SCHEMA, UNSURE, paint};
use crate::cli::session::Session;
use crate::cli::text::{Line, one_line_json};
use crate::outcome::json;

/// Show which value of an outcome comes from where in a sample
///
/// Exit codes: 0 every record was mapped or left out on purpose; 4 a record cannot be mapped.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The map
    #[arg(value_name = "MAP")]
    map: PathBuf,
    /// A document of the other system
    #[arg(long, value_name = "FILE")]
    sample: PathBuf,
}

/// The JSON for one record.
#[derive(Serialize)]
struct Explained<'a> {
    schema: u32,
    record: &'a str,
    /// `outcome`, `announced`, `not-terminal`, `skipped` or `refused`.
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    fields: Vec<Field<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Field<'a> {
    field: &'a str,
    from: &'a str,
    value: Box<RawValue>,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let map = find(&args.map, session)?;
    let path = &args.sample;
    let text =
        std::fs::read_to_string(path).map_err(|error| cannot_read("the sample", path, error))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    json::validate(text, json::MAX_DEPTH)
        .map_err(|violation| UsageError(format!("{}: {violation}", path.display())))?;
    let mut exit = Exit::Done;
    for item in map.apply(text) {
        if matches!(item.kind, ItemKind::Refused { .. }) {
            exit = Exit::Refused;
        }
        match session.output.is_json() {
            true => session.output.object(&explained(&item))?,
            false => print(&item, session)?,
        }
    }
    Ok(exit)
}

fn raw(json: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(one_line_json(json)).ok()
}

fn explained(item: &Item) -> Explained<'_> {
    let (result, reason) = said(&item.kind);
    let mut explained = Explained {
        schema: SCHEMA,
        record: &item.place,
        result,
        reason,
        fields: Vec::new(),
        document: None,
    };
    match &item.kind {
        ItemKind::Outcome(mapped) | ItemKind::Announced(mapped) => {
            explained.document = raw(&mapped.document);
            let fields = mapped.traces.iter().filter_map(|trace| {
                Some(Field {
                    field: &trace.field,
                    from: &trace.from,
                    value: raw(&trace.value)?,
                })
            });
            explained.fields = fields.collect();
        }
        ItemKind::Own(document) => explained.document = raw(document),
        ItemKind::NotTerminal { .. } | ItemKind::Skipped | ItemKind::Refused { .. } => {}
    }
    explained
}

/// The result for a record: a word, and a sentence if there is something to add.
fn said(kind: &ItemKind) -> (&'static str, Option<String>) {
    match kind {
        ItemKind::Outcome(_) | ItemKind::Own(_) => ("outcome", None),
        ItemKind::Announced(_) => ("announced", None),
        ItemKind::NotTerminal { word } => (
            "not-terminal",
            Some(format!("the state {word} is not terminal")),
        ),
        ItemKind::Skipped => (
            "skipped",
            Some("the map does not take this record".to_owned()),
        ),
        ItemKind::Refused { violation, .. } => ("refused", Some(violation.to_string())),
    }
}

fn print(item: &Item, session: &mut Session) -> Result<()> {
    let output = &mut session.output;
    let (result, reason) = said(&item.kind);
    let place = match item.place.as_str() {
        "" => "the document",
        place => place,
    };
    let style = match result {
        "refused" => BAD,
        "outcome" => GOOD,
        _ => UNSURE,
    };
    write!(output, "{}: {}", Line(place), paint(style, result))?;
    match reason {
        Some(reason) => writeln!(output, ": {}", Line(&reason))?,
        None => writeln!(output)?,
    }
    match &item.kind {
        ItemKind::Outcome(mapped) | ItemKind::Announced(mapped) => {
            writeln!(output, "  {:<38} {}", "/task_id (encoded)", mapped.task_id)?;
            for trace in &mapped.traces {
                let value = one_line_json(&trace.value);
                let from = format!("from {}", Line(&trace.from));
                writeln!(
                    output,
                    "  {:<38} {}  {}",
                    trace.field,
                    Line(&value),
                    paint(FAINT, from)
                )?;
            }
        }
        ItemKind::Own(document) => writeln!(output, "  {}", Line(&one_line_json(document)))?,
        ItemKind::NotTerminal { .. } | ItemKind::Skipped | ItemKind::Refused { .. } => {}
    }
    Ok(())
}
