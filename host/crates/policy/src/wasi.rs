//! The parts of WASI 0.2 that language runtimes need, present but empty: `wasi:cli`, `wasi:clocks`, `wasi:random` and
//! `wasi:filesystem`. Streams and polling are in `wasi_io`.
//!
//! Owns what is linked, which is what may be imported. Written here instead of taken from wasmtime-wasi, whose
//! functions sleep, block on a runtime and read the system. Only its `filesystem/types` is used: its functions need a
//! descriptor, and none is ever given out.

use super::fault::Fault;
use super::state::State;
use super::wasi_io;
use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr,
    terminal_stdin, terminal_stdout,
};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::p2::bindings::sync::filesystem::types as filesystem_types;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable};

/// The interfaces that are linked, without their versions.
pub(super) const INTERFACES: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// The most random bytes in one call. Seeds are small, and the host generates them.
const RANDOM_BYTES: u64 = 64 << 10;

/// The start of the sequence of "random" numbers in every call: no decision may depend on chance.
pub(super) const RANDOM_SEED: u64 = 0x6368_6966_666f_6e21;

/// Links each of [`INTERFACES`].
///
/// # Errors
///
/// A name is already linked.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    environment::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    exit::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    stdin::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    stdout::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    stderr::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    terminal_input::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    terminal_output::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    terminal_stdin::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    terminal_stdout::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    terminal_stderr::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    monotonic_clock::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    wall_clock::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    random::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    insecure::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    insecure_seed::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    preopens::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    filesystem_types::add_to_linker::<_, WasiFilesystem>(linker, files)?;
    wasi_io::link(linker)
}

fn files(state: &mut State) -> WasiFilesystemCtxView<'_> {
    let files = state
        .files
        .get_or_insert_with(|| Box::new((WasiFilesystemCtx::default(), ResourceTable::new())));
    let (ctx, table) = &mut **files;
    WasiFilesystemCtxView { ctx, table }
}

impl environment::Host for State {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        self.enter_wasi()?;
        Ok(Vec::new())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        self.enter_wasi()?;
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        self.enter_wasi()?;
        Ok(None)
    }
}

impl exit::Host for State {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        Err(Fault::Exited(u8::from(status.is_err())).into())
    }

    fn exit_with_code(&mut self, code: u8) -> wasmtime::Result<()> {
        Err(Fault::Exited(code).into())
    }
}

impl stdin::Host for State {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<DynInputStream>> {
        self.enter_wasi()?;
        Ok(Resource::new_own(wasi_io::STDIN))
    }
}

impl stdout::Host for State {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.enter_wasi()?;
        Ok(Resource::new_own(wasi_io::STDOUT))
    }
}

impl stderr::Host for State {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.enter_wasi()?;
        Ok(Resource::new_own(wasi_io::STDERR))
    }
}

impl terminal_input::Host for State {}

impl terminal_input::HostTerminalInput for State {
    fn drop(&mut self, _: Resource<terminal_input::TerminalInput>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl terminal_output::Host for State {}

impl terminal_output::HostTerminalOutput for State {
    fn drop(&mut self, _: Resource<terminal_output::TerminalOutput>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl terminal_stdin::Host for State {
    fn get_terminal_stdin(
        &mut self,
    ) -> wasmtime::Result<Option<Resource<terminal_input::TerminalInput>>> {
        self.enter_wasi()?;
        Ok(None)
    }
}

impl terminal_stdout::Host for State {
    fn get_terminal_stdout(
        &mut self,
    ) -> wasmtime::Result<Option<Resource<terminal_output::TerminalOutput>>> {
        self.enter_wasi()?;
        Ok(None)
    }
}

impl terminal_stderr::Host for State {
    fn get_terminal_stderr(
        &mut self,
    ) -> wasmtime::Result<Option<Resource<terminal_output::TerminalOutput>>> {
        self.enter_wasi()?;
        Ok(None)
    }
}

impl wall_clock::Host for State {
    /// The time of recording. A time before 1970 cannot be represented and becomes 1970.
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.enter_wasi()?;
        Ok(match u64::try_from(self.now.seconds()) {
            Ok(seconds) => wall_clock::Datetime {
                seconds,
                nanoseconds: self.now.nanoseconds(),
            },
            Err(_) => wall_clock::Datetime {
                seconds: 0,
                nanoseconds: 0,
            },
        })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.enter_wasi()?;
        Ok(wall_clock::Datetime {
            seconds: 0,
            nanoseconds: 1_000,
        })
    }
}

/// A clock that stands still and never waits. Neither fuel nor the epoch interrupts a host function, so a real clock
/// would let a policy sleep for ever.
impl monotonic_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<monotonic_clock::Instant> {
        self.enter_wasi()?;
        Ok(0)
    }

    fn resolution(&mut self) -> wasmtime::Result<monotonic_clock::Duration> {
        self.enter_wasi()?;
        Ok(1)
    }

    fn subscribe_instant(
        &mut self,
        _: monotonic_clock::Instant,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        self.enter_wasi()?;
        Ok(Resource::new_own(wasi_io::READY))
    }

    fn subscribe_duration(
        &mut self,
        _: monotonic_clock::Duration,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        self.enter_wasi()?;
        Ok(Resource::new_own(wasi_io::READY))
    }
}

impl State {
    /// SplitMix64: a whole sequence from one word of state.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.random;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.enter_wasi()?;
        if length > RANDOM_BYTES {
            return Err(Fault::Misuse(format!(
                "it asked for more than {RANDOM_BYTES} random bytes at once"
            ))
            .into());
        }
        let length = usize::try_from(length)?;
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next_random().to_le_bytes());
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}

impl random::Host for State {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(length)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.enter_wasi()?;
        Ok(self.next_random())
    }
}

impl insecure::Host for State {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(length)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.enter_wasi()?;
        Ok(self.next_random())
    }
}

impl insecure_seed::Host for State {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        self.enter_wasi()?;
        Ok((self.next_random(), self.next_random()))
    }
}

impl preopens::Host for State {
    fn get_directories(
        &mut self,
    ) -> wasmtime::Result<Vec<(Resource<preopens::Descriptor>, String)>> {
        self.enter_wasi()?;
        Ok(Vec::new())
    }
}
