//! The bounding policy: the default entry with long texts cut in the middle, and the digest of the whole in the gap.
//!
//! Pure. Shortening twice changes nothing: a shortened text is within the limit, including the note in its gap.

use policy_kit::json;
use policy_kit::marker;
use policy_kit::outcome::{Entry, Outcome, Refusal, Settings};
use policy_kit::rewrite::{Rewrite, rewrite};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// The longest text that is kept whole, in bytes, without the setting `max_text`: some hundred lines of output.
pub const MAX_TEXT: usize = 16 << 10;

/// The least value of `max_text`, in bytes: below it the note would take most of a shortened text.
pub const LEAST_TEXT: usize = 512;

/// The entry of an outcome that is recorded at `now`, its long texts shortened.
///
/// Setting `max_text`: how many bytes a text may have, at least 512. Applies to every text in `outcome`, `resources_used` and
/// `metadata`.
pub fn entry(outcome: &Outcome, now: &str, settings: &Settings<'_>) -> Result<String, Refusal> {
    let mut bound = Bound::load(settings)?;
    let entry = json::format(&Entry::new(outcome, now));
    Ok(rewrite(&entry, &mut bound))
}

/// Whether the entry that the trail holds for this task says the same as the one that would be made now.
pub fn same(entry: &str, existing: &str) -> bool {
    json::same(entry, existing, "timestamp")
}

/// Shortens the long texts that it is shown.
pub struct Bound(usize);

impl Bound {
    /// The bound that the setting `max_text` gives.
    ///
    /// # Errors
    ///
    /// `Unavailable`, if the setting is no number of bytes, or too small.
    pub fn load(settings: &Settings<'_>) -> Result<Bound, Refusal> {
        let most = match settings("max_text").as_deref() {
            None => MAX_TEXT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|most| *most >= LEAST_TEXT)
                .ok_or_else(|| {
                    Refusal::Unavailable(format!(
                        "nothing is recorded, since the setting `max_text` must be a number of bytes, at least {LEAST_TEXT}"
                    ))
                })?,
        };
        Ok(Bound(most))
    }
}

impl Rewrite for Bound {
    fn whole(&mut self, _: &[String], _: u8) -> Option<String> {
        None
    }

    fn string(&mut self, place: &[String], text: &str) -> Option<String> {
        let is_output = match place {
            [first, second, ..] if first == "execution_result" => {
                second == "outcome" || second == "resources_used"
            }
            [first, ..] => first == "metadata",
            [] => false,
        };
        (is_output && text.len() > self.0).then(|| shortened(text, self.0))
    }

    fn name(&mut self, _: &[String], _: &str) {}
}

/// The head and the tail of a text, together with the note between them at most `most` bytes.
pub fn shortened(text: &str, most: usize) -> String {
    let mut digest = String::new();
    for byte in Sha256::digest(text.as_bytes()) {
        let _ = write!(digest, "{byte:02x}");
    }
    let note = |left_out: usize| {
        format!(
            "\n[{left_out} of {} bytes left out; sha256:{digest} of all]\n",
            text.len()
        )
    };
    // The number of bytes left out is never longer than that of all of them.
    let room = most.saturating_sub(note(text.len()).len());
    // What went wrong stands at the end more often than at the beginning.
    let head = text.floor_char_boundary(room / 3);
    // Half a marker would read as text, and a policy that redacts would change it again.
    let head = marker::split_by(text, head).map_or(head, |marker| marker.start);
    let tail = text.ceil_char_boundary(text.len() - (room - head));
    let tail = marker::split_by(text, tail).map_or(tail, |marker| marker.end);
    [&text[..head], &note(tail - head), &text[tail..]].concat()
}
