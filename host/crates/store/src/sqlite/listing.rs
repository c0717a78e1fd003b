//! Lists of submissions in SQLite. Each state is queried by its index, so that a short list among millions is fast.

use rusqlite::Connection;

use super::super::columns::SubmissionRow;
use super::super::{StateName, StoreError, SubmissionPage, SubmissionQuery};
use super::failure::Context as _;
use super::outbox;

/// Returns a page of submissions.
pub(super) fn list_submissions(
    connection: &Connection,
    url: &str,
    listing: &SubmissionQuery,
) -> Result<SubmissionPage, StoreError> {
    let asked = listing.asked();
    let mut found = Vec::new();
    for state in StateName::ALL {
        if !listing.states.contains(&state) {
            continue;
        }
        let (index, among) = match state {
            StateName::Pending | StateName::Blocked => {
                ("INDEXED BY submissions_open", "closed_at IS NULL")
            }
            StateName::Conflicting | StateName::Refused => (
                "INDEXED BY submissions_turned_down",
                "state IN ('conflicting', 'refused')",
            ),
            StateName::Committed => ("", "true"),
        };
        let sql = format!(
            "SELECT {} FROM submissions {index} WHERE {among} AND state = '{state}'
                AND accepted_at BETWEEN ?1 AND ?2 AND sequence < ?3 ORDER BY sequence DESC LIMIT ?4",
            outbox::COLUMNS_WITHOUT_TEXT,
        );
        let rows: Vec<SubmissionRow> = connection
            .prepare_cached(&sql)
            .and_then(|mut statement| statement.query_map(asked, outbox::read)?.collect())
            .context(url)?;
        for row in rows {
            found.push(row.submission(url)?);
        }
    }
    Ok(listing.page(found))
}
