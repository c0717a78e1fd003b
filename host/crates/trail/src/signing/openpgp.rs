//! OpenPGP signatures, made by the operator's program (`gpg`, or a compatible one) within a time limit.
//!
//! The operator's configuration names the program, never a repository's `gpg.program`.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::TrailError;
use crate::signing::SigningOptions;

/// A key that a program holds.
pub(super) struct OpenPgpKey {
    program: PathBuf,
    arguments: Vec<OsString>,
    timeout: Duration,
}

/// How often to check whether a program has ended after it closed its output.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Kills a program that took too long, and its children.
fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        // It was not waited for, so its process id was not reused.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

impl OpenPgpKey {
    pub(super) fn new(
        key: &str,
        program: &Path,
        options: &SigningOptions,
    ) -> Result<OpenPgpKey, TrailError> {
        if key.is_empty() || key.starts_with('-') {
            return Err(TrailError::Invalid(
                "the OpenPGP signing key must be a fingerprint or another name of a key".into(),
            ));
        }
        let mut arguments: Vec<OsString> = ["--batch", "--no-tty", "--status-fd=2"]
            .map(Into::into)
            .into();
        if let Some(file) = &options.passphrase_file {
            arguments.extend(["--pinentry-mode", "loopback", "--passphrase-file"].map(Into::into));
            arguments.push(file.into());
        }
        let name = program.file_name().map(|name| name.to_string_lossy());
        if name.is_some_and(|name| name.starts_with("gpg")) {
            // These override its configuration: such lines are not signed, so an audit rejects them.
            arguments.extend(["--no-comments", "--no-emit-version"].map(Into::into));
        }
        arguments.extend(["-bsau", key].map(Into::into));
        Ok(OpenPgpKey {
            program: program.to_owned(),
            arguments,
            timeout: options.timeout,
        })
    }

    /// Makes the armoured signature of these bytes.
    pub(super) fn sign(&self, payload: &[u8]) -> Result<String, String> {
        let name = self.program.display();
        #[expect(
            clippy::disallowed_methods,
            reason = "the operator's own configuration names this program"
        )]
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            // So that its children end with it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| format!("{name} cannot be run: {error}"))?;
        let said = self.talk(&mut child, payload.to_vec());
        if said.is_err() {
            end(&mut child);
        }
        let (signature, status) = said?;
        if status.contains("[GNUPG:] SIG_CREATED ")
            && signature.starts_with("-----BEGIN PGP SIGNATURE-----\n")
            && signature.is_ascii()
        {
            return Ok(signature);
        }
        let why = status.lines().find(|line| !line.starts_with("[GNUPG:]"));
        let why: String = why
            .unwrap_or("no signature was made")
            .chars()
            .take(200)
            .collect();
        Err(format!("{name} did not sign: {}", why.escape_debug()))
    }

    /// Writes the child's input. Returns what it wrote to standard output and standard error within the time limit.
    fn talk(&self, child: &mut Child, payload: Vec<u8>) -> Result<(String, String), String> {
        let deadline = Instant::now() + self.timeout;
        let late = || {
            format!(
                "{} did not end within {} s",
                self.program.display(),
                self.timeout.as_secs_f32()
            )
        };
        let (sender, receiver) = mpsc::channel();
        if let Some(mut input) = child.stdin.take() {
            // A program that does not read its input must not block; its output shows the failure.
            start(move || {
                let _ = input.write_all(&payload);
            })?;
        }
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|stream| Box::new(stream) as _),
            child.stderr.take().map(|stream| Box::new(stream) as _),
        ];
        for (place, stream) in streams.into_iter().enumerate() {
            let sender = sender.clone();
            start(move || {
                let mut text = Vec::new();
                if let Some(stream) = stream {
                    // A signature is short. Longer output is cut off, and is not a signature.
                    let _ = stream.take(1 << 20).read_to_end(&mut text);
                }
                // The receiver may be gone after a timeout.
                let _ = sender.send((place, String::from_utf8_lossy(&text).into_owned()));
            })?;
        }
        let mut said = [String::new(), String::new()];
        for _ in 0..2 {
            let left = deadline.saturating_duration_since(Instant::now());
            let (place, text) = receiver.recv_timeout(left).map_err(|_| late())?;
            said[place] = text;
        }
        while child
            .try_wait()
            .map_err(|error| format!("{} cannot be waited for: {error}", self.program.display()))?
            .is_none()
        {
            if Instant::now() >= deadline {
                return Err(late());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        let [signature, status] = said;
        Ok((signature, status))
    }
}

/// Runs the work on another thread, if the system can start one.
fn start(work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    std::thread::Builder::new()
        .name("trail-sign".into())
        .spawn(work)
        .map(drop)
        .map_err(|error| format!("cannot start the thread trail-sign: {error}"))
}
