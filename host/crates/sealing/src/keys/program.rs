//! Calls the operator's program that wraps and unwraps the key-encryption key.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use zeroize::Zeroizing;

use super::KeyStoreError;

/// How long the program may take: a network call with retries, and not for ever.
const TIME: Duration = Duration::from_secs(30);

/// More than any wrapped key. A program that writes more has gone wrong.
const MOST_BYTES: u64 = 64 << 10;

/// Calls the program with one argument. It gets `input`, and its output is returned.
///
/// # Errors
///
/// [`KeyStoreError::Program`] if it cannot be run, fails, or takes too long.
pub(super) fn call(
    path: &Path,
    action: &str,
    input: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
    let failed = |reason: String| KeyStoreError::Program {
        path: path.to_owned(),
        reason,
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the operator's setting names the program"
    )]
    let mut command = Command::new(path);
    let mut child = command
        .arg(action)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("it cannot be started: {error}")))?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(failed("its pipes are missing".into()));
    };
    let (send, received) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut output = Zeroizing::new(Vec::with_capacity(4096));
        let read = stdout.take(MOST_BYTES).read_to_end(&mut output);
        // The receiver is gone only after the time is over.
        let _ = send.send(read.map(|_| output));
    });
    let said = thread::spawn(move || {
        let mut said = String::new();
        let _ = stderr.take(MOST_BYTES).read_to_string(&mut said);
        said
    });
    // A program may answer without reading its input.
    let _ = stdin.write_all(input);
    drop(stdin);
    let Ok(output) = received.recv_timeout(TIME) else {
        stop(&mut child);
        return Err(failed(format!(
            "it did not end within {} s",
            TIME.as_secs()
        )));
    };
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    let _ = reader.join();
    let output = output.map_err(|error| failed(error.to_string()))?;
    match status.success() {
        true => Ok(output),
        false => {
            let said = said.join().unwrap_or_default();
            let line = said.lines().next().unwrap_or_default();
            Err(failed(format!("`{action}` failed ({status}): {line}")))
        }
    }
}

fn stop(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
