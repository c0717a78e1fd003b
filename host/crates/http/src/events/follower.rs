//! One follower: is sent what was recorded while it was away, then what is read for all; cut if it takes too little.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Version;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::timeout;

use super::super::App;
use super::super::access::Line;
use super::super::connection::{STALL, Stream};
use super::feed::{PAUSE, Place, block};
use super::ring::{Block, Found, Joined};
use service::orchestrator::{Resumed, Told};

/// How often a connection on which nothing happens is shown to be alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What one who was away reads at once: so many entries, and not many more than so many bytes, of which the last entry alone may
/// be the largest.
const ENTRIES: usize = 512;
const BYTES: usize = 128 << 10;

/// Bytes in memory of what is read at once, at most: the entry, its compact form and the event.
const READING: u32 = 4 << 20;

/// One who was away and takes nothing for this time is cut: what it holds others wait for.
const STALL_BEHIND: Duration = Duration::from_secs(10);

/// How long a follower that is told to end has for taking that.
const END: Duration = Duration::from_secs(2);

/// One who follows.
pub struct Follower {
    app: Arc<App>,
    resumed: Resumed,
    place: Place,
    is_chunked: bool,
    /// What is said of its request; its bytes are counted there.
    line: Option<Arc<Line>>,
}

/// Why it is no longer served.
enum End {
    /// The service closes, or it is too late for what is read for all: it can go on after its last event.
    Cut,
    /// Nothing can be sent to it.
    Broken,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> End {
        End::Broken
    }
}

impl Follower {
    pub fn new(
        app: Arc<App>,
        resumed: Resumed,
        place: Place,
        version: Version,
        line: Option<Arc<Line>>,
    ) -> Follower {
        Follower {
            app,
            resumed,
            place,
            is_chunked: version == Version::HTTP_11,
            line,
        }
    }

    /// Serves it on a thread that gives way, until it goes. `busy` is held as long.
    pub fn follow(self, stream: Stream, busy: watch::Receiver<()>) {
        let Some(runtime) = self.app.feed.runtime() else {
            return;
        };
        runtime.spawn(async move {
            let Ok(stream) = stream.moved_here() else {
                return;
            };
            let (read, write) = tokio::io::split(stream);
            self.serve(read, write).await;
            drop(busy);
        });
    }

    async fn serve(self, read: impl AsyncRead + Unpin, write: impl AsyncWrite + Unpin) {
        let app = self.app.clone();
        let mut out = Out {
            write,
            is_chunked: self.is_chunked,
            patience: STALL,
            line: self.line.clone(),
        };
        let ended = tokio::select! {
            ended = self.tell(&mut out) => ended,
            () = gone(read) => End::Broken,
            () = app.closing() => End::Cut,
        };
        if let End::Cut = ended {
            if !app.is_stopping() {
                app.orchestrator.metrics().service.followers_cut.increment();
            }
            let _ = timeout(END, out.end()).await;
        }
    }

    /// Tells until it cannot.
    async fn tell<W: AsyncWrite + Unpin>(self, out: &mut Out<W>) -> End {
        let mut told = self.resumed.told;
        if self.resumed.gap && out.block(&Block::gap(told)).await.is_err() {
            return End::Broken;
        }
        let mut changes = self.app.feed.changes();
        loop {
            let lasted = match self.app.feed.join(told) {
                Joined::At(sequence) => return self.tell_live(out, sequence).await,
                Joined::Behind(until) => self.tell_behind(out, &mut told, until).await,
                Joined::NotYet => out.wait(&mut changes).await,
            };
            if let Err(end) = lasted {
                return end;
            }
        }
    }

    /// Reads what was recorded while it was away, a page of it.
    async fn tell_behind<W: AsyncWrite + Unpin>(
        &self,
        out: &mut Out<W>,
        told: &mut Told,
        until: u64,
    ) -> Result<(), End> {
        let behind = self.app.feed.behind.clone();
        let Ok(mut budget) = behind.acquire_many_owned(READING).await else {
            return Err(End::Broken);
        };
        let orchestrator = &self.app.orchestrator;
        let news = orchestrator.recorded_after(*told, until, ENTRIES, BYTES);
        let mut news = match news.await {
            Ok(news) => news,
            Err(error) => {
                tracing::warn!(%error, "what is recorded cannot be told to one who follows");
                drop(budget);
                tokio::time::sleep(PAUSE).await;
                return Ok(out.keep_alive().await?);
            }
        };
        if let Some((time, task_id)) = &self.resumed.skip {
            // Told before, in the order that events had then.
            news.entries.retain(|(_, entry)| {
                let recorded_at = entry.recorded_at.microseconds();
                recorded_at != *time || entry.task_id > *task_id
            });
        }
        let (is_gap, now) = (news.gap, news.told);
        if is_gap {
            out.block(&Block::gap(now)).await?;
        }
        let is_last = now == *told;
        let block = block(orchestrator, news).await;
        // What is held from here on is the events alone.
        let held: usize = block.pieces.iter().map(Bytes::len).sum();
        drop(budget.split(READING as usize - held.min(READING as usize)));
        out.patience = STALL_BEHIND;
        out.block(&block).await?;
        out.patience = STALL;
        *told = now;
        if is_last && !is_gap {
            // The reader of all is ahead of what this one sees, for a moment.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Sends what is read for all.
    async fn tell_live<W: AsyncWrite + Unpin>(&self, out: &mut Out<W>, mut sequence: u64) -> End {
        let mut changes = self.app.feed.changes();
        let mut piece = 0;
        loop {
            self.place.at.store(sequence, Ordering::Relaxed);
            let sent = match self.app.feed.find(sequence, piece) {
                Found::Piece(bytes) => {
                    piece += 1;
                    out.piece(&bytes).await.map_err(End::from)
                }
                Found::End => {
                    sequence += 1;
                    piece = 0;
                    Ok(())
                }
                Found::NotYet => out.wait(&mut changes).await,
                // In the middle of an event it is not ended in peace: half of one is none.
                Found::Gone if piece > 0 => {
                    let numbers = &self.app.orchestrator.metrics().service;
                    numbers.followers_cut.increment();
                    return End::Broken;
                }
                Found::Gone => Err(End::Cut),
            };
            if let Err(end) = sent {
                return end;
            }
        }
    }
}

/// Until the peer has gone. What it sends is nothing to anybody.
async fn gone(mut read: impl AsyncRead + Unpin) {
    let mut thrown_away = [0; 512];
    while let Ok(1..) = read.read(&mut thrown_away).await {}
}

/// The body of an answer that has no end.
struct Out<W> {
    write: W,
    is_chunked: bool,
    /// How long the peer may take nothing.
    patience: Duration,
    line: Option<Arc<Line>>,
}

impl<W: AsyncWrite + Unpin> Out<W> {
    async fn block(&mut self, block: &Block) -> io::Result<()> {
        for piece in &block.pieces {
            self.piece(piece).await?;
        }
        Ok(())
    }

    async fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        let stalled = || io::Error::from(io::ErrorKind::TimedOut);
        let patience = self.patience;
        let writing = async {
            if self.is_chunked {
                let size = format!("{:x}\r\n", piece.len());
                let parts = [size.as_bytes(), piece, b"\r\n"].concat();
                self.write.write_all(&parts).await
            } else {
                self.write.write_all(piece).await
            }
        };
        timeout(patience, writing).await.map_err(|_| stalled())??;
        if let Some(line) = &self.line {
            tokio::time::sleep(line.note_sent(piece.len())).await;
        }
        Ok(())
    }

    async fn keep_alive(&mut self) -> io::Result<()> {
        self.piece(b":\n\n").await
    }

    /// Waits for news, and shows now and then that it lives.
    async fn wait(&mut self, changes: &mut watch::Receiver<()>) -> Result<(), End> {
        match timeout(KEEP_ALIVE, changes.changed()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Cut),
            Err(_) => Ok(self.keep_alive().await?),
        }
    }

    async fn end(&mut self) -> io::Result<()> {
        if self.is_chunked {
            self.write.write_all(b"0\r\n\r\n").await?;
        }
        self.write.shutdown().await
    }
}
