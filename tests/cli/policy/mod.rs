//! `policy …`: inspecting, trying and testing policies, without a repository.

mod annotate;
mod cases;
mod check;
mod compose;
mod config_file;
mod dev;
mod faults;
mod fuel_baseline;
mod gate;
mod hostile_registry;
mod inspect;
mod new;
mod pins;
mod profile;
mod recording;
mod registry;
mod registry_credentials;
mod run;
mod schema;
mod secrets;
mod setting_names;
mod signatures;
mod strip;
mod swaps;
mod test;
mod trail;
mod transfer;
mod wit;

use super::{Machine, Ran};

/// A machine with an outcome document, `deploy-1.json`.
fn machine() -> Machine {
    let machine = Machine::new();
    machine.write(
        "deploy-1.json",
        r#"{"task_id":"deploy-1","status":"completed","execution_result":{"outcome":{"replicas":3}}}"#,
    );
    machine
}
