//! Fingerprints, which distinguish submissions of a task; and the comparison of entries with documents.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::Inner;
use outcome::{Limits, TaskOutcome, without_timestamp};
use store::{Fingerprint, Kind};

impl Inner {
    /// The fingerprints of a submission, keyed with the store's key and the operator's secret, if any. Includes the
    /// old form if the store has submissions from that time.
    pub(super) fn fingerprints(
        &self,
        kind: Kind,
        canonical: impl Fn(&mut dyn FnMut(&[u8])),
    ) -> (Fingerprint, Option<[u8; 32]>) {
        let door = kind.as_str().as_bytes();
        let secret = self.options.secret.as_deref();
        let mut mac = keyed(self.store.fingerprint_key());
        mac.update(&keyed(secret.unwrap_or_default()).finalize().into_bytes());
        // Different from the digest in the trail: the database reveals nothing about the contents of git.
        for part in [b"fingerprint 2\0".as_slice(), door, b"\0"] {
            mac.update(part);
        }
        canonical(&mut |part| mac.update(part));
        let fingerprint = Fingerprint {
            bytes: mac.finalize().into_bytes().into(),
            keyed: true,
        };
        let former = self
            .store
            .has_former_fingerprints()
            .then(|| former_fingerprint(secret, door, &canonical));
        (fingerprint, former)
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// The fingerprint of submissions that were accepted before version 3 of the tables.
fn former_fingerprint(
    secret: Option<&[u8]>,
    door: &[u8],
    canonical: impl Fn(&mut dyn FnMut(&[u8])),
) -> [u8; 32] {
    match secret {
        Some(secret) => {
            let mut mac = keyed(secret);
            for part in [b"fingerprint\0".as_slice(), door, b"\0"] {
                mac.update(part);
            }
            canonical(&mut |part| mac.update(part));
            mac.finalize().into_bytes().into()
        }
        None => {
            let mut digest = Sha256::new();
            for part in [door, b"\0"] {
                digest.update(part);
            }
            canonical(&mut |part| digest.update(part));
            digest.finalize().into()
        }
    }
}

/// Whether an entry is what the default policy makes from a document: equal except for the time of recording.
pub(super) fn is_entry_of(entry: &str, document: &str, limits: &Limits) -> bool {
    // The formatted entry is longer than its document, and may exceed the limit for documents.
    let limits = Limits {
        max_bytes: usize::MAX,
        ..limits.clone()
    };
    let canonical = |text: &str| {
        let outcome = TaskOutcome::parse(text.as_bytes(), &limits).ok()?;
        Some(outcome.canonical())
    };
    let recorded = without_timestamp(entry).and_then(|text| canonical(&text));
    recorded.is_some() && recorded == canonical(document)
}
