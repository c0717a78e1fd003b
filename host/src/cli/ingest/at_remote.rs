//! Lines that are recorded at a remote: held until the input pauses or the window is full, and then pushed together.

use crate::cli::Result;
use crate::cli::push::RemoteRecorder;
use crate::cli::text;
use crate::recorder::Recorder;
use crate::trail::Trail;

use super::{Ingest, PendingAnswer};

/// What records the lines.
pub(super) enum LineRecorder {
    Here(Recorder),
    AtRemote(Box<RemoteRecorder>),
}

impl LineRecorder {
    /// The trail, if it is here.
    pub(super) fn trail(&self) -> Option<&Trail> {
        match self {
            LineRecorder::Here(recorder) => Some(recorder.trail()),
            LineRecorder::AtRemote(_) => None,
        }
    }
}

impl Ingest<'_> {
    /// Records all lines that are held, with one push.
    pub(super) fn record_held(&mut self) -> Result<()> {
        let LineRecorder::AtRemote(recorder) = &mut self.recorder else {
            return Ok(());
        };
        let mut documents = Vec::new();
        let mut held = Vec::new();
        for line in &mut self.window {
            if let PendingAnswer::Held(document) = &mut line.answer {
                documents.push(std::mem::take(document));
                held.push(&mut line.answer);
            }
        }
        let output = &mut *self.output;
        let mut say = |text: String| output.note(format_args!("{}", text::Line(&text)));
        let recorded = recorder.record(&documents, &mut say)?;
        for (place, recorded) in held.into_iter().zip(recorded) {
            *place = match recorded.is_spooled {
                true => PendingAnswer::Spooled(recorded.answer, recorded.exit),
                false => PendingAnswer::Ready(recorded.answer),
            };
        }
        Ok(())
    }
}
