//! OpenPGP signatures, checked by the auditor's program (`gpg`, or a compatible one) with the given keys in a separate
//! key ring. The user's keys and trust settings have no influence.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Judgement, quote, show_time};

/// The OpenPGP keys whose signatures count.
pub(crate) struct KeyRing {
    home: tempfile::TempDir,
    program: PathBuf,
    /// The time limit for one signature.
    timeout: Duration,
    /// Whether a call took longer. The program is not called again then: with a hundred thousand commits the limit
    /// would be useless.
    is_silent: AtomicBool,
    number: AtomicU64,
}

/// The longest output for one signature, in bytes; the rest is cut off.
const MAX_STATUS: u64 = 1 << 20;

/// How often to check whether a program has ended after it closed its output.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Why there is no answer from the program.
enum GpgFailure {
    /// It did not end within the time limit.
    Late,
    /// It could not be run.
    NotRun(String),
}

impl KeyRing {
    /// Imports exported public keys.
    ///
    /// # Errors
    ///
    /// The program cannot be run, or finds no key in the file. After a timeout there is no error, but each signature is
    /// not shown.
    pub(crate) fn open(keys: &Path, program: &Path, timeout: Duration) -> Result<KeyRing, String> {
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(home.path(), private).map_err(|error| error.to_string())?;
        let ring = KeyRing {
            home,
            program: program.to_owned(),
            timeout,
            is_silent: AtomicBool::new(false),
            number: AtomicU64::new(0),
        };
        let bytes = std::fs::read(keys).map_err(|error| format!("cannot be read: {error}"))?;
        match ring.run(&["--import".as_ref()], bytes) {
            Ok(status) if status.contains("[GNUPG:] IMPORT_OK ") => Ok(ring),
            Ok(_) => Err("holds no OpenPGP key that the program can read".to_owned()),
            Err(GpgFailure::Late) => Ok(ring),
            Err(GpgFailure::NotRun(why)) => Err(why),
        }
    }

    /// Judges a signature of these bytes, for a commit with this time.
    pub(super) fn judge(
        &self,
        payload: &[u8],
        signature: &[u8],
        seconds: i64,
    ) -> Judgement<'static> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let file = self.home.path().join(format!("signature-{number}"));
        let status = std::fs::write(&file, signature)
            .map_err(|error| GpgFailure::NotRun(error.to_string()))
            .and_then(|()| {
                let arguments = ["--verify".as_ref(), file.as_ref(), "-".as_ref()];
                self.run(&arguments, payload.to_vec())
            });
        // A failure only leaves a file behind.
        let _ = std::fs::remove_file(&file);
        match status {
            Ok(status) => read_status(&status, seconds),
            Err(no_answer) => {
                let why = match no_answer {
                    GpgFailure::NotRun(why) => why,
                    GpgFailure::Late => format!(
                        "{} did not end within {} s, and is not called again",
                        quote(self.program.as_os_str().as_encoded_bytes()),
                        self.timeout.as_secs_f32()
                    ),
                };
                Judgement::NotShown(format!("whether its OpenPGP signature is good: {why}"))
            }
        }
    }

    /// Runs the program with this input. Returns its status lines.
    fn run(&self, arguments: &[&std::ffi::OsStr], input: Vec<u8>) -> Result<String, GpgFailure> {
        if self.is_silent.load(Ordering::Relaxed) {
            return Err(GpgFailure::Late);
        }
        let deadline = Instant::now() + self.timeout;
        #[expect(
            clippy::disallowed_methods,
            reason = "the auditor's own configuration names this program"
        )]
        let mut command = Command::new(&self.program);
        let mut child = command
            .arg("--homedir")
            .arg(self.home.path())
            .args([
                "--batch",
                "--no-tty",
                "--quiet",
                "--no-autostart",
                "--status-fd=1",
            ])
            .args(["--no-auto-key-retrieve", "--trust-model=always"])
            .args(arguments)
            // So that its children end with it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| self.cannot_run(&error))?;
        let said = self.talk(&mut child, input, deadline);
        if said.is_err() {
            end(&mut child);
        }
        if let Err(GpgFailure::Late) = &said {
            self.is_silent.store(true, Ordering::Relaxed);
        }
        said
    }

    /// Writes the child's input. Returns its output within the time limit.
    fn talk(
        &self,
        child: &mut Child,
        input: Vec<u8>,
        deadline: Instant,
    ) -> Result<String, GpgFailure> {
        let stdin = child.stdin.take();
        self.start(move || {
            if let Some(mut stdin) = stdin {
                // A program that does not read its input does not report a good signature.
                let _ = stdin.write_all(&input);
            }
        })?;
        let (sender, receiver) = mpsc::channel();
        let stdout = child.stdout.take();
        self.start(move || {
            let mut said = Vec::new();
            if let Some(stdout) = stdout {
                let _ = stdout.take(MAX_STATUS).read_to_end(&mut said);
            }
            // The receiver may be gone after a timeout.
            let _ = sender.send(said);
        })?;
        let left = deadline.saturating_duration_since(Instant::now());
        let said = receiver.recv_timeout(left).map_err(|_| GpgFailure::Late)?;
        while child
            .try_wait()
            .map_err(|error| self.cannot_run(&error))?
            .is_none()
        {
            if Instant::now() >= deadline {
                return Err(GpgFailure::Late);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    /// Runs the work on another thread, which may outlive the call.
    fn start(&self, work: impl FnOnce() + Send + 'static) -> Result<(), GpgFailure> {
        let thread = std::thread::Builder::new().name("verify-openpgp".into());
        thread
            .spawn(work)
            .map(drop)
            .map_err(|error| self.cannot_run(&error))
    }

    fn cannot_run(&self, error: &std::io::Error) -> GpgFailure {
        let program = quote(self.program.as_os_str().as_encoded_bytes());
        GpgFailure::NotRun(format!("{program} cannot be run: {error}"))
    }
}

/// Kills a program that took too long, and its children.
fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        // It was not waited for, so its process id was not reused.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

/// Judges a signature by the status lines of GnuPG's doc/DETAILS.
fn read_status(status: &str, seconds: i64) -> Judgement<'static> {
    let lines = || {
        status
            .lines()
            .filter_map(|line| line.strip_prefix("[GNUPG:] "))
    };
    let find = |name: &str| {
        lines().find_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix(' ')
                .map(str::to_owned)
        })
    };
    let key = |found: &str| {
        let mut parts = found.splitn(2, ' ');
        let id = parts.next().unwrap_or_default();
        quote(parts.next().unwrap_or(id).as_bytes())
    };
    if let Some(found) = find("REVKEYSIG") {
        return Judgement::Broken(format!(
            "it is signed by the revoked OpenPGP key of {}",
            key(&found)
        ));
    }
    if find("BADSIG").is_some() {
        return Judgement::Broken(
            "its OpenPGP signature is not of its bytes: it was forged, or the commit edited".into(),
        );
    }
    if let Some(found) = find("EXPSIG") {
        return Judgement::NotShown(format!(
            "whether the OpenPGP signature of {} counted then: it has expired since",
            key(&found)
        ));
    }
    let signatures = lines().filter(|line| line.starts_with("NEWSIG")).count();
    if let Some(found) = find("EXPKEYSIG") {
        // As for SSH keys: signatures from the time when the key was valid stay valid.
        let made = find("VALIDSIG").and_then(|valid| time(valid.split(' ').nth(2)?));
        let ends = lines().filter_map(|line| line.strip_prefix("KEYEXPIRED "));
        let end = ends.map(|end| time(end.trim())).min().flatten();
        return match (made, end) {
            (Some(made), Some(end)) if signatures == 1 && made < end && seconds < end => {
                Judgement::Signed(name(&found).into())
            }
            (Some(made), Some(end)) if signatures == 1 => Judgement::Broken(format!(
                "it is signed by the OpenPGP key of {} after its time: it expired at {}, and the signature is of {}, \
                 the commit of {}",
                key(&found),
                show_time(end),
                show_time(made),
                show_time(seconds)
            )),
            _ => Judgement::NotShown(format!(
                "whether the OpenPGP key of {} was valid then: it has expired since",
                key(&found)
            )),
        };
    }
    if let Some(found) = find("NO_PUBKEY") {
        return Judgement::Broken(format!(
            "it is signed by the OpenPGP key {}, which is not among the given keys",
            quote(found.as_bytes())
        ));
    }
    match (find("GOODSIG"), find("VALIDSIG"), signatures) {
        (Some(found), Some(_), 1) => Judgement::Signed(name(&found).into()),
        _ => Judgement::Broken("its OpenPGP signature cannot be checked".into()),
    }
}

/// The name of the signer, which follows the key's id.
fn name(found: &str) -> String {
    let (id, name) = found.split_once(' ').unwrap_or((found, found));
    if name.is_empty() { id } else { name }.to_owned()
}

/// Parses a time of the status lines: seconds since 1970, or `YYYYMMDDThhmmss`.
fn time(text: &str) -> Option<i64> {
    match text.split_once('T') {
        Some((day, second)) => super::time::parse(&format!("{day}{second}Z")),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Judgement, read_status};

    #[test]
    fn a_key_that_expired_is_held_against_the_times_of_signature_and_commit() {
        let status = |made: i64| {
            format!(
                "[GNUPG:] NEWSIG\n[GNUPG:] KEYEXPIRED 2000\n[GNUPG:] EXPKEYSIG 0123456789ABCDEF Host <h@x>\n\
                 [GNUPG:] VALIDSIG ABCD 1970-01-01 {made} 0 4 0 22 8 00 ABCD\n"
            )
        };
        let signed = Judgement::Signed("Host <h@x>".to_owned().into());
        assert_eq!(read_status(&status(1999), 1999), signed);
        let as_text = status(1999).replace("KEYEXPIRED 2000", "KEYEXPIRED 19700101T003320");
        assert_eq!(read_status(&as_text, 1999), signed);
        for (made, seconds) in [(2000, 1000), (1000, 2000), (3000, 3000)] {
            let judged = read_status(&status(made), seconds);
            assert!(matches!(judged, Judgement::Broken(_)), "{judged:?}");
        }
        let unsaid = status(1999).replace("KEYEXPIRED 2000", "KEYEXPIRED x");
        assert!(matches!(read_status(&unsaid, 1999), Judgement::NotShown(_)));
        let twice = status(1999).replacen("NEWSIG", "NEWSIG\n[GNUPG:] NEWSIG", 1);
        assert!(matches!(read_status(&twice, 1999), Judgement::NotShown(_)));
    }
}
