//! The hook of Claude Code: whatever is wrong, the caller is not disturbed and the payload is not lost.

use serde_json::{Value, json};

use super::{Machine, Ran};

const SESSION: &str = "6b1f6c2e-7d2c-4b8f-8a55-0c6a3a0f1c11";

fn payload(tool_use_id: &str, transcript: &str, output: &str) -> String {
    format!(
        r#"{{"session_id":"{SESSION}","transcript_path":"{transcript}","hook_event_name":"PostToolUse","tool_name":"Bash",
            "tool_use_id":"{tool_use_id}","tool_response":{{"stdout":"{output}"}}}}"#
    )
}

fn entry(machine: &Machine, id: &str) -> Value {
    let source_id = format!("{SESSION}/{id}");
    let ran = machine.run(&["-C", "repo", "--json", "show", "--source-id", &source_id]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    ran.object()["entry"].clone()
}

/// How many files of the spool end so.
fn spooled(machine: &Machine, ending: &str) -> usize {
    let entries = std::fs::read_dir(machine.path("spool"));
    let names = entries
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());
    names
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .count()
}

#[track_caller]
fn assert_kept(ran: &Ran) {
    assert_eq!((ran.exit, ran.out.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.err.starts_with("warning: "), "{}", ran.err);
    assert!(
        ran.err.contains("kept in spool for the next call"),
        "{}",
        ran.err
    );
}

#[test]
fn arguments_that_cannot_be_used_do_not_fail_the_caller_and_keep_the_payload() {
    let machine = Machine::with_repository();
    let spool = ["--spool", "spool"];
    let calls: [&[&str]; 5] = [
        &["-C", "nonexistent", "hook", "claude-code"],
        &["-C", "repo", "hook", "claud-code"],
        &["-C", "repo", "hook", "claude-code", "--unknown"],
        &["-C", "repo", "hook", "claude-code", "--timeout"],
        &["-C", "repo", "--color", "never", "hook"],
    ];
    for (index, call) in calls.iter().enumerate() {
        let args = [call, &spool[..]].concat();
        let ran = machine.run_with_input(&args, payload(&format!("toolu_{index}"), "/none", "x"));
        assert_kept(&ran);
        assert_eq!(spooled(&machine, ".hook.payload"), index + 1, "{args:?}");
    }
    assert!(!machine.path("nonexistent").exists());
    let args = ["-C", "repo", "hook", "claude-code", "--spool", "spool"];
    let ran = machine.run_with_input(&args, payload("toolu_9", "/none", "x"));
    assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    for index in [0, 1, 2, 3, 4, 9] {
        entry(&machine, &format!("toolu_{index}"));
    }
    assert_eq!(spooled(&machine, ""), 0);
    // Other commands still say what is wrong with their arguments.
    let ran = machine.run(&["-C", "repo", "commit", "--unknown", "hook"]);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
}

#[test]
fn a_wrong_configuration_does_not_lose_the_payload() {
    let machine = Machine::with_repository();
    let args = ["-C", "repo", "hook", "claude-code", "--spool", "spool"];
    let configuration = "home/.config/chiffon-audit/config.toml";
    machine.write(configuration, "no_such_key = 1\n");
    assert_kept(&machine.run_with_input(&args, payload("toolu_1", "/none", "x")));
    machine.write(configuration, "status_map = \"xx\"\n");
    assert_kept(&machine.run_with_input(&args, payload("toolu_2", "/none", "x")));
    std::fs::remove_file(machine.path(configuration)).unwrap();
    let ran = machine.run_with_input(&args, payload("toolu_3", "/none", "x"));
    assert_eq!(ran.err, "");
    for id in ["toolu_1", "toolu_2", "toolu_3"] {
        entry(&machine, id);
    }
}

#[test]
fn a_payload_with_half_a_character_has_its_digest_and_says_that_it_was_repaired() {
    let machine = Machine::with_repository();
    let transcript = machine.write("t.jsonl", "{}");
    let args = ["-C", "repo", "hook", "claude-code"];
    let payload = payload("toolu_1", transcript.to_str().unwrap(), "a\\ud83d");
    let ran = machine.run_with_input(&args, payload);
    assert_eq!(
        ran.err,
        "note: repaired /execution_result/outcome/tool_response/stdout\n"
    );
    let digest = &entry(&machine, "toolu_1")["metadata"]["transcript_sha256"];
    assert!(
        digest
            .as_str()
            .is_some_and(|digest| digest.starts_with("sha256:")),
        "{digest}"
    );
}

#[cfg(unix)]
#[test]
fn a_transcript_that_is_a_pipe_does_not_hold_up_the_caller() {
    let machine = Machine::with_repository();
    let pipe = machine.path("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    let args = ["-C", "repo", "hook", "claude-code"];
    let ran = machine.run_with_input(&args, payload("toolu_1", pipe.to_str().unwrap(), "x"));
    assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(
        entry(&machine, "toolu_1")["metadata"].get("transcript_sha256"),
        None
    );
}

#[test]
fn a_line_of_the_spool_that_was_cut_off_is_reported_and_stays() {
    let machine = Machine::with_repository();
    let whole = json!({"task_id": "a", "status": "completed"});
    machine.write(
        "spool/1.hook.ndjson",
        format!("{whole}\n{{\"task_id\":\"b\""),
    );
    let args = ["-C", "repo", "hook", "claude-code", "--spool", "spool"];
    let ran = machine.run_with_input(&args, payload("toolu_1", "/none", "x"));
    assert_eq!(ran.exit, Some(0));
    assert!(
        ran.err
            .contains("cut off by a crash: it is kept in spool/1.hook.torn"),
        "{}",
        ran.err
    );
    assert_eq!(machine.run(&["-C", "repo", "show", "a"]).exit, Some(0));
    let torn = std::fs::read_to_string(machine.path("spool/1.hook.torn")).unwrap();
    assert_eq!(torn, "{\"task_id\":\"b\"");
    assert_eq!(spooled(&machine, ".hook.ndjson"), 0);
}

#[test]
fn a_kept_payload_that_is_none_is_set_aside() {
    let machine = Machine::with_repository();
    machine.write("spool/1.hook.payload", "not json");
    let args = ["-C", "repo", "hook", "claude-code", "--spool", "spool"];
    let ran = machine.run_with_input(&args, payload("toolu_1", "/none", "x"));
    assert!(
        ran.err.contains("it is kept in spool/1.hook.refused"),
        "{}",
        ran.err
    );
    assert_eq!(
        (
            spooled(&machine, ".hook.payload"),
            spooled(&machine, ".hook.refused")
        ),
        (0, 1)
    );
}

#[test]
fn tool_calls_without_an_id_are_not_mistaken_for_the_session() {
    let machine = Machine::with_repository();
    let send = |payload: Value| {
        let args = ["-C", "repo", "hook", "claude-code"];
        let ran = machine.run_with_input(&args, payload.to_string());
        assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    };
    for (tool, answer) in [("A", "1"), ("B", "2")] {
        send(
            json!({"session_id": "m", "hook_event_name": "PostToolUse", "tool_name": tool, "tool_response": answer}),
        );
    }
    send(json!({"session_id": "m", "hook_event_name": "SubagentStop"}));
    send(json!({"session_id": "m", "hook_event_name": "SessionEnd"}));
    let log = machine.run(&["-C", "repo", "--json", "log"]).json();
    assert_eq!(log.len(), 4, "{log:?}");
    let session = machine.run(&["-C", "repo", "--json", "show", "m"]).object();
    assert_eq!(
        session["entry"]["execution_result"]["outcome"]["native_state"],
        "SessionEnd"
    );
}

#[test]
fn it_records_a_tool_call_with_the_digest_of_the_transcript() {
    let machine = Machine::with_repository();
    let transcript = machine.write("t.jsonl", "{}");
    let payload = payload("toolu_1", transcript.to_str().unwrap(), "x");
    let ran = machine.run_with_input(&["-C", "repo", "hook", "claude-code"], &payload);
    assert_eq!(
        (ran.exit, ran.out.as_str(), ran.err.as_str()),
        (Some(0), "", ""),
        "{ran:?}"
    );
    assert_eq!(
        entry(&machine, "toolu_1")["metadata"]["transcript_sha256"],
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    );
}

#[test]
fn it_never_fails_its_caller_and_keeps_what_it_cannot_record() {
    let machine = Machine::new();
    std::fs::create_dir(machine.path("repo")).unwrap();
    let args = ["-C", "repo", "hook", "claude-code", "--spool", "spool"];
    assert_kept(&machine.run_with_input(&args, payload("toolu_1", "/none", "x")));
    for broken in ["", "not json", "{}"] {
        let ran = machine.run_with_input(&args, broken);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        assert!(ran.err.starts_with("warning: "), "{ran:?}");
    }
    // A file of another program, such as a client library, is not touched.
    machine.write("spool/other.ndjson", "{}\n");
    crate::support::git(&machine.path("repo"), &["init", "-q", "-b", "main"]);
    let ran = machine.run_with_input(&args, payload("toolu_2", "/none", "x"));
    assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    for id in ["toolu_1", "toolu_2"] {
        entry(&machine, id);
    }
    let endings = [
        ".hook.ndjson",
        ".hook.payload",
        ".hook.refused",
        "other.ndjson",
    ];
    assert_eq!(
        endings.map(|ending| spooled(&machine, ending)),
        [0, 0, 2, 1]
    );
}
