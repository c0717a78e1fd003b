//! Splits a commit into its signature and the signed bytes, as git does. Knows no key.

/// A commit without its signature, and the signature.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// The bytes of the commit without the header of the signature.
    pub(crate) payload: Vec<u8>,
    /// The value of the header, one line after the other.
    pub(crate) signature: Vec<u8>,
}

/// Splits a commit; `None` if it has no signature header.
///
/// # Errors
///
/// No host writes this: a second signature, or one for another object format.
pub(crate) fn split(commit: &[u8], sha256: bool) -> Result<Option<Signed>, &'static str> {
    let ours: &[u8] = if sha256 {
        b"gpgsig-sha256 "
    } else {
        b"gpgsig "
    };
    let mut found: Option<Signed> = None;
    let mut rest = commit;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..=end];
        if line == b"\n" {
            break;
        }
        if let Some(value) = line.strip_prefix(ours) {
            if found.is_some() {
                return Err("it has two signatures");
            }
            let mut signature = value.to_vec();
            let payload = commit[..commit.len() - rest.len()].to_vec();
            rest = &rest[end + 1..];
            while let Some(value) = rest.strip_prefix(b" ") {
                let end = value.iter().position(|byte| *byte == b'\n');
                let end = end.ok_or("its signature has no end")?;
                signature.extend_from_slice(&value[..=end]);
                rest = &value[end + 1..];
            }
            found = Some(Signed {
                payload: [&payload, rest].concat(),
                signature,
            });
            continue;
        }
        if line.starts_with(b"gpgsig") {
            return Err("its signature is for another kind of repository");
        }
        rest = &rest[end + 1..];
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_signature_is_taken_out_whole() {
        let commit = b"tree x\ncommitter y\ngpgsig -----BEGIN\n a\n \n -----END\n\ngpgsig is no header here\n";
        let signed = split(commit, false);
        let signed = signed.map(|signed| signed.map(|signed| (signed.payload, signed.signature)));
        let payload = b"tree x\ncommitter y\n\ngpgsig is no header here\n".to_vec();
        assert_eq!(
            signed,
            Ok(Some((payload, b"-----BEGIN\na\n\n-----END\n".to_vec())))
        );
        assert_eq!(split(b"tree x\n\ngpgsig a\n", false), Ok(None));
    }

    #[test]
    fn what_no_host_writes_is_refused() {
        for (commit, sha256) in [
            ("tree x\ngpgsig a\ngpgsig b\n\n", false),
            ("tree x\ngpgsig a\ngpgsig-sha256 b\n\n", false),
            ("tree x\ngpgsig-sha256 a\n\n", false),
            ("tree x\ngpgsig a\n\n", true),
            ("tree x\ngpgsig a\n b", false),
        ] {
            assert!(split(commit.as_bytes(), sha256).is_err(), "{commit}");
        }
    }
}
