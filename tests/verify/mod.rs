//! Audits of real repositories, honest and forged. Knows nothing of the writer: trails are built by stock git.

mod against;
mod attacks;
mod checkpoints;
mod forge;
mod fuzzed;
mod generated;
mod honest;
mod imitations;
mod kept;
mod messages;
mod objects;
mod odd;
mod oracle;
mod packs;
mod place;
mod proofs;
mod second;
mod second_opinion;
mod signatures;
mod signer;
mod since;
mod times;
mod trees;
