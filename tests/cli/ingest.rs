//! `ingest`: streams, in order, in constant memory, and as a co-process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Machine, Ran, outcome};

fn receipts(text: &str) -> Vec<(u64, String)> {
    let receipts = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    receipts
        .map(|receipt| {
            (
                receipt["line"].as_u64().unwrap(),
                receipt["result"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

#[test]
fn every_line_is_answered_in_order_and_a_bad_one_stops_nothing() {
    let machine = Machine::with_repository();
    let input = [
        outcome("a", "completed"),
        String::new(),
        outcome("b", "done"),
        outcome("a", "completed") + "\r",
        "  ".to_owned(),
        outcome("a", "failed"),
        "not json".to_owned(),
        outcome("c", "failed"),
    ];
    let input = machine.write("in.ndjson", input.join("\n"));
    let args = [
        "-C",
        "repo",
        "ingest",
        "--json",
        "in.ndjson",
        "--rejects",
        "rejects",
        "--receipts",
        "receipts",
    ];
    let ran = machine.run(&args);
    assert_eq!(ran.exit, Some(5), "{ran:?}");
    let mut summary = ran.object();
    assert!(summary["seconds"].as_f64().is_some());
    summary["seconds"] = json!(0);
    assert_eq!(
        summary,
        json!({"schema": 1, "committed": 2, "already_recorded": 1, "refused": 2, "conflicting": 1, "unavailable": 0,
            "seconds": 0})
    );
    let complaints: Vec<_> = ran.err.lines().collect();
    assert_eq!(complaints.len(), 3, "{}", ran.err);
    assert!(
        complaints[0].starts_with("in.ndjson:3: refused: /status: is not a known status"),
        "{}",
        ran.err
    );
    assert!(
        complaints[1].starts_with("in.ndjson:6: conflicting: "),
        "{}",
        ran.err
    );
    assert!(
        complaints[2].starts_with("in.ndjson:7: refused: document: is not JSON"),
        "{}",
        ran.err
    );

    let receipts = receipts(&std::fs::read_to_string(machine.path("receipts")).unwrap());
    let expected = [
        (1, "committed"),
        (3, "refused"),
        (4, "already-recorded"),
        (6, "conflicting"),
        (7, "refused"),
        (8, "committed"),
    ];
    assert_eq!(
        receipts,
        expected.map(|(line, result)| (line, result.to_owned()))
    );

    let rejects = std::fs::read_to_string(machine.path("rejects")).unwrap();
    let rejects: Vec<Value> = rejects
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rejects.len(), 3);
    assert_eq!(rejects[0]["document"], outcome("b", "done"));
    assert_eq!(
        (&rejects[0]["line"], &rejects[0]["file"]),
        (&json!(3), &json!("in.ndjson"))
    );
    assert_eq!(
        (&rejects[0]["task_id"], &rejects[0]["retry"]),
        (&json!("b"), &json!(false))
    );
    assert_eq!(rejects[1]["result"], "conflicting");
    assert_eq!(rejects[2]["document"], "not json");

    assert_eq!(
        machine.git(&[
            "log",
            "--reverse",
            "--format=%(trailers:key=Audit-Task,valueonly,separator=)"
        ]),
        "a\nc\n"
    );
    // The input file is still there.
    assert!(input.is_file());
}

#[test]
fn run_again_it_completes_what_is_missing() {
    let machine = Machine::with_repository();
    let lines: Vec<String> = (0..500)
        .map(|number| outcome(&format!("t{number}"), "completed"))
        .collect();
    let ran = machine.run_with_input(&["-C", "repo", "ingest", "-q"], lines[..300].join("\n"));
    assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.starts_with("300 recorded in "), "{}", ran.out);
    let ran = machine.run_with_input(&["-C", "repo", "ingest"], lines.join("\n"));
    assert!(
        ran.out
            .starts_with("200 recorded, 300 already recorded in "),
        "{ran:?}"
    );
    let subjects = machine.git(&[
        "log",
        "--reverse",
        "--format=%(trailers:key=Audit-Task,valueonly,separator=)",
    ]);
    let expected: Vec<String> = (0..500).map(|number| format!("t{number}")).collect();
    assert_eq!(subjects.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn the_exit_code_is_the_worst_of_what_happened() {
    for (lines, exit) in [
        (vec![], 0),
        (vec![outcome("a", "completed")], 0),
        (
            vec![outcome("a", "completed"), outcome("a", "completed")],
            0,
        ),
        (vec![outcome("a", "completed"), "x".into()], 4),
        (
            vec![
                "x".into(),
                outcome("a", "completed"),
                outcome("a", "failed"),
            ],
            5,
        ),
    ] {
        let machine = Machine::with_repository();
        let ran = machine.run_with_input(&["-C", "repo", "ingest"], lines.join("\n"));
        assert_eq!(ran.exit, Some(exit), "{lines:?} {ran:?}");
    }
}

#[test]
fn a_line_of_any_length_is_refused_without_being_held() {
    let machine = Machine::with_repository();
    let long = format!(
        r#"{{"task_id":"long","status":"completed","plan_id":"{}"}}"#,
        "x".repeat(70 << 20)
    );
    let input = format!("{long}\n{}\n", outcome("a", "completed"));
    let args = [
        "-C",
        "repo",
        "ingest",
        "--receipts",
        "-",
        "--rejects",
        "rejects",
    ];
    let ran = machine.run_with_input(&args, input);
    assert_eq!(ran.exit, Some(4));
    assert_eq!(
        receipts(&ran.out),
        [(1, "refused".to_owned()), (2, "committed".to_owned())]
    );
    assert!(
        ran.err
            .contains("-:1: refused: document: is larger than the limit of 67108864 bytes"),
        "{}",
        ran.err
    );
    // The summary goes to the stream without receipts.
    assert!(ran.err.contains("1 recorded, 1 refused in "), "{}", ran.err);
    let reject: Value =
        serde_json::from_slice(&std::fs::read(machine.path("rejects")).unwrap()).unwrap();
    assert_eq!(
        (&reject["task_id"], &reject["document"]),
        (&json!("long"), &Value::Null)
    );
}

#[test]
fn what_is_not_utf_8_is_kept_in_hexadecimal() {
    let machine = Machine::with_repository();
    let ran = machine.run_with_input(
        &["-C", "repo", "ingest", "--rejects", "rejects"],
        b"{\"\xff\xfe\"}\n",
    );
    assert_eq!(ran.exit, Some(4));
    let reject: Value =
        serde_json::from_slice(&std::fs::read(machine.path("rejects")).unwrap()).unwrap();
    assert_eq!(
        (&reject["document"], &reject["document_hex"]),
        (&Value::Null, &json!("7b22fffe227d"))
    );
    assert_eq!(reject["reason"], "document: is not UTF-8 (byte 3)");
}

#[test]
fn several_files_are_one_stream_and_one_that_is_missing_is_told_before_anything() {
    let machine = Machine::with_repository();
    machine.write("one", outcome("a", "completed"));
    machine.write("two", outcome("b", "completed"));
    let ran = machine.run(&["-C", "repo", "ingest", "one", "two", "missing", "--json"]);
    assert_eq!(ran.exit, Some(2));
    assert!(
        ran.object()["error"]
            .as_str()
            .unwrap()
            .starts_with("cannot read the outcomes missing: "),
        "{ran:?}"
    );
    assert_eq!(machine.git(&["for-each-ref"]), "");
    let ran = machine.run(&["-C", "repo", "ingest", "one", "two", "--json"]);
    assert_eq!((ran.exit, &ran.object()["committed"]), (Some(0), &json!(2)));
}

#[test]
fn an_output_that_is_an_input_is_refused() {
    let machine = Machine::with_repository();
    machine.write("in", outcome("a", "completed"));
    for option in ["--rejects", "--receipts"] {
        let ran = machine.run(&["-C", "repo", "ingest", "in", option, "./in"]);
        assert_eq!(ran.exit, Some(2), "{ran:?}");
    }
    assert_eq!(
        std::fs::read_to_string(machine.path("in")).unwrap(),
        outcome("a", "completed")
    );
}

/// Like an orchestrator in any language: writes one line, waits for its receipt, and only then writes the next.
#[test]
fn a_co_process_gets_each_receipt_while_the_input_is_open() {
    let machine = Machine::with_repository();
    let mut child = machine
        .command(&["-C", "repo", "ingest", "--receipts", "-", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for number in 0..20 {
        let (status, result) = if number % 5 == 4 {
            ("done", "refused")
        } else {
            ("completed", "committed")
        };
        writeln!(stdin, "{}", outcome(&format!("t{number}"), status)).unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let receipt: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(receipt["line"], number + 1);
        assert_eq!(receipt["task_id"], format!("t{number}"));
        assert_eq!(receipt["result"], result);
        if result == "committed" {
            // Durable means that any other process sees it.
            assert_eq!(
                receipt["commit"],
                machine.git(&["rev-parse", "HEAD"]).trim()
            );
        }
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(4));
}

#[test]
fn a_reader_of_receipts_that_goes_away_ends_it_quietly() {
    let machine = Machine::with_repository();
    let lines: String = (0..2000)
        .map(|number| outcome(&format!("t{number}"), "completed") + "\n")
        .collect();
    machine.write("in", lines);
    let mut child = machine
        .command(&["-C", "repo", "ingest", "in", "--receipts", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    // Again, to the end.
    let ran = machine.run(&["-C", "repo", "ingest", "in"]);
    assert_eq!(ran.exit, Some(0));
    assert_eq!(
        machine
            .git(&["ls-tree", "-r", "--name-only", "HEAD"])
            .lines()
            .count(),
        2000
    );
}

#[test]
fn every_run_of_the_sample_data_is_recorded() {
    let data = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/data/airline-agent-runs.ndjson"
    );
    // The data is beside the repository, not in it.
    if !std::path::Path::new(data).exists() {
        return;
    }
    let machine = Machine::with_repository();
    let ran = machine.run(&["-C", "repo", "ingest", data]);
    assert!(
        ran.exit == Some(0) && ran.out.starts_with("100 recorded in "),
        "{ran:?}"
    );
    machine.git(&["fsck", "--strict", "--full"]);
    assert_eq!(machine.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_signal_ends_the_reading_and_what_was_accepted_is_durable_and_counted() {
    for (signal, name, exit) in [("-TERM", "SIGTERM", 143), ("-INT", "SIGINT", 130)] {
        let machine = Machine::with_repository();
        let mut child = machine
            .command(&["-C", "repo", "ingest", "--json", "--receipts", "receipts"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        for task in ["a", "b", "c"] {
            writeln!(stdin, "{}", outcome(task, "completed")).unwrap();
        }
        // An incomplete line is not a line.
        write!(stdin, r#"{{"task_id":"d","#).unwrap();
        stdin.flush().unwrap();
        let receipts = || std::fs::read_to_string(machine.path("receipts")).unwrap_or_default();
        while receipts().lines().count() < 3 {
            std::thread::yield_now();
        }
        let sent = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        // The input stays open: only the signal ends it.
        let ran = Ran::of(child.wait_with_output().unwrap());
        drop(stdin);
        assert_eq!(ran.exit, Some(exit), "{ran:?}");
        let summary = ran.object();
        assert_eq!(
            (&summary["committed"], &summary["interrupted"]),
            (&json!(3), &json!(name)),
            "{ran:?}"
        );
        assert_eq!(machine.git(&["rev-list", "--count", "HEAD"]).trim(), "3");
        machine.git(&["fsck", "--strict"]);
        machine.commit(&outcome("d", "completed"));
    }
}

#[test]
fn a_signal_in_the_middle_of_a_stream_leaves_a_beginning_of_it_and_a_second_run_completes_it() {
    let machine = Machine::with_repository();
    let lines: Vec<String> = (0..60_000)
        .map(|number| outcome(&format!("t{number}"), "completed"))
        .collect();
    machine.write("in.ndjson", lines.join("\n"));
    let args = [
        "-C",
        "repo",
        "ingest",
        "in.ndjson",
        "--layout",
        "sharded",
        "--json",
        "--receipts",
        "receipts",
    ];
    let child = machine
        .command(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let receipts = || std::fs::read_to_string(machine.path("receipts")).unwrap_or_default();
    while receipts().is_empty() {
        std::thread::yield_now();
    }
    Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!(ran.exit, Some(130), "{ran:?}");
    let committed = ran.object()["committed"].as_u64().unwrap();
    assert!((1..60_000).contains(&committed), "{ran:?}");
    // Each has its receipt, and no other is in the trail.
    assert_eq!(receipts().lines().count() as u64, committed);
    let recorded = machine.git(&["rev-list", "--count", "HEAD"]);
    assert_eq!(recorded.trim(), committed.to_string());
    let more = lines[..committed as usize + 5].join("\n");
    let ran = machine.run_with_input(&["-C", "repo", "ingest", "--json"], more);
    let summary = ran.object();
    assert_eq!(
        (&summary["committed"], &summary["already_recorded"]),
        (&json!(5), &json!(committed))
    );
}

/// Opening the pipe only to test it would tell its writer that the reader is gone.
#[test]
fn a_named_pipe_is_opened_once() {
    let machine = Machine::with_repository();
    let pipe = machine.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let writer = std::thread::spawn(move || {
        let mut pipe = std::fs::OpenOptions::new().write(true).open(pipe)?;
        for id in ["a", "b"] {
            // Long enough for a program that only tests the pipe to be gone.
            std::thread::sleep(std::time::Duration::from_millis(300));
            writeln!(pipe, "{}", outcome(id, "completed"))?;
        }
        Ok::<_, std::io::Error>(())
    });
    let ran = machine.run(&["-C", "repo", "ingest", "--json", "pipe"]);
    writer.join().unwrap().unwrap();
    assert_eq!(ran.object()["committed"], 2, "{ran:?}");
}
