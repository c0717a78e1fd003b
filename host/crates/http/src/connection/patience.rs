//! How long a connection is waited for, told coarsely, so that it costs next to nothing where nobody is late.
//!
//! A timer of the runtime's for each request's head is a lock to set it and another to take it back. Here a connection looks at
//! the time whenever something happens on it, and every few seconds anyway.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

/// How late one may be noticed who sends nothing.
const TICK: Duration = Duration::from_secs(5);

/// Times that pass unnoticed unless they are looked at: for what is awaited within [`ticking`] alone.
#[derive(Clone)]
pub struct Coarse;

impl Timer for Coarse {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Until(deadline))
    }
}

struct Until(Instant);

impl Sleep for Until {}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        // Nobody is told: whoever ticks looks again.
        if Instant::now() < self.0 {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

/// Awaits the future, and has it look at the time now and then.
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
    fn a_time_that_has_not_come_is_waited_for() {
        let hour = Duration::from_secs(3600);
        assert_eq!(Coarse.sleep(hour).now_or_never(), None);
        assert_eq!(Coarse.sleep(Duration::ZERO).now_or_never(), Some(()));
    }

    #[tokio::test]
    async fn who_tells_nobody_is_looked_at_all_the_same() {
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
