//! A number of places for all, which may become another number while some are taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

/// A number of places. Clones share them.
#[derive(Clone)]
pub struct Slots {
    semaphore: Arc<Semaphore>,
    most: Arc<AtomicUsize>,
}

impl Slots {
    pub fn new(most: usize) -> Slots {
        Slots {
            semaphore: Arc::new(Semaphore::new(most)),
            most: Arc::new(AtomicUsize::new(most)),
        }
    }

    /// From which places are taken. It is never closed.
    pub fn semaphore(&self) -> Arc<Semaphore> {
        self.semaphore.clone()
    }

    /// How many there are.
    pub fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        let free = self.semaphore.available_permits();
        self.most().saturating_sub(free)
    }

    /// Changes the number. Occupied places beyond it disappear when they are returned. Must be called in a tokio runtime.
    pub fn resize(&self, most: usize) {
        let before = self.most.swap(most, Ordering::Relaxed);
        if most >= before {
            self.semaphore.add_permits(most - before);
            return;
        }
        let surplus = u32::try_from(before - most).unwrap_or(u32::MAX);
        let semaphore = self.semaphore();
        tokio::spawn(async move {
            if let Ok(surplus) = semaphore.acquire_many_owned(surplus).await {
                surplus.forget();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[tokio::test]
    async fn places_that_are_taken_go_when_they_are_given_back() {
        let slots = Slots::new(3);
        let take = async || slots.semaphore().acquire_owned().await.expect("open");
        let (first, second) = (take().await, take().await);
        slots.resize(1);
        tokio::task::yield_now().await;
        assert_eq!((slots.most(), slots.taken()), (1, 1));
        assert!(slots.semaphore().try_acquire().is_err());
        drop(first);
        tokio::task::yield_now().await;
        assert!(slots.semaphore().try_acquire().is_err());
        drop(second);
        assert!(slots.semaphore().try_acquire().is_ok());
        slots.resize(2);
        let _both = (take().await, take().await);
        assert!(slots.semaphore().try_acquire().is_err());
    }
}
