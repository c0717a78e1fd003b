//! The current tokens, replaced as a whole between two requests.

use std::sync::{Arc, PoisonError, RwLock};

use super::tokens::Tokens;

/// The current tokens. Clones share them.
#[derive(Clone)]
pub(super) struct TokensInForce(Arc<RwLock<Arc<Tokens>>>);

impl TokensInForce {
    pub(super) fn new(tokens: Tokens) -> TokensInForce {
        TokensInForce(Arc::new(RwLock::new(Arc::new(tokens))))
    }

    /// The tokens for a request that arrives now.
    pub(super) fn now(&self) -> Arc<Tokens> {
        let tokens = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&tokens)
    }

    pub(super) fn change(&self, tokens: Tokens) {
        let tokens = Arc::new(tokens);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = tokens;
    }
}
