//! Parts of the reference that are generated from the code.

use std::collections::BTreeSet;
use std::process::Command;

use chiffon_audit_cli::config;
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

/// The program's help for a command, without the options that every command has.
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

/// The commands in a help text.
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

/// Answers that nearly every route can give: the page lists them once.
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

#[test]
fn the_reference_has_every_setting() {
    let mut parts: Vec<(&str, String)> = Vec::new();
    for setting in config::settings() {
        if !parts.iter().any(|(section, _)| *section == setting.section) {
            let head = "| setting | value | default | |\n| --- | --- | --- | --- |\n";
            parts.push((setting.section, head.to_owned()));
        }
        let part = parts
            .iter_mut()
            .find(|(section, _)| *section == setting.section);
        let (_, part) = part.expect("it was added above");
        let from_repository = if setting.repository { " (R)" } else { "" };
        *part += &format!(
            "| `{}` | {}{from_repository} | {} | {} |\n",
            setting.name, setting.expected, setting.default, setting.about
        );
    }
    assert!(parts.len() > 4, "{parts:?}");
    let mut page = Page::read("docs/src/reference/settings.md");
    let read = page.text.clone();
    for (section, part) in parts {
        let slug = section.to_lowercase().replace(' ', "-");
        page.text = with_part(&page, &format!("settings of {slug}"), &part);
    }
    let text = std::mem::replace(&mut page.text, read);
    page.expect(text);
}

#[test]
fn the_settings_state_the_defaults_of_the_limits_of_a_policy() {
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
        let name = format!("policy.{name}");
        let setting = config::settings().find(|setting| setting.name == name);
        assert_eq!(setting.unwrap().default, value, "{name}");
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
