//! Inflation within limits: whole buffers of a declared size, and streams that are too large for memory.

use gix::zlib::{Decompress, FlushDecompress, Status};

/// A reusable decompressor.
pub(crate) struct Inflater {
    whole: libdeflater::Decompressor,
    stream: Decompress,
}

/// How many bytes of a stream are inflated at a time.
const PIECE: usize = 64 << 10;

impl Inflater {
    pub(crate) fn new() -> Inflater {
        Inflater {
            whole: libdeflater::Decompressor::new(),
            stream: Decompress::new(),
        }
    }

    /// Fills `out` from the zlib stream at the start of `input`. Returns true if the stream has exactly that many
    /// bytes. Ignores bytes after the stream.
    pub(crate) fn fill(&mut self, input: &[u8], out: &mut [u8]) -> bool {
        matches!(self.whole.zlib_decompress(input, out), Ok(length) if length == out.len())
    }

    /// Inflates a stream piece by piece. `source` fills a buffer and returns the number of bytes (0 at the end); `sink`
    /// receives each inflated piece and may stop the stream. Returns whether compressed bytes are left over.
    ///
    /// # Errors
    ///
    /// An error of `source` or `sink`, or a corrupt stream.
    pub(crate) fn stream(
        &mut self,
        mut source: impl FnMut(&mut [u8]) -> Result<usize, String>,
        mut sink: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<bool, String> {
        self.stream.reset();
        let mut input = vec![0; PIECE];
        let mut out = vec![0; PIECE];
        let (mut begin, mut end) = (0, 0);
        let mut ended = false;
        loop {
            if begin == end && !ended {
                begin = 0;
                end = source(&mut input)?;
                ended = end == 0;
            }
            let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
            let status = self
                .stream
                .decompress(&input[begin..end], &mut out, FlushDecompress::None)
                .map_err(|_| "its compressed data is corrupt".to_owned())?;
            let consumed = (self.stream.total_in() - before_in) as usize;
            let produced = (self.stream.total_out() - before_out) as usize;
            begin += consumed;
            sink(&out[..produced])?;
            match status {
                Status::StreamEnd => return Ok(begin < end || source(&mut input)? > 0),
                // No progress and no more input: the stream is cut short.
                _ if consumed == 0 && produced == 0 && (ended || begin < end) => {
                    return Err("its compressed data ends early".to_owned());
                }
                _ => {}
            }
        }
    }
}
