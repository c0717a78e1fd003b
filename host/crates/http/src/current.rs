//! What is in force now, such as the tokens and the limits: exchanged as a whole, between two requests.

use std::sync::{Arc, PoisonError, RwLock};

/// A value that may be exchanged. Every clone is the same one.
pub(super) struct Current<T>(Arc<RwLock<Arc<T>>>);

impl<T> Clone for Current<T> {
    fn clone(&self) -> Current<T> {
        Current(Arc::clone(&self.0))
    }
}

impl<T> Current<T> {
    pub(super) fn new(value: T) -> Current<T> {
        Current(Arc::new(RwLock::new(Arc::new(value))))
    }

    /// What counts for a request that comes now.
    pub(super) fn now(&self) -> Arc<T> {
        let value = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&value)
    }

    pub(super) fn change(&self, value: T) {
        let value = Arc::new(value);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}
