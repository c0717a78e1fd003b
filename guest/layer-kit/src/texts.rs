//! The texts of an outcome that a layer may change, and a rewriting that visits all of them.
//!
//! Pure. JSON is handled as text: what is not replaced stays as it was written.

use policy_kit::rewrite::{Rewrite, rewrite};

/// The texts of an outcome; `wit/types.wit` says what each member is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the WIT file documents the members")]
pub struct Texts {
    pub task_id: String,
    pub plan_id: Option<String>,
    pub plan_steps: Vec<String>,
    pub agent_pool: Option<String>,
    pub agent_id: Option<String>,
    pub dispatch_timestamp: Option<String>,
    /// JSON.
    pub outcome: String,
    /// JSON.
    pub resources_used: String,
    pub services_touched: Vec<String>,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
    /// JSON.
    pub metadata: Option<String>,
}

impl Texts {
    /// Shows every text to `by` at its place in the entry, and puts the answers in their places. The task's id is shown, and
    /// stays.
    ///
    /// A text that is replaced as a whole by JSON which is no string stays: only `json` members can become another kind of
    /// value.
    pub fn rewrite(&mut self, by: &mut impl Rewrite) {
        let place = |steps: &[&str]| -> Vec<String> {
            steps.iter().map(|step| (*step).to_owned()).collect()
        };
        by.string(&place(&["task_id"]), &self.task_id);
        option(&mut self.plan_id, place(&["plan_id"]), by);
        list(&mut self.plan_steps, place(&["plan_steps"]), by);
        let dispatch = "dispatch_info";
        option(&mut self.agent_pool, place(&[dispatch, "agent_pool"]), by);
        option(&mut self.agent_id, place(&[dispatch, "agent_id"]), by);
        let steps = place(&[dispatch, "dispatch_timestamp"]);
        option(&mut self.dispatch_timestamp, steps, by);
        let result = "execution_result";
        json(&mut self.outcome, place(&[result, "outcome"]), by);
        let steps = place(&[result, "resources_used"]);
        json(&mut self.resources_used, steps, by);
        let steps = place(&[result, "services_touched"]);
        list(&mut self.services_touched, steps, by);
        option(&mut self.start_time, place(&[result, "start_time"]), by);
        option(&mut self.end_time, place(&[result, "end_time"]), by);
        if let Some(metadata) = &mut self.metadata {
            json(metadata, place(&["metadata"]), by);
        }
    }
}

fn option(text: &mut Option<String>, place: Vec<String>, by: &mut impl Rewrite) {
    if let Some(text) = text {
        string(text, &place, by);
    }
}

fn list(texts: &mut [String], mut place: Vec<String>, by: &mut impl Rewrite) {
    for (at, text) in texts.iter_mut().enumerate() {
        place.push(at.to_string());
        string(text, &place, by);
        place.pop();
    }
}

fn string(text: &mut String, place: &[String], by: &mut impl Rewrite) {
    let whole = by.whole(place, b'"').and_then(|json| decoded(&json));
    if let Some(replacement) = whole.or_else(|| by.string(place, text)) {
        *text = replacement;
    }
}

/// The text of a JSON string without escapes, which is what replacements are.
fn decoded(json: &str) -> Option<String> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains(['\\', '"'])).then(|| inner.to_owned())
}

fn json(text: &mut String, place: Vec<String>, by: &mut impl Rewrite) {
    let rewritten = rewrite(text, &mut Below { place, by });
    if rewritten != *text {
        *text = rewritten;
    }
}

/// Shows the values of one member at their places in the whole.
struct Below<'a, R> {
    place: Vec<String>,
    by: &'a mut R,
}

impl<R: Rewrite> Below<'_, R> {
    /// Calls with the place in the whole.
    fn at<T>(&mut self, below: &[String], call: impl FnOnce(&mut R, &[String]) -> T) -> T {
        let length = self.place.len();
        self.place.extend_from_slice(below);
        let answer = call(self.by, &self.place);
        self.place.truncate(length);
        answer
    }
}

impl<R: Rewrite> Rewrite for Below<'_, R> {
    fn whole(&mut self, place: &[String], first: u8) -> Option<String> {
        self.at(place, |by, place| by.whole(place, first))
    }

    fn string(&mut self, place: &[String], text: &str) -> Option<String> {
        self.at(place, |by, place| by.string(place, text))
    }

    fn name(&mut self, place: &[String], name: &str) {
        self.at(place, |by, place| by.name(place, name));
    }
}
