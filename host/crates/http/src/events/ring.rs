//! The ring of events that were read and may not have reached every follower. It is bounded in bytes; the oldest
//! events are dropped.

use std::collections::VecDeque;

use axum::body::Bytes;

use super::super::answers::Recorded;
use service::orchestrator::{Position, Told};

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
    pub told: Told,
}

impl Block {
    /// The event that says that some entries were missed and cannot be sent.
    pub fn gap(told: Told) -> Block {
        let event = Bytes::from_static(b"event: gap\ndata: {}\n\n");
        Block {
            bytes: event.len(),
            pieces: vec![event],
            first: None,
            told,
        }
    }

    /// The events for these entries.
    pub fn of(events: Vec<(Position, Recorded)>, told: Told) -> Block {
        let first = events.first().map(|(position, _)| position.number);
        let mut block = Block {
            pieces: Vec::new(),
            bytes: 0,
            first,
            told,
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
pub enum Found {
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
pub enum Joined {
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
    told: Option<Told>,
}

impl Ring {
    /// Restarts at a position, or stops. Sequence numbers are not reused.
    pub fn restart(&mut self, told: Option<Told>) {
        self.first += self.blocks.len() as u64;
        self.blocks.clear();
        self.bytes = 0;
        self.told = told;
    }

    /// The sequence number of the block to drop when `added` is appended; `None` if there is room.
    pub fn gives_way(&self, added: &Block) -> Option<u64> {
        let is_full = self.bytes + added.bytes > RING_BYTES && !self.blocks.is_empty();
        is_full.then_some(self.first)
    }

    pub fn remove_first(&mut self) {
        if let Some(block) = self.blocks.pop_front() {
            self.bytes -= block.bytes;
            self.first += 1;
        }
    }

    pub fn add(&mut self, block: Block) {
        self.bytes += block.bytes;
        self.told = Some(block.told);
        self.blocks.push_back(block);
    }

    pub fn find(&self, sequence: u64, piece: usize) -> Found {
        if sequence < self.first {
            return Found::Gone;
        }
        let at = usize::try_from(sequence - self.first).unwrap_or(usize::MAX);
        match self.blocks.get(at) {
            None => Found::NotYet,
            Some(block) => match block.pieces.get(piece) {
                Some(piece) => Found::Piece(piece.clone()),
                None => Found::End,
            },
        }
    }

    /// Where a follower at this position joins.
    pub fn join(&self, told: Told) -> Joined {
        let Some(reader) = self.told else {
            return Joined::NotYet;
        };
        let next = self.first + self.blocks.len() as u64;
        if reader.history != told.history {
            // One of the two has not noticed yet that history was replaced.
            return Joined::Behind(u64::MAX);
        }
        if told.number == reader.number {
            return Joined::At(next);
        }
        if told.number > reader.number {
            return Joined::NotYet;
        }
        let entries = (self.first..).zip(&self.blocks);
        let entries = entries.filter(|(_, block)| block.told.history == told.history);
        let mut later = entries.filter_map(|(sequence, block)| Some((sequence, block.first?)));
        match later.find(|(_, first)| *first > told.number) {
            Some((sequence, first)) if first == told.number + 1 => Joined::At(sequence),
            Some((_, first)) => Joined::Behind(first - 1),
            None => Joined::Behind(reader.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(number: u64) -> Told {
        Told { history: 0, number }
    }

    fn block(first: u64, last: u64) -> Block {
        let pieces = vec![Bytes::from(vec![0; 1 << 20])];
        Block {
            pieces,
            bytes: 1 << 20,
            first: Some(first),
            told: told(last),
        }
    }

    #[test]
    fn a_follower_that_was_away_catches_up_and_joins_the_others() {
        let mut ring = Ring::default();
        assert_eq!(ring.join(told(5)), Joined::NotYet);
        ring.restart(Some(told(10)));
        assert_eq!(ring.join(told(10)), Joined::At(0));
        assert_eq!(ring.join(told(5)), Joined::Behind(10));
        assert_eq!(ring.join(told(11)), Joined::NotYet);
        ring.add(block(11, 20));
        ring.add(block(21, 30));
        assert_eq!(ring.join(told(5)), Joined::Behind(10));
        assert_eq!(ring.join(told(10)), Joined::At(0));
        assert_eq!(ring.join(told(15)), Joined::Behind(20));
        assert_eq!(ring.join(told(20)), Joined::At(1));
        assert_eq!(ring.join(told(25)), Joined::Behind(30));
        assert_eq!(ring.join(told(30)), Joined::At(2));
        ring.remove_first();
        assert_eq!(ring.join(told(10)), Joined::Behind(20));
        assert!(matches!(ring.find(0, 0), Found::Gone));
        assert!(matches!(ring.find(1, 0), Found::Piece(_)));
        assert!(matches!(ring.find(1, 1), Found::End));
        assert!(matches!(ring.find(2, 0), Found::NotYet));
        let another = Told {
            history: 1,
            number: 30,
        };
        assert_eq!(ring.join(another), Joined::Behind(u64::MAX));
    }

    #[test]
    fn a_full_ring_drops_its_oldest_block() {
        let mut ring = Ring::default();
        ring.restart(Some(told(0)));
        for number in 1..=16 {
            assert_eq!(ring.gives_way(&block(number, number)), None);
            ring.add(block(number, number));
        }
        assert_eq!(ring.gives_way(&block(17, 17)), Some(0));
        ring.restart(None);
        assert_eq!(ring.gives_way(&block(17, 17)), None);
        ring.restart(Some(told(17)));
        assert_eq!(ring.join(told(17)), Joined::At(16));
    }
}
