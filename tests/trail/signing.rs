//! Signed trails: stock git and the auditor accept the host's signatures; and the handling of signers that fail.

use std::path::Path;
use std::time::Duration;

use chiffon_audit_cli::trail::{
    CommittedEntry, Extent, InitOptions, NewEntry, OnFailure, OpenOptions, Provenance, SigningKey,
    SigningOptions, Ticket, Trail, TrailError,
};
use chiffon_audit_cli::verify::{self, AuditResult, Report, Verdict};

use super::init_options;
use crate::support::signers::Signers;
use crate::support::*;

pub fn with_key(file: &Path) -> SigningOptions {
    SigningOptions {
        key: SigningKey::Ssh {
            file: file.to_owned(),
            agent: None,
        },
        extent: Extent::Commit,
        on_failure: OnFailure::Hold,
        timeout: Duration::from_secs(10),
        passphrase_file: None,
    }
}

fn options(signing: &SigningOptions) -> OpenOptions {
    OpenOptions {
        signing: Some(signing.clone()),
        ..OpenOptions::default()
    }
}

fn record(trail: &Trail, id: &str, seconds: i64) -> Result<CommittedEntry, TrailError> {
    append(trail, id, seconds).wait()
}

fn append(trail: &Trail, id: &str, seconds: i64) -> Ticket {
    let (id, time) = (task(id), at(seconds * 1_000_000));
    let digest = format!("sha256:{}", "0".repeat(64));
    let provenance = Provenance {
        interface: "chiffon:audit@0.1.0".into(),
        policy: digest.clone(),
        settings: digest,
        outcome: None,
        reporter: None,
    };
    let ticket = trail.append(NewEntry {
        predecessors_asked: false,
        task_id: &id,
        entry: entry(id.as_str(), time),
        subject: format!("audit: task {id} completed"),
        provenance: &provenance,
        time,
    });
    ticket.unwrap()
}

/// A trail with a genesis commit and two entries.
pub fn signed_trail(repo: &Repo, signing: &SigningOptions) -> Trail {
    let init = InitOptions {
        open: options(signing),
        ..init_options()
    };
    let (trail, _) = Trail::init(&repo.path, init).unwrap();
    for (seconds, id) in [(1, "a"), (2, "b")] {
        record(&trail, id, seconds).unwrap();
    }
    trail
}

fn audit(repo: &Repo, allowed: &Path) -> Report {
    let options = verify::Options {
        allowed_signers: Some(allowed.to_owned()),
        ..verify::Options::default()
    };
    verify::verify(&repo.path, &options).unwrap()
}

pub fn signatures(report: &Report) -> &Verdict {
    let claim = report.claims.iter().find(|claim| claim.id == "signatures");
    &claim.unwrap().verdict
}

/// Stock git's verdict on each commit's signature, the oldest first: `G` is good.
fn as_git_says(repo: &Repo, setting: &str) -> String {
    repo.git(&["-c", setting, "log", "--reverse", "--format=%G?"])
        .replace('\n', "")
}

#[track_caller]
fn holds_here_and_for_git(repo: &Repo, allowed: &Path) {
    let report = audit(repo, allowed);
    assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
    let setting = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
    assert_eq!(as_git_says(repo, &setting), "GGG");
    repo.git(&["-c", &setting, "verify-commit", "HEAD"]);
    let shown = repo.git(&["-c", &setting, "log", "-1", "--show-signature"]);
    assert!(
        shown.contains("Good \"git\" signature for host@example.org"),
        "{shown}"
    );
    repo.fsck();
}

#[test]
fn every_commit_is_signed_and_git_agrees() {
    for arguments in [&[][..], &["--bare"], &["--object-format=sha256"]] {
        let (repo, signers) = (Repo::init(arguments), Signers::new());
        let key = signers.ssh("key", "ed25519", "");
        signed_trail(&repo, &with_key(&key));
        holds_here_and_for_git(&repo, &signers.allow(&key));
    }
}

#[test]
fn the_last_commit_of_a_group_is_signed_for_all_of_it() {
    let (repo, signers) = (Repo::bare(), Signers::new());
    let key = signers.ssh("key", "ed25519", "");
    let signing = SigningOptions {
        extent: Extent::Group,
        ..with_key(&key)
    };
    let trail = signed_trail(&repo, &signing);
    // Queued before any call waits, so that they become durable together.
    let tickets: Vec<_> = (0..20)
        .map(|n| append(&trail, &format!("t{n}"), 3))
        .collect();
    let placed: Vec<CommittedEntry> = tickets
        .iter()
        .map(|ticket| ticket.wait().unwrap())
        .collect();
    let report = audit(&repo, &signers.allow(&key));
    assert_eq!(
        (report.result(), report.entries),
        (AuditResult::Holds, 22),
        "{report:#?}"
    );
    repo.fsck();
    let trailers = repo.git(&["log", "--format=%(trailers:key=Audit-Signature,valueonly)"]);
    let covered: u32 = trailers
        .lines()
        .filter_map(|line| line.strip_prefix("covers "))
        .map(|number| number.parse::<u32>().unwrap() - 1)
        .sum();
    assert!(covered > 0, "{trailers}");
    let setting = format!(
        "gpg.ssh.allowedSignersFile={}",
        signers.path("allowed").display()
    );
    let unsigned = as_git_says(&repo, &setting).matches('N').count();
    assert_eq!(unsigned, covered as usize);
    // Receipts name the final commits, including the signed one.
    let ids = repo.git(&["rev-list", "--reverse", "HEAD"]);
    let ids: Vec<&str> = ids.lines().skip(3).collect();
    assert_eq!(
        placed
            .iter()
            .map(|placed| placed.commit.as_str())
            .collect::<Vec<_>>(),
        ids
    );
    // Without its signer the whole group is held.
    let failing = SigningOptions {
        key: SigningKey::OpenPgp {
            key: "host".into(),
            program: signers.path("none"),
        },
        ..signing
    };
    let trail = Trail::open(&repo.path, options(&failing)).unwrap();
    let tickets: Vec<_> = ["x", "y"].map(|id| append(&trail, id, 4)).into();
    for ticket in tickets {
        assert!(matches!(ticket.wait(), Err(TrailError::Signing(_))));
    }
}

#[test]
fn signing_twice_makes_the_same_commit() {
    let signers = Signers::new();
    let key = signers.ssh("key", "ed25519", "");
    let tips = [Repo::bare(), Repo::bare()].map(|repo| {
        signed_trail(&repo, &with_key(&key));
        repo.git(&["rev-parse", "HEAD"])
    });
    assert_eq!(tips[0], tips[1]);
}

#[test]
fn an_encrypted_key_opens_with_its_passphrase_file() {
    let (repo, signers) = (Repo::bare(), Signers::new());
    let key = signers.ssh("key", "ed25519", "correct horse");
    let mut signing = with_key(&key);
    let error = Trail::open(&repo.path, options(&signing))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("is encrypted: name a passphrase_file"),
        "{error}"
    );
    signing.passphrase_file = Some(signers.write("pass", "wrong\n"));
    let error = Trail::open(&repo.path, options(&signing))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("cannot be decrypted with that passphrase"),
        "{error}"
    );
    signing.passphrase_file = Some(signers.write("pass", "correct horse\n"));
    signed_trail(&repo, &signing);
    holds_here_and_for_git(&repo, &signers.allow(&key));
}

#[test]
fn a_key_that_cannot_be_used_is_refused_before_anything_is_recorded() {
    use std::os::unix::fs::PermissionsExt;
    let (repo, signers) = (Repo::bare(), Signers::new());
    let open_key = signers.ssh("open", "ed25519", "");
    std::fs::set_permissions(&open_key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ecdsa = signers.ssh("ecdsa", "ecdsa", "");
    let public = signers.ssh("agents", "ed25519", "").with_extension("pub");
    let text = signers.write("text", "no key\n");
    for (file, words) in [
        (open_key, "can be read by others (mode 644)"),
        (ecdsa, "only ed25519 is supported"),
        (public, "there is no ssh-agent"),
        (text, "neither an OpenSSH private key nor a public key"),
        (signers.path("none"), "cannot be read"),
    ] {
        let error = Trail::open(&repo.path, options(&with_key(&file)))
            .err()
            .unwrap();
        assert!(matches!(error, TrailError::Invalid(_)), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn an_agent_signs() {
    let (repo, mut signers) = (Repo::bare(), Signers::new());
    let key = signers.ssh("key", "ed25519", "");
    let mut signing = with_key(&key);
    signing.key = SigningKey::Ssh {
        file: key.with_extension("pub"),
        agent: Some(signers.agent(&key)),
    };
    signed_trail(&repo, &signing);
    holds_here_and_for_git(&repo, &signers.allow(&key));
    // The agent does not have another key.
    let other = signers.ssh("other", "ed25519", "").with_extension("pub");
    signing.key = SigningKey::Ssh {
        file: other,
        agent: Some(signers.path("agent")),
    };
    let trail = Trail::open(&repo.path, options(&signing)).unwrap();
    let error = record(&trail, "c", 3).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("does not sign with the signing key"),
        "{error}"
    );
    assert!(error.may_pass());
}

#[test]
fn an_openpgp_key_signs_through_the_operators_program() {
    let (repo, mut signers) = (Repo::bare(), Signers::new());
    let (key, program) = signers.openpgp();
    let mut signing = with_key(Path::new(""));
    let setting = format!("gpg.program={}", program.display());
    signing.key = SigningKey::OpenPgp { key, program };
    signed_trail(&repo, &signing);
    assert_eq!(
        as_git_says(&repo, &setting),
        "UUU".replace('U', "G").as_str()
    );
    repo.git(&["-c", &setting, "verify-commit", "HEAD"]);
    repo.fsck();
    let mut check = verify::Options {
        openpgp_keys: Some(signers.openpgp_public()),
        ..verify::Options::default()
    };
    let report = verify::verify(&repo.path, &check).unwrap();
    assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
    // A changed message with the old signature, then another person's key ring.
    let commit = repo.git(&["cat-file", "commit", "HEAD"]);
    let edited = signers.write(
        "edited",
        &commit.replace("task b completed", "task b failed"),
    );
    let edited = repo.git(&[
        "hash-object",
        "-t",
        "commit",
        "-w",
        edited.to_str().unwrap(),
    ]);
    repo.git(&["update-ref", "HEAD", edited.trim()]);
    let report = verify::verify(&repo.path, &check).unwrap();
    let Verdict::Broken { commit, what, .. } = signatures(&report) else {
        panic!("{report:#?}");
    };
    assert_eq!(commit.as_deref(), Some(edited.trim()));
    assert!(what.contains("forged, or the commit edited"), "{what}");
    let mut others = Signers::new();
    others.openpgp();
    check.openpgp_keys = Some(others.openpgp_public());
    let report = verify::verify(&repo.path, &check).unwrap();
    let Verdict::Broken { what, .. } = signatures(&report) else {
        panic!("{report:#?}");
    };
    assert!(what.contains("not among the given keys"), "{what}");
    check.openpgp_keys = Some(signers.write("none", "no key"));
    assert!(verify::verify(&repo.path, &check).is_err());
}

#[test]
fn an_audit_gives_up_an_openpgp_program_that_hangs_and_names_it() {
    let (repo, mut signers) = (Repo::bare(), Signers::new());
    let (key, program) = signers.openpgp();
    let mut signing = with_key(Path::new(""));
    signing.key = SigningKey::OpenPgp { key, program };
    signed_trail(&repo, &signing);
    let keys = signers.openpgp_public();
    let takes_keys = "case \"$*\" in *--import*) echo '[GNUPG:] IMPORT_OK 1 x'; exit;; esac\n";
    for (name, text) in [
        ("never-begins", "exec sleep 600".to_owned()),
        ("says-nothing", format!("{takes_keys}exec sleep 600")),
        ("closes", format!("{takes_keys}exec >&-; exec sleep 600")),
        ("has-a-child", format!("{takes_keys}sleep 600 & exit 0")),
    ] {
        let options = verify::Options {
            openpgp_keys: Some(keys.clone()),
            openpgp_program: Some(signers.script(name, &text)),
            openpgp_timeout: Some(Duration::from_millis(200)),
            ..verify::Options::default()
        };
        let began = std::time::Instant::now();
        let report = verify::verify(&repo.path, &options).unwrap();
        assert!(began.elapsed() < Duration::from_secs(60), "{name}");
        assert_eq!(
            report.result(),
            AuditResult::NotShown,
            "{name}: {report:#?}"
        );
        let Verdict::NotShown { missing } = signatures(&report) else {
            panic!("{report:#?}");
        };
        let named = format!("{name}` did not end within 0.2 s");
        assert!(missing.contains(&named), "{missing}");
    }
}

/// Signers that fail, each with the expected message.
fn failing(signers: &Signers) -> Vec<(SigningKey, &'static str)> {
    let hangs = signers.path("hangs");
    let listener = std::os::unix::net::UnixListener::bind(&hangs).unwrap();
    // Connections are never accepted, so a client waits.
    std::mem::forget(listener);
    let public = signers.ssh("key", "ed25519", "").with_extension("pub");
    let openpgp = |program| SigningKey::OpenPgp {
        key: "host".into(),
        program,
    };
    let agent = |agent| SigningKey::Ssh {
        file: public.clone(),
        agent: Some(agent),
    };
    vec![
        (agent(hangs), "did not answer within"),
        (agent(signers.path("gone")), "cannot be used"),
        (
            openpgp(signers.script("sleeps", "exec sleep 60")),
            "did not end within",
        ),
        (
            openpgp(signers.script("closes", "exec >&- 2>&-; exec sleep 60")),
            "did not end within",
        ),
        (
            openpgp(signers.script("fails", "echo 'gpg: no such key' >&2; exit 2")),
            "did not sign: gpg: no such key",
        ),
        (
            openpgp(signers.script("lies", "echo '[GNUPG:] SIG_CREATED ' >&2")),
            "did not sign",
        ),
        (openpgp(signers.path("none")), "cannot be run"),
    ]
}

#[test]
fn when_nobody_signs_entries_are_held_and_recorded_later() {
    let signers = Signers::new();
    let key = signers.ssh("good", "ed25519", "");
    for (failing, words) in failing(&signers) {
        let repo = Repo::bare();
        drop(signed_trail(&repo, &with_key(&key)));
        let signing = SigningOptions {
            key: failing,
            timeout: Duration::from_millis(100),
            ..with_key(&key)
        };
        let trail = Trail::open(&repo.path, options(&signing)).unwrap();
        for id in ["c", "d"] {
            let error = record(&trail, id, 3).unwrap_err();
            assert!(matches!(error, TrailError::Signing(_)), "{error:?}");
            assert!(error.to_string().contains(words), "{error}");
        }
        drop(trail);
        let trail = Trail::open(&repo.path, options(&with_key(&key))).unwrap();
        record(&trail, "c", 3).unwrap();
        let report = audit(&repo, &signers.allow(&key));
        assert_eq!((report.result(), report.entries), (AuditResult::Holds, 3));
    }
}

#[test]
fn when_nobody_signs_entries_are_recorded_unsigned_if_the_operator_says_so() {
    let signers = Signers::new();
    let key = signers.ssh("good", "ed25519", "");
    let repo = Repo::bare();
    drop(signed_trail(&repo, &with_key(&key)));
    let signing = SigningOptions {
        key: SigningKey::OpenPgp {
            key: "host".into(),
            program: signers.script("sleeps", "exec sleep 60"),
        },
        on_failure: OnFailure::Unsigned,
        timeout: Duration::from_millis(100),
        ..with_key(&key)
    };
    let trail = Trail::open(&repo.path, options(&signing)).unwrap();
    let placed = record(&trail, "c", 3).unwrap();
    assert!(placed.unsigned);
    let trailer = repo.git(&["log", "-1", "--format=%(trailers:key=Audit-Signature)"]);
    assert_eq!(trailer.trim(), "Audit-Signature: unavailable");
    let report = audit(&repo, &signers.allow(&key));
    let Verdict::Broken { commit, what, .. } = signatures(&report) else {
        panic!("{report:#?}");
    };
    assert_eq!(commit.as_ref(), Some(&placed.commit));
    assert!(what.contains("its signer was unavailable"), "{what}");
    let others = report
        .claims
        .iter()
        .filter(|claim| claim.id != "signatures");
    assert!(
        others
            .into_iter()
            .all(|claim| !matches!(claim.verdict, Verdict::Broken { .. }))
    );
}

#[test]
fn a_receipt_says_of_a_whole_group_that_nobody_signed_it_and_of_a_signed_one_nothing() {
    let signers = Signers::new();
    let key = signers.ssh("good", "ed25519", "");
    for (program, extent, unsigned) in [
        (Some("exit 2"), Extent::Group, true),
        (Some("exit 2"), Extent::Commit, true),
        (None, Extent::Group, false),
        (None, Extent::Commit, false),
    ] {
        let repo = Repo::bare();
        let mut signing = SigningOptions {
            extent,
            on_failure: OnFailure::Unsigned,
            ..with_key(&key)
        };
        if let Some(program) = program {
            signing.key = SigningKey::OpenPgp {
                key: "host".into(),
                program: signers.script("fails", program),
            };
        }
        let trail = Trail::open(&repo.path, options(&signing)).unwrap();
        let tickets: Vec<_> = (0..3)
            .map(|n| append(&trail, &format!("t{n}"), 3))
            .collect();
        for ticket in tickets {
            assert_eq!(ticket.wait().unwrap().unsigned, unsigned, "{extent:?}");
        }
    }
}
