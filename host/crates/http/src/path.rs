//! Parses names in request paths.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::problem::{Kind, Problem};

/// The last segment of a path. A segment that is not valid UTF-8 matches nothing.
pub struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Named, Problem> {
        let named = Path::<String>::from_request_parts(parts, state).await;
        let Path(name) =
            named.map_err(|_| Problem::saying(Kind::NotFound, "the path is not valid UTF-8"))?;
        Ok(Named(name))
    }
}
