//! Coarse timeouts for connections, which cost almost nothing while no client is late.
//!
//! A runtime timer for each request's head needs one lock to set it and another to remove it. Instead, a connection
//! checks the time whenever something happens on it, and every few seconds.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

/// How late a timeout may be noticed on a silent connection.
const TICK: Duration = Duration::from_secs(5);

/// A timer that never wakes a task. It is only checked while polled, so it works only within [`ticking`].
#[derive(Clone)]
pub struct CoarseTimer;

impl Timer for CoarseTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(CoarseSleep(deadline))
    }
}

struct CoarseSleep(Instant);

impl Sleep for CoarseSleep {}

impl Future for CoarseSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        // No waker is registered: [`ticking`] polls again.
        if Instant::now() < self.0 {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

/// Awaits the future, and polls it regularly so that it checks the time.
pub async fn ticking<F: Future>(future: Pin<&mut F>) -> F::Output {
    ticking_every(TICK, future).await
}

async fn ticking_every<F: Future>(every: Duration, mut future: Pin<&mut F>) -> F::Output {
    let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    poll_fn(|context| {
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(output);
            }
            if tick.poll_tick(context).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_future_time_is_waited_for() {
        let hour = Duration::from_secs(3600);
        assert_eq!(CoarseTimer.sleep(hour).now_or_never(), None);
        assert_eq!(CoarseTimer.sleep(Duration::ZERO).now_or_never(), Some(()));
    }

    #[tokio::test]
    async fn a_silent_future_is_polled_regularly() {
        let mut looks = 0;
        let silent = std::pin::pin!(poll_fn(|_| {
            looks += 1;
            if looks < 3 {
                Poll::Pending
            } else {
                Poll::Ready(looks)
            }
        }));
        assert_eq!(ticking_every(Duration::from_millis(1), silent).await, 3);
    }
}
