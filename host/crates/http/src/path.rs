//! Names in paths, and queries of those that take no parameters.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::problem::{Kind, Problem};
use super::query;

/// The last segment of a path. A segment that is not valid UTF-8 matches nothing.
pub struct LastSegment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for LastSegment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<LastSegment, Problem> {
        let named = Path::<String>::from_request_parts(parts, state).await;
        let Path(name) = named
            .map_err(|_| Problem::with_detail(Kind::NotFound, "the path is not valid UTF-8"))?;
        Ok(LastSegment(name))
    }
}

/// A query that has no parameters.
pub struct NoParameters;

impl<S: Send + Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<NoParameters, Problem> {
        query::read(&parts.uri, &[]).map(|_| NoParameters)
    }
}
