//! A Rust program that embeds the orchestrator: it plans a task, reports its result, and waits until that is in git.
//!
//! `cargo run --example embed -- audit.git`, where `chiffon-audit init --bare audit.git` has made the trail.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chiffon_audit::clock::SystemClock;
use chiffon_audit::orchestrator::{LEASE_TERM, OnPolicyFault, Options, Orchestrator, Origin};
use chiffon_audit::policies::Deciding;
use chiffon_audit::policy::{self, Allocation, Engine, Policy, PolicySettings};
use chiffon_audit::store::{self, State, StoreUrl};
use chiffon_audit::trail::{OpenOptions, Trail};
use chiffon_audit::{outcome, recorder};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let directory = std::env::args().nth(1).context("which repository?")?;
    let orchestrator = start(directory.into()).await?;
    orchestrator
        .plan(br#"{"task_id":"deploy-1","plan_id":"release-7","services_touched":["checkout"]}"#)
        .await?;
    let result =
        br#"{"task_id":"deploy-1","status":"failed","exit_code":2,"error_message":"no room"}"#;
    // Durable when this returns; whatever happens to git, it will be committed.
    let receipt = orchestrator
        .handle_work_result(result, Origin::default())
        .await?;
    println!(
        "accepted as submission {}: {}",
        receipt.sequence, receipt.state
    );
    match orchestrator.settled(receipt.sequence).await? {
        State::Committed { commit, path } => println!("{path} was added by commit {commit}"),
        state => println!("{state}"),
    }
    orchestrator.shut_down(Duration::from_secs(10)).await;
    Ok(())
}

async fn start(directory: PathBuf) -> anyhow::Result<Orchestrator> {
    let engine = Engine::new(Allocation::Pooling, policy::Limits::default(), None)?;
    let url = StoreUrl::beside_trail(&directory);
    let store = store::open(&url, &store::Options::default()).await?;
    let options = Options {
        recorder: recorder::Options {
            clock: Arc::new(SystemClock),
            limits: outcome::Limits::default(),
            settings: PolicySettings::default(),
            secret: None,
        },
        deciding: Deciding {
            policy: Policy::builtin(&engine)?,
            settings: PolicySettings::default(),
        },
        load_policy: Box::new(|_, _, _| Err("this program has one policy".into())),
        on_policy_fault: OnPolicyFault::Hold,
        // Unlike that of any other process on the same store.
        host: format!("embed:{}", std::process::id()),
        lease_term: LEASE_TERM,
    };
    let open = Box::new(move || Trail::open(&directory, OpenOptions::default()));
    Ok(Orchestrator::start(store, open, options)?)
}
