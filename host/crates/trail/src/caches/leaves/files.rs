//! The hashes of the Merkle tree in files: the leaves, and the nodes of every eighth height, so that a root or a proof
//! takes few reads. This is a cache: nothing is synced, and readers check that it leads to the expected root.
//!
//! There is one file for each of these heights, named after it, with the hashes of the complete subtrees of that
//! height, 32 bytes each, the oldest first. `head` has their state: magic, length of an id, size, tip, the last entry's
//! commit, root, origin, and a digest of these.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use sha2::{Digest, Sha256};

use crate::place::shared_repository;

use crate::caches::leaves::hash::{GrowingTree, TreeHash, fold, node};

const MAGIC: &[u8; 8] = b"CHIFTRE1";
const HEAD: usize = 256;
/// The offsets of the origin and the digest in the head.
const ORIGIN: usize = 128;
const DIGEST: usize = HEAD - 32;
/// The difference between the stored heights: any other node is computed from at most 2^7 stored ones.
const STEP: u32 = 8;
/// Hashes are written in pieces of about a megabyte.
const PIECE: usize = 32 << 10;

/// The state of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) size: u64,
    /// The tip of the trail that the files are complete up to.
    pub(super) tip: ObjectId,
    /// The commit of the last entry; null if there is none.
    pub(super) last: ObjectId,
    pub(super) root: TreeHash,
    pub(super) origin: String,
}

/// The files of one trail's Merkle tree.
pub(super) struct Files {
    dir: PathBuf,
    hash: HashKind,
    levels: Vec<Option<File>>,
}

impl Files {
    pub(super) fn new(dir: PathBuf, hash: HashKind) -> Files {
        Files {
            dir,
            hash,
            levels: Vec::new(),
        }
    }

    fn head_path(&self) -> PathBuf {
        self.dir.join("head")
    }

    /// Reads the state of the files; `None` if they are missing, torn or in another format.
    pub(super) fn read_head(&self) -> Option<Head> {
        let bytes = std::fs::read(self.head_path()).ok()?;
        let bytes: &[u8; HEAD] = bytes.as_slice().try_into().ok()?;
        let length = self.hash.len_in_bytes();
        let whole = bytes[..8] == MAGIC[..]
            && usize::from(bytes[8]) == length
            && Sha256::digest(&bytes[..DIGEST])[..] == bytes[DIGEST..];
        let (size, _) = bytes[16..].split_first_chunk::<8>()?;
        let (root, _) = bytes[88..].split_first_chunk::<32>()?;
        let origin = bytes.get(ORIGIN..ORIGIN + usize::from(bytes[9]))?;
        whole.then(|| Head {
            size: u64::from_be_bytes(*size),
            tip: ObjectId::from_bytes_or_panic(&bytes[24..24 + length]),
            last: ObjectId::from_bytes_or_panic(&bytes[56..56 + length]),
            root: *root,
            origin: String::from_utf8_lossy(origin).into_owned(),
        })
    }

    fn write_head(&self, head: &Head) -> io::Result<()> {
        let mut bytes = [0u8; HEAD];
        let length = self.hash.len_in_bytes();
        let origin = head.origin.as_bytes();
        if origin.len() > DIGEST - ORIGIN {
            return Err(io::Error::other("the origin is too long"));
        }
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8] = length as u8;
        bytes[9] = origin.len() as u8;
        bytes[16..24].copy_from_slice(&head.size.to_be_bytes());
        bytes[24..24 + length].copy_from_slice(head.tip.as_slice());
        bytes[56..56 + length].copy_from_slice(head.last.as_slice());
        bytes[88..120].copy_from_slice(&head.root);
        bytes[ORIGIN..ORIGIN + origin.len()].copy_from_slice(origin);
        let digest = Sha256::digest(&bytes[..DIGEST]);
        bytes[DIGEST..].copy_from_slice(&digest);
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false);
        let head = options.open(self.head_path())?;
        shared_repository::follow_directory(&self.head_path());
        head.write_all_at(&bytes, 0)
    }

    /// The tree of the files up to `head`; `None` if it does not have the root in `head`.
    pub(super) fn grown(&mut self, head: &Head) -> Option<GrowingTree> {
        let mut peaks = Vec::new();
        let mut begin = 0;
        for height in (0..u64::BITS).rev().filter(|bit| head.size >> bit & 1 == 1) {
            peaks.push(self.node(height, begin >> height).ok()?);
            begin += 1 << height;
        }
        let size = head.size;
        let growing = GrowingTree { size, peaks };
        (growing.root() == head.root).then_some(growing)
    }

    /// Writes leaves after those of `growing`, and the nodes that they complete.
    pub(super) fn append(
        &mut self,
        growing: &mut GrowingTree,
        leaves: &[TreeHash],
    ) -> io::Result<()> {
        for piece in leaves.chunks(PIECE) {
            let first = growing.size;
            let mut completed: Vec<(u32, Vec<u8>)> = Vec::new();
            for leaf in piece {
                growing.push(*leaf, |height, hash| {
                    if !height.is_multiple_of(STEP) {
                        return;
                    }
                    let level = (height / STEP) as usize;
                    if completed.len() <= level {
                        completed.resize_with(level + 1, || (0, Vec::new()));
                    }
                    completed[level].0 = height;
                    completed[level].1.extend_from_slice(hash);
                });
            }
            for (height, hashes) in completed.iter().filter(|(_, hashes)| !hashes.is_empty()) {
                let at = (first >> height) * 32;
                self.level(*height)?.write_all_at(hashes, at)?;
            }
        }
        Ok(())
    }

    /// Writes the state of the files.
    pub(super) fn finish(&self, head: &Head) -> io::Result<()> {
        self.write_head(head)
    }

    /// Deletes all files, so that the next write starts from nothing.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.levels.clear();
        // The head first: without it the other files are ignored.
        for name in ["head", "0", "8", "16", "24", "32"] {
            match std::fs::remove_file(self.dir.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        match std::fs::create_dir(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => {
                shared_repository::follow_directory(&self.dir);
                Ok(())
            }
        }
    }

    /// The first `size` leaves.
    pub(super) fn leaves(&mut self, size: u64) -> io::Result<Vec<TreeHash>> {
        match size {
            0 => Ok(Vec::new()),
            _ => self.read(0, 0, size),
        }
    }

    /// The root of the complete subtree with this height and number.
    fn node(&mut self, height: u32, number: u64) -> io::Result<TreeHash> {
        let kept = height - height % STEP;
        let count = 1 << (height - kept);
        let hashes = self.read(kept, number * count, count)?;
        fold(hashes).ok_or_else(|| io::Error::other("there is no such node"))
    }

    /// The root over the leaves from `begin` up to but not including `end`, as RFC 6962 defines it.
    pub(super) fn root_of(&mut self, begin: u64, end: u64) -> io::Result<TreeHash> {
        let length = end - begin;
        if length.is_power_of_two() {
            let height = length.trailing_zeros();
            return self.node(height, begin >> height);
        }
        let split = begin + length.next_power_of_two() / 2;
        Ok(node(
            &self.root_of(begin, split)?,
            &self.root_of(split, end)?,
        ))
    }

    /// The inclusion proof of a leaf in the tree of the first `size` leaves.
    pub(super) fn proof(&mut self, index: u64, size: u64) -> io::Result<Vec<TreeHash>> {
        let (mut begin, mut end) = (0, size);
        let mut proof = Vec::new();
        while end - begin > 1 {
            let split = begin + (end - begin).next_power_of_two() / 2;
            if index < split {
                proof.push(self.root_of(split, end)?);
                end = split;
            } else {
                proof.push(self.root_of(begin, split)?);
                begin = split;
            }
        }
        proof.reverse();
        Ok(proof)
    }

    /// The consistency proof between the trees of the first `old` and the first `new` leaves (RFC 6962, section 2.1.2).
    pub(super) fn consistency(&mut self, old: u64, new: u64) -> io::Result<Vec<TreeHash>> {
        let mut proof = Vec::new();
        if old == 0 || old >= new {
            return Ok(proof);
        }
        let (mut begin, mut end) = (0, new);
        // Whether the rest of the old tree is all of it, whose root is known.
        let mut is_whole = true;
        while old != end {
            let split = begin + (end - begin).next_power_of_two() / 2;
            if old <= split {
                proof.push(self.root_of(split, end)?);
                end = split;
            } else {
                proof.push(self.root_of(begin, split)?);
                begin = split;
                is_whole = false;
            }
        }
        if !is_whole {
            proof.push(self.root_of(begin, end)?);
        }
        proof.reverse();
        Ok(proof)
    }

    /// Finds the number of a leaf among the first `size` by its hash.
    pub(super) fn position(&mut self, leaf: &TreeHash, size: u64) -> io::Result<Option<u64>> {
        let mut piece = vec![0u8; PIECE * 32];
        let mut begin = 0;
        while begin < size {
            let count = (size - begin).min(PIECE as u64) as usize;
            let piece = &mut piece[..count * 32];
            self.level(0)?.read_exact_at(piece, begin * 32)?;
            let (hashes, _) = piece.as_chunks::<32>();
            if let Some(place) = hashes.iter().position(|hash| hash == leaf) {
                return Ok(Some(begin + place as u64));
            }
            begin += count as u64;
        }
        Ok(None)
    }

    fn read(&mut self, height: u32, first: u64, count: u64) -> io::Result<Vec<TreeHash>> {
        let mut bytes = vec![0u8; count as usize * 32];
        self.level(height)?.read_exact_at(&mut bytes, first * 32)?;
        Ok(bytes.as_chunks::<32>().0.to_vec())
    }

    fn level(&mut self, height: u32) -> io::Result<&File> {
        let level = (height / STEP) as usize;
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, || None);
        }
        let slot = &mut self.levels[level];
        if slot.is_none() {
            *slot = Some(open(&self.dir.join(height.to_string()))?);
        }
        slot.as_ref()
            .ok_or_else(|| io::Error::other("it was just opened"))
    }
}

/// A trail that cannot be written can still be read.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .inspect(|_| shared_repository::follow_directory(path))
        .or_else(|_| File::open(path))
}
