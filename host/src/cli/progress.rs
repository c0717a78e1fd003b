//! The progress bar, shown only on a terminal and only for work that takes longer than a second.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::session::Session;
use crate::clock::{Clock, Timestamp};

/// The progress of a command.
pub struct Progress {
    visible: Option<VisibleBar>,
}

struct VisibleBar {
    bar: ProgressBar,
    clock: Arc<dyn Clock>,
    started: Timestamp,
    is_visible: bool,
}

const SECOND: i64 = 1_000_000;

impl Progress {
    /// Progress towards `whole`, if the total is known.
    pub fn new(whole: Option<u64>, session: &Session) -> Progress {
        if !session.output.shows_progress() {
            return Progress { visible: None };
        }
        let bar = ProgressBar::with_draw_target(whole, ProgressDrawTarget::hidden());
        let form = match whole {
            Some(_) => "{bar:30} {percent:>3}%  {msg}  {eta} left",
            None => "{spinner} {msg}",
        };
        // If indicatif rejects the template, it uses its own.
        bar.set_style(
            ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        let clock = Arc::clone(&session.clock);
        let started = clock.now();
        Progress {
            visible: Some(VisibleBar {
                bar,
                clock,
                started,
                is_visible: false,
            }),
        }
    }

    /// Updates the position, and the number of items done so far.
    pub fn reach(&mut self, position: u64, count: u64, what: &str) {
        let Some(visible) = &mut self.visible else {
            return;
        };
        visible.bar.set_position(position);
        // Often enough for the eye, and cheap.
        if count.is_multiple_of(64) {
            visible.bar.set_message(format!("{count} {what}"));
        }
        if !visible.is_visible
            && visible.clock.now().microseconds() - visible.started.microseconds() > SECOND
        {
            visible.is_visible = true;
            visible.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Prints something else, with the bar hidden meanwhile.
    pub fn aside(&self, print: impl FnOnce()) {
        match &self.visible {
            Some(visible) if visible.is_visible => visible.bar.suspend(print),
            _ => print(),
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(visible) = &self.visible {
            visible.bar.finish_and_clear();
        }
    }
}
