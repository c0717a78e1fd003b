//! Copies at git remotes, fetched so that the audit can read them as directories.

use std::path::{Path, PathBuf};

use ::remotes::{ObjectSource, PushRepository, Relation, Remote, RemoteError, Tips};

use super::flags::{AuditFlags, remote_name};
use crate::cli::Result;
use crate::cli::session::Session;
use crate::cli::sync::remote::{self, Purpose};
use crate::config::Settings;
use crate::trail::{CHECKPOINTS_REF, Trail};
use crate::verify;

/// The copies at remotes, while they are here.
#[derive(Default)]
pub struct FetchedCopies {
    copies: Vec<(String, PushRepository)>,
}

impl FetchedCopies {
    /// Fetches the copies that `--against remote:NAME` names for the trail of the repository at `path`.
    ///
    /// Without `full`, only what the repository lacks is fetched, and for the rest the remote's word is taken: it says which
    /// commit it has, and that commit is here. With `full`, all of the copy is fetched.
    pub fn fetch(
        flags: &AuditFlags,
        path: &Path,
        is_full: bool,
        session: &Session,
    ) -> Result<FetchedCopies> {
        let names: Vec<&str> = flags
            .against
            .iter()
            .filter_map(|path| remote_name(path))
            .collect();
        let mut fetched = FetchedCopies::default();
        if names.is_empty() {
            return Ok(fetched);
        }
        let settings = session.settings(Settings::default())?;
        let options = session.open_options(&settings);
        let trail = match &flags.reference {
            Some(reference) => Trail::open_ref(path, reference, options)?,
            None => Trail::open(path, options)?,
        };
        for name in names {
            let remote = remote::named(name, &settings, &trail, Purpose::Read)?;
            let limits = remote::limits(&settings);
            let format = trail.object_format();
            let otherwise = Some(trail.common_dir());
            let repository = PushRepository::create(None, format, otherwise, limits)?;
            fetch_one(&repository, &remote, &trail, is_full)?;
            fetched.copies.push((format!("remote:{name}"), repository));
        }
        Ok(fetched)
    }

    /// Adds the copies to what an audit compares with.
    pub fn add_to(&self, options: &mut verify::Options<'_>) {
        for (name, path) in self.named() {
            options.against.push(path.clone());
            options.names_of_copies.push((path, name.to_owned()));
        }
    }

    /// The name and the directory of each copy.
    pub fn named(&self) -> impl Iterator<Item = (&str, PathBuf)> {
        let copies = self.copies.iter();
        copies.map(|(name, repository)| (name.as_str(), repository.path().to_owned()))
    }
}

fn fetch_one(
    repository: &PushRepository,
    remote: &Remote,
    trail: &Trail,
    is_full: bool,
) -> Result<(), RemoteError> {
    // A remote-tracking ref has another name at the remote.
    let reference = trail.reference_at_remote(&remote.name);
    let refs = [reference.as_str(), CHECKPOINTS_REF];
    let tips = repository.remote_tips(remote, &refs)?;
    let has = |name: &&str| tips.contains_key(*name);
    // Without borrowed objects, so that all of them arrive.
    let whole: Vec<&str> = match is_full {
        true => refs.iter().copied().filter(|name| has(name)).collect(),
        false => [CHECKPOINTS_REF].into_iter().filter(has).collect(),
    };
    if !whole.is_empty() {
        repository.fetch(remote, &whole)?;
    }
    if !is_full {
        let (objects, shallow) = (trail.objects_dir(), trail.shallow_file());
        repository.borrow_objects(&ObjectSource {
            objects: &objects,
            shallow: shallow.as_deref(),
        })?;
        let mut local = Tips::new();
        if let Ok(Some(tip)) = trail.tip() {
            local.insert(reference.clone(), tip);
        }
        let url = remote.url.digest();
        let known = trail.confirmed_tips(&remote.name, &url).unwrap_or_default();
        let compared = repository.compare(remote, &refs[..1], &local, &known)?;
        if let Some(alarm) = compared
            .iter()
            .find(|one| one.relation == Relation::WentBack)
        {
            return alarm.problem(remote).map_or(Ok(()), Err);
        }
    }
    repository.keep_only_fetched()?;
    for (name, tip) in &tips {
        repository.set_ref(name, tip)?;
    }
    repository.set_head(&reference)
}
