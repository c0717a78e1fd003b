//! The embedded orchestrator: reports go into the store, and the committer records them in the trail.

use std::path::PathBuf;
use std::time::Duration;

use service::orchestrator::{AcceptError, Origin, PlanError};
use store::Sequence;

use crate::builder::blocking;
use crate::{Builder, Error, Receipt, State};

/// Accepts outcomes and commits them. Cheap to clone: every clone is the same orchestrator. It stops when the last
/// clone is dropped; outcomes that are not in the trail then stay in the store, and the next start commits them.
#[derive(Clone)]
pub struct Orchestrator {
    inner: service::orchestrator::Orchestrator,
    directory: PathBuf,
    grace: Duration,
}

impl Orchestrator {
    /// Starts to configure an orchestrator for the git repository in a directory.
    pub fn builder(directory: impl Into<PathBuf>) -> Builder {
        Builder::new(directory.into())
    }

    pub(crate) fn new(
        inner: service::orchestrator::Orchestrator,
        directory: PathBuf,
        grace: Duration,
    ) -> Orchestrator {
        Orchestrator {
            inner,
            directory,
            grace,
        }
    }

    /// Accepts an outcome document and waits until it is committed, refused, found to conflict, or set aside.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Orchestrator::accept). After an error of [`settled`](Orchestrator::settled) the outcome is
    /// accepted nevertheless.
    pub async fn record(&self, outcome: impl AsRef<[u8]>) -> Result<State, Error> {
        let receipt = self.accept(outcome).await?;
        self.settled(receipt.submission).await
    }

    /// Accepts an outcome document: a JSON object with `task_id` and `status`, at most 1 MiB. When this returns, the
    /// outcome is durable in the store and will be committed. The state of git does not matter.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if it is not an outcome, [`Error::Store`] if it could not be stored. In both cases nothing
    /// was accepted.
    pub async fn accept(&self, outcome: impl AsRef<[u8]>) -> Result<Receipt, Error> {
        let receipt = self.inner.accept(outcome.as_ref(), Origin::default()).await;
        receipt.map(Receipt::from).map_err(Error::from)
    }

    /// Accepts the result of a task that was announced by [`plan`](Orchestrator::plan), or of any other task. The
    /// outcome is made from the plan and the result. Durable when this returns.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Orchestrator::accept).
    pub async fn handle_work_result(&self, result: impl AsRef<[u8]>) -> Result<Receipt, Error> {
        let receipt = self
            .inner
            .handle_work_result(result.as_ref(), Origin::default());
        receipt.await.map(Receipt::from).map_err(Error::from)
    }

    /// Stores the plan or the dispatch of a task, for the outcome that is made when its result arrives.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the document is not a plan, [`Error::Finished`] if the task has a result already,
    /// [`Error::Store`] if it could not be stored.
    pub async fn plan(&self, document: impl AsRef<[u8]>) -> Result<(), Error> {
        match self.inner.plan(document.as_ref()).await {
            Ok(_) => Ok(()),
            Err(PlanError::Refused(rejection)) => Err(refused(rejection)),
            Err(PlanError::Finished { .. }) => Err(Error::Finished),
            Err(PlanError::Store(error)) => Err(Error::Store(error.into())),
        }
    }

    /// Waits until a submission is committed, refused, found to conflict, or set aside as blocked. There is no time limit.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store cannot be read.
    pub async fn settled(&self, submission: i64) -> Result<State, Error> {
        let state = self.inner.settled(Sequence(submission)).await;
        state
            .map(State::from)
            .map_err(|error| Error::Store(error.into()))
    }

    /// Audits the trail, as the command `chiffon-audit verify` does. Reads only, and shares no code with the writer.
    ///
    /// # Errors
    ///
    /// [`Error::Verify`] if the trail cannot be audited. Offences that the audit finds are in the report.
    pub async fn verify(&self) -> Result<Report, Error> {
        let directory = self.directory.clone();
        blocking(move || {
            let report = verify::verify(&directory, &verify::Options::default());
            report
                .map(Report)
                .map_err(|error| Error::Verify(error.into()))
        })
        .await
    }

    /// Commits what is pending for as long as [`Builder::grace`] allows, then stops. The rest stays in the store.
    pub async fn shut_down(self) {
        self.inner.shut_down(self.grace).await;
    }
}

impl From<service::orchestrator::Receipt> for Receipt {
    fn from(receipt: service::orchestrator::Receipt) -> Receipt {
        Receipt {
            task_id: receipt.task_id.to_string(),
            submission: receipt.sequence.0,
            repeated: receipt.repeated,
            state: receipt.state.into(),
        }
    }
}

impl From<AcceptError> for Error {
    fn from(error: AcceptError) -> Error {
        match error {
            AcceptError::Refused(rejection) => refused(rejection),
            AcceptError::Store(error) => Error::Store(error.into()),
        }
    }
}

fn refused(rejection: outcome::Rejection) -> Error {
    Error::Refused(rejection.violations.into_iter().map(Into::into).collect())
}

/// The result of an audit.
#[derive(Clone, Debug)]
pub struct Report(verify::Report);

impl Report {
    /// Whether every claim that was asked for holds, and the trail has at least one entry.
    pub fn holds(&self) -> bool {
        self.0.result() == verify::AuditResult::Holds
    }

    /// The number of entries in the trail.
    pub fn entries(&self) -> u64 {
        self.0.entries
    }

    /// The id of the commit that was audited, in hexadecimal; `None` if the branch has no commit.
    pub fn tip(&self) -> Option<&str> {
        self.0.tip.as_deref()
    }

    /// The claims, each with its name and `holds`, `broken`, `not-shown` or `not-asked`, in a fixed order.
    pub fn claims(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.claims.iter().map(|claim| {
            let verdict = match claim.verdict {
                verify::Verdict::Holds => "holds",
                verify::Verdict::Broken { .. } => "broken",
                verify::Verdict::NotShown { .. } => "not-shown",
                verify::Verdict::NotAsked { .. } => "not-asked",
            };
            (claim.id, verdict)
        })
    }
}
