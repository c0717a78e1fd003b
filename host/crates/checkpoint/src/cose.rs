//! COSE receipts of inclusion (RFC 9942): the path from an entry to a root, and a signature over that root. For
//! programs that know neither git nor checkpoints.
//!
//! The tree is that of RFC 9162 with SHA-256, as for checkpoints. The leaf is a file beside the receipt.

use ciborium::Value;

use super::proof::place;
use super::{Checkpoint, CheckpointError, CheckpointKey};
use outcome::TaskId;
use trail::Trail;

/// Header parameters (algorithm, key id, claims, the data structure, its proofs) and their values.
const ALGORITHM: i64 = 1;
const EDDSA: i64 = -8;
const KEY_ID: i64 = 4;
const CLAIMS: i64 = 15;
const ISSUER: i64 = 1;
const STRUCTURE: i64 = 395;
const RFC9162_SHA256: i64 = 1;
const PROOFS: i64 = 396;
const INCLUSION: i64 = -1;

/// The tag of a COSE_Sign1.
const SIGN1: u64 = 18;

/// A receipt and its leaf.
pub struct CoseReceipt {
    /// The COSE_Sign1. Its payload, the root, is detached.
    pub receipt: Vec<u8>,
    /// The bytes whose hash, with a zero byte in front, is the leaf.
    pub leaf: Vec<u8>,
    /// The commit that added the entry.
    pub commit: String,
    /// How many entries precede it.
    pub index: u64,
    /// The checkpoint whose root the receipt leads to.
    pub checkpoint: Checkpoint,
}

/// Makes a receipt for a task's entry under a checkpoint, the last one in `notes`, signed by this key.
///
/// # Errors
///
/// There is no such entry, it is the only one, the checkpoint is older or belongs to another trail, or the trail
/// cannot be read.
pub fn receipt(
    trail: &Trail,
    task: &TaskId,
    notes: &str,
    key: &CheckpointKey,
) -> Result<CoseReceipt, CheckpointError> {
    let (placed, _) = place(trail, task, notes)?;
    if placed.hashes.is_empty() {
        return Err(CheckpointError::Target(
            "RFC 9942 has no receipt for the only entry of a trail: make it when there are two"
                .into(),
        ));
    }
    let protected = protected(&key.id(), &placed.checkpoint.origin);
    let signature = key.sign_bytes(&to_be_signed(&protected, &placed.checkpoint.root));
    let receipt = sign1(
        &protected,
        (placed.checkpoint.size, placed.index),
        &placed.hashes,
        &signature,
    );
    Ok(CoseReceipt {
        leaf: trail.leaf_contents(&placed.path, &placed.entry, &placed.contents),
        receipt,
        commit: placed.commit,
        index: placed.index,
        checkpoint: placed.checkpoint,
    })
}

fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("a vector takes whatever is written");
    bytes
}

fn map(members: Vec<(i64, Value)>) -> Value {
    let members = members.into_iter();
    Value::Map(members.map(|(key, value)| (key.into(), value)).collect())
}

/// The signed headers.
fn protected(key_id: &[u8], origin: &str) -> Vec<u8> {
    encode(&map(vec![
        (ALGORITHM, EDDSA.into()),
        (KEY_ID, Value::Bytes(key_id.to_vec())),
        (CLAIMS, map(vec![(ISSUER, origin.into())])),
        (STRUCTURE, RFC9162_SHA256.into()),
    ]))
}

/// The bytes that a COSE_Sign1 signs (RFC 9052, section 4.4).
fn to_be_signed(protected: &[u8], root: &[u8]) -> Vec<u8> {
    encode(&Value::Array(vec![
        "Signature1".into(),
        Value::Bytes(protected.to_vec()),
        Value::Bytes(Vec::new()),
        Value::Bytes(root.to_vec()),
    ]))
}

fn sign1(
    protected: &[u8],
    (size, index): (u64, u64),
    hashes: &[[u8; 32]],
    signature: &[u8],
) -> Vec<u8> {
    let path = hashes.iter().map(|hash| Value::Bytes(hash.to_vec()));
    let proof = encode(&Value::Array(vec![
        size.into(),
        index.into(),
        Value::Array(path.collect()),
    ]));
    let proofs = map(vec![(INCLUSION, Value::Array(vec![Value::Bytes(proof)]))]);
    encode(&Value::Tag(
        SIGN1,
        Box::new(Value::Array(vec![
            Value::Bytes(protected.to_vec()),
            map(vec![(PROOFS, proofs)]),
            Value::Null,
            Value::Bytes(signature.to_vec()),
        ])),
    ))
}

#[cfg(test)]
mod tests {
    use outcome::digest::hex;

    use super::{protected, sign1, to_be_signed};

    #[test]
    fn the_bytes_match_the_rfc() {
        // {1: -8, 4: h'01020304', 15: {1: "o"}, 395: 1}
        let protected = protected(&[1, 2, 3, 4], "o");
        assert_eq!(hex(&protected), "a401270444010203040fa101616f19018b01");
        // ["Signature1", protected, h'', h'0505']
        let signed = to_be_signed(&protected, &[5, 5]);
        assert_eq!(
            hex(&signed),
            "846a5369676e61747572653152a401270444010203040fa101616f19018b0140420505"
        );
        // 18([protected, {396: {-1: [<<[2, 1, [h'07…']]>>]}}, null, h'09'])
        let receipt = sign1(&protected, (2, 1), &[[7; 32]], &[9]);
        let path = "07".repeat(32);
        assert_eq!(
            hex(&receipt),
            format!(
                "d28452a401270444010203040fa101616f19018b01a119018ca120815826830201815820{path}f64109"
            )
        );
    }
}
