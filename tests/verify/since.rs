//! The border of an audit that starts at a checkpoint: later commits must fit the state before them.

use std::path::PathBuf;

use chiffon_audit_cli::verify::{self, AuditResult, Options, Report, Verdict};

use super::forge::{BEGIN, Commit, Forge, TRAIL, sharded, verdict, write};
use super::signatures::{Key, sign_tip};

/// A checkpoint of the trail's current state, in a file.
fn checkpoint(forge: &Forge) -> PathBuf {
    let tip = forge.git(&["rev-parse", "audit"]);
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let text = format!("chiffon-audit/{TRAIL}\n3\n{root}\ncommit {tip}\n\u{2014} k AAAAAAA=\n");
    let path = forge.beside("checkpoint");
    std::fs::write(&path, text).unwrap();
    path
}

fn audit(forge: &Forge, since: PathBuf, signers: Option<PathBuf>) -> Report {
    let options = Options {
        since: Some(since),
        allowed_signers: signers,
        ..Options::default()
    };
    verify::verify(&forge.path, &options).unwrap()
}

#[track_caller]
fn broken(report: &Report, claim: &str, commit: &str, words: &str) {
    let Verdict::Broken {
        commit: found,
        what,
        ..
    } = verdict(report, claim)
    else {
        panic!("{report:#?}");
    };
    assert!(what.contains(words), "{what}");
    assert_eq!(found.as_deref(), Some(commit), "{what}");
}

/// A person's commit that changes nothing.
fn work(forge: &mut Forge) -> Commit {
    forge.by_person(vec![write("src/x", "x\n")])
}

#[test]
fn a_second_beginning_after_the_checkpoint_is_named_and_not_believed() {
    let mut forge = Forge::trail();
    let since = checkpoint(&forge);
    let id = forge.genesis();
    let forged = forge.git(&["cat-file", "commit", "audit"]);
    let other = "11111111-2222-3333-4444-555555555555";
    let forged = forge.object("commit", forged.replace(TRAIL, other).as_bytes());
    assert_ne!(id, forged);
    forge.git(&["update-ref", "refs/heads/audit", &forged]);
    forge.record(&sharded("d"));
    let report = audit(&forge, since, None);
    broken(
        &report,
        "one-entry",
        &forged,
        "the trail starts after its entries",
    );
    assert_eq!(report.trail_id.as_deref(), Some(TRAIL));
}

#[test]
fn times_do_not_run_backwards_across_the_checkpoint() {
    let mut forge = Forge::trail();
    let since = checkpoint(&forge);
    // A person's commit in between does not change that.
    let between = work(&mut forge);
    forge.add(&between);
    let mut commit = forge.draft(&sharded("d"));
    let early = format!("Chiffon Audit <audit@localhost> {} +0000", BEGIN + 1);
    (commit.author, commit.committer) = (early.clone(), early);
    let stamp = super::forge::timestamp(BEGIN + 1);
    commit.operations = vec![write(&sharded("d"), &super::forge::entry("d", &stamp))];
    let id = forge.add(&commit);
    let report = audit(&forge, since, None);
    broken(&report, "times", &id, "is before");
}

#[test]
fn an_unsigned_commit_after_a_signed_checkpoint_is_named() {
    let mut forge = Forge::bare(&[]);
    let key = Key::new(&forge, "key");
    forge.genesis();
    sign_tip(&forge, &key);
    for task in ["a", "b", "c"] {
        forge.record(&sharded(task));
        sign_tip(&forge, &key);
    }
    let since = checkpoint(&forge);
    let allowed = forge.beside("allowed");
    std::fs::write(&allowed, format!("host {}\n", key.public())).unwrap();
    let holds = |forge: &Forge| {
        let report = audit(forge, since.clone(), Some(allowed.clone()));
        assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
    };
    holds(&forge);
    forge.record(&sharded("d"));
    sign_tip(&forge, &key);
    holds(&forge);
    let id = forge.record(&sharded("e"));
    forge.record(&sharded("f"));
    sign_tip(&forge, &key);
    let report = audit(&forge, since.clone(), Some(allowed.clone()));
    broken(&report, "signatures", &id, "it is unsigned");
    // A key that was revoked later signed the checkpoint's commit, too.
    let stranger = Key::new(&forge, "stranger");
    std::fs::write(&allowed, format!("host {}\n", stranger.public())).unwrap();
    let tip = std::fs::read_to_string(&since).unwrap();
    let tip = tip.lines().nth(3).unwrap().trim_start_matches("commit ");
    let report = audit(&forge, since.clone(), Some(allowed));
    broken(&report, "signatures", tip, "not an allowed signer's key");
}

#[test]
fn a_foreign_commit_after_the_checkpoint_of_a_trail_on_a_ref_is_named() {
    let mut forge = Forge::trail_on_ref();
    let since = checkpoint(&forge);
    forge.record(&sharded("d"));
    assert_eq!(
        audit(&forge, since.clone(), None).result(),
        AuditResult::Holds
    );
    let foreign = work(&mut forge);
    let id = forge.add(&foreign);
    broken(
        &audit(&forge, since, None),
        "one-entry",
        &id,
        "is not a trail commit",
    );
    // On a trail that people commit to, this is in order, and so is merging a commit from before the checkpoint.
    let mut forge = Forge::trail();
    let since = checkpoint(&forge);
    let fork = forge.git(&["rev-parse", "audit~2"]).trim().to_owned();
    let topic = work(&mut forge);
    let topic = forge.add_to("refs/heads/topic", &fork, &topic);
    let mut merge = work(&mut forge);
    merge.merge = vec![topic];
    forge.add(&merge);
    let report = audit(&forge, since, None);
    let claim = report.claims.iter().find(|claim| claim.id == "agreement");
    assert_eq!(claim.unwrap().notes, [""; 0]);
    assert_eq!(verdict(&report, "one-entry"), &Verdict::Holds);
}

#[test]
fn a_checkpoint_must_name_the_commit_of_a_record() {
    let mut forge = Forge::trail();
    let foreign = work(&mut forge);
    let id = forge.add(&foreign);
    let since = checkpoint(&forge);
    forge.record(&sharded("d"));
    broken(
        &audit(&forge, since, None),
        "one-entry",
        &id,
        "not a record of a task",
    );
}

#[test]
fn an_entry_dated_before_the_checkpoint_is_named_by_its_own_time() {
    let mut forge = Forge::trail();
    let since = checkpoint(&forge);
    let text = std::fs::read_to_string(&since).unwrap();
    let text = text.replace(
        "\n\n\u{2014}",
        "\ntime 2026-01-01T01:00:00.000000Z\n\n\u{2014}",
    );
    std::fs::write(&since, text).unwrap();
    let mut commit = forge.draft(&sharded("d"));
    let stamp = format!("Chiffon Audit <audit@localhost> {} +0000", BEGIN + 3601);
    (commit.author, commit.committer) = (stamp.clone(), stamp);
    let id = forge.add(&commit);
    let report = audit(&forge, since, None);
    broken(&report, "since-times", &id, "its entry is backdated");
}
