//! The engine: wasmtime's configuration, its code cache, and how many calls run at once.
//!
//! Owns everything that policies share. Knows no component.

use super::compile::Compiler;
use super::limits::Limits;
use super::problem::{LoadError, Problem};
use super::state::State;
use super::ticker::Ticker;
use super::{imports, wasi};
use rustix::process::{Resource, getrlimit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use wasmtime::component::Linker;
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig,
};

/// How many bytes of a pooled memory are reset by writing after a call. Enough for the built-in policies' stack of 1
/// MiB, data and heap.
const KEPT_RESIDENT: usize = 1280 << 10;

/// How instances get their memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// From the system, when needed. The engine starts in less than a millisecond. For one call or a few.
    OnDemand,
    /// From a pool that is kept warm: allocation adds only a few microseconds to a call. For many calls.
    Pooling,
}

/// How many calls a pool has room for; others wait. This is more than any machine has cores for, and the address space
/// (four memories of 4 GiB for each call) is a small part of a process's.
const POOLED_CALLS: u32 = 32;

/// The most functions of a stack that a trap reads: as many as an error shows, and one that says that there are more.
const TRAP_FRAMES: usize = 24;

/// The most functions of a stack in a profile, which is useless without the outermost ones.
const PROFILE_FRAMES: usize = 256;

/// The address space of one pooled memory: all that a 32-bit memory can address.
const MEMORY_SLOT: usize = 4 << 30;

/// Runs policies. Clones are cheap and share one engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    engine: wasmtime::Engine,
    linker: Linker<State>,
    limits: Limits,
    compiler: Option<Compiler>,
    cache_dir: Option<PathBuf>,
    slots: Option<Slots>,
    /// Dropped last: its thread ends when it finds that the engine is gone.
    ticker: Ticker,
}

impl Engine {
    /// Creates an engine for calls with these limits. It keeps compiled code in `cache_dir`, if given.
    ///
    /// The directory contains machine code that is run unchecked. It is created for its owner only, and must not be in
    /// a repository.
    ///
    /// Compilation is not limited here: [`Limits::compile_time`] and [`Limits::compile_memory`] need a separate
    /// process, and a component of a few kilobytes can be made to take minutes and gigabytes. That is enough for the
    /// policies that come with the host and for those that you have built. For a component from others, use
    /// [`with_compiler`](Self::with_compiler).
    ///
    /// # Errors
    ///
    /// `Cache`, if other users may write to the directory or it cannot be created; `Engine`, if wasmtime does not
    /// accept the limits or the machine.
    pub fn new(
        allocation: Allocation,
        limits: Limits,
        cache_dir: Option<&Path>,
    ) -> Result<Engine, LoadError> {
        Engine::with_compiler(None, allocation, limits, cache_dir)
    }

    /// Creates an engine that compiles unknown components in a separate process, so that the limits on compilation
    /// hold. Without a compiler they do not hold.
    ///
    /// ```no_run
    /// # use chiffon_audit_policy_host::{Allocation, Compiler, Engine, Limits, LoadError};
    /// # fn engine(cache: &std::path::Path) -> Result<Engine, LoadError> {
    /// let compiler = Compiler {
    ///     program: "/usr/local/bin/chiffon-audit".into(),
    ///     arguments: vec!["policy".into(), "compile".into()],
    ///     on_slow: None,
    /// };
    /// Engine::with_compiler(Some(compiler), Allocation::Pooling, Limits::default(), Some(cache))
    /// # }
    /// ```
    ///
    /// The host finds the compiled code in `cache_dir`. Without one, it compiles a second time in this process. The
    /// program and the embedder must be of the same release; otherwise the second compilation is not limited.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub fn with_compiler(
        compiler: Option<Compiler>,
        allocation: Allocation,
        limits: Limits,
        cache_dir: Option<&Path>,
    ) -> Result<Engine, LoadError> {
        Engine::with_frames(TRAP_FRAMES, compiler, allocation, limits, cache_dir)
    }

    /// Creates an engine for [`Policy::profile`](super::Policy::profile). It reads whole stacks, so a trap costs more.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub fn for_profiles(
        compiler: Option<Compiler>,
        limits: Limits,
        cache_dir: Option<&Path>,
    ) -> Result<Engine, LoadError> {
        let allocation = Allocation::OnDemand;
        Engine::with_frames(PROFILE_FRAMES, compiler, allocation, limits, cache_dir)
    }

    fn with_frames(
        frames: usize,
        compiler: Option<Compiler>,
        allocation: Allocation,
        limits: Limits,
        cache_dir: Option<&Path>,
    ) -> Result<Engine, LoadError> {
        let space = AddressSpace::detect();
        let mut config = configuration(&limits, space);
        config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(frames));
        if let Some(directory) = cache_dir {
            config.cache(Some(open_cache(directory)?));
        }
        let failed = |error: wasmtime::Error| LoadError::Engine(format!("{error:#}"));
        let mut pooled = None;
        if allocation == Allocation::Pooling && space == AddressSpace::Ample {
            let mut config = config.clone();
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(&limits)));
            // If the system has no room for a pool, memory is allocated when needed.
            pooled = wasmtime::Engine::new(&config)
                .inspect_err(|error| tracing::debug!("no pool of memory: {error:#}"))
                .ok();
        }
        let engine = match pooled {
            Some(engine) => engine,
            None => wasmtime::Engine::new(&config).map_err(failed)?,
        };
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker).map_err(failed)?;
        wasi::link(&mut linker).map_err(failed)?;
        let slots = (allocation == Allocation::Pooling)
            .then(|| Slots::new(space.calls(&limits).min(POOLED_CALLS)));
        let ticker = Ticker::new(engine.weak());
        Ok(Engine {
            inner: Arc::new(Inner {
                engine,
                linker,
                limits,
                compiler,
                // The compiler process has another working directory.
                cache_dir: cache_dir.and_then(|directory| directory.canonicalize().ok()),
                slots,
                ticker,
            }),
        })
    }

    /// The limits of each call.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Compiles a component in a process that can be stopped, if there is a compiler. After that the cache has it, if
    /// there is one.
    pub(super) fn try_compiling(
        &self,
        name: &str,
        bytes: &[u8],
    ) -> Result<Result<(), Problem>, LoadError> {
        match &self.inner.compiler {
            Some(compiler) => compiler.run(self, self.inner.cache_dir.as_deref(), name, bytes),
            None => Ok(Ok(())),
        }
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.engine
    }

    pub(super) fn linker(&self) -> &Linker<State> {
        &self.inner.linker
    }

    pub(super) fn ticker(&self) -> &Ticker {
        &self.inner.ticker
    }

    /// Waits for a free place in the pool and occupies it until the result is dropped.
    pub(super) fn slot(&self) -> Option<Slot<'_>> {
        self.inner.slots.as_ref().map(Slots::take)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Engine")
            .field("limits", &self.inner.limits)
            .finish_non_exhaustive()
    }
}

/// How much address space a process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AddressSpace {
    /// More than the process can use.
    Ample,
    /// A number of bytes (`ulimit -v`).
    Limited(u64),
}

impl AddressSpace {
    fn detect() -> AddressSpace {
        match getrlimit(Resource::As).current {
            Some(bytes) => AddressSpace::Limited(bytes),
            None => AddressSpace::Ample,
        }
    }

    /// How many calls fit into half of the address space. The other half is for everything else.
    fn calls(self, limits: &Limits) -> u32 {
        match self {
            AddressSpace::Ample => POOLED_CALLS,
            AddressSpace::Limited(bytes) => {
                let calls = bytes / 2 / reservation(limits).max(1);
                u32::try_from(calls).unwrap_or(u32::MAX).max(1)
            }
        }
    }
}

/// The address space of a memory that can grow to its limit and no further.
fn reservation(limits: &Limits) -> u64 {
    const PAGE: usize = 64 << 10;
    limits.memory.min(MEMORY_SLOT).next_multiple_of(PAGE) as u64
}

fn configuration(limits: &Limits, space: AddressSpace) -> Config {
    let mut config = Config::new();
    if space != AddressSpace::Ample {
        // By default, a memory reserves all 4 GiB that it could address, which makes bounds checks unnecessary.
        config
            .memory_reservation(reservation(limits))
            .memory_reservation_for_growth(0)
            .memory_guard_size(64 << 10);
    }
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(limits.stack)
        // The same component and input give the same answer on every machine.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // Traps name functions. Addresses would only make the cached code larger.
        .generate_address_map(false);
    config
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let (instances, memories, tables) = (
        count(limits.instances),
        count(limits.memories),
        count(limits.tables),
    );
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(POOLED_CALLS)
        .total_core_instances(instances.saturating_mul(POOLED_CALLS))
        .total_memories(memories.saturating_mul(POOLED_CALLS))
        .total_tables(tables.saturating_mul(POOLED_CALLS))
        .max_core_instances_per_component(instances)
        .max_memories_per_component(memories)
        .max_memories_per_module(memories)
        .max_tables_per_component(tables)
        .max_tables_per_module(tables)
        .max_memory_size(limits.memory.min(MEMORY_SLOT))
        .table_elements(limits.table_elements)
        // Writing the beginning of a memory is cheaper than returning its pages and faulting them in again, and does
        // not disturb other cores. The built-in policies' memory is within this size; the rest of a larger memory is
        // returned.
        .linear_memory_keep_resident(KEPT_RESIDENT)
        .table_keep_resident(64 << 10)
        // Do not ask the kernel which pages were written (`PAGEMAP_SCAN`), although that would save a third of a call.
        // wasmtime asks for pages that are written *and present*. A page that is swapped out or being moved is
        // `PAGE_IS_SWAPPED` and not `PAGE_IS_PRESENT` (the kernel's fs/proc/task_mmu.c, `pagemap_page_category`). It
        // would be neither reset nor returned, and the next call in that place would read what this one wrote (wasmtime
        // 48, `reset_with_pagemap`; its pull request 14357 reports this too).
        .pagemap_scan(Enabled::No);
    pool
}

/// Runs a part of wasmtime that starts threads, and turns a panic into an error: wasmtime panics if the system cannot
/// start a thread.
pub(super) fn catch_panics<T>(part: impl FnOnce() -> T) -> Result<T, LoadError> {
    catch_unwind(AssertUnwindSafe(part)).map_err(|_| LoadError::Panicked)
}

/// Opens the directory's cache, after checking that only its owner can have written to it.
fn open_cache(directory: &Path) -> Result<Cache, LoadError> {
    let failed = |reason: String| LoadError::Cache {
        directory: directory.to_owned(),
        reason,
    };
    create_private(directory).map_err(|error| failed(error.to_string()))?;
    let directory = directory
        .canonicalize()
        .map_err(|error| failed(error.to_string()))?;
    check_private(&directory).map_err(failed)?;
    let mut config = CacheConfig::new();
    config.with_directory(directory);
    let cache = catch_panics(|| Cache::new(config))?;
    cache.map_err(|error| failed(format!("{error:#}")))
}

#[cfg(unix)]
fn create_private(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

#[cfg(not(unix))]
fn create_private(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)
}

#[cfg(unix)]
fn check_private(directory: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(directory).map_err(|error| error.to_string())?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err("it belongs to another user".to_owned());
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(format!(
            "others may write to it (mode {:04o})",
            metadata.mode() & 0o7777
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_: &Path) -> Result<(), String> {
    Ok(())
}

/// The free places in a pool.
struct Slots {
    free: Mutex<u32>,
    freed: Condvar,
}

/// One occupied place in the pool.
pub(super) struct Slot<'a>(&'a Slots);

impl Slots {
    fn new(free: u32) -> Slots {
        Slots {
            free: Mutex::new(free),
            freed: Condvar::new(),
        }
    }

    fn take(&self) -> Slot<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .freed
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Slot(self)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}
