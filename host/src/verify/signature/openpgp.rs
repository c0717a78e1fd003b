//! OpenPGP signatures, checked by the auditor's own program (`gpg`, or what speaks its language) with the keys that were given, in
//! a key ring of their own: neither the user's keys nor anybody's idea of trust has a part in it.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Judgement, quote};

/// The keys whose signatures count.
pub(crate) struct KeyRing {
    home: tempfile::TempDir,
    program: PathBuf,
    number: AtomicU64,
}

impl KeyRing {
    /// Reads exported public keys.
    ///
    /// # Errors
    ///
    /// The program cannot be run, or takes none of the file for a key.
    pub(crate) fn open(keys: &Path, program: &Path) -> Result<KeyRing, String> {
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(home.path(), private).map_err(|error| error.to_string())?;
        let ring = KeyRing {
            home,
            program: program.to_owned(),
            number: AtomicU64::new(0),
        };
        let bytes = std::fs::read(keys).map_err(|error| format!("cannot be read: {error}"))?;
        let status = ring.run(&["--import".as_ref()], &bytes)?;
        if status.contains("[GNUPG:] IMPORT_OK ") {
            Ok(ring)
        } else {
            Err("holds no OpenPGP key that the program can read".to_owned())
        }
    }

    /// Judges a signature of these bytes.
    pub(super) fn judge(&self, payload: &[u8], signature: &[u8]) -> Judgement<'static> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let file = self.home.path().join(format!("signature-{number}"));
        let status = std::fs::write(&file, signature)
            .map_err(|error| error.to_string())
            .and_then(|()| self.run(&["--verify".as_ref(), file.as_ref(), "-".as_ref()], payload));
        // Only room is lost if it stays.
        let _ = std::fs::remove_file(&file);
        match status {
            Ok(status) => read_status(&status),
            Err(why) => {
                Judgement::NotShown(format!("whether its OpenPGP signature is good: {why}"))
            }
        }
    }

    /// Runs the program on this input; what it says on its status channel.
    fn run(&self, arguments: &[&std::ffi::OsStr], input: &[u8]) -> Result<String, String> {
        let cannot = |error| format!("{} cannot be run: {error}", self.program.display());
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
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(cannot)?;
        let stdin = child.stdin.take();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || {
                if let Some(mut stdin) = stdin {
                    // A program that reads nothing says nothing good either.
                    let _ = stdin.write_all(input);
                }
            });
            child.wait_with_output()
        });
        Ok(String::from_utf8_lossy(&output.map_err(cannot)?.stdout).into_owned())
    }
}

/// What the lines of GnuPG's doc/DETAILS say of a signature.
fn read_status(status: &str) -> Judgement<'static> {
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
    if let Some(found) = find("EXPKEYSIG").or_else(|| find("EXPSIG")) {
        return Judgement::NotShown(format!(
            "whether the OpenPGP key of {} was valid then: it has expired since",
            key(&found)
        ));
    }
    if let Some(found) = find("NO_PUBKEY") {
        return Judgement::Broken(format!(
            "it is signed by the OpenPGP key {}, which is not among those that were given",
            quote(found.as_bytes())
        ));
    }
    let signatures = lines().filter(|line| line.starts_with("NEWSIG")).count();
    match (find("GOODSIG"), find("VALIDSIG"), signatures) {
        (Some(found), Some(_), 1) => {
            let mut parts = found.splitn(2, ' ');
            let id = parts.next().unwrap_or_default();
            Judgement::Signed(parts.next().unwrap_or(id).to_owned().into())
        }
        _ => Judgement::Broken("its OpenPGP signature cannot be checked".into()),
    }
}
