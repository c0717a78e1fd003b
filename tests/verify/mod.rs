//! Audits of real repositories, honest and forged. Knows nothing of the writer: trails are built by stock git.

mod against;
mod attacks;
mod checkpoints;
mod choice;
mod forge;
mod generated;
mod honest;
mod imitations;
mod kept;
mod lenient;
mod messages;
mod misled;
mod objects;
mod odd;
mod oracle;
mod packs;
mod place;
mod places;
mod proofs;
mod refs;
mod second_opinion;
mod signatures;
mod signer;
mod since;
mod times;
mod trees;
