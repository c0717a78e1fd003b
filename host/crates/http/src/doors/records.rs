//! The records of a request: what a door makes of its body.

use intake::{Door, Taken};
use outcome::Violation;
use serde_json::value::RawValue;

use super::report_body::{ReportBody, Shape};
use crate::problem::{Kind, Problem};

/// The most documents in one request.
const MAX_DOCUMENTS: usize = 20_000;

/// A record of a request.
pub struct NumberedRecord {
    /// The line of NDJSON that it is from.
    pub line: Option<usize>,
    /// The record.
    pub taken: Taken,
}

impl NumberedRecord {
    /// A record that is not what it has to be.
    pub fn refused(message: String) -> NumberedRecord {
        NumberedRecord {
            line: None,
            taken: Taken::refused(None, Violation::of_document(message)),
        }
    }
}

/// The records of a body.
///
/// # Errors
///
/// 400 if an array of documents is not JSON, 413 if there are too many.
pub fn read_records(door: &Door, body: ReportBody) -> Result<Vec<NumberedRecord>, Problem> {
    if let Some(shortened) = body.shortened {
        return limited(numbered(None, door.take_treated(shortened)).collect());
    }
    let is_array = body.bytes.trim_ascii_start().starts_with(b"[");
    let mut records = Vec::new();
    match body.shape {
        Shape::Lines => {
            for (index, line) in body.bytes.split(|byte| *byte == b'\n').enumerate() {
                if !line.trim_ascii().is_empty() {
                    check_count(records.len() + 1)?;
                    records.extend(numbered(Some(index + 1), door.take(line.to_vec())));
                }
            }
        }
        // Without a map, each element is a document.
        Shape::Json if is_array && door.map.is_none() => {
            for element in elements(&body.bytes)? {
                let element = element.get().as_bytes().to_vec();
                records.extend(numbered(None, door.take(element)));
            }
        }
        Shape::Json | Shape::Event | Shape::Events => {
            if is_array {
                // Counted before anything is made of them.
                elements(&body.bytes)?;
            }
            // No copy if nothing else shares the body.
            records.extend(numbered(None, door.take(body.bytes.into())));
        }
    }
    limited(records)
}

/// The record of a document that was put together here.
pub fn one_record(door: &Door, document: Vec<u8>) -> Vec<NumberedRecord> {
    numbered(None, door.take(document)).collect()
}

fn numbered(line: Option<usize>, taken: Vec<Taken>) -> impl Iterator<Item = NumberedRecord> {
    let taken = taken.into_iter();
    taken.map(move |taken| NumberedRecord { line, taken })
}

/// The elements of an array of documents.
///
/// # Errors
///
/// 400 if it is not JSON, 413 if there are too many.
pub fn elements(body: &[u8]) -> Result<Vec<&RawValue>, Problem> {
    let malformed = |detail: String| Problem::with_detail(Kind::Malformed, detail);
    let text =
        std::str::from_utf8(body).map_err(|_| malformed("the body is not UTF-8".to_owned()))?;
    let elements: Vec<&RawValue> = serde_json::from_str(text)
        .map_err(|error| malformed(format!("the array is not JSON: {error}")))?;
    check_count(elements.len())?;
    Ok(elements)
}

fn limited(records: Vec<NumberedRecord>) -> Result<Vec<NumberedRecord>, Problem> {
    check_count(records.len())?;
    Ok(records)
}

fn check_count(count: usize) -> Result<(), Problem> {
    if count <= MAX_DOCUMENTS {
        return Ok(());
    }
    let detail = format!("at most {MAX_DOCUMENTS} documents are accepted in one request");
    Err(Problem::with_detail(Kind::TooLarge, detail))
}
