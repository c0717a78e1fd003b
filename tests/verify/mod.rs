//! Audits of real repositories, honest and forged. Knows nothing of the writer: trails are built by stock git.

mod against;
mod attacks;
mod forge;
mod honest;
mod messages;
mod objects;
mod odd;
mod packs;
mod signatures;
mod trees;
