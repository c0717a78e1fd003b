//! Signatures by OpenSSH's own program on forged trails: which count, which do not, and whether stock git agrees.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use chiffon_audit_cli::verify::{self, AuditResult, Options, Report, Require, Verdict};

use super::forge::{BEGIN, Forge, sharded, try_git, verdict, write};

/// A signing key.
pub struct Key {
    file: PathBuf,
}

impl Key {
    pub fn new(forge: &Forge, name: &str) -> Key {
        Key::of_type(forge, name, "ed25519")
    }

    fn of_type(forge: &Forge, name: &str, kind: &str) -> Key {
        let file = forge.beside(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-N", "", "-C", name, "-f"])
            .arg(&file)
            .status();
        assert!(made.unwrap().success());
        Key { file }
    }

    /// The public key, as a line of a file.
    pub fn public(&self) -> String {
        let text = std::fs::read_to_string(self.file.with_extension("pub")).unwrap();
        text.trim().to_owned()
    }

    pub fn sign(&self, payload: &[u8], namespace: &str) -> String {
        let mut child = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", namespace, "-f"])
            .arg(&self.file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), payload).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Replaces the branch's tip by a commit with this signature.
fn replace_tip(forge: &Forge, commit: &str, signature: &str) -> String {
    let (headers, message) = commit.split_once("\n\n").unwrap();
    let signature = signature.trim_end().replace('\n', "\n ");
    let signed = format!("{headers}\ngpgsig {signature}\n\n{message}");
    let id = forge.object("commit", signed.as_bytes());
    forge.git(&["update-ref", "refs/heads/audit", &id]);
    id
}

pub fn sign_tip(forge: &Forge, key: &Key) -> String {
    let commit = forge.git(&["cat-file", "commit", "audit"]);
    replace_tip(forge, &commit, &key.sign(commit.as_bytes(), "git"))
}

/// A trail whose commits this key signs: a genesis commit and three entries.
fn signed(forge: &mut Forge, key: &Key) -> Vec<String> {
    forge.genesis();
    let mut ids = vec![sign_tip(forge, key)];
    for task in ["a", "b", "c"] {
        forge.record(&sharded(task));
        ids.push(sign_tip(forge, key));
    }
    ids
}

fn audit(forge: &Forge, allowed: &str, revoked: &str) -> Report {
    let (signers, list) = (forge.beside("allowed"), forge.beside("revoked"));
    std::fs::write(&signers, allowed).unwrap();
    std::fs::write(&list, revoked).unwrap();
    let options = Options {
        allowed_signers: Some(signers),
        revoked_signers: Some(list),
        ..Options::default()
    };
    verify::verify(&forge.path, &options).unwrap()
}

/// Whether stock git accepts the signature of this commit, with the files of the last audit.
fn git_agrees(forge: &Forge, commit: &str) -> bool {
    let allowed = format!(
        "gpg.ssh.allowedSignersFile={}",
        forge.beside("allowed").display()
    );
    let revoked = format!(
        "gpg.ssh.revocationFile={}",
        forge.beside("revoked").display()
    );
    let arguments = ["-c", &allowed, "-c", &revoked, "verify-commit", commit];
    try_git(&forge.path, &arguments).is_some()
}

/// Checks that the claim is broken by this commit with these words, and no other claim is.
#[track_caller]
fn broken(report: &Report, commit: &str, words: &str) {
    let Verdict::Broken {
        commit: found,
        what,
        ..
    } = verdict(report, "signatures")
    else {
        panic!("{report:#?}");
    };
    assert!(what.contains(words), "{what}");
    assert_eq!(found.as_deref(), Some(commit), "{what}");
}

#[track_caller]
fn not_shown(report: &Report, words: &str) {
    assert_eq!(report.result(), AuditResult::NotShown, "{report:#?}");
    let Verdict::NotShown { missing } = verdict(report, "signatures") else {
        panic!("{report:#?}");
    };
    assert!(missing.contains(words), "{missing}");
}

#[test]
fn a_signed_trail_holds_and_git_agrees() {
    for arguments in [&[][..], &["--object-format=sha256"][..]] {
        let mut forge = Forge::bare(arguments);
        let key = Key::new(&forge, "key");
        if !arguments.is_empty() {
            // The header has another name in stock git there; one commit made by hand is enough to check that.
            forge.record(&sharded("a"));
            let commit = forge.git(&["cat-file", "commit", "audit"]);
            let id = replace_tip(&forge, &commit, &key.sign(commit.as_bytes(), "git"));
            let report = audit(&forge, &format!("host@example.org {}\n", key.public()), "");
            broken(&report, &id, "another kind of repository");
            continue;
        }
        let ids = signed(&mut forge, &key);
        let report = audit(&forge, &format!("host@example.org {}\n", key.public()), "");
        assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
        let claim = report.claims.iter().find(|claim| claim.id == "signatures");
        let notes = &claim.unwrap().notes;
        assert_eq!(
            notes[..],
            [
                "`host@example.org` signed 4 commits, from 2026-01-01T00:00:01Z to 2026-01-01T00:00:04Z"
            ]
        );
        assert!(ids.iter().all(|id| git_agrees(&forge, id)));
    }
}

#[test]
fn an_unsigned_commit_is_named() {
    let mut forge = Forge::bare(&[]);
    let key = Key::new(&forge, "key");
    signed(&mut forge, &key);
    let unsigned = forge.record(&sharded("d"));
    forge.record(&sharded("e"));
    sign_tip(&forge, &key);
    let report = audit(&forge, &format!("host {}\n", key.public()), "");
    broken(&report, &unsigned, "it is unsigned");
    assert!(!git_agrees(&forge, &unsigned));
}

#[test]
fn what_was_recorded_before_signing_began_is_not_shown() {
    let mut forge = Forge::trail();
    let key = Key::new(&forge, "key");
    forge.record(&sharded("d"));
    sign_tip(&forge, &key);
    let report = audit(&forge, &format!("host {}\n", key.public()), "");
    not_shown(&report, "who wrote the first 3 commits");
    // The genesis commit alone records nothing.
    let mut forge = Forge::bare(&[]);
    forge.genesis();
    forge.record(&sharded("a"));
    sign_tip(&forge, &key);
    let report = audit(&forge, &format!("host {}\n", key.public()), "");
    assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
}

#[test]
fn without_signatures_or_signers_nothing_is_shown() {
    let forge = Forge::trail();
    let key = Key::new(&forge, "key");
    let report = audit(&forge, &format!("host {}\n", key.public()), "");
    not_shown(&report, "no commit of the trail is signed");
    let require = Require {
        signed: true,
        ..Require::default()
    };
    let options = Options {
        require,
        ..Options::default()
    };
    not_shown(
        &verify::verify(&forge.path, &options).unwrap(),
        "--allowed-signers",
    );
}

#[test]
fn a_key_outside_its_time_is_named_and_a_rotation_leaves_old_entries_valid() {
    let mut forge = Forge::bare(&[]);
    let (old, new) = (Key::new(&forge, "old"), Key::new(&forge, "new"));
    signed(&mut forge, &old);
    for task in ["d", "e"] {
        forge.record(&sharded(task));
        sign_tip(&forge, &new);
    }
    let rotated = format!(
        "host valid-before=\"20260101000004Z\" {}\nhost valid-after=\"20260101000005Z\" {}\n",
        old.public(),
        new.public()
    );
    let report = audit(&forge, &rotated, "");
    assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
    forge.record(&sharded("f"));
    let late = sign_tip(&forge, &old);
    let report = audit(&forge, &rotated, "");
    broken(
        &report,
        &late,
        "outside its time: it is allowed until 2026-01-01T00:00:04Z, and the commit is of 2026-01-01T00:00:07Z",
    );
    assert!(!git_agrees(&forge, &late));
}

#[test]
fn a_revoked_key_never_comes_back() {
    let mut forge = Forge::bare(&[]);
    let key = Key::new(&forge, "key");
    let ids = signed(&mut forge, &key);
    let allowed = format!(
        "host {}\nhost valid-after=\"20200101Z\" {}\n",
        key.public(),
        key.public()
    );
    let report = audit(&forge, &allowed, &format!("{}\n", key.public()));
    broken(&report, &ids[0], "the revoked key SHA256:");
    assert!(!git_agrees(&forge, &ids[0]));
}

#[test]
fn a_signature_in_another_namespace_is_named() {
    let mut forge = Forge::bare(&[]);
    let key = Key::new(&forge, "key");
    signed(&mut forge, &key);
    forge.record(&sharded("d"));
    let commit = forge.git(&["cat-file", "commit", "audit"]);
    let id = replace_tip(&forge, &commit, &key.sign(commit.as_bytes(), "file"));
    let report = audit(&forge, &format!("host {}\n", key.public()), "");
    broken(&report, &id, "its namespace is `file`");
    assert!(!git_agrees(&forge, &id));
    let report = audit(
        &forge,
        &format!("host namespaces=\"file\" {}\n", key.public()),
        "",
    );
    broken(
        &report,
        forge.git(&["rev-list", "--max-parents=0", "audit"]).trim(),
        "allowed for the namespaces `file`",
    );
}

#[test]
fn a_key_that_is_not_allowed_is_named() {
    let mut forge = Forge::bare(&[]);
    let (key, mallory) = (Key::new(&forge, "key"), Key::new(&forge, "mallory"));
    signed(&mut forge, &key);
    forge.record(&sharded("d"));
    let id = sign_tip(&forge, &mallory);
    let report = audit(&forge, &format!("host {}\n", key.public()), "");
    broken(&report, &id, "not an allowed signer's key");
    assert!(!git_agrees(&forge, &id));
}

#[test]
fn an_edited_signed_commit_is_named() {
    // A swapped policy digest, a forged trailer, another time: the signature is not of these bytes.
    for (from, to) in [
        ("Audit-Policy: sha256:0", "Audit-Policy: sha256:1"),
        ("completed at", "failed at"),
        (" +0000\ncommitter", " +0000\ncommitter"),
    ] {
        let mut forge = Forge::bare(&[]);
        let key = Key::new(&forge, "key");
        signed(&mut forge, &key);
        forge.record(&sharded("d"));
        let commit = forge.git(&["cat-file", "commit", "audit"]);
        let signature = key.sign(commit.as_bytes(), "git");
        let mut edited = commit.replace(from, to);
        if from == to {
            let later = (BEGIN + 5, BEGIN + 6);
            edited = edited.replace(&later.0.to_string(), &later.1.to_string());
        }
        assert_ne!(edited, commit);
        let id = replace_tip(&forge, &edited, &signature);
        let report = audit(&forge, &format!("host {}\n", key.public()), "");
        broken(&report, &id, "it was forged, or the commit edited");
        assert!(!git_agrees(&forge, &id));
    }
}

#[test]
fn a_signed_later_commit_that_edits_an_entry_is_named_by_what_it_does() {
    let mut forge = Forge::bare(&[]);
    let key = Key::new(&forge, "key");
    signed(&mut forge, &key);
    let mut draft = forge.draft(&sharded("d"));
    draft.operations.push(write(&sharded("a"), "{}\n"));
    forge.add(&draft);
    let id = sign_tip(&forge, &key);
    let report = audit(&forge, &format!("host {}\n", key.public()), "");
    assert_eq!(verdict(&report, "signatures"), &Verdict::Holds);
    let Verdict::Broken { commit, what, .. } = verdict(&report, "append-only") else {
        panic!("{report:#?}");
    };
    assert_eq!(commit.as_deref(), Some(id.as_str()));
    assert!(what.contains("is edited"), "{what}");
    // This is the attack that git does not detect.
    assert!(git_agrees(&forge, &id));
}

#[test]
fn a_group_that_its_last_commit_signs_for_holds_and_a_stranger_in_it_does_not() {
    let mut forge = Forge::bare(&[]);
    let key = Key::new(&forge, "key");
    forge.genesis();
    sign_tip(&forge, &key);
    for task in ["a", "b"] {
        forge.record(&sharded(task));
    }
    let mut last = forge.draft(&sharded("c"));
    last.message += "Audit-Signature: covers 3\n";
    forge.add(&last);
    sign_tip(&forge, &key);
    let allowed = format!("host {}\n", key.public());
    let report = audit(&forge, &allowed, "");
    assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
    let stranger = forge.record(&sharded("d"));
    let report = audit(&forge, &allowed, "");
    broken(&report, &stranger, "it is unsigned");
    let mut last = forge.draft(&sharded("e"));
    last.message += "Audit-Signature: covers 1\n";
    forge.add(&last);
    sign_tip(&forge, &key);
    broken(&audit(&forge, &allowed, ""), &stranger, "it is unsigned");
}

#[test]
fn a_commit_that_says_that_its_signer_was_unavailable_is_reported() {
    let mut forge = Forge::bare(&[]);
    let key = Key::new(&forge, "key");
    signed(&mut forge, &key);
    let mut draft = forge.draft(&sharded("d"));
    draft.message += "Audit-Signature: unavailable\n";
    let id = forge.add(&draft);
    let report = audit(&forge, &format!("host {}\n", key.public()), "");
    broken(&report, &id, "its signer was unavailable");
}

#[test]
fn a_key_of_another_type_is_not_shown() {
    let mut forge = Forge::bare(&[]);
    let key = Key::of_type(&forge, "key", "ecdsa");
    forge.record(&sharded("a"));
    sign_tip(&forge, &key);
    let report = audit(&forge, &format!("host {}\n", key.public()), "");
    not_shown(
        &report,
        "of the type ecdsa-sha2-nistp256, which this version does not check",
    );
}

/// A changed signature header on the tip, which anyone can make without a key.
fn rewrapped(change: impl Fn(&str) -> String) -> (Forge, String, String) {
    let mut forge = Forge::bare(&[]);
    let key = Key::new(&forge, "key");
    signed(&mut forge, &key);
    let commit = forge.git(&["cat-file", "commit", "audit"]);
    let changed = change(&commit);
    assert_ne!(commit, changed);
    let id = forge.object("commit", changed.as_bytes());
    forge.git(&["update-ref", "refs/heads/audit", &id]);
    let allowed = format!("host {}\n", key.public());
    (forge, id, allowed)
}

/// The lines of the armour in a commit, joined.
fn base64_of(commit: &str) -> (usize, usize, String) {
    let begin = commit.find("SIGNATURE-----\n").unwrap() + "SIGNATURE-----\n".len();
    let end = commit.find(" -----END").unwrap();
    (begin, end, commit[begin..end].replace(['\n', ' '], ""))
}

#[test]
fn armour_that_was_wrapped_again_without_the_key_is_named() {
    for width in [64, 71, 4096] {
        let (forge, id, allowed) = rewrapped(|commit| {
            let (begin, end, text) = base64_of(commit);
            let lines = text.as_bytes().chunks(width);
            let lines = lines.map(|line| format!(" {}\n", std::str::from_utf8(line).unwrap()));
            format!(
                "{}{}{}",
                &commit[..begin],
                lines.collect::<String>(),
                &commit[end..]
            )
        });
        broken(&audit(&forge, &allowed, ""), &id, "lines of 70 letters");
    }
    // An empty line in it, and data in the part that is not signed.
    let (forge, id, allowed) =
        rewrapped(|commit| commit.replacen("SIGNATURE-----\n U1N", "SIGNATURE-----\n \n U1N", 1));
    broken(&audit(&forge, &allowed, ""), &id, "its armour");
    let (forge, id, allowed) = rewrapped(|commit| {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let (begin, end, text) = base64_of(commit);
        let mut blob = STANDARD.decode(text).unwrap();
        // Magic and version, key, namespace; then the reserved field, which is empty.
        let at = 10 + 4 + 51 + 4 + 3;
        assert_eq!(blob[at..at + 4], [0; 4]);
        blob[at + 3] = 1;
        blob.insert(at + 4, b'x');
        let text = STANDARD.encode(blob);
        let lines = text.as_bytes().chunks(70);
        let lines = lines.map(|line| format!(" {}\n", std::str::from_utf8(line).unwrap()));
        format!(
            "{}{}{}",
            &commit[..begin],
            lines.collect::<String>(),
            &commit[end..]
        )
    });
    broken(
        &audit(&forge, &allowed, ""),
        &id,
        "reserved field is not empty",
    );
}

#[test]
fn a_signature_that_says_that_it_is_for_more_than_there_is_is_named() {
    for (says, words) in [
        (
            "covers 999999998",
            "covers 999999998 commits, and there are only 2",
        ),
        ("covers 3", "covers 3 commits, and there are only 2"),
    ] {
        let mut forge = Forge::bare(&[]);
        let key = Key::new(&forge, "key");
        signed(&mut forge, &key);
        forge.record(&sharded("d"));
        let mut draft = forge.draft(&sharded("e"));
        draft.message += &format!("Audit-Signature: {says}\n");
        forge.add(&draft);
        let id = sign_tip(&forge, &key);
        let allowed = format!("host {}\n", key.public());
        broken(&audit(&forge, &allowed, ""), &id, words);
    }
    // Without signatures nothing is covered.
    let mut forge = Forge::bare(&[]);
    let key = Key::new(&forge, "key");
    signed(&mut forge, &key);
    let mut draft = forge.draft(&sharded("d"));
    draft.message += "Audit-Signature: covers 2\n";
    let id = forge.add(&draft);
    let allowed = format!("host {}\n", key.public());
    broken(&audit(&forge, &allowed, ""), &id, "and has none");
}
