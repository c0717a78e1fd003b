//! `wasi:io`: an input that is at its end, outputs that go to the log, and pollables that are always ready.
//!
//! Nothing here waits. There are so few resources that the number of a handle identifies it; there is no table.

use super::fault::Fault;
use super::log::Source;
use super::state::State;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::p2::bindings::io::error;
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, IoError, StreamError, StreamResult,
};

/// Standard input's handle.
pub(super) const STDIN: u32 = 0;
/// Standard output's handle.
pub(super) const STDOUT: u32 = 1;
/// Standard error's handle.
pub(super) const STDERR: u32 = 2;
/// The handle of every pollable.
pub(super) const READY: u32 = 3;

/// How many bytes an output accepts at once; the interface lets a blocking write have 4 KiB.
const PERMIT: u64 = 64 << 10;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    error::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    poll::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    streams::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

impl error::Host for State {}

impl error::HostError for State {
    /// No operation here fails with this error, so a policy never holds one.
    fn to_debug_string(&mut self, _: Resource<IoError>) -> wasmtime::Result<String> {
        self.enter_wasi()?;
        Ok("no error".to_owned())
    }

    fn drop(&mut self, _: Resource<IoError>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl poll::Host for State {
    /// Returns every pollable as ready. An empty list traps, as the interface requires.
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        self.enter_wasi()?;
        if pollables.is_empty() {
            return Err(Fault::Misuse("it polled an empty list".to_owned()).into());
        }
        Ok((0..u32::try_from(pollables.len())?).collect())
    }
}

impl poll::HostPollable for State {
    fn ready(&mut self, _: Resource<DynPollable>) -> wasmtime::Result<bool> {
        self.enter_wasi()?;
        Ok(true)
    }

    fn block(&mut self, _: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.enter_wasi()
    }

    fn drop(&mut self, _: Resource<DynPollable>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl streams::Host for State {
    fn convert_stream_error(
        &mut self,
        error: StreamError,
    ) -> wasmtime::Result<streams::StreamError> {
        match error {
            StreamError::Closed => Ok(streams::StreamError::Closed),
            StreamError::LastOperationFailed(error) | StreamError::Trap(error) => Err(error),
        }
    }
}

impl State {
    fn end_of_input(&mut self) -> StreamError {
        match self.enter_wasi() {
            Ok(()) => StreamError::Closed,
            Err(limit) => StreamError::Trap(limit),
        }
    }

    fn print(&mut self, stream: &Resource<DynOutputStream>, bytes: &[u8]) -> StreamResult<()> {
        self.enter_wasi().map_err(StreamError::Trap)?;
        if bytes.len() as u64 > PERMIT {
            return Err(StreamError::trap(
                "it wrote more to a stream than it was permitted",
            ));
        }
        let source = if stream.rep() == STDERR {
            Source::Stderr
        } else {
            Source::Stdout
        };
        self.log.print(source, bytes, &self.limits);
        Ok(())
    }

    fn print_zeroes(
        &mut self,
        stream: &Resource<DynOutputStream>,
        length: u64,
    ) -> StreamResult<()> {
        // A length of one more than is permitted is refused like any larger one.
        let length = usize::try_from(length.min(PERMIT + 1))
            .map_err(|error| StreamError::Trap(error.into()))?;
        self.print(stream, &vec![0; length])
    }

    fn flush_output(&mut self) -> StreamResult<()> {
        self.enter_wasi().map_err(StreamError::Trap)
    }
}

impl streams::HostInputStream for State {
    fn read(&mut self, _: Resource<DynInputStream>, _: u64) -> StreamResult<Vec<u8>> {
        Err(self.end_of_input())
    }

    fn blocking_read(&mut self, _: Resource<DynInputStream>, _: u64) -> StreamResult<Vec<u8>> {
        Err(self.end_of_input())
    }

    fn skip(&mut self, _: Resource<DynInputStream>, _: u64) -> StreamResult<u64> {
        Err(self.end_of_input())
    }

    fn blocking_skip(&mut self, _: Resource<DynInputStream>, _: u64) -> StreamResult<u64> {
        Err(self.end_of_input())
    }

    fn subscribe(
        &mut self,
        _: Resource<DynInputStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        self.enter_wasi()?;
        Ok(Resource::new_own(READY))
    }

    fn drop(&mut self, _: Resource<DynInputStream>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl streams::HostOutputStream for State {
    fn check_write(&mut self, _: Resource<DynOutputStream>) -> StreamResult<u64> {
        self.flush_output().map(|()| PERMIT)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        self.print(&stream, &bytes)
    }

    fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        self.print(&stream, &bytes)
    }

    fn flush(&mut self, _: Resource<DynOutputStream>) -> StreamResult<()> {
        self.flush_output()
    }

    fn blocking_flush(&mut self, _: Resource<DynOutputStream>) -> StreamResult<()> {
        self.flush_output()
    }

    fn subscribe(
        &mut self,
        _: Resource<DynOutputStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        self.enter_wasi()?;
        Ok(Resource::new_own(READY))
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, length: u64) -> StreamResult<()> {
        self.print_zeroes(&stream, length)
    }

    fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        length: u64,
    ) -> StreamResult<()> {
        self.print_zeroes(&stream, length)
    }

    fn splice(
        &mut self,
        _: Resource<DynOutputStream>,
        _: Resource<DynInputStream>,
        _: u64,
    ) -> StreamResult<u64> {
        Err(self.end_of_input())
    }

    fn blocking_splice(
        &mut self,
        _: Resource<DynOutputStream>,
        _: Resource<DynInputStream>,
        _: u64,
    ) -> StreamResult<u64> {
        Err(self.end_of_input())
    }

    fn drop(&mut self, _: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        Ok(())
    }
}
