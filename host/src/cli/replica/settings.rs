//! `replica settings`: what all hosts of a replicated trail must share.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde::Serialize;

use super::{StoreFlag, open};
use crate::cli::Result;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{BAD, GOOD, SCHEMA, paint};
use crate::cli::session::{Session, outcome_limits, policy_in_force, read_secret};
use crate::cli::store::runtime;
use crate::cli::text::Line;
use crate::config::Settings;
use crate::outcome::digest::sha256;
use crate::policy::Allocation;
use crate::replication;
use crate::trail::Trail;

/// Show what all hosts must share, and where this one differs
///
/// Each setting that decides what is recorded is compared by its SHA-256. A host that differs does not commit.
///
/// Exit codes: 0 this host shares all of them; 1 it differs.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    store: StoreFlag,
    /// From now on, all hosts must use the values of this one
    #[arg(long)]
    share: bool,
}

#[derive(Serialize)]
struct Shown {
    schema: u32,
    settings: Vec<Setting>,
}

#[derive(Serialize)]
struct Setting {
    name: String,
    here: Option<String>,
    shared: Option<String>,
    same: bool,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let (settings, url, options) = args.store.resolve(session)?;
    let trail = session.trail(&settings)?;
    let mut own = fingerprints(&settings, &trail, session)?;
    let policy = policy_in_force(&trail, &settings, Allocation::OnDemand, None)?;
    own.insert("policy".into(), policy.policy.digest().to_owned());
    own.insert("policy.settings".into(), policy.settings.digest());
    let shared = runtime()?.block_on(async {
        let store = open(&url, &options).await?;
        let log = replication::log_of(&*store)?;
        if args.share {
            log.share_settings(own.clone(), true).await?;
        }
        let head = log.log_head().await?;
        head.map(|head| head.settings)
            .ok_or_else(|| Failure::new(format!("{url} has no log of a trail")))
    })?;
    let names: std::collections::BTreeSet<&String> = own.keys().chain(shared.keys()).collect();
    let rows: Vec<Setting> = names
        .into_iter()
        .map(|name| {
            let (here, shared) = (own.get(name).cloned(), shared.get(name).cloned());
            Setting {
                same: shared.is_none() || here == shared,
                name: name.clone(),
                here,
                shared,
            }
        })
        .collect();
    let all = rows.iter().all(|row| row.same);
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Shown {
            schema: SCHEMA,
            settings: rows,
        })?;
    } else {
        for row in &rows {
            let state = match (&row.shared, row.same) {
                (None, _) => paint(GOOD, "not shared yet"),
                (_, true) => paint(GOOD, "same"),
                (_, false) => paint(BAD, "differs"),
            };
            writeln!(output, "  {:<24} {state}", Line(&row.name).to_string())?;
        }
    }
    Ok(match all {
        true => Exit::Done,
        false => Exit::CouldNot,
    })
}

/// Fingerprints of the settings that decide what is recorded, by name, without the policy.
pub fn fingerprints(
    settings: &Settings,
    trail: &Trail,
    session: &Session,
) -> Result<BTreeMap<String, String>> {
    let secret = settings
        .secret_file
        .as_deref()
        .map(read_secret)
        .transpose()?;
    let limits = outcome_limits(settings)?;
    let signer = crate::cli::signing::identity(&settings.signing, &session.environment)?;
    let text = |value: &dyn std::fmt::Debug| sha256(format!("{value:?}").as_bytes());
    let named = [
        (
            "secret_file",
            secret.map_or_else(
                || "none".to_owned(),
                |secret| {
                    // No easier to guess than from the HMAC of an outcome, which is in the trail.
                    sha256(&[b"chiffon-audit replica\0", &secret[..]].concat())
                },
            ),
        ),
        ("signing", signer.unwrap_or_else(|| "none".into())),
        ("signing.extent", text(&settings.signing.extent)),
        ("outcome", text(&(limits.max_bytes, limits.max_depth))),
        ("statuses", text(&settings.statuses)),
        ("status_map", text(&settings.intake.status_map)),
        (
            "outcome.delivery_members",
            text(&settings.intake.delivery_members),
        ),
        ("author", sha256(trail.author().as_bytes())),
        ("layout", text(&trail.chosen_layout())),
    ];
    Ok(named
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}
