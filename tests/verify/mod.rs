//! Audits of real repositories, honest and forged. Knows nothing of the writer: trails are built by stock git.

mod against;
mod attacks;
mod checkpoints;
mod forge;
mod honest;
mod messages;
mod objects;
mod odd;
mod packs;
mod place;
mod proofs;
mod signatures;
mod trees;
