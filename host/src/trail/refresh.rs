//! Taking the trail's ref as it is now: what a tip must satisfy before anything is built or answered on it.
//!
//! Rests on the writer lock. Knows what this machine acknowledged last; what comes next is the writer's.

use gix::ObjectId;

use super::error::TrailError;
use super::message;
use super::state::Mark;
use super::view::View;
use super::writer::Writer;

impl Writer<'_> {
    /// Takes the ref as it is now, after the checks that a tip of somebody else's needs.
    pub(super) fn refresh(&mut self) -> Result<(), TrailError> {
        let shared = self.shared;
        let acknowledged = shared.state.read_mark(&shared.state.acknowledged_path());
        if !self.swept {
            // What it has made so far would be swept too.
            self.flushing.stop_merging();
            let created = shared.state.create_contents(shared.disk.as_ref())?;
            self.flusher().sweep()?;
            shared.catalogue.sweep();
            let identity = shared.state.read_identity()?;
            self.begun_before |= identity.is_some();
            // Once a receipt was given here, all of this was made durable before it.
            if created || acknowledged.is_none() || identity.is_none() {
                shared
                    .state
                    .write_identity(shared.disk.as_ref(), &shared.identity)?;
            }
            if identity.is_none() {
                self.flusher().sync_beginning()?;
            }
        }
        let tip = shared.repository.read_ref(&shared.identity.reference)?;
        {
            let view = shared.view();
            if view.confirmed && view.tip == tip {
                return Ok(());
            }
        }
        let floor = self.continues(tip, acknowledged.as_ref())?;
        if tip.is_none() {
            let reference = &shared.identity.reference;
            shared.repository.check_name_free(reference)?;
        }
        if let Some(tip) = tip {
            let commit = shared.repository.commit(&tip)?;
            shared.repository.check_not_replaced(&[tip, commit.tree])?;
            let known = acknowledged.as_ref().is_some_and(|mark| mark.tip == tip);
            if !known {
                self.flusher().sync_foreign()?;
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
                .bring_in_step(Some(tip), &mark, self.begun_before)?;
        }
        let root = View::load_root(&shared.repository, tip)?;
        let mut view = shared.view();
        view.tip = tip;
        view.root = Some(root);
        view.floor = floor;
        view.confirmed = true;
        self.swept = true;
        self.begun_before = true;
        Ok(())
    }

    /// Checks that `tip` continues what was acknowledged; the time of the last trail commit in it.
    fn continues(
        &self,
        tip: Option<ObjectId>,
        acknowledged: Option<&Mark>,
    ) -> Result<i64, TrailError> {
        let shared = self.shared;
        let rolled_back = |acknowledged: &Mark| TrailError::RolledBack {
            reference: shared.identity.reference.clone(),
            found: tip.map(|tip| tip.to_string()),
            acknowledged: acknowledged.tip.to_string(),
        };
        let Some(tip) = tip else {
            return acknowledged.map_or(Ok(i64::MIN), |mark| Err(rolled_back(mark)));
        };
        // Without a mark there is nothing to continue; how far back the last trail commit lies only matters for
        // clocks that run backwards, so the search for it is bounded.
        const SEARCH_MOST: usize = 10_000;
        let mut newest = None;
        let mut next = Some(tip);
        let mut seen = 0;
        while let Some(id) = next {
            if let Some(mark) = acknowledged
                && mark.tip == id
            {
                return Ok(newest.unwrap_or(mark.microseconds));
            }
            if acknowledged.is_none() && (newest.is_some() || seen == SEARCH_MOST) {
                break;
            }
            let commit = shared.repository.commit(&id)?;
            if newest.is_none() && message::trailer(&commit.message, message::FORMAT).is_some() {
                newest = Some(commit.seconds.saturating_mul(1_000_000));
            }
            next = shared.repository.parent(&id, &commit);
            seen += 1;
        }
        match acknowledged {
            Some(mark) => Err(rolled_back(mark)),
            None => Ok(newest.unwrap_or(i64::MIN)),
        }
    }
}
