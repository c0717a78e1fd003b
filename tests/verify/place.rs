//! A trail that the host records, with keys and a place for checkpoints.

use std::path::PathBuf;

use chiffon_audit_cli::checkpoint::{self, CheckpointError, CheckpointKey, Target};
use chiffon_audit_cli::clock::Timestamp;
use chiffon_audit_cli::trail::{
    InitOptions, NewEntry, OpenOptions, Provenance, SigningKey, SigningOptions, Trail,
};
use chiffon_audit_cli::verify::{self, AuditResult, Options, Report, Verdict};

use super::forge::verdict;
use crate::support::signers::Signers;
use crate::support::*;

/// A trail that the host records, its keys, and a place for checkpoints.
pub struct Place {
    pub repo: Repo,
    pub trail: Trail,
    pub signers: Signers,
    pub seconds: i64,
    pub key: CheckpointKey,
}

impl Place {
    pub fn new() -> Place {
        Place::signed_if(false)
    }

    pub fn signed_if(signed: bool) -> Place {
        let (repo, signers) = (Repo::bare(), Signers::new());
        let trail = begin(&repo, &signers, signed);
        let origin = trail.tree().unwrap().origin().to_owned();
        let key = CheckpointKey::create(&origin, &signers.path("checkpoint-key")).unwrap();
        Place {
            repo,
            trail,
            signers,
            seconds: 0,
            key,
        }
    }

    pub fn record(&mut self, tasks: &[&str]) {
        for id in tasks {
            self.seconds += 1;
            record(&self.trail, id, self.seconds);
        }
    }

    pub fn now(&self) -> Timestamp {
        at(self.seconds * 1_000_000)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.signers.path(name)
    }

    pub fn checkpoint(&self, name: &str) -> Result<checkpoint::NewCheckpoint, CheckpointError> {
        let target = Target::of_path(&self.path(name), false);
        checkpoint::make(&self.trail, &self.key, Some(&target), self.now())
    }

    pub fn audit(&self, checkpoints: &[&str]) -> Report {
        let options = Options {
            against: checkpoints.iter().map(|name| self.path(name)).collect(),
            checkpoint_key: Some(self.key.public()),
            ..Options::default()
        };
        verify::verify(&self.repo.path, &options).unwrap()
    }

    pub fn prove(&self, task_id: &str, checkpoint: &str) -> PathBuf {
        let notes = std::fs::read_to_string(self.path(checkpoint)).unwrap();
        let proof = checkpoint::prove(&self.trail, &task(task_id), &notes).unwrap();
        let path = self.path(&format!("{task_id}.proof"));
        std::fs::write(&path, &proof.file).unwrap();
        path
    }
}

pub fn begin(repo: &Repo, signers: &Signers, signed: bool) -> Trail {
    let signing = signed.then(|| {
        let file = signers.path("key");
        if !file.exists() {
            signers.ssh("key", "ed25519", "");
        }
        SigningOptions {
            key: SigningKey::Ssh { file, agent: None },
            extent: Default::default(),
            on_failure: Default::default(),
            timeout: std::time::Duration::from_secs(10),
            passphrase_file: None,
        }
    });
    let open = OpenOptions {
        signing,
        ..OpenOptions::default()
    };
    let init = InitOptions {
        bare: false,
        reference: None,
        layout: None,
        second_trail: false,
        accept_tip: None,
        uuid: "6b0d4ad0-6f4e-4bd5-8f0d-6c1c6f0b9f55".into(),
        time: at(0),
        open,
    };
    Trail::init(&repo.path, init).unwrap().0
}

pub fn record(trail: &Trail, id: &str, seconds: i64) {
    record_with_policy(trail, id, seconds, '0');
}

pub fn record_with_policy(trail: &Trail, id: &str, seconds: i64, digit: char) {
    let (id, time) = (task(id), at(seconds * 1_000_000));
    let provenance = Provenance {
        interface: "chiffon:audit@0.1.0".into(),
        policy: format!("sha256:{}", digit.to_string().repeat(64)),
        settings: format!("sha256:{}", "0".repeat(64)),
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
    ticket.unwrap().wait().unwrap();
}

#[track_caller]
pub fn holds(report: &Report) {
    assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
    assert_eq!(verdict(report, "checkpoints"), &Verdict::Holds);
}

#[track_caller]
pub fn broken(report: &Report, claim: &str, words: &str) -> Option<String> {
    let Verdict::Broken { commit, what, .. } = verdict(report, claim) else {
        panic!("{report:#?}");
    };
    assert!(what.contains(words), "{what}");
    commit.clone()
}
