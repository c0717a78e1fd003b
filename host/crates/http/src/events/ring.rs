//! The ring of events that were read and may not have reached every follower. It is bounded in bytes; the oldest
//! events are dropped.

use std::collections::VecDeque;

use axum::body::Bytes;

use super::super::answers::RecordedEntry;
use service::orchestrator::{FollowerPosition, Position};

/// The most bytes of events to keep: some seconds of an ordinary burst, or sixteen of the largest entries.
pub const RING_BYTES: usize = 16 << 20;

/// Events are split into separately allocated pieces of at most this many bytes, so that a follower holds only one or
/// two.
const PIECE: usize = 32 << 10;

/// Consecutive events in their wire form.
pub struct Block {
    pub pieces: Vec<Bytes>,
    bytes: usize,
    /// The number of the first entry; `None` if the block has no entries.
    first: Option<u64>,
    /// The follower's position after this block.
    pub reached: FollowerPosition,
}

impl Block {
    /// The event that says that some entries were missed and cannot be sent.
    pub fn gap(reached: FollowerPosition) -> Block {
        let event = Bytes::from_static(b"event: gap\ndata: {}\n\n");
        Block {
            bytes: event.len(),
            pieces: vec![event],
            first: None,
            reached,
        }
    }

    /// The events for these entries.
    pub fn of(events: Vec<(Position, RecordedEntry)>, reached: FollowerPosition) -> Block {
        let first = events.first().map(|(position, _)| position.number);
        let mut block = Block {
            pieces: Vec::new(),
            bytes: 0,
            first,
            reached,
        };
        let mut text = Vec::new();
        for (position, recorded) in events {
            text.extend_from_slice(format!("event: recorded\nid: {position}\ndata: ").as_bytes());
            // Its parts are numbers, texts and parsed JSON: writing it to memory cannot fail.
            if serde_json::to_writer(&mut text, &recorded).is_err() {
                tracing::error!(%position, "an event could not be written");
            }
            text.extend_from_slice(b"\n\n");
            if text.len() >= PIECE {
                block.take(&mut text);
            }
        }
        block.take(&mut text);
        block
    }

    fn take(&mut self, text: &mut Vec<u8>) {
        self.bytes += text.len();
        self.pieces
            .extend(text.chunks(PIECE).map(Bytes::copy_from_slice));
        text.clear();
    }
}

/// The result of looking up a follower's position.
pub enum PieceLookup {
    /// The next piece.
    Piece(Bytes),
    /// The block has been sent completely.
    End,
    /// Nothing new yet.
    NotYet,
    /// The block was dropped.
    Gone,
}

/// How a follower joins the shared events.
#[derive(Debug, PartialEq, Eq)]
pub enum JoinPoint {
    /// From this block on.
    At(u64),
    /// It must first read the trail itself, up to this number.
    Behind(u64),
    /// Not yet: the reader has not started.
    NotYet,
}

/// The blocks, by their sequence numbers.
#[derive(Default)]
pub struct Ring {
    blocks: VecDeque<Block>,
    /// The sequence number of the first block.
    first: u64,
    bytes: usize,
    /// The reader's position.
    reached: Option<FollowerPosition>,
}

impl Ring {
    /// Restarts at a position, or stops. Sequence numbers are not reused.
    pub fn restart(&mut self, reached: Option<FollowerPosition>) {
        self.first += self.blocks.len() as u64;
        self.blocks.clear();
        self.bytes = 0;
        self.reached = reached;
    }

    /// Whether the first block must be dropped before `added` is appended.
    pub fn is_full_for(&self, added: &Block) -> bool {
        self.bytes + added.bytes > RING_BYTES && !self.blocks.is_empty()
    }

    /// Whether this is the first block, the next to be dropped. A follower at an earlier block has lost it already: waiting for that
    /// follower would only delay the others.
    pub fn is_first(&self, sequence: u64) -> bool {
        sequence == self.first
    }

    pub fn remove_first(&mut self) {
        if let Some(block) = self.blocks.pop_front() {
            self.bytes -= block.bytes;
            self.first += 1;
        }
    }

    pub fn add(&mut self, block: Block) {
        self.bytes += block.bytes;
        self.reached = Some(block.reached);
        self.blocks.push_back(block);
    }

    pub fn find(&self, sequence: u64, piece: usize) -> PieceLookup {
        if sequence < self.first {
            return PieceLookup::Gone;
        }
        let at = usize::try_from(sequence - self.first).unwrap_or(usize::MAX);
        match self.blocks.get(at) {
            None => PieceLookup::NotYet,
            Some(block) => match block.pieces.get(piece) {
                Some(piece) => PieceLookup::Piece(piece.clone()),
                None => PieceLookup::End,
            },
        }
    }

    /// Where a follower at this position joins.
    pub fn join(&self, reached: FollowerPosition) -> JoinPoint {
        let Some(reader) = self.reached else {
            return JoinPoint::NotYet;
        };
        let next = self.first + self.blocks.len() as u64;
        if reader.history != reached.history {
            // One of the two has not noticed yet that history was replaced.
            return JoinPoint::Behind(u64::MAX);
        }
        if reached.number == reader.number {
            return JoinPoint::At(next);
        }
        if reached.number > reader.number {
            return JoinPoint::NotYet;
        }
        let entries = (self.first..).zip(&self.blocks);
        let entries = entries.filter(|(_, block)| block.reached.history == reached.history);
        let mut later = entries.filter_map(|(sequence, block)| Some((sequence, block.first?)));
        match later.find(|(_, first)| *first > reached.number) {
            Some((sequence, first)) if first == reached.number + 1 => JoinPoint::At(sequence),
            Some((_, first)) => JoinPoint::Behind(first - 1),
            None => JoinPoint::Behind(reader.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(number: u64) -> FollowerPosition {
        FollowerPosition { history: 0, number }
    }

    fn block(first: u64, last: u64) -> Block {
        let pieces = vec![Bytes::from(vec![0; 1 << 20])];
        Block {
            pieces,
            bytes: 1 << 20,
            first: Some(first),
            reached: reached(last),
        }
    }

    #[test]
    fn a_follower_that_was_away_catches_up_and_joins_the_others() {
        let mut ring = Ring::default();
        assert_eq!(ring.join(reached(5)), JoinPoint::NotYet);
        ring.restart(Some(reached(10)));
        assert_eq!(ring.join(reached(10)), JoinPoint::At(0));
        assert_eq!(ring.join(reached(5)), JoinPoint::Behind(10));
        assert_eq!(ring.join(reached(11)), JoinPoint::NotYet);
        ring.add(block(11, 20));
        ring.add(block(21, 30));
        assert_eq!(ring.join(reached(5)), JoinPoint::Behind(10));
        assert_eq!(ring.join(reached(10)), JoinPoint::At(0));
        assert_eq!(ring.join(reached(15)), JoinPoint::Behind(20));
        assert_eq!(ring.join(reached(20)), JoinPoint::At(1));
        assert_eq!(ring.join(reached(25)), JoinPoint::Behind(30));
        assert_eq!(ring.join(reached(30)), JoinPoint::At(2));
        ring.remove_first();
        assert_eq!(ring.join(reached(10)), JoinPoint::Behind(20));
        assert!(matches!(ring.find(0, 0), PieceLookup::Gone));
        assert!(matches!(ring.find(1, 0), PieceLookup::Piece(_)));
        assert!(matches!(ring.find(1, 1), PieceLookup::End));
        assert!(matches!(ring.find(2, 0), PieceLookup::NotYet));
        let another = FollowerPosition {
            history: 1,
            number: 30,
        };
        assert_eq!(ring.join(another), JoinPoint::Behind(u64::MAX));
    }

    #[test]
    fn a_full_ring_drops_its_oldest_block() {
        let mut ring = Ring::default();
        ring.restart(Some(reached(0)));
        for number in 1..=16 {
            assert!(!ring.is_full_for(&block(number, number)));
            ring.add(block(number, number));
        }
        assert!(ring.is_full_for(&block(17, 17)));
        ring.restart(None);
        assert!(!ring.is_full_for(&block(17, 17)));
        ring.restart(Some(reached(17)));
        assert_eq!(ring.join(reached(17)), JoinPoint::At(16));
    }

    /// Each block after it took two seconds for all the others.
    #[test]
    fn a_follower_whose_block_was_dropped_is_not_waited_for() {
        let mut ring = Ring::default();
        ring.restart(Some(reached(0)));
        for number in 1..=3 {
            ring.add(block(number, number));
        }
        let stuck = 0;
        assert!(ring.is_first(stuck));
        ring.remove_first();
        assert!(!ring.is_first(stuck) && ring.is_first(1));
    }
}
