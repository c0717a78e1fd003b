//! The webhooks that the service takes, with their secrets and maps.

use crate::cli::Result;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::cli::exit::{UsageError, read_file};
use crate::cli::intake::{check_statuses, named, parsed};
use crate::config::{HookScheme, HookSettings, Settings};
use crate::http::{Hook, Scheme};

/// All webhooks, by name.
pub fn hooks(settings: &Settings) -> Result<BTreeMap<String, Hook>> {
    let hooks = settings.hooks.iter();
    hooks
        .map(|(name, given)| Ok((name.clone(), hook(name, given, settings)?)))
        .collect()
}

fn hook(name: &str, given: &HookSettings, settings: &Settings) -> Result<Hook> {
    let map = match given.map.as_deref() {
        None => None,
        Some(path) if path.contains(['.', '/']) => {
            let map = parsed(Path::new(path), &read_file("the map", Path::new(path))?)?;
            check_statuses(&map, path, settings)?;
            Some(Arc::new(map))
        }
        Some(map) => Some(Arc::new(named(map)?)),
    };
    let path = &given.secret_file;
    let text = read_file("the secret", path)?;
    let secrets = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let secrets: Option<Vec<Vec<u8>>> = secrets
        .map(|secret| decoded(given.scheme, secret))
        .collect();
    let secrets = secrets.filter(|secrets| !secrets.is_empty());
    let secrets = secrets.ok_or_else(|| {
        UsageError(format!(
            "setting hooks.{name}: {} must hold a secret on each line; one of Standard Webhooks is `whsec_` and base64",
            path.display()
        ))
    })?;
    Ok(Hook {
        scheme: match given.scheme {
            HookScheme::StandardWebhooks => Scheme::StandardWebhooks,
            HookScheme::GitHub => Scheme::GitHub,
            HookScheme::GitLab => Scheme::GitLab,
        },
        secrets,
        map,
    })
}

fn decoded(scheme: HookScheme, secret: &str) -> Option<Vec<u8>> {
    match scheme {
        HookScheme::StandardWebhooks => STANDARD
            .decode(secret.strip_prefix("whsec_").unwrap_or(secret))
            .ok(),
        HookScheme::GitHub | HookScheme::GitLab => Some(secret.as_bytes().to_vec()),
    }
}
