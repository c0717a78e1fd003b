//! Parts of the reference that are made from what the code knows.

use std::collections::BTreeSet;
use std::process::Command;

use chiffon_audit_cli::policy::Limits;

use super::{Page, source_with};
use crate::http::metrics_of_a_host;
use crate::support;

/// The page with this text between the marks of the generated part.
fn with_part(page: &Page, name: &str, part: &str) -> String {
    let begin = format!("<!-- generated: {name} -->\n");
    let end = format!("<!-- end of {name} -->\n");
    let (before, rest) = page.text.split_once(&begin).expect("the part's beginning");
    let (_, after) = rest.split_once(&end).expect("the part's end");
    format!("{before}{begin}\n{}\n\n{end}{after}", part.trim())
}

/// What the program prints as its help for a command, without the options that every command has.
fn help(command: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_chiffon-audit");
    let output = support::isolated(Command::new(program).args(command).arg("--help"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{command:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let is_top = command.is_empty();
    let end = text.find("\nGlobal options:").filter(|_| !is_top);
    let text = &text[..end.unwrap_or(text.len())];
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| !line.starts_with("Usage:"));
    let listed = lines.take_while(|line| *line != "Options:" && *line != "Arguments:");
    let names = listed.filter_map(|line| {
        let (name, _) = line.strip_prefix("  ")?.split_once("  ")?;
        name.starts_with(|c: char| c.is_ascii_lowercase())
            .then_some(name)
    });
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_reference_has_the_help_of_every_command() {
    let top = help(&[]);
    let mut part = format!("```text\n{top}\n```\n");
    for name in commands(&top) {
        let text = help(&[&name]);
        part += &format!("\n## `{name}`\n\n```text\n{text}\n```\n");
        for below in commands(&text) {
            let text = help(&[&name, &below]);
            part += &format!("\n### `{name} {below}`\n\n```text\n{text}\n```\n");
        }
    }
    assert!(part.contains("\n### `policy reproduce`\n"));
    let page = Page::read("docs/src/reference/commands.md");
    page.expect(with_part(&page, "commands", &part));
}

#[test]
fn the_reference_has_every_metric() {
    let metrics = metrics_of_a_host();
    let mut part = String::from("| metric | type | |\n| --- | --- | --- |\n");
    let mut lines = metrics.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, says)) = line
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        let kind = lines.peek().and_then(|line| line.strip_prefix("# TYPE "));
        let kind = kind.and_then(|rest| rest.split_once(' ')).unwrap().1;
        part += &format!("| `{name}` | {kind} | {says} |\n");
    }
    assert!(part.lines().count() > 20, "{part}");
    let page = Page::read("docs/src/reference/metrics.md");
    page.expect(with_part(&page, "metrics", &part));
}

/// Answers that nearly every route can give: the page says so once.
const OF_ALL: &[&str] = &[
    "400", "401", "403", "408", "421", "422", "429", "500", "503",
];

#[test]
fn the_reference_has_every_route() {
    let description: serde_json::Value =
        serde_json::from_str(&chiffon_audit_cli::http::openapi()).unwrap();
    let mut part = String::from("| | answers | |\n| --- | --- | --- |\n");
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let statuses = operation["responses"].as_object().unwrap().keys();
            let own = statuses.filter(|status| !OF_ALL.contains(&status.as_str()));
            let statuses = own.map(String::as_str).collect::<Vec<_>>().join(", ");
            let summary = operation["summary"].as_str().unwrap_or_default();
            let summary = summary.replace('\n', " ");
            part += &format!(
                "| `{} {path}` | {statuses} | {summary} |\n",
                method.to_uppercase()
            );
        }
    }
    assert!(part.contains("`POST /api/v1/outcomes`"), "{part}");
    let page = Page::read("docs/src/reference/http.md");
    page.expect(with_part(&page, "routes", &part));
}

/// The cells of the rows of a page's tables whose first cell is a name.
fn rows(page: &Page) -> Vec<Vec<&str>> {
    let rows = page.prose().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let row = row.trim_start_matches('|').trim_end_matches('|');
        row.split('|').map(str::trim).collect()
    })
    .collect()
}

#[test]
fn the_reference_has_every_setting_with_its_form() {
    let page = Page::read("docs/src/reference/settings.md");
    let known: Vec<(&str, &str, bool)> = chiffon_audit_cli::config::settings().collect();
    let mut text = page.text.clone();
    let mut listed = BTreeSet::new();
    for cells in rows(&page) {
        let name = cells[0].trim_matches('`');
        assert!(listed.insert(name.to_owned()), "{name} is listed twice");
        let setting = known.iter().find(|(known, ..)| *known == name);
        if ["policy.settings", "hooks"].contains(&name) {
            continue;
        }
        let (_, form, repository) = setting.unwrap_or_else(|| panic!("there is no setting {name}"));
        let form = if *repository {
            format!("{form} (R)")
        } else {
            (*form).to_owned()
        };
        let old = format!("| {} | {} |", cells[0], cells[1]);
        text = text.replace(&old, &format!("| {} | {form} |", cells[0]));
    }
    let missing: Vec<&str> = known
        .iter()
        .map(|(name, ..)| *name)
        .filter(|name| !listed.contains(*name))
        .collect();
    assert!(missing.is_empty(), "settings without a row: {missing:?}");
    page.expect(text);
}

#[test]
fn the_limits_of_a_policy_are_as_the_reference_says() {
    let page = Page::read("docs/src/reference/settings.md");
    let rows = rows(&page);
    let limits = Limits::default();
    for (name, value) in [
        ("fuel", limits.fuel.to_string()),
        ("wall_time", limits.wall_time.as_secs().to_string()),
        ("memory", limits.memory.to_string()),
        ("stack", limits.stack.to_string()),
        ("component_bytes", limits.component_bytes.to_string()),
        ("compile_time", limits.compile_time.as_secs().to_string()),
        ("compile_memory", limits.compile_memory.to_string()),
        ("instances", limits.instances.to_string()),
        ("memories", limits.memories.to_string()),
        ("tables", limits.tables.to_string()),
        ("table_elements", limits.table_elements.to_string()),
        ("host_calls", limits.host_calls.to_string()),
        ("wasi_calls", limits.wasi_calls.to_string()),
        ("host_call_bytes", limits.host_call_bytes.to_string()),
        ("entry_bytes", limits.entry_bytes.to_string()),
        ("log_lines", limits.log_lines.to_string()),
        ("log_bytes", limits.log_bytes.to_string()),
    ] {
        let name = format!("`policy.{name}`");
        let row = rows.iter().find(|row| row[0] == name).unwrap();
        assert_eq!(row[2], value, "{name}");
    }
}

#[test]
fn the_reference_has_every_exit_code() {
    let source = source_with("pub enum Exit {");
    let (_, body) = source.split_once("pub enum Exit {\n").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let codes: BTreeSet<String> = body
        .lines()
        .filter_map(|line| line.trim().split_once(" = "))
        .map(|(_, code)| code.trim_end_matches(',').to_owned())
        .collect();
    assert!(codes.len() > 5);
    let page = Page::read("docs/src/reference/answers.md");
    let (_, section) = page.text.split_once("\n## Exit codes\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let listed: BTreeSet<String> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .map(|row| row.split(' ').next().unwrap().to_owned())
        .filter(|cell| cell.parse::<u8>().is_ok())
        .collect();
    assert_eq!(listed, codes);
}
