//! Finds tasks by the ids that other systems gave them.
//!
//! Pure. Knows the encoding, and no store.

use outcome::json;

use crate::ids;

/// The ids under which a task with this original id may be recorded: as it is, as our own documents encode it, and as
/// each of these sources does; for each, the attempts in order.
pub fn candidates<'a>(
    source_id: &'a str,
    sources: impl Iterator<Item = &'a str>,
) -> Vec<Box<dyn Iterator<Item = outcome::TaskId> + 'a>> {
    let mut found: Vec<Box<dyn Iterator<Item = outcome::TaskId>>> = Vec::new();
    if let Ok(task_id) = outcome::TaskId::parse(source_id) {
        found.push(Box::new(std::iter::once(task_id)));
    }
    for source in std::iter::once("").chain(sources) {
        let attempts = std::iter::once(1)
            .chain((0..).filter(|attempt| *attempt != 1))
            .map_while(move |attempt| ids::encode(source, source_id, attempt).ok());
        found.push(Box::new(attempts));
    }
    found
}

/// The original id of an entry: `metadata.source_id`.
pub fn source_id_of(entry: &str) -> Option<String> {
    let member = |object: &str, name: &str| {
        let members = json::members(object).ok()?;
        let found = members.into_iter().find(|(known, _)| known == name)?;
        Some(found.1.to_owned())
    };
    let source_id = member(&member(entry, "metadata")?, "source_id")?;
    Some(json::string(&source_id).ok()?.into_owned())
}
