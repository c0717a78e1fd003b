//! Alert rules, runbook and dashboard: everything that they name exists, and Prometheus's own tool accepts them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::http::metrics_of_a_host;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The page of the runbook with a section for each rule.
const RUNBOOK: &str = "src/runbook/alerts.md";

fn read(name: &str) -> String {
    std::fs::read_to_string(format!("{ROOT}/docs/{name}")).unwrap()
}

/// The metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_metric =
        |word: &&str| word.starts_with("chiffon_audit_") || word.starts_with("process_");
    words.filter(is_metric).map(str::to_owned).collect()
}

/// The values of the lines with that key.
fn values<'a>(rules: &'a str, key: &str) -> Vec<&'a str> {
    let key = format!("{key}: ");
    let lines = rules
        .lines()
        .map(|line| line.trim().trim_start_matches("- "));
    lines.filter_map(|line| line.strip_prefix(&key)).collect()
}

/// Checks a text with promtool; `None` if it is not installed.
fn promtool(args: &[&str], text: &str) -> Option<(bool, String)> {
    let tool = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut tool) = tool else {
        let _ = std::io::stderr().write_all(b"skipped: promtool, which is not installed\n");
        return None;
    };
    tool.stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(said).unwrap()))
}

#[test]
fn every_metric_that_rules_runbook_and_dashboard_name_is_there() {
    let metrics = metrics_of_a_host();
    let mut there = BTreeSet::new();
    for line in metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
    {
        let (name, kind) = line.split_once(' ').unwrap();
        there.insert(name.to_owned());
        if kind == "histogram" {
            there.extend(["bucket", "sum", "count"].map(|part| format!("{name}_{part}")));
        }
    }
    // These need what this host lacks: a key for checkpoints, remotes, a server with a pool.
    for (name, file) in [
        ("chiffon_audit_checkpoint_age_seconds", "mod.rs"),
        ("chiffon_audit_checkpoint_failing", "mod.rs"),
        ("chiffon_audit_copy_failing", "mod.rs"),
        ("chiffon_audit_copy_lag_entries", "mod.rs"),
        ("chiffon_audit_copy_lag_seconds", "mod.rs"),
        ("chiffon_audit_store_connections", "states.rs"),
        ("chiffon_audit_store_connections_waited_for", "states.rs"),
    ] {
        let source = format!("{ROOT}/host/crates/service/src/orchestrator/metrics/{file}");
        assert!(
            std::fs::read_to_string(source)
                .unwrap()
                .contains(&format!("\"{name}\"")),
            "{name}"
        );
        there.insert(name.to_owned());
    }
    for file in ["alerts.yml", RUNBOOK, "dashboard.json"] {
        let missing: Vec<_> = named(&read(file)).difference(&there).cloned().collect();
        assert!(missing.is_empty(), "{file}: {missing:?}");
    }
    if let Some((succeeds, said)) = promtool(&["check", "metrics"], &metrics) {
        assert!(succeeds && said.is_empty(), "{said}");
    }
}

#[test]
fn every_alert_has_its_section_in_the_runbook_and_every_section_its_alert() {
    let rules = read("alerts.yml");
    let alerts = values(&rules, "alert");
    let anchors: Vec<String> = alerts
        .iter()
        .map(|alert| format!("docs/{RUNBOOK}#{}", alert.to_lowercase()))
        .collect();
    assert_eq!(values(&rules, "runbook"), anchors);
    let runbook = read(RUNBOOK);
    let sections: Vec<_> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    assert_eq!(sections, alerts);
    if let Some((succeeds, said)) = promtool(&["check", "rules", "/dev/stdin"], &rules) {
        assert!(succeeds, "{said}");
    }
}

#[test]
fn the_dashboard_is_one_that_grafana_reads() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels {
        assert!(
            panel["title"].is_string() && panel["gridPos"].is_object(),
            "{panel}"
        );
        assert!(panel["targets"][0]["expr"].is_string(), "{panel}");
    }
}
