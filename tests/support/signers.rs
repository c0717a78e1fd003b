//! Signers for tests: SSH keys, an agent, an OpenPGP key ring, and a directory for all of them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A set of keys. Processes that it starts end with it.
pub struct Signers {
    dir: tempfile::TempDir,
    agent: Option<Child>,
    has_keyring: bool,
}

impl Signers {
    pub fn new() -> Signers {
        Signers {
            dir: crate::support::temporary(),
            agent: None,
            has_keyring: false,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// An executable file with this text.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, &format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A new SSH key; returns its private half.
    pub fn ssh(&self, name: &str, kind: &str, passphrase: &str) -> PathBuf {
        let file = self.path(name);
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-N", passphrase, "-C", name, "-f"])
            .arg(&file));
        file
    }

    /// An allowed-signers file with this key.
    pub fn allow(&self, key: &Path) -> PathBuf {
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        self.write("allowed", &format!("host@example.org {public}"))
    }

    /// Starts an agent with this key; returns its socket.
    pub fn agent(&mut self, key: &Path) -> PathBuf {
        let socket = self.path("agent");
        let mut agent = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The agent prints its address once it listens.
        let mut line = String::new();
        let mut said = std::io::BufReader::new(agent.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
        self.agent = Some(agent);
        run(Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &socket));
        socket
    }

    /// A key ring with one key without a passphrase; returns its fingerprint and a program that signs with it.
    pub fn openpgp(&mut self) -> (String, PathBuf) {
        self.openpgp_at(&[], "0")
    }

    /// A key ring with one key; takes arguments for the program and the key's expiry.
    pub fn openpgp_at(&mut self, arguments: &[&str], expires: &str) -> (String, PathBuf) {
        let home = self.path("g");
        std::fs::create_dir(&home).unwrap();
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
        self.has_keyring = true;
        let user = "Host <host@example.org>";
        let quick = [
            "--batch",
            "-q",
            "--passphrase",
            "",
            "--quick-gen-key",
            user,
            "ed25519",
            "sign",
            expires,
        ];
        run(gpg(&home).args(arguments).args(quick));
        let output = gpg(&home).args(["--with-colons", "-K"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find(|line| line.starts_with("fpr:")).unwrap();
        let fingerprint = line.split(':').nth(9).unwrap().to_owned();
        let arguments = arguments.join(" ");
        let program = format!("exec gpg --homedir '{}' {arguments} \"$@\"", home.display());
        (fingerprint, self.script("gpg", &program))
    }

    /// The public half of the OpenPGP key.
    pub fn openpgp_public(&self) -> PathBuf {
        let output = gpg(&self.path("g"))
            .args(["--armor", "--export"])
            .output()
            .unwrap();
        self.write("public.asc", &String::from_utf8(output.stdout).unwrap())
    }
}

fn gpg(home: &Path) -> Command {
    let mut command = Command::new("gpg");
    command.arg("--homedir").arg(home).stderr(Stdio::null());
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Drop for Signers {
    fn drop(&mut self) {
        if let Some(agent) = &mut self.agent {
            let _ = agent.kill();
            let _ = agent.wait();
        }
        if self.has_keyring {
            let mut kill = Command::new("gpgconf");
            let _ = kill
                .arg("--homedir")
                .arg(self.path("g"))
                .args(["--kill", "all"])
                .output();
        }
    }
}
