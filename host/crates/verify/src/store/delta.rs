//! Deltas in packs: rebuilds a result from its base. Knows no pack and trusts no length.

/// The largest object that is rebuilt in memory. Git's own threshold for deltas is 512 MiB, but the audit must stay
/// within its memory limit together with the base and the delta. Larger objects that are not deltas are hashed as a
/// stream.
pub(crate) const MAX_IN_MEMORY: u64 = 96 << 20;

/// Why a delta could not be applied.
pub(crate) enum DeltaError {
    /// The delta contradicts itself or its base.
    Corrupt(&'static str),
    /// The result is larger than [`MAX_IN_MEMORY`].
    TooLarge(u64),
}

/// Reads the sizes of base and result, and the offset of the instructions.
fn sizes(delta: &[u8]) -> Option<(u64, u64, usize)> {
    let mut at = 0;
    let mut number = || {
        let mut value = 0_u64;
        for shift in (0..63).step_by(7) {
            let byte = *delta.get(at)?;
            at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    };
    let base = number()?;
    let result = number()?;
    Some((base, result, at))
}

/// Applies a delta.
pub(crate) fn apply(base: &[u8], delta: &[u8]) -> Result<Box<[u8]>, DeltaError> {
    let Some((base_size, result_size, mut at)) = sizes(delta) else {
        return Err(DeltaError::Corrupt("its delta ends early"));
    };
    if base_size != base.len() as u64 {
        return Err(DeltaError::Corrupt("its delta was made for another base"));
    }
    if result_size > MAX_IN_MEMORY {
        return Err(DeltaError::TooLarge(result_size));
    }
    let size = result_size as usize;
    let mut result = Vec::with_capacity(size);
    while let Some(&code) = delta.get(at) {
        at += 1;
        if code & 0x80 != 0 {
            let mut field = |bits: std::ops::Range<u32>| {
                let mut value = 0_usize;
                for (place, bit) in bits.enumerate() {
                    if code & (1 << bit) != 0 {
                        value |= usize::from(*delta.get(at)?) << (8 * place);
                        at += 1;
                    }
                }
                Some(value)
            };
            let (Some(offset), Some(length)) = (field(0..4), field(4..7)) else {
                return Err(DeltaError::Corrupt("its delta ends early"));
            };
            let length = if length == 0 { 0x10000 } else { length };
            let Some(copied) = base.get(offset..offset + length) else {
                return Err(DeltaError::Corrupt(
                    "its delta copies from outside of its base",
                ));
            };
            if result.len() + length > size {
                return Err(DeltaError::Corrupt("its delta makes more than it says"));
            }
            result.extend_from_slice(copied);
        } else if code != 0 {
            let length = usize::from(code);
            let Some(inserted) = delta.get(at..at + length) else {
                return Err(DeltaError::Corrupt("its delta ends early"));
            };
            if result.len() + length > size {
                return Err(DeltaError::Corrupt("its delta makes more than it says"));
            }
            result.extend_from_slice(inserted);
            at += length;
        } else {
            return Err(DeltaError::Corrupt(
                "its delta holds a reserved instruction",
            ));
        }
    }
    if result.len() != size {
        return Err(DeltaError::Corrupt("its delta makes less than it says"));
    }
    Ok(result.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::apply;

    #[test]
    fn copies_and_insertions_make_the_result() {
        let delta = [5, 6, 0x91, 1, 3, 3, b'x', b'y', b'z'];
        assert_eq!(
            apply(b"abcde", &delta).ok().as_deref(),
            Some(&b"bcdxyz"[..])
        );
    }

    #[test]
    fn no_delta_reads_or_writes_beyond_its_bounds() {
        for delta in [
            &[][..],
            &[5],
            &[5, 0x80],
            &[4, 1, 1, b'x'],
            &[5, 3, 0x91, 4, 3],
            &[5, 2, 0x91, 0, 3],
            &[5, 4, 0x91, 0, 3],
            &[5, 1, 0],
            &[5, 1, 2, b'x'],
            &[5, 1, 2, b'x', b'y'],
            &[5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            &[0xff; 40],
        ] {
            assert!(apply(b"abcde", delta).is_err(), "{delta:?}");
        }
    }
}
