//! A program that embeds the orchestrator: it plans a task, reports its result, and waits until the outcome is in git.
//!
//! `cargo run -p chiffon-audit --example embed -- audit.git`; the first run creates the repository.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use anyhow::Context as _;
use chiffon_audit::Orchestrator;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let directory = std::env::args().nth(1).context("usage: embed DIRECTORY")?;
    let audit = Orchestrator::builder(directory)
        .create(true)
        .start()
        .await?;
    audit
        .plan(
            r#"{"task_id": "deploy-1", "plan_id": "release-7", "services_touched": ["checkout"]}"#,
        )
        .await?;
    let receipt = audit
        .handle_work_result(r#"{"task_id": "deploy-1", "status": "failed", "exit_code": 2}"#)
        .await?;
    println!("accepted as submission {}", receipt.submission);
    println!("{:?}", audit.settled(receipt.submission).await?);
    audit.shut_down().await;
    Ok(())
}
