//! Reading the trail's ref: the checks that a tip must pass before the writer builds on it or answers from it.
//!
//! The caller holds the writer lock. Knows what this machine acknowledged last.

use gix::ObjectId;

use crate::error::TrailError;
use crate::message;
use crate::place::repository::Repository;
use crate::place::state::Mark;
use crate::read::imitations;
use crate::read::lines;
use crate::read::tree_files;
use crate::read::view::View;
use crate::setup::locate;
use crate::write::writer::Writer;

impl Writer<'_> {
    /// Reads the ref, and checks a tip that another program has set.
    pub(crate) fn refresh(&mut self) -> Result<(), TrailError> {
        let shared = self.shared;
        let acknowledged = shared.state.read_mark(&shared.state.acknowledged_path());
        if !self.swept {
            // The sweep would remove its partial result.
            self.flushing.stop_merging();
            let created = shared.state.create_contents(shared.disk.as_ref())?;
            self.flusher().sweep()?;
            shared.catalogue.sweep();
            let identity = shared.state.read_identity()?;
            self.was_written_before |= identity.is_some();
            // If a receipt was given here, all of this was made durable before it.
            if created || acknowledged.is_none() || identity.is_none() {
                shared
                    .state
                    .write_identity(shared.disk.as_ref(), &shared.identity)?;
            }
            if identity.is_none() {
                self.flusher().sync_repository()?;
            }
            // No receipt was given here yet, so a crash may have interrupted this: do it again.
            if identity.is_none() || acknowledged.is_none() {
                shared.write_entry_attributes();
            } else {
                shared.move_entry_attributes();
            }
        }
        shared.check_log_attached()?;
        let acknowledged = match shared.replication.log() {
            Some(_) => self.take_in_log(acknowledged.as_ref())?,
            None => acknowledged,
        };
        let tip = shared.repository.read_ref(&shared.identity.reference)?;
        // A replicated trail follows its log and nothing else.
        let tip = match shared.follows_log()? {
            true => tip,
            false => self.follow_remotes(tip, acknowledged.as_ref())?,
        };
        {
            let view = shared.view();
            if view.confirmed && view.tip == tip {
                return Ok(());
            }
        }
        let floor = self.check_continues(tip, acknowledged.as_ref())?;
        if tip.is_none() {
            let reference = &shared.identity.reference;
            shared.repository.check_name_free(reference)?;
        }
        if let Some(tip) = tip {
            let commit = shared.repository.commit(&tip)?;
            shared.repository.check_not_replaced(&[tip, commit.tree])?;
            let known = acknowledged.as_ref().is_some_and(|mark| mark.tip == tip);
            if !known {
                self.flusher().sync_foreign_writes()?;
            }
            let mark = Mark {
                tip,
                boot: shared.boot.clone(),
                microseconds: floor,
            };
            if acknowledged.as_ref() != Some(&mark) {
                shared.state.write_mark(
                    shared.disk.as_ref(),
                    &shared.state.acknowledged_path(),
                    &mark,
                )?;
            }
            self.flusher()
                .catch_up_work_tree(Some(tip), &mark, self.was_written_before)?;
        }
        let root = View::load_root(&shared.repository, tip)?;
        imitations::check_none(&root)?;
        let mut view = shared.view();
        let looked_before = view.confirmed || view.tip.is_some();
        if looked_before
            && view.tip != tip
            && let Some(tip) = tip
        {
            shared.moved.note(view.tip, tip);
        }
        view.tip = tip;
        view.root = Some(root);
        view.floor = floor;
        view.confirmed = true;
        self.swept = true;
        self.was_written_before = true;
        Ok(())
    }

    /// Brings a replicated trail to the end of its log. Returns what is acknowledged then.
    fn take_in_log(&self, acknowledged: Option<&Mark>) -> Result<Option<Mark>, TrailError> {
        let shared = self.shared;
        let applied = shared.replication.applied();
        let caught_up = shared.catch_up_with_log(acknowledged);
        if shared.replication.applied() != applied {
            // Only a host that flushes merges packs by itself.
            self.flushing.maintain();
        }
        caught_up?;
        Ok(shared.state.read_mark(&shared.state.acknowledged_path()))
    }

    /// Checks that `tip` continues what was acknowledged. Returns the time of the last trail commit in it, in
    /// microseconds since the epoch.
    pub(crate) fn check_continues(
        &self,
        tip: Option<ObjectId>,
        acknowledged: Option<&Mark>,
    ) -> Result<i64, TrailError> {
        let shared = self.shared;
        let rolled_back = |acknowledged: &Mark| TrailError::RolledBack {
            reference: shared.identity.reference.clone(),
            found: tip.map(|tip| tip.to_string()),
            acknowledged: acknowledged.tip.to_string(),
            renamed_to: tip
                .is_none()
                .then(|| locate::renamed_to(&shared.repository, acknowledged.tip))
                .flatten(),
            trail_parent: tip
                .and_then(|tip| lines::line_with(&shared.repository, tip, acknowledged.tip))
                .map(|parent| parent.to_string().into()),
        };
        let Some(tip) = tip else {
            return acknowledged.map_or(Ok(i64::MIN), |mark| Err(rolled_back(mark)));
        };
        // Without a mark there is nothing to continue. The time of the last trail commit only matters for clocks that
        // run backwards, so the search is bounded.
        const MAX_SEARCH: usize = 10_000;
        let mut newest = None;
        let mut next = Some(tip);
        let mut seen = 0;
        let mut foreign_commits = ForeignCommits::default();
        while let Some(id) = next {
            if let Some(mark) = acknowledged
                && mark.tip == id
            {
                foreign_commits.end_run(&shared.repository, id)?;
                return foreign_commits
                    .check_entries_intact(tip)
                    .map(|()| newest.unwrap_or(mark.microseconds));
            }
            if acknowledged.is_none() && (newest.is_some() || seen == MAX_SEARCH) {
                break;
            }
            let commit = shared.repository.commit(&id)?;
            if message::is_of_trail(&commit.message) {
                foreign_commits.end_run(&shared.repository, id)?;
                newest = newest.or(Some(commit.seconds.saturating_mul(1_000_000)));
            } else {
                foreign_commits.add(id);
            }
            next = shared.repository.parent(&id, &commit);
            seen += 1;
        }
        match acknowledged {
            Some(mark) => Err(rolled_back(mark)),
            None => foreign_commits
                .check_entries_intact(tip)
                .map(|()| newest.unwrap_or(i64::MIN)),
        }
    }
}

/// Commits by other programs. Each run of them must keep every entry that existed before it.
///
/// A commit that changes an entry and another one that restores it are accepted, and so is a merge that brings entries.
/// `verify` reports those, and trail commits that do not add what they say. This check is for the ordinary commits of
/// people.
#[derive(Default)]
struct ForeignCommits {
    newest: Option<ObjectId>,
    altered: Option<(ObjectId, ObjectId)>,
}

impl ForeignCommits {
    fn add(&mut self, id: ObjectId) {
        self.newest.get_or_insert(id);
    }

    /// Ends a run of foreign commits after `base`, which is a trail commit.
    fn end_run(&mut self, repository: &Repository, base: ObjectId) -> Result<(), TrailError> {
        if let Some(newest) = self.newest.take()
            && self.altered.is_none()
        {
            let before = repository.commit(&base)?.tree;
            let after = repository.commit(&newest)?.tree;
            if !tree_files::keeps_entries(repository, before, after)? {
                self.altered = Some((newest, base));
            }
        }
        Ok(())
    }

    fn check_entries_intact(self, tip: ObjectId) -> Result<(), TrailError> {
        self.altered.map_or(Ok(()), |(newest, base)| {
            Err(TrailError::Altered {
                newest: newest.to_string(),
                base: base.to_string(),
                tip: tip.to_string(),
            })
        })
    }
}
