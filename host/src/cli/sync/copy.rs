//! One copy of the trail at one remote: compared, then pushed or taken from there, then read back.
//!
//! Used by `sync` and by `serve`. Decides what a comparison means for the trail; the git program is behind `remotes`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ::remotes::{
    Comparison, Limits, ObjectSource, PushRepository, Relation, Remote, RemoteError, Tips,
};

use crate::cli::Result;
use crate::trail::Trail;

/// How often a copy is compared again after another process pushed at the same time.
const MAX_RACES: u32 = 10;

/// The first pause after a lost race. It doubles each time, up to a hundred times as long.
const PAUSE: Duration = Duration::from_millis(20);

/// The state of a copy.
#[derive(Clone, Debug)]
pub struct CopyReport {
    /// The trail's ref.
    pub reference: String,
    /// Each ref as it was compared first.
    pub compared: Vec<Comparison>,
    /// Whether the remote has everything that is here now.
    pub is_in_step: bool,
}

impl CopyReport {
    /// How the trail's own ref was related to the remote's.
    pub fn trail(&self) -> Relation {
        relation_of(&self.compared, &self.reference)
    }

    /// The number of commits of the trail that the remote lacked.
    pub fn lacked(&self) -> u64 {
        match self.trail() {
            Relation::RemoteBehind(commits) | Relation::RemoteLacks(commits) => commits,
            _ => 0,
        }
    }
}

/// A trail and a remote that holds a copy of it.
pub struct RemoteCopy<'a> {
    /// The trail.
    pub trail: &'a Trail,
    /// The remote.
    pub remote: &'a Remote,
    /// How git is used.
    pub limits: Limits,
    /// Ends what git does when it becomes true.
    pub cancelled: Arc<AtomicBool>,
}

impl RemoteCopy<'_> {
    /// Makes the temporary repository that git runs in, with the trail's objects.
    pub fn push_repository(&self) -> Result<PushRepository, RemoteError> {
        let (objects, shallow) = (self.trail.objects_dir(), self.trail.shallow_file());
        let format = self.trail.object_format();
        let source = ObjectSource {
            objects: &objects,
            shallow: shallow.as_deref(),
        };
        let otherwise = self.trail.common_dir();
        let made = PushRepository::create(Some(&source), format, Some(otherwise), self.limits)?;
        Ok(made.cancelled_by(Arc::clone(&self.cancelled)))
    }

    /// Compares the refs, and changes nothing.
    pub fn check(&self) -> Result<CopyReport> {
        let repository = self.push_repository()?;
        let compared = self.compare(&repository)?;
        Ok(CopyReport {
            reference: self.trail.reference().to_owned(),
            is_in_step: compared.iter().all(|one| one.relation == Relation::InStep),
            compared,
        })
    }

    /// Gives the remote what it lacks, or takes what only the remote has, and remembers what the remote confirmed.
    pub fn bring_up_to_date(&self) -> Result<CopyReport> {
        // A trail that was rolled back or altered here is not copied over a good copy.
        self.trail.check()?;
        let repository = self.push_repository()?;
        let mut first: Option<Vec<Comparison>> = None;
        let mut lost = None;
        for race in 0..MAX_RACES {
            if race > 0 {
                std::thread::sleep(pause(race));
            }
            let compared = self.compare(&repository)?;
            first.get_or_insert_with(|| compared.clone());
            if let Some(problem) = compared.iter().find_map(|one| one.problem(self.remote)) {
                return Err(problem.into());
            }
            self.take(&repository, &compared)?;
            match repository.push(self.remote, &compared) {
                Ok(()) => {}
                Err(error @ RemoteError::Race { .. }) => {
                    lost = Some(error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            if self.read_back(&repository, &compared)? {
                return Ok(CopyReport {
                    reference: self.trail.reference().to_owned(),
                    compared: first.unwrap_or_default(),
                    is_in_step: true,
                });
            }
        }
        let moving = || RemoteError::Race {
            remote: self.remote.name.clone(),
            said: "its refs changed after each push".to_owned(),
        };
        Err(lost.unwrap_or_else(moving).into())
    }

    /// Accepts where the remote's refs are now, although they went back: those that are at `tip`, a commit's whole id, or that
    /// are gone, for `none`.
    pub fn accept_tip(&self, tip: &str) -> Result<()> {
        let repository = self.push_repository()?;
        let compared = self.compare(&repository)?;
        let url = self.remote.url.digest();
        let mut known = self.trail.confirmed_tips(&self.remote.name, &url)?;
        let mut accepted = 0;
        for one in compared
            .iter()
            .filter(|one| one.relation == Relation::WentBack)
        {
            match &one.remote {
                Some(there) if there == tip => known.insert(one.reference.clone(), tip.to_owned()),
                None if tip == "none" => known.remove(&one.reference),
                _ => continue,
            };
            accepted += 1;
        }
        if accepted == 0 {
            let problem = compared.iter().find_map(|one| one.problem(self.remote));
            let now =
                problem.map_or_else(|| "no ref there went back".to_owned(), |it| it.to_string());
            crate::cli::failure::bail!(
                "no ref that went back is at {tip}, so nothing was accepted: {now}"
            );
        }
        // What is not here any more cannot be remembered as a ref.
        known.retain(|_, tip| repository.has_commit(self.remote, tip).unwrap_or(false));
        // The commit may have been fetched just now.
        let packs = repository.packs();
        self.trail
            .confirm_tips(&self.remote.name, &url, &known, Some(&packs))?;
        Ok(())
    }

    fn compare(&self, repository: &PushRepository) -> Result<Vec<Comparison>> {
        let local = self.trail.copied_tips()?;
        self.compare_refs(repository, &self.trail.copied_refs(), &local)
    }

    /// Compares these refs, which are at these tips here, in this temporary repository.
    pub fn compare_refs(
        &self,
        repository: &PushRepository,
        refs: &[&str],
        local: &Tips,
    ) -> Result<Vec<Comparison>> {
        let url = self.remote.url.digest();
        let known = self.trail.confirmed_tips(&self.remote.name, &url)?;
        Ok(repository.compare(self.remote, refs, local, &known)?)
    }

    /// Takes what only the remote has.
    fn take(&self, repository: &PushRepository, compared: &[Comparison]) -> Result<()> {
        let ahead = compared
            .iter()
            .filter(|one| matches!(one.relation, Relation::RemoteAhead(_)));
        let tips: Tips = ahead
            .filter_map(|one| Some((one.reference.clone(), one.remote.clone()?)))
            .collect();
        if tips.is_empty() {
            return Ok(());
        }
        // The remote has what is here, whatever follows.
        let here = compared.iter();
        let here: Tips = here
            .filter_map(|one| Some((one.reference.clone(), one.known_or_local()?.clone())))
            .collect();
        self.confirm(&here)?;
        let name = &self.remote.name;
        self.trail.track_tips(name, &tips, &repository.packs())?;
        // The writer adopts what a remote-tracking ref has, or says which git command does.
        self.trail.check()?;
        self.trail.advance_beside(&tips)?;
        let reference = self.trail.reference();
        let now = self.trail.copied_tips()?;
        match tips.get(reference) {
            Some(there) if now.get(reference) != Some(there) => Err(RemoteError::Altered {
                remote: self.remote.name.clone(),
                reference: reference.to_owned(),
                commit: there.clone(),
            }
            .into()),
            _ => Ok(()),
        }
    }

    /// Whether the remote has what was pushed; remembers it.
    fn read_back(&self, repository: &PushRepository, compared: &[Comparison]) -> Result<bool> {
        let refs = self.trail.copied_refs();
        let now = repository.remote_tips(self.remote, &refs)?;
        let has_all = compared.iter().all(|one| match one.relation {
            Relation::RemoteBehind(_) | Relation::RemoteLacks(_) => {
                now.get(&one.reference) == one.local.as_ref()
            }
            _ => now.get(&one.reference) == one.remote.as_ref(),
        });
        if has_all {
            self.confirm(&now)?;
        }
        Ok(has_all)
    }

    fn confirm(&self, tips: &Tips) -> Result<()> {
        let url = self.remote.url.digest();
        let name = &self.remote.name;
        let mut all = self.trail.confirmed_tips(name, &url)?;
        all.extend(tips.clone());
        Ok(self.trail.confirm_tips(name, &url, &all, None)?)
    }
}

/// How a ref was compared.
pub fn relation_of(compared: &[Comparison], reference: &str) -> Relation {
    let found = compared.iter().find(|one| one.reference == reference);
    found.map_or(Relation::InStep, |one| one.relation)
}

/// A pause before another try, of random length so that several processes do not meet again.
pub fn pause(race: u32) -> Duration {
    let longest = PAUSE * 2_u32.pow(race.min(6));
    let random = uuid::Uuid::new_v4().as_bytes()[0];
    longest.mul_f64(0.5 + f64::from(random) / 512.0)
}
