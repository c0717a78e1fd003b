//! How an embedded orchestrator is started. Everything but the directory has a default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use outcome::clock::{Clock as _, SystemClock};
use policy::{Allocation, Engine, Limits, Policy, PolicySettings};
use recorder::policies::PolicyWithSettings;
use service::orchestrator::{self, LEASE_TERM, OnPolicyFault};
use store::StoreUrl;
use trail::{InitOptions, OpenOptions, Trail};

use crate::{Error, Orchestrator};

/// Starts an [`Orchestrator`]. Made by [`Orchestrator::builder`].
#[derive(Debug)]
#[must_use = "nothing starts before `start` is called"]
pub struct Builder {
    directory: PathBuf,
    create: bool,
    store: Option<String>,
    policy: Option<PathBuf>,
    settings: BTreeMap<String, String>,
    secret: Option<Vec<u8>>,
    host: String,
    grace: Duration,
}

impl Builder {
    pub(crate) fn new(directory: PathBuf) -> Builder {
        Builder {
            directory,
            create: false,
            store: None,
            policy: None,
            settings: BTreeMap::new(),
            secret: None,
            host: format!("embed:{}", std::process::id()),
            grace: Duration::from_secs(10),
        }
    }

    /// Whether to create a bare repository and begin a trail in it if the directory is missing or empty. Off by default: then a
    /// missing repository is an error.
    pub fn create(mut self, create: bool) -> Builder {
        self.create = create;
        self
    }

    /// The database that keeps what is not in the trail yet: `sqlite:PATH` or `postgresql://…`. By default a SQLite file beside
    /// the trail.
    pub fn store(mut self, url: impl Into<String>) -> Builder {
        self.store = Some(url.into());
        self
    }

    /// The file of the policy's WebAssembly component. By default the built-in policy.
    pub fn policy(mut self, file: impl Into<PathBuf>) -> Builder {
        self.policy = Some(file.into());
        self
    }

    /// A setting of the policy. The name of a setting that the policy does not read has no effect.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Builder {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// The HMAC key of the `Audit-Outcome` trailer. Without it the trailer holds a plain digest.
    pub fn secret(mut self, key: impl Into<Vec<u8>>) -> Builder {
        self.secret = Some(key.into());
        self
    }

    /// The name of this host, which no other running host on the same store may have. By default `embed:` and the process id.
    pub fn host(mut self, name: impl Into<String>) -> Builder {
        self.host = name.into();
        self
    }

    /// How long [`Orchestrator::shut_down`] keeps committing pending outcomes; ten seconds by default.
    pub fn grace(mut self, grace: Duration) -> Builder {
        self.grace = grace;
        self
    }

    /// Opens the trail and the store, loads the policy, and starts to commit what is pending in the store.
    ///
    /// # Errors
    ///
    /// [`Error::Trail`], [`Error::Store`] or [`Error::Policy`] if one of them cannot be opened; [`Error::Internal`] if a thread
    /// cannot be started.
    pub async fn start(self) -> Result<Orchestrator, Error> {
        let (directory, create) = (self.directory.clone(), self.create);
        let common_dir = blocking(move || open(&directory, create)).await?;
        let url = match &self.store {
            Some(url) => StoreUrl::parse(url).map_err(|error| Error::Store(error.into()))?,
            None => StoreUrl::beside_trail(&common_dir),
        };
        let store = store::open(&url, &store::Options::default())
            .await
            .map_err(|error| Error::Store(error.into()))?;
        let settings = PolicySettings::new(self.settings);
        let (file, theirs) = (self.policy, settings.clone());
        let policy = blocking(move || load(file.as_deref())).await?;
        let options = orchestrator::Options {
            recorder: recorder::Options {
                clock: Arc::new(SystemClock),
                limits: outcome::Limits::default(),
                settings: theirs,
                secret: self.secret,
                delivery: recorder::Delivery::default(),
                sealer: None,
            },
            policy_with_settings: PolicyWithSettings { policy, settings },
            load_policy: Box::new(|_, _| {
                Err("an embedded orchestrator keeps the policy that it was started with".to_owned())
            }),
            on_policy_fault: OnPolicyFault::Hold,
            host: self.host,
            lease_term: LEASE_TERM,
            replication: None,
        };
        let directory = self.directory.clone();
        let open = Box::new(move || Trail::open(&directory, OpenOptions::default()));
        let started =
            service::orchestrator::Orchestrator::start(store, open, options).map_err(|error| {
                match error {
                    orchestrator::StartError::Trail(error) => Error::Trail(error.into()),
                    error => Error::Internal(error.to_string()),
                }
            })?;
        Ok(Orchestrator::new(started, self.directory, self.grace))
    }
}

/// Opens the trail, or begins one in a new repository; the answer is git's common directory.
fn open(directory: &Path, create: bool) -> Result<PathBuf, Error> {
    let failed = |error: trail::TrailError| Error::Trail(error.into());
    let trail = if create && is_free(directory) {
        let options = InitOptions {
            bare: true,
            reference: None,
            layout: None,
            second_trail: false,
            accept_tip: None,
            uuid: uuid::Uuid::new_v4().to_string(),
            time: SystemClock.now(),
            open: OpenOptions::default(),
        };
        Trail::init(directory, options).map_err(failed)?.0
    } else {
        Trail::open(directory, OpenOptions::default()).map_err(failed)?
    };
    Ok(trail.common_dir().to_owned())
}

/// Whether there is nothing in the directory, or no directory.
fn is_free(directory: &Path) -> bool {
    match std::fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Compiles the policy, or the built-in one. Takes up to a second.
fn load(file: Option<&Path>) -> Result<Policy, Error> {
    let failed = |error: policy::LoadError| Error::Policy(error.into());
    let engine = Engine::new(Allocation::Pooling, Limits::default(), None).map_err(failed)?;
    match file {
        None => Policy::builtin(&engine).map_err(failed),
        Some(file) => {
            let bytes = std::fs::read(file).map_err(|error| Error::Policy(error.into()))?;
            Policy::load(&engine, &file.display().to_string(), &bytes).map_err(failed)
        }
    }
}

/// Runs what blocks on a thread where it may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::Internal(error.to_string())),
    }
}
