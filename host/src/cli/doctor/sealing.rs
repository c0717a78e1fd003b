//! The keys of sealed members: whether they can be used, and whether they would survive what the trail survives.

use super::{Doctor, Finding};
use crate::cli::Result;
use crate::cli::sealing::{encryption, is_configured, is_on_same_disk, key_store, path};
use crate::config::Settings;
use crate::outcome::counted;
use crate::sealing::KeyEncryption;
use crate::trail::Trail;

/// The name of the checks.
const NAME: &str = "sealing";

impl Doctor {
    /// Checks the key store, if members are sealed.
    pub(super) fn sealing(&mut self, trail: &Trail, settings: &Settings) {
        let path = path(settings, trail);
        if !path.exists() {
            if is_configured(settings) {
                let says = "the first command that records makes the key store";
                self.add(NAME, Finding::Good, says);
            }
            return;
        }
        if let Err(error) = self.key_store(trail, settings) {
            self.add(NAME, Finding::Bad, format!("{error:#}"));
        }
    }

    fn key_store(&mut self, trail: &Trail, settings: &Settings) -> Result<()> {
        let encryption = encryption(settings)?;
        let status = key_store(settings, trail)?.status()?;
        let keys = counted(u64::from(status.live), "live key", "live keys");
        let says = format!(
            "{keys} in {}, {} erased, generation {}",
            status.path.display(),
            status.erased,
            status.generation
        );
        self.add(NAME, Finding::Good, says);
        if is_on_same_disk(&status.path, trail.common_dir()) {
            let says = "the key store is on the disk of the trail, so a copy of this disk holds both (setting seal.key_store)";
            self.add(NAME, Finding::Warning, says);
        }
        if let Some(KeyEncryption::File(file)) = &encryption
            && is_on_same_disk(&status.path, file)
        {
            let says = "the key file is on the disk of the key store, so a copy of this disk opens everything (setting seal.key_file)";
            self.add(NAME, Finding::Warning, says);
        }
        if status.newest_key > status.backed_up {
            let says = "there are keys that no backup has: `chiffon-audit keys backup FILE`";
            self.add(NAME, Finding::Warning, says);
        }
        if status.of_older_generations > 0 {
            let says = "a rotation has not finished: `chiffon-audit keys rotate` continues it";
            self.add(NAME, Finding::Warning, says);
        }
        if status.erasures_without_entry > 0 {
            let says =
                "an erasure has no entry in the trail yet: `chiffon-audit erasures` records it";
            self.add(NAME, Finding::Warning, says);
        }
        Ok(())
    }
}
