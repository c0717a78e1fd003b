//! One follower: first receives what was recorded while it was away, then the shared events. It is disconnected if it
//! reads too slowly.

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
use super::feed::{PAUSE, Registration, block};
use super::ring::{Block, JoinPoint, PieceLookup};
use service::orchestrator::{FollowStart, FollowerPosition};

/// How often to send a keep-alive on an idle connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How many entries a follower that is catching up reads at once. There is also a limit in bytes, which only the last
/// entry may exceed.
const ENTRIES: usize = 512;
const BYTES: usize = 128 << 10;

/// Bytes in memory of what is read at once, at most: the entry, its compact form and the event.
const READING: u32 = 4 << 20;

/// A follower that is catching up and reads nothing for this time is disconnected, because others wait for its
/// memory.
const STALL_BEHIND: Duration = Duration::from_secs(10);

/// How long a follower has to read the end of the stream.
const END: Duration = Duration::from_secs(2);

/// A connected follower.
pub struct Follower {
    app: Arc<App>,
    resumed: FollowStart,
    registration: Registration,
    is_chunked: bool,
    /// The access log's line for its request, which also counts its bytes.
    line: Option<Arc<Line>>,
}

/// Why a follower is no longer served.
enum End {
    /// The service is closing, or the follower is too slow for the shared events. It can continue after its last
    /// event.
    Cut,
    /// Nothing can be sent to it any longer.
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
        resumed: FollowStart,
        registration: Registration,
        version: Version,
        line: Option<Arc<Line>>,
    ) -> Follower {
        Follower {
            app,
            resumed,
            registration,
            is_chunked: version == Version::HTTP_11,
            line,
        }
    }

    /// Serves it on the low-priority thread until it disconnects. Holds `busy` until then.
    pub fn follow(self, stream: Stream, busy: watch::Receiver<()>) {
        let Some(runtime) = self.app.feed.runtime() else {
            return;
        };
        runtime.spawn(async move {
            let Ok(stream) = stream.on_this_runtime() else {
                return;
            };
            let (read, write) = tokio::io::split(stream);
            self.serve(read, write).await;
            drop(busy);
        });
    }

    async fn serve(self, read: impl AsyncRead + Unpin, write: impl AsyncWrite + Unpin) {
        let app = self.app.clone();
        let mut out = EventWriter {
            write,
            is_chunked: self.is_chunked,
            patience: STALL,
            line: self.line.clone(),
        };
        let ended = tokio::select! {
            ended = self.send(&mut out) => ended,
            () = wait_for_disconnect(read) => End::Broken,
            () = app.closing() => End::Cut,
        };
        if let End::Cut = ended {
            if !app.is_stopping() {
                app.orchestrator.metrics().service.followers_cut.increment();
            }
            let _ = timeout(END, out.end()).await;
        }
    }

    /// Sends events until that is impossible.
    async fn send<W: AsyncWrite + Unpin>(self, out: &mut EventWriter<W>) -> End {
        let mut reached = self.resumed.reached;
        if self.resumed.gap && out.block(&Block::gap(reached)).await.is_err() {
            return End::Broken;
        }
        let mut changes = self.app.feed.changes();
        loop {
            let lasted = match self.app.feed.join(reached) {
                JoinPoint::At(sequence) => return self.send_live(out, sequence).await,
                JoinPoint::Behind(until) => self.send_missed(out, &mut reached, until).await,
                JoinPoint::NotYet => out.wait(&mut changes).await,
            };
            if let Err(end) = lasted {
                return end;
            }
        }
    }

    /// Reads and sends one page of what was recorded while it was away.
    async fn send_missed<W: AsyncWrite + Unpin>(
        &self,
        out: &mut EventWriter<W>,
        reached: &mut FollowerPosition,
        until: u64,
    ) -> Result<(), End> {
        let behind = self.app.feed.behind.clone();
        let Ok(mut budget) = behind.acquire_many_owned(READING).await else {
            return Err(End::Broken);
        };
        let orchestrator = &self.app.orchestrator;
        let news = orchestrator.recorded_after(*reached, until, ENTRIES, BYTES);
        let mut news = match news.await {
            Ok(news) => news,
            Err(error) => {
                tracing::warn!(%error, "recorded entries cannot be sent to a follower");
                drop(budget);
                tokio::time::sleep(PAUSE).await;
                return Ok(out.keep_alive().await?);
            }
        };
        if let Some((time, task_id)) = &self.resumed.skip {
            // Already sent, in the order that events had then.
            news.entries.retain(|(_, entry)| {
                let recorded_at = entry.recorded_at.microseconds();
                recorded_at != *time || entry.task_id > *task_id
            });
        }
        let (is_gap, now) = (news.gap, news.reached);
        if is_gap {
            out.block(&Block::gap(now)).await?;
        }
        let is_last = now == *reached;
        let block = block(orchestrator, news).await;
        // From here on only the events take memory.
        let held: usize = block.pieces.iter().map(Bytes::len).sum();
        drop(budget.split(READING as usize - held.min(READING as usize)));
        out.patience = STALL_BEHIND;
        out.block(&block).await?;
        out.patience = STALL;
        *reached = now;
        if is_last && !is_gap {
            // The shared reader is briefly ahead of what this follower sees.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Counts that the follower was cut off within an event.
    fn cut(&self) -> End {
        let numbers = &self.app.orchestrator.metrics().service;
        numbers.followers_cut.increment();
        End::Broken
    }

    /// Sends the shared events.
    async fn send_live<W: AsyncWrite + Unpin>(
        &self,
        out: &mut EventWriter<W>,
        mut sequence: u64,
    ) -> End {
        let mut changes = self.app.feed.changes();
        let mut drops = self.app.feed.changes();
        let mut piece = 0;
        loop {
            self.registration.at.store(sequence, Ordering::Relaxed);
            let sent = match self.app.feed.find(sequence, piece) {
                PieceLookup::Piece(bytes) => {
                    piece += 1;
                    tokio::select! {
                        sent = out.piece(&bytes) => sent.map_err(End::from),
                        // The rest of the event is gone, so that it is useless to wait until the peer reads.
                        () = self.app.feed.dropped(sequence, &mut drops) => return self.cut(),
                    }
                }
                PieceLookup::End => {
                    sequence += 1;
                    piece = 0;
                    Ok(())
                }
                PieceLookup::NotYet => out.wait(&mut changes).await,
                // Ending cleanly in the middle of an event would leave half an event.
                PieceLookup::Gone if piece > 0 => return self.cut(),
                PieceLookup::Gone => Err(End::Cut),
            };
            if let Err(end) = sent {
                return end;
            }
        }
    }
}

/// Waits until the peer disconnects. What it sends is discarded.
async fn wait_for_disconnect(mut read: impl AsyncRead + Unpin) {
    let mut thrown_away = [0; 512];
    while let Ok(1..) = read.read(&mut thrown_away).await {}
}

/// The body of an endless answer.
struct EventWriter<W> {
    write: W,
    is_chunked: bool,
    /// How long the peer may read nothing.
    patience: Duration,
    line: Option<Arc<Line>>,
}

impl<W: AsyncWrite + Unpin> EventWriter<W> {
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
                self.write.write_all(&parts).await?;
            } else {
                self.write.write_all(piece).await?;
            }
            // TLS keeps what the peer does not take at once.
            self.write.flush().await
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

    /// Waits for news, and sends keep-alives meanwhile.
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
