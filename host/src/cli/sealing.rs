//! Sealing on the command line: the key store and the rules that the settings name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::exit::UsageError;
use super::session::Session;
use crate::cli::Result;
use crate::cli::failure::{Context as _, failure};
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::files;
use crate::recorder::erasures;
use crate::sealing::{KeyEncryption, KeyStore, Pattern, Rules, Sealer};
use crate::trail::Trail;

/// What a recorder seals with. `None` if neither members nor keys are configured. The key store is created with the
/// first command that seals.
///
/// # Errors
///
/// A mistake in the settings; the keys cannot be used; the erasures of the trail cannot be read.
pub fn sealer(settings: &Settings, trail: &Trail, now: Timestamp) -> Result<Option<Arc<Sealer>>> {
    let rules = rules(settings)?;
    let Some(encryption) = encryption(settings)? else {
        if rules.patterns.is_empty() {
            return Ok(None);
        }
        let advice = "setting seal.pointers needs seal.key_file or seal.key_program";
        return Err(UsageError(advice.into()).into());
    };
    let path = path(settings, trail);
    if rules.patterns.is_empty() && !path.exists() {
        return Ok(None);
    }
    let uuid = uuid(trail)?;
    let keys = open_or_begin(&path, &uuid, &encryption, trail, now)?;
    erasures::replay(trail, &keys)?;
    Ok(Some(Arc::new(Sealer::new(rules, Arc::new(keys)))))
}

/// Opens the key store, or makes the first one. A store that was here and is gone is not replaced: an empty one would hide that everything sealed
/// before cannot be opened, and it would be in the way of a backup.
fn open_or_begin(
    path: &Path,
    uuid: &str,
    encryption: &KeyEncryption,
    trail: &Trail,
    now: Timestamp,
) -> Result<KeyStore> {
    let note = trail.common_dir().join("chiffon-audit").join("seals");
    if note.exists() {
        return Ok(KeyStore::open(path, uuid, encryption)?);
    }
    let keys = KeyStore::open_or_create(path, uuid, encryption, now.microseconds())?;
    files::replace(
        &note,
        b"This trail has sealed members. Their keys were in a key store of this machine.\n",
    )
    .with_context(|| format!("cannot write {}", note.display()))?;
    Ok(keys)
}

/// What opens sealed members of a trail that is read.
///
/// # Errors
///
/// No keys are configured, or they cannot be used.
pub fn opener(settings: &Settings, trail: &Trail, session: &Session) -> Result<Arc<Sealer>> {
    // Made by the first command that seals, and never by one that reads.
    key_store(settings, trail)?;
    let sealer = sealer(settings, trail, session.clock.now())?;
    sealer.ok_or_else(no_keys)
}

/// The key store of a trail, which must exist. The erasures of the trail are applied.
///
/// # Errors
///
/// No keys are configured, or they cannot be used.
pub fn key_store(settings: &Settings, trail: &Trail) -> Result<KeyStore> {
    let encryption = encryption(settings)?.ok_or_else(no_keys)?;
    let keys = KeyStore::open(&path(settings, trail), &uuid(trail)?, &encryption)?;
    erasures::replay(trail, &keys)?;
    Ok(keys)
}

/// Where the key store is.
pub fn path(settings: &Settings, trail: &Trail) -> PathBuf {
    let beside = || trail.common_dir().join("chiffon-audit").join("keys.sqlite");
    settings.seal.key_store.clone().unwrap_or_else(beside)
}

/// How keys are wrapped.
///
/// # Errors
///
/// The settings name both ways.
pub fn encryption(settings: &Settings) -> Result<Option<KeyEncryption>, UsageError> {
    match (&settings.seal.key_file, &settings.seal.key_program) {
        (Some(_), Some(_)) => Err(UsageError(
            "settings seal.key_file and seal.key_program exclude each other".into(),
        )),
        (Some(file), None) => Ok(Some(KeyEncryption::File(file.clone()))),
        (None, Some(program)) => Ok(Some(KeyEncryption::Program(program.clone()))),
        (None, None) => Ok(None),
    }
}

/// The uuid of the trail, which sealed values are bound to.
///
/// # Errors
///
/// The trail has none.
pub fn uuid(trail: &Trail) -> Result<String> {
    trail.uuid()?.ok_or_else(|| {
        UsageError(
            "sealing needs a trail with a uuid, which `chiffon-audit init` gives to a new one"
                .into(),
        )
        .into()
    })
}

/// Whether members are sealed here.
pub fn is_configured(settings: &Settings) -> bool {
    settings
        .seal
        .pointers
        .as_ref()
        .is_some_and(|pointers| !pointers.is_empty())
}

/// Whether two files are on one file system.
pub fn is_on_same_disk(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).ok();
    device(one).is_some() && device(one) == device(other)
}

fn rules(settings: &Settings) -> Result<Rules, UsageError> {
    let pointers = settings.seal.pointers.iter().flatten();
    let patterns = pointers.map(|pointer| Pattern::parse(pointer));
    let patterns = patterns.collect::<Result<Vec<_>, _>>();
    let subject = settings.seal.subject.as_deref().unwrap_or_default();
    if subject.split('/').any(|step| step == "*") {
        let why = "setting seal.subject names one member: `*` is only for seal.pointers";
        return Err(UsageError(why.into()));
    }
    Ok(Rules {
        patterns: patterns
            .map_err(|error| UsageError(format!("setting seal.pointers: {error}")))?,
        subject: settings.seal.subject.clone(),
    })
}

fn no_keys() -> super::Failure {
    failure!("no key is configured: set seal.key_file or seal.key_program")
}
