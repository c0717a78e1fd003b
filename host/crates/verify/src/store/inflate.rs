//! Inflation under a bound: whole buffers of a declared size, and streams too large to hold.

use gix::zlib::{Decompress, FlushDecompress, Status};

/// A decompressor that is used again and again.
pub(crate) struct Inflater {
    whole: libdeflater::Decompressor,
    stream: Decompress,
}

/// How much of a stream is inflated at a time.
const PIECE: usize = 64 << 10;

impl Inflater {
    pub(crate) fn new() -> Inflater {
        Inflater {
            whole: libdeflater::Decompressor::new(),
            stream: Decompress::new(),
        }
    }

    /// Fills `out` from the zlib stream at the start of `input`; true if it holds exactly that many bytes. Bytes after
    /// the stream are ignored.
    pub(crate) fn fill(&mut self, input: &[u8], out: &mut [u8]) -> bool {
        matches!(self.whole.zlib_decompress(input, out), Ok(length) if length == out.len())
    }

    /// Inflates a stream piece by piece. `source` fills a buffer and says with how much (nothing at the end); `sink`
    /// takes each inflated piece and may stop the stream. Returns whether compressed bytes are left over.
    ///
    /// # Errors
    ///
    /// What `source` or `sink` says, or that the stream is corrupt.
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
                // No progress with nothing left to feed: the stream is cut short.
                _ if consumed == 0 && produced == 0 && (ended || begin < end) => {
                    return Err("its compressed data ends early".to_owned());
                }
                _ => {}
            }
        }
    }
}
