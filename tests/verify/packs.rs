//! Packs that no git writes: bombs, endless chains, cycles, garbage. Each results in a specific claim.

use sha1::{Digest, Sha1};

use super::forge::{Commit, Forge, holds, sharded};

/// A pack and its index, written byte by byte.
#[derive(Default)]
struct Pack {
    bytes: Vec<u8>,
    objects: Vec<(Vec<u8>, u32)>,
}

impl Pack {
    fn new() -> Pack {
        Pack {
            bytes: b"PACK\0\0\0\x02\0\0\0\0".to_vec(),
            objects: Vec::new(),
        }
    }

    /// Adds an entry with this header and id; `size` is the declared size.
    fn push(&mut self, name: &str, kind: u8, size: u64, base: &[u8], content: &[u8]) -> u32 {
        let offset = self.bytes.len() as u32;
        self.objects.push((unhex(name), offset));
        let mut rest = size >> 4;
        self.bytes
            .push(kind << 4 | (size & 15) as u8 | if rest > 0 { 0x80 } else { 0 });
        while rest > 0 {
            self.bytes
                .push((rest & 127) as u8 | if rest > 127 { 0x80 } else { 0 });
            rest >>= 7;
        }
        self.bytes.extend_from_slice(base);
        let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::fastest());
        let mut packed = vec![0; compressor.zlib_compress_bound(content.len())];
        let length = compressor.zlib_compress(content, &mut packed).unwrap();
        self.bytes.extend_from_slice(&packed[..length]);
        offset
    }

    /// Writes pack and index into the repository.
    fn install(mut self, forge: &Forge) {
        let count = (self.objects.len() as u32).to_be_bytes();
        self.bytes[8..12].copy_from_slice(&count);
        let checksum = Sha1::digest(&self.bytes);
        self.bytes.extend_from_slice(&checksum);
        self.objects.sort();
        let mut index = b"\xfftOc\0\0\0\x02".to_vec();
        for first in 0..=255_u8 {
            let up_to = self
                .objects
                .iter()
                .filter(|(name, _)| name[0] <= first)
                .count() as u32;
            index.extend_from_slice(&up_to.to_be_bytes());
        }
        self.objects
            .iter()
            .for_each(|(name, _)| index.extend_from_slice(name));
        self.objects
            .iter()
            .for_each(|_| index.extend_from_slice(&[0; 4]));
        self.objects
            .iter()
            .for_each(|(_, offset)| index.extend_from_slice(&offset.to_be_bytes()));
        index.extend_from_slice(&checksum);
        let own = Sha1::digest(&index);
        index.extend_from_slice(&own);
        let directory = forge.git_dir().join("objects/pack");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("pack-forged.pack"), self.bytes).unwrap();
        std::fs::write(directory.join("pack-forged.idx"), index).unwrap();
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn blob_name(content: &[u8]) -> String {
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {}\0", content.len()));
    hasher.update(content);
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Makes a person's commit with this blob, which only a forged pack has. This runs before the pack exists: `mktree`
/// would read it, and stock git uses all memory on deltas that depend on each other.
fn name_blob(forge: &mut Forge, blob: &str) -> String {
    let root = forge.git(&["ls-tree", "audit"]);
    let listing = format!("{root}100644 blob {blob}\tforged\n");
    let tree = super::forge::feed(&forge.path, &["mktree", "--missing"], listing.as_bytes());
    let commit: Commit = forge.by_person(Vec::new());
    let id = forge.add_tree(String::from_utf8(tree).unwrap().trim(), &commit);
    forge.record(&sharded("after"));
    id
}

/// The offset of a base, in the form of a delta's header.
fn back(distance: u32) -> Vec<u8> {
    let mut bytes = vec![(distance & 127) as u8];
    let mut rest = distance >> 7;
    while rest > 0 {
        rest -= 1;
        bytes.insert(0, 0x80 | (rest & 127) as u8);
        rest >>= 7;
    }
    bytes
}

/// A delta that copies all of a base of this size.
fn copy(size: u8) -> Vec<u8> {
    vec![size, size, 0x90, size]
}

#[test]
fn a_decompression_bomb_is_named() {
    // It declares ten bytes and has 128 MiB; then one with the right size, as the base of a delta.
    let zeros = vec![0; 128 << 20];
    let name = "11".repeat(20);
    let mut forge = Forge::trail();
    let mut pack = Pack::new();
    pack.push(&name, 3, 10, &[], &zeros);
    let id = name_blob(&mut forge, &name);
    pack.install(&forge);
    forge.broken("objects", Some(&id), "compressed data is corrupt");
    forge.ends_within_512_mebibytes(3);

    let mut forge = Forge::trail();
    let mut pack = Pack::new();
    let base = pack.push(&"22".repeat(20), 3, zeros.len() as u64, &[], &zeros);
    let distance = pack.bytes.len() as u32 - base;
    pack.push(&name, 6, 4, &back(distance), &copy(1));
    name_blob(&mut forge, &name);
    pack.install(&forge);
    forge.not_shown("objects", "more than the");
    forge.ends_within_512_mebibytes(6);
}

#[test]
fn a_large_blob_is_hashed_as_a_stream() {
    let content = vec![7; 200 << 20];
    let name = blob_name(&content);
    let mut forge = Forge::trail();
    let mut pack = Pack::new();
    pack.push(&name, 3, content.len() as u64, &[], &content);
    name_blob(&mut forge, &name);
    pack.install(&forge);
    holds(&forge.path);
    let mut forge = Forge::trail();
    let mut pack = Pack::new();
    pack.push(&name, 3, content.len() as u64, &[], &content[1..]);
    let id = name_blob(&mut forge, &name);
    pack.install(&forge);
    forge.broken("objects", Some(&id), "shorter than its header says");
}

#[test]
fn an_endless_chain_of_deltas_is_named() {
    let mut forge = Forge::trail();
    let mut pack = Pack::new();
    let mut last = pack.push(&format!("{:040x}", 0), 3, 4, &[], b"deep");
    for number in 1..100_000_u32 {
        let distance = pack.bytes.len() as u32 - last;
        let name = if number == 99_999 {
            blob_name(b"deep")
        } else {
            format!("{number:040x}")
        };
        last = pack.push(&name, 6, 4, &back(distance), &copy(4));
    }
    name_blob(&mut forge, &blob_name(b"deep"));
    pack.install(&forge);
    forge.not_shown("objects", "more than 4095 deltas");
    forge.ends_within_512_mebibytes(6);
}

#[test]
fn deltas_that_rest_on_each_other_are_named() {
    let (one, two) = ("11".repeat(20), "22".repeat(20));
    let mut forge = Forge::trail();
    let mut pack = Pack::new();
    pack.push(&one, 7, 4, &unhex(&two), &copy(4));
    pack.push(&two, 7, 4, &unhex(&one), &copy(4));
    name_blob(&mut forge, &one);
    pack.install(&forge);
    forge.not_shown("objects", "more than 4095 deltas");
}

#[test]
fn garbage_in_a_pack_is_named() {
    let name = "11".repeat(20);
    for (kind, size, base, content, words) in [
        (0, 4, &[][..], &b"four"[..], "no known type"),
        (5, 4, &[], b"four", "no known type"),
        (6, 4, &[0][..], b"four", "is before the start of the pack"),
        (
            6,
            4,
            &[0xff, 0xff, 0xff, 0xff, 0x7f],
            b"four",
            "is before the start of the pack",
        ),
        (7, 4, &[9; 20], b"four", "is missing"),
        (3, 9 << 20, &[], b"four", "shorter than its header says"),
        (2, 9 << 20, &[], b"four", "compressed data is corrupt"),
        (3, 5, &[], b"four", "compressed data is corrupt"),
        (3, 3, &[], b"four", "compressed data is corrupt"),
        (2, 4, &[], b"four", "its content is that of"),
        (3, 4, &[], b"four", "its content is that of"),
    ] {
        let mut forge = Forge::trail();
        let mut pack = Pack::new();
        pack.push(&name, kind, size, base, content);
        let id = name_blob(&mut forge, &name);
        pack.install(&forge);
        forge.broken("objects", Some(&id), words);
    }
}
