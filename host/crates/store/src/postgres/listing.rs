//! Lists of submissions in PostgreSQL. Each state is queried by its index.

use deadpool_postgres::GenericClient;

use super::super::{StateName, SubmissionPage, SubmissionQuery};
use super::failure::Failure;
use super::outbox;

/// Returns a page of submissions.
pub(super) async fn list_submissions(
    client: &impl GenericClient,
    url: &str,
    listing: &SubmissionQuery,
) -> Result<SubmissionPage, Failure> {
    let [since, until, before, limit] = listing.asked();
    let mut found = Vec::new();
    for state in StateName::ALL {
        if !listing.states.contains(&state) {
            continue;
        }
        let among = match state {
            StateName::Pending | StateName::Blocked => "closed_at IS NULL",
            StateName::Conflicting | StateName::Refused => "state IN ('conflicting', 'refused')",
            StateName::Committed => "true",
        };
        let sql = format!(
            "SELECT {} FROM submissions WHERE {among} AND state = '{state}'
                AND accepted_at BETWEEN $1 AND $2 AND sequence < $3 ORDER BY sequence DESC LIMIT $4",
            outbox::COLUMNS_WITHOUT_TEXT,
        );
        let statement = client.prepare_cached(&sql).await?;
        let rows = client
            .query(&statement, &[&since, &until, &before, &limit])
            .await?;
        for row in &rows {
            found.push(outbox::read(row).submission(url)?);
        }
    }
    Ok(listing.page(found))
}
