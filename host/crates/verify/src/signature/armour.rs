//! The canonical form of an OpenPGP signature, which is GnuPG's. The armour and parts of the signature's packet are not
//! signed: without this check anyone could rewrite them and make another commit with the same signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::quote;

const BEGIN: &[u8] = b"-----BEGIN PGP SIGNATURE-----\n";
const END: &[u8] = b"-----END PGP SIGNATURE-----\n";

/// The number of characters in a line.
const WIDTH: usize = 64;

/// Why a signature is not in canonical form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ArmourFault {
    /// No program writes this form.
    Broken(&'static str),
    /// Another program or setting may have written this form, but anyone could have.
    Other(String),
}

/// Checks the form of an armoured signature of this payload. The program checks the signer and the signature itself.
///
/// # Errors
///
/// Describes the difference from the canonical form.
pub(super) fn check(armoured: &[u8], payload: &[u8]) -> Result<(), ArmourFault> {
    let inner = armoured
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.strip_suffix(END))
        .ok_or(ArmourFault::Broken("its armour is broken"))?;
    let Some(body) = inner.strip_prefix(b"\n") else {
        let line = inner
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        return Err(ArmourFault::Other(format!(
            "its armour has the line {}, which is not signed",
            quote(line)
        )));
    };
    let mut lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').collect();
    if lines.pop() != Some(b"") {
        return Err(ArmourFault::Broken("its armour is broken"));
    }
    let checksum = lines.pop_if(|line| line.len() == 5 && line.starts_with(b"="));
    let full = lines.split_last().is_some_and(|(last, others)| {
        others.iter().all(|line| line.len() == WIDTH) && (1..=WIDTH).contains(&last.len())
    });
    if !full {
        return Err(ArmourFault::Broken("its lines are not of 64 letters"));
    }
    let packet = STANDARD
        .decode(lines.concat())
        .map_err(|_| ArmourFault::Broken("it is not base64"))?;
    match checksum {
        Some(line) if line[1..] == *STANDARD.encode(crc24(&packet)).as_bytes() => {}
        Some(_) => return Err(ArmourFault::Broken("its checksum is wrong")),
        None => return Err(ArmourFault::Other("its armour has no checksum".to_owned())),
    }
    check_packet(&packet, payload)
}

/// The checksum of RFC 4880, section 6.1.
fn crc24(bytes: &[u8]) -> [u8; 3] {
    let crc = bytes.iter().fold(0x00b7_04ce_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 16, |crc, _| {
            let next = crc << 1;
            if next & 0x0100_0000 == 0 {
                next
            } else {
                next ^ 0x0186_4cfb
            }
        })
    });
    let [_, bytes @ ..] = crc.to_be_bytes();
    bytes
}

fn check_packet(packet: &[u8], payload: &[u8]) -> Result<(), ArmourFault> {
    const CUT: ArmourFault = ArmourFault::Broken("it is cut off");
    // GnuPG writes the old packet header, with the shortest length that fits.
    let (body, length_fits) = match packet {
        [0x88, length, body @ ..] => (body, usize::from(*length) == body.len()),
        [0x89, high, low, body @ ..] => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            (body, length == body.len() && length > 0xff)
        }
        [0xc2, ..] => {
            return Err(ArmourFault::Other(
                "its packet has the newer header format, and GnuPG writes the older".to_owned(),
            ));
        }
        _ => return Err(ArmourFault::Broken("it is not a single signature")),
    };
    if !length_fits {
        return Err(ArmourFault::Broken(
            "its packet has another length, or another follows",
        ));
    }
    let [4, kind, algorithm, hash, rest @ ..] = body else {
        return Err(ArmourFault::Other(
            "it is of another version than GnuPG writes".to_owned(),
        ));
    };
    let (hashed, rest) = area(rest).ok_or(CUT)?;
    let (unhashed, rest) = area(rest).ok_or(CUT)?;
    let (left, numbers) = rest.split_first_chunk::<2>().ok_or(CUT)?;
    check_unhashed(hashed, unhashed)?;
    let covered = &body[..6 + hashed.len()];
    let trailer = [&[4, 0xff][..], &(covered.len() as u32).to_be_bytes()].concat();
    let parts = [payload, covered, &trailer];
    let digest = match hash {
        8 => digest::<Sha256>(&parts),
        9 => digest::<Sha384>(&parts),
        10 => digest::<Sha512>(&parts),
        11 => digest::<Sha224>(&parts),
        _ => {
            return Err(ArmourFault::Other(
                "its digest algorithm is outdated".to_owned(),
            ));
        }
    };
    // A signature of type text has other line ends.
    if *kind == 0 && digest[..2] != *left {
        return Err(ArmourFault::Broken(
            "the first bytes of its digest are different",
        ));
    }
    check_numbers(*algorithm, numbers)
}

fn digest<D: sha2::Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut hasher = D::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().to_vec()
}

/// Splits off subpackets, which follow their length in two bytes.
fn area(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Unsigned subpackets may name the key, as GnuPG does, and nothing else.
fn check_unhashed(hashed: &[u8], unhashed: &[u8]) -> Result<(), ArmourFault> {
    let issuer = match unhashed {
        [] => return Ok(()),
        [9, 16, issuer @ ..] if issuer.len() == 8 => issuer,
        _ => return Err(ArmourFault::Broken("it has data that is not signed")),
    };
    // Issuer fingerprint: its length, its type, the key's version, and twenty bytes.
    let fingerprint = hashed
        .windows(23)
        .find(|part| part[..3] == [22, 33, 4])
        .map(|part| &part[15..]);
    match fingerprint {
        Some(end) if end != issuer => Err(ArmourFault::Broken("it names two keys")),
        _ => Ok(()),
    }
}

/// Checks the numbers of the signature: each must be as short as possible.
fn check_numbers(algorithm: u8, mut rest: &[u8]) -> Result<(), ArmourFault> {
    const CUT: ArmourFault = ArmourFault::Broken("it is cut off");
    // In an Ed25519 signature both numbers may start with zeros, which GnuPG leaves out.
    let mut numbers = Vec::new();
    while !rest.is_empty() {
        let (bits, after) = rest.split_first_chunk::<2>().ok_or(CUT)?;
        let bits = u16::from_be_bytes(*bits);
        let (number, after) = after
            .split_at_checked(usize::from(bits.div_ceil(8)))
            .ok_or(CUT)?;
        let zeros = number.first().map_or(0, |byte| byte.leading_zeros());
        if bits == 0 || u32::from(bits) != number.len() as u32 * 8 - zeros {
            return Err(ArmourFault::Broken(
                "a number in it has another length than declared",
            ));
        }
        numbers.push(number);
        rest = after;
    }
    let expected = match algorithm {
        1 => 1,
        17 | 19 | 22 => 2,
        _ => return Ok(()),
    };
    if numbers.len() != expected {
        return Err(ArmourFault::Broken("it has more numbers than its kind"));
    }
    if algorithm == 22 {
        // The second number must be below the order of the curve's group, least significant byte first. Greater ones
        // would be equivalent.
        let mut scalar = [0; 32];
        let number = numbers[1];
        let begin = scalar.len().checked_sub(number.len());
        let begin = begin.ok_or(ArmourFault::Broken("a number in it is too long"))?;
        scalar[begin..].copy_from_slice(number);
        scalar.reverse();
        if numbers[0].len() > 32 || scalar >= GROUP_ORDER {
            return Err(ArmourFault::Broken("a number in it is too long"));
        }
    }
    Ok(())
}

/// The order of Ed25519's group (RFC 8032, section 5.1), most significant byte first.
const GROUP_ORDER: [u8; 32] = [
    0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0xde, 0xf9, 0xde, 0xa2, 0xf7, 0x9c,
    0xd6, 0x58, 0x12, 0x63, 0x1a, 0x5c, 0xf5, 0xd3, 0xed,
];
