//! `policy inspect`: reports what a component is and what it can reach.

use std::io::{self, Write as _};

use serde::Serialize;

use super::subject::Subject;
use crate::cli::Result;
use crate::cli::exit::Exit;
use crate::cli::failure::failure;
use crate::cli::output::{Output, SCHEMA, STRONG, paint};
use crate::cli::session::Session;
use crate::cli::text::Line;
use crate::outcome::counted;
use crate::policy::{Allocation, INTERFACE, Inspection, Policy, SettingsSchema};

/// Show what a policy is, and what it can and cannot reach
///
/// A component that does not load is an error that says why.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    subject: Subject,
}

#[derive(Serialize)]
struct Inspected<'a> {
    schema: u32,
    name: &'a str,
    digest: &'a str,
    bytes: usize,
    code_bytes: usize,
    interface: &'a str,
    built_for: &'a str,
    imports: Vec<ImportJson<'a>>,
    exports: &'a [String],
    can: &'a [&'static str],
    cannot: &'a [&'static str],
    core_modules: usize,
    components: usize,
    producers: Vec<Producer<'a>>,
    metadata: serde_json::Map<String, serde_json::Value>,
    custom_sections: Vec<Custom<'a>>,
    /// The parts of a stack, in the order in which they are called; empty for other policies.
    parts: Vec<PartJson>,
    /// The settings that it declares, by name; null if it declares none, so that it may ask for any.
    settings: Option<&'a SettingsSchema>,
}

#[derive(Serialize)]
struct PartJson {
    name: String,
    digest: String,
    /// Whether the stack holds the component with this digest.
    verbatim: bool,
}

#[derive(Serialize)]
struct ImportJson<'a> {
    name: &'a str,
    gives: &'a str,
}

#[derive(Serialize)]
struct Producer<'a> {
    field: &'a str,
    name: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
struct Custom<'a> {
    name: &'a str,
    bytes: usize,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = args.subject.settings(session)?;
    let bytes = args.subject.policy.read()?;
    let policy = args.subject.load(&settings, Allocation::Pooling, session)?;
    let inspection = policy.inspect(&bytes)?;
    let schema = SettingsSchema::of(&bytes).map_err(|error| failure!("{error}"))?;
    let output = &mut session.output;
    if output.is_json() {
        let inspected = json(&policy, bytes.len(), &inspection);
        output.object(&Inspected {
            settings: schema.as_ref(),
            ..inspected
        })?;
    } else {
        print(&policy, bytes.len(), &inspection, output)?;
        if let Some(schema) = &schema {
            print_settings(schema, output)?;
        }
    }
    Ok(Exit::Done)
}

fn json<'a>(policy: &'a Policy, bytes: usize, inspection: &'a Inspection) -> Inspected<'a> {
    let imports = inspection.imports.iter().map(|import| ImportJson {
        name: &import.name,
        gives: import.gives,
    });
    let producers = inspection
        .producers
        .iter()
        .map(|(field, name, version)| Producer {
            field,
            name,
            version,
        });
    let metadata = inspection
        .metadata
        .iter()
        .map(|(field, value)| ((*field).to_owned(), value.clone().into()));
    let custom = inspection.custom.iter().map(|(name, bytes)| Custom {
        name,
        bytes: *bytes,
    });
    Inspected {
        schema: SCHEMA,
        name: policy.name(),
        digest: policy.digest(),
        bytes,
        code_bytes: inspection.code_bytes,
        interface: INTERFACE,
        built_for: policy.built_for(),
        imports: imports.collect(),
        exports: &inspection.exports,
        can: &inspection.can,
        cannot: &inspection.cannot,
        core_modules: inspection.modules,
        components: inspection.components,
        producers: producers.collect(),
        metadata: metadata.collect(),
        custom_sections: custom.collect(),
        parts: policy
            .parts()
            .into_iter()
            .map(|part| PartJson {
                name: part.name,
                digest: part.digest,
                verbatim: part.is_verbatim,
            })
            .collect(),
        settings: None,
    }
}

/// The declared settings, one a line, with what they do below.
fn print_settings(schema: &SettingsSchema, out: &mut Output) -> io::Result<()> {
    heading(out, "Settings")?;
    for (name, setting) in schema.iter() {
        let mut notes = vec![setting.kind.name().to_owned()];
        notes.extend(setting.required.then(|| "required".to_owned()));
        notes.extend(setting.secret.then(|| "secret".to_owned()));
        let default = setting.default.as_ref();
        notes.extend(default.map(|default| format!("default {default}")));
        writeln!(out, "  {}  {}", Line(name), Line(&notes.join(", ")))?;
        if !setting.doc.is_empty() {
            writeln!(out, "      {}", Line(&setting.doc))?;
        }
    }
    Ok(())
}

fn print(
    policy: &Policy,
    bytes: usize,
    inspection: &Inspection,
    out: &mut Output,
) -> io::Result<()> {
    writeln!(out, "{}", paint(STRONG, Line(policy.name())))?;
    writeln!(out, "  digest     {}", policy.digest())?;
    writeln!(
        out,
        "  size       {}, {} of them code, in {}",
        counted(bytes, "byte", "bytes"),
        inspection.code_bytes,
        counted(inspection.modules, "core module", "core modules")
    )?;
    writeln!(
        out,
        "  world      chiffon:audit/policy, built for {}; this host has {INTERFACE}",
        policy.built_for()
    )?;
    for (field, value) in &inspection.metadata {
        writeln!(out, "  {field:<10} {}", Line(value))?;
    }
    for (field, name, version) in &inspection.producers {
        writeln!(
            out,
            "  {:<10} {} {}",
            Line(field).to_string(),
            Line(name),
            Line(version)
        )?;
    }
    let parts = policy.parts();
    if !parts.is_empty() {
        heading(out, "Parts, in the order in which they are called")?;
        for part in &parts {
            let note = if part.is_verbatim {
                ""
            } else {
                " (the component does not hold it)"
            };
            writeln!(out, "  {} {}{note}", Line(&part.name), Line(&part.digest))?;
        }
    }
    heading(out, "It can")?;
    for what in &inspection.can {
        writeln!(out, "  {what}")?;
    }
    heading(out, "It cannot")?;
    for what in &inspection.cannot {
        writeln!(out, "  {what}")?;
    }
    heading(out, "Imports")?;
    let width = inspection
        .imports
        .iter()
        .map(|import| import.name.len())
        .max();
    for import in &inspection.imports {
        let name = Line(&import.name).to_string();
        writeln!(
            out,
            "  {name:<width$}  {}",
            import.gives,
            width = width.unwrap_or(0)
        )?;
    }
    heading(out, "Exports")?;
    for name in &inspection.exports {
        writeln!(out, "  {}", Line(name))?;
    }
    if !inspection.custom.is_empty() {
        heading(out, "Custom sections")?;
        for (name, bytes) in &inspection.custom {
            writeln!(out, "  {} {}", Line(name), counted(*bytes, "byte", "bytes"))?;
        }
    }
    Ok(())
}

fn heading(out: &mut Output, text: &str) -> io::Result<()> {
    writeln!(out, "\n{}", paint(STRONG, text))
}
