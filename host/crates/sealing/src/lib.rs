//! Sealed members: values that git keeps for ever and that can still be erased.
//!
//! An entry holds a commitment and a box in the place of a sealed value. Each task, and each person or tenant of a task,
//! has one random key. Destroying the key makes every copy of the box unreadable, and no proof over the entry changes.
//!
//! Owns the bytes of sealed values ([`SealedMember`]), which members are sealed ([`Pattern`]), the store of keys
//! ([`KeyStore`]), and sealing and opening whole documents ([`Sealer`]). Knows no trail, no policy and no outbox.

mod document;
mod key;
mod keys;
mod member;
mod pattern;
mod sealer;

pub use document::{Found, UnknownSeal, is_sealed, matching, sealed_members, strings_in, value_at};
pub use key::{KeyId, NoRandomness, SecretKey};
pub use keys::{
    Erasure, KeyEncryption, KeyOwner, KeyState, KeyStatus, KeyStore, KeyStoreError, NewErasure,
    Rotated, Selection,
};
pub use member::{OpenError, Place, SEALED, SealedMember, disclosure, seal};
pub use pattern::{Pattern, PatternError};
pub use sealer::{Opened, Rules, SealError, SealedDocument, Sealer};
