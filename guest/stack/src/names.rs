//! The names of a stack's layers, in a block that `policy compose` fills in the built component.

/// How many layers a stack may have.
pub const MOST: usize = 8;

/// What the block begins with, by which `policy compose` finds it.
pub const MARK: &[u8; 24] = b"chiffon-audit layers v1\n";

/// The size of the block in bytes.
pub const SIZE: usize = 640;

/// The mark, then a line for each layer's name. Zeros fill the rest.
static BLOCK: [u8; SIZE] = {
    let mut block = [0; SIZE];
    let mut at = 0;
    while at < MARK.len() {
        block[at] = MARK[at];
        at += 1;
    }
    block
};

/// The names of the layers, in the order in which they are called.
pub fn names() -> impl Iterator<Item = &'static str> {
    // The compiler must not see through this: the block is filled after it has done its work.
    let block: &'static [u8; SIZE] = std::hint::black_box(&BLOCK);
    let text = block[MARK.len()..].split(|byte| *byte == 0).next();
    let text = text.and_then(|text| str::from_utf8(text).ok());
    text.unwrap_or_default().lines()
}
