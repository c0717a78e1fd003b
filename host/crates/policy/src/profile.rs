//! Where a policy spends its time: stacks that are sampled while the same call is made again and again.
//!
//! Owns the sampling and the file's form. One call is too short to sample, so it is repeated. A
//! sample is taken when the engine's epoch has advanced, where the guest enters a function or a loop.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use wasmtime::{AsContext, EngineWeak, WasmBacktrace};

use super::call::{Call, TrialOptions};
use super::{Policy, Trial};

/// How often the epoch advances: often compared with calls, and rarely enough that the machine has time for them.
const PERIOD: Duration = Duration::from_micros(100);

/// How long calls are repeated. The shortest policies give some thousand samples in it.
const TIME: Duration = Duration::from_secs(2);

/// The most samples. More samples add no precision, and the file becomes slow to open.
const MAX_SAMPLES: usize = 50_000;

/// The samples of repeated calls.
#[derive(Debug)]
pub struct Profile {
    /// How often the call was made.
    pub calls: u64,
    /// The mean duration of a call.
    pub call_time: Duration,
    samples: Samples,
}

/// Why there is no profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Most of the functions that were running have no name.
    #[error(
        "most functions of the component have no name, so a profile would be numbers: build it without stripping names (in Rust \
         with CARGO_PROFILE_RELEASE_STRIP=none)"
    )]
    NoNames,
    /// The policy was never seen running.
    #[error("the call ends before it could be sampled")]
    NoSamples,
    /// The sampling thread could not be started.
    #[error("the system could not start a thread")]
    NoThread,
}

/// Stacks, the outermost function first, each as indexes of names.
#[derive(Debug, Default)]
pub(super) struct Samples {
    names: Vec<String>,
    indexes: HashMap<String, usize>,
    stacks: Vec<Vec<usize>>,
    /// In how many samples the innermost function has a name.
    named: usize,
}

/// Collects samples of all calls of a profile.
#[derive(Clone, Debug, Default)]
pub(super) struct Sampler(Arc<Mutex<Samples>>);

impl Sampler {
    /// Adds the stack of the guest as it is now.
    pub fn sample(&self, store: impl AsContext) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.stacks.len() >= MAX_SAMPLES {
            return;
        }
        let backtrace = WasmBacktrace::force_capture(store);
        let Some(innermost) = backtrace.frames().first() else {
            return;
        };
        samples.named += usize::from(innermost.func_name().is_some());
        let mut stack: Vec<usize> = Vec::with_capacity(backtrace.frames().len());
        for frame in backtrace.frames().iter().rev() {
            let name = match frame.func_name() {
                // Without the hash at the end of Rust's names.
                Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
                None => format!("function {}", frame.func_index()),
            };
            stack.push(samples.index(name));
        }
        samples.stacks.push(stack);
    }
}

impl Samples {
    fn index(&mut self, name: String) -> usize {
        if let Some(index) = self.indexes.get(&name) {
            return *index;
        }
        let index = self.names.len();
        self.names.push(name.clone());
        self.indexes.insert(name, index);
        index
    }
}

impl Policy {
    /// Makes a call, and then the same call again for about two seconds, and samples where it spends its time. Returns the
    /// first call, which is not sampled.
    ///
    /// # Errors
    ///
    /// There is nothing to show.
    pub fn profile(&self, trial: &Trial<'_>) -> (Call, Result<Profile, ProfileError>) {
        let first = trial.run_with_exchanges(self);
        (first, self.sample_calls(trial))
    }

    fn sample_calls(&self, trial: &Trial<'_>) -> Result<Profile, ProfileError> {
        let sampler = Sampler::default();
        let clock = Clock::start(self.engine().wasmtime().weak()).ok_or(ProfileError::NoThread)?;
        let (started, mut calls, mut spent) = (Instant::now(), 0_u32, Duration::ZERO);
        while started.elapsed() < TIME {
            let options = TrialOptions {
                sampler: Some(sampler.clone()),
                ..TrialOptions::default()
            };
            spent += trial.run_with(self, options).duration;
            calls += 1;
        }
        drop(clock);
        let samples =
            std::mem::take(&mut *sampler.0.lock().unwrap_or_else(PoisonError::into_inner));
        if samples.stacks.is_empty() {
            return Err(ProfileError::NoSamples);
        }
        if samples.named * 2 < samples.stacks.len() {
            return Err(ProfileError::NoNames);
        }
        Ok(Profile {
            calls: calls.into(),
            call_time: spent / calls.max(1),
            samples,
        })
    }
}

impl Profile {
    /// The number of samples.
    pub fn samples(&self) -> usize {
        self.samples.stacks.len()
    }

    /// The functions in which most samples were taken, with the share of each, the largest first.
    pub fn hottest(&self, count: usize) -> Vec<(&str, f64)> {
        let mut taken: HashMap<usize, usize> = HashMap::new();
        for function in self.samples.stacks.iter().filter_map(|stack| stack.last()) {
            *taken.entry(*function).or_default() += 1;
        }
        let mut taken: Vec<_> = taken.into_iter().collect();
        taken.sort_by_key(|(function, taken)| (std::cmp::Reverse(*taken), *function));
        let share = |taken| taken as f64 / self.samples().max(1) as f64;
        let hottest = taken.iter().take(count);
        hottest
            .map(|(function, taken)| (&*self.samples.names[*function], share(*taken)))
            .collect()
    }

    /// The profile in the form of Speedscope (<https://www.speedscope.app/file-format-schema.json>): one call, each sample
    /// with an equal share of its mean duration.
    pub fn to_speedscope(&self, name: &str) -> String {
        let total = self.call_time.as_secs_f64() * 1e6;
        let weight = total / self.samples().max(1) as f64;
        // Samples of different calls have no order in time. Sorted, equal stacks are drawn as one.
        let mut stacks = self.samples.stacks.clone();
        stacks.sort();
        let frames = self.samples.names.iter();
        let file = json!({
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "exporter": concat!("chiffon-audit ", env!("CARGO_PKG_VERSION")),
            "name": name,
            "shared": { "frames": frames.map(|name| json!({ "name": name })).collect::<Vec<_>>() },
            "profiles": [{
                "type": "sampled",
                "name": format!("one call of {name}, from {} samples in {} calls", self.samples(), self.calls),
                "unit": "microseconds",
                "startValue": 0,
                "endValue": total,
                "samples": stacks,
                "weights": vec![weight; stacks.len()],
            }],
        });
        file.to_string()
    }
}

/// Advances the epoch of an engine until it is dropped.
struct Clock {
    ends: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Clock {
    /// `None` if the system has no thread for it.
    fn start(engine: EngineWeak) -> Option<Clock> {
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        let advance = move || {
            while !ended.load(Ordering::Relaxed) {
                thread::sleep(PERIOD);
                let Some(engine) = engine.upgrade() else {
                    return;
                };
                engine.increment_epoch();
            }
        };
        let thread = thread::Builder::new().name("policy-profile".to_owned());
        let thread = thread.spawn(advance).ok()?;
        Some(Clock {
            ends,
            thread: Some(thread),
        })
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It cannot panic, and a profile is worth more than the reason.
            let _ = thread.join();
        }
    }
}
