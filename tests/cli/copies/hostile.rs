//! Remotes and repositories that are hostile: nothing that they name is executed, printed raw, or believed.

use super::{Machine, executable, machine};
use crate::support::git;

/// A script that leaves a mark when it is executed.
fn trap(machine: &Machine) -> String {
    let path = machine.write(
        "trap.sh",
        format!(
            "#!/bin/sh\ntouch {}/executed\nexit 1\n",
            machine.dir.path().display()
        ),
    );
    executable(&path);
    path.to_str().unwrap().to_owned()
}

#[test]
fn nothing_that_the_repository_configures_is_executed() {
    let machine = machine();
    let trap = trap(&machine);
    let work = machine.path("work");
    for hook in [
        "pre-push",
        "reference-transaction",
        "post-checkout",
        "pre-commit",
    ] {
        let path = machine.write(
            &format!("work/.git/hooks/{hook}"),
            format!("#!/bin/sh\n{trap}\n"),
        );
        executable(&path);
    }
    let ext = format!("url.ext::{trap}.insteadOf");
    for (key, value) in [
        ("core.sshCommand", trap.as_str()),
        ("core.gitProxy", &trap),
        ("core.fsmonitor", &trap),
        ("core.alternateRefsCommand", &trap),
        ("core.pager", &trap),
        ("credential.helper", &trap),
        ("gpg.program", &trap),
        ("remote.origin.receivepack", &trap),
        ("remote.origin.uploadpack", &trap),
        ("remote.origin.vcs", "ext"),
        (&ext, "../hub.git"),
    ] {
        git(&work, &["config", key, value]);
    }
    let ran = machine.sync("work", &[]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(machine.push("work", "two", &[]).exit, Some(0));
    let ran = machine.run(&[
        "-C",
        "work",
        "verify",
        "--against",
        "remote:origin",
        "--full",
    ]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(!machine.path("executed").exists());
}

#[test]
fn an_address_that_git_would_execute_is_refused() {
    let machine = machine();
    let trap = trap(&machine);
    let work = machine.path("work");
    for url in [
        format!("ext::{trap}"),
        "--upload-pack=x".to_owned(),
        "http://127.0.0.1:9/x".to_owned(),
    ] {
        git(&work, &["config", "remote.odd.url", &url]);
        for args in [
            &["-C", "work", "sync", "odd"][..],
            &["-C", "work", "verify", "--against", "remote:odd"],
        ] {
            let ran = machine.run(args);
            assert_eq!(ran.exit, Some(2), "{url} {ran:?}");
        }
    }
    assert!(!machine.path("executed").exists());
}

#[test]
fn credentials_in_an_address_are_never_printed() {
    let machine = machine();
    let work = machine.path("work");
    git(
        &work,
        &[
            "config",
            "remote.origin.url",
            "https://me:s3cr3t@127.0.0.1:9/hub.git",
        ],
    );
    for args in [
        &["-C", "work", "sync", "origin"][..],
        &["-C", "work", "sync", "origin", "--json"],
        &["-C", "work", "verify", "--against", "remote:origin"],
        &["-C", "work", "doctor"],
    ] {
        let ran = machine.run(args);
        let printed = format!("{}{}", ran.out, ran.err);
        assert!(!printed.contains("s3cr3t"), "{printed}");
    }
    let ran = machine.push("work", "two", &["--spool", "spool"]);
    assert!(!format!("{ran:?}").contains("s3cr3t"), "{ran:?}");
    let kept = std::fs::read_dir(work.join(".git/chiffon-audit")).unwrap();
    for file in kept
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file())
    {
        let text = std::fs::read(&file).unwrap();
        assert!(
            !String::from_utf8_lossy(&text).contains("s3cr3t"),
            "{}",
            file.display()
        );
    }
}

#[test]
fn what_a_hook_of_the_remote_prints_is_escaped() {
    let machine = machine();
    machine.hook(
        "pre-receive",
        r"printf '\033[2Jdenied by policy 7\n' >&2; exit 1",
    );
    let ran = machine.sync("work", &[]);
    assert_eq!(ran.exit, Some(4), "{ran:?}");
    assert!(ran.err.contains("denied by policy 7"), "{ran:?}");
    assert!(!ran.err.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn a_remote_that_lacks_what_it_advertises_is_reported() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.write("hub.git/refs/heads/audit", format!("{}\n", "17".repeat(20)));
    for more in [&[][..], &["--check"]] {
        let ran = machine.sync("work", more);
        assert!(ran.exit != Some(0), "{ran:?}");
    }
    assert_eq!(machine.run(&["verify", "work"]).exit, Some(0));
}

#[test]
fn a_remote_that_hangs_is_given_up() {
    let machine = machine();
    // A server that accepts, and then says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    git(
        &machine.path("work"),
        &[
            "config",
            "remote.origin.url",
            &format!("git://{address}/hub.git"),
        ],
    );
    let mut command = machine.command(&["-C", "work", "sync", "origin"]);
    let output = command
        .env("CHIFFON_AUDIT_SYNC_TIMEOUT", "0.3")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("heard nothing from it for 0.3 s"), "{said}");
}

#[test]
fn a_trail_that_was_altered_here_is_not_copied() {
    let machine = machine();
    machine.sync("work", &[]);
    let work = machine.path("work");
    let before = machine.rev("hub.git", "audit");
    // A person's commit that removes the entries.
    let tree = git(&work, &["mktree"]);
    let forged = git(
        &work,
        &["commit-tree", tree.trim(), "-p", "audit", "-m", "gone"],
    );
    git(&work, &["update-ref", "refs/heads/audit", forged.trim()]);
    let ran = machine.sync("work", &[]);
    assert!(ran.exit != Some(0), "{ran:?}");
    assert_eq!(machine.rev("hub.git", "audit"), before);
}

#[test]
fn a_directory_of_the_repository_is_no_remote() {
    let machine = machine();
    let trap = trap(&machine);
    let work = machine.path("work");
    git(&work, &["init", "-q", "--bare", "evil.git"]);
    let path = machine.write(
        "work/evil.git/hooks/pre-receive",
        format!("#!/bin/sh\n{trap}\n"),
    );
    executable(&path);
    let whole = path
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .display()
        .to_string();
    for url in [
        "./evil.git",
        // Git adds `.git` by itself.
        "./evil",
        ".",
        ".git",
        "../work/evil.git",
        &format!("file://{whole}"),
        &format!("file://localhost{whole}"),
        &format!("file://{}", whole.replace("evil", "%65vil")),
    ] {
        git(&work, &["config", "remote.origin.url", url]);
        let ran = machine.sync("work", &["--dedicated"]);
        assert_eq!(
            (ran.exit, ran.err.contains("within this repository")),
            (Some(2), true),
            "{ran:?}"
        );
        machine.push("work", "two", &[]);
    }
    assert!(!machine.path("executed").exists());
    // A vault beside it that is not mounted is outside.
    git(&work, &["config", "remote.origin.url", "../vault.git"]);
    let ran = machine.sync("work", &["--dedicated"]);
    assert_eq!(
        (ran.exit, ran.err.contains("within this repository")),
        (Some(1), false),
        "{ran:?}"
    );
    // An operator may name it. Then its hooks run, as with any git.
    machine.write(
        "config/chiffon-audit/config.toml",
        format!("[remotes.own]\nurl = \"{whole}\"\ndedicated = true\n"),
    );
    let mut command = machine.command(&["-C", "work", "sync"]);
    command.env("XDG_CONFIG_HOME", machine.path("config"));
    assert_eq!(command.output().unwrap().status.code(), Some(4));
    assert!(machine.path("executed").exists());
}

#[test]
fn a_name_that_would_make_a_bad_ref_is_refused() {
    let machine = machine();
    for name in ["../../heads", "x y", "q..r", ".a", "a.lock", "a//b"] {
        git(
            &machine.path("work"),
            &["config", &format!("remote.{name}.url"), "../hub.git"],
        );
        let ran = machine.run(&["-C", "work", "sync", name]);
        assert_eq!(ran.exit, Some(2), "{name} {ran:?}");
    }
    git(&machine.path("work"), &["fsck", "--strict"]);
}
