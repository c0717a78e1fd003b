//! Our verdict on a signature compared with that of `git verify-commit`, over generated commits, signatures and files
//! of allowed signers. Git and OpenSSH are the oracle: both must accept the same signatures.
//!
//! Deliberate exceptions are counted separately: the armour of a signature must be as `ssh-keygen` writes it, where
//! OpenSSH skips spaces in it and anything after it. Files that OpenSSH reads differently than they look are refused
//! before anything is judged (`verify::signature::allowed` tests that), so none is generated here.

use std::process::Command;

use chiffon_audit_cli::verify::{self, Options, Verdict};

use super::forge::{BEGIN, Forge, sharded};
use super::signatures::Key;
use crate::support::isolated;

/// The number of commits for one pair of files.
const ROUND: u32 = 8;

/// The number of commits, each with about five processes: `.ci/run --full` runs more.
fn rounds() -> u32 {
    let cases = std::env::var("PROPTEST_CASES").ok();
    let cases = cases.and_then(|cases| cases.parse::<u32>().ok());
    cases.map_or(8, |cases| (cases / ROUND).clamp(2, 250))
}

/// A generator of random data.
struct Inventor(fastrand::Rng);

impl Inventor {
    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.0.usize(..choices.len())]
    }

    /// A time near those of the commits, in the format of the file.
    fn moment(&mut self) -> String {
        let (day, hour, second) = (self.0.u32(1..4), self.0.u32(..24), self.0.u32(..3));
        let text = match self.0.u8(..3) {
            0 => format!("202601{day:02}"),
            1 => format!("202601{day:02}{hour:02}00"),
            _ => format!("202601{day:02}0000{second:02}"),
        };
        format!("{text}{}", self.one_of(&["", "Z"]))
    }

    /// A line of allowed signers.
    fn line(&mut self, keys: &[Key]) -> String {
        let principals = self.one_of(&["a@x", "b@x", "a@x,b@x", "*@x", "\"c d\"", "!b@x,*@x"]);
        let mut options = Vec::new();
        if self.0.u8(..3) == 0 {
            let namespaces = [
                "git",
                "file",
                "g*",
                "file,git",
                "*,!git",
                "!file,*",
                "g?t",
                "Git",
                "file, git",
            ];
            let namespaces = self.one_of(&namespaces);
            let name = self.one_of(&["namespaces", "Namespaces"]);
            options.push(format!("{name}=\"{namespaces}\""));
        }
        let (first, second) = (self.moment(), self.moment());
        let is_span = first.trim_end_matches('Z') < second.trim_end_matches('Z');
        if self.0.u8(..4) == 0 {
            options.push(format!("valid-after=\"{first}\""));
        }
        if self.0.u8(..4) == 0 && (options.is_empty() || is_span) {
            options.push(format!("valid-before=\"{second}\""));
        }
        let space = self.one_of(&[" ", "\t", "  "]);
        let mut line = format!("{principals}{space}");
        if !options.is_empty() {
            line += &format!("{}{space}", options.join(","));
        }
        line + &keys[self.0.usize(..keys.len())].public()
    }

    /// A file of allowed signers.
    fn file(&mut self, keys: &[Key]) -> String {
        let mut file = String::from("# who may sign\n\n");
        for _ in 0..self.0.u32(1..6) {
            file += &self.line(keys);
            file += self.one_of(&["\n", "\n\n", "\n# and\n"]);
        }
        file
    }

    /// The text with one byte changed, inserted or removed.
    fn touched(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        let at = self.0.usize(..bytes.len());
        match self.0.u8(..8) {
            0 => bytes.insert(at, b" \n=A"[self.0.usize(..4)]),
            1 => drop(bytes.remove(at)),
            2 => bytes[at] = self.0.alphanumeric() as u8,
            _ => bytes[at] ^= 1 << self.0.u8(..7),
        }
        bytes
    }
}

/// The contents of a signature without the text around it: the way OpenSSH reads it.
fn inside(signature: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(signature);
    let text = text.strip_prefix("-----BEGIN SSH SIGNATURE-----")?;
    let (inside, _) = text.split_once("-----END SSH SIGNATURE-----")?;
    Some(
        inside
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect(),
    )
}

/// A signed commit.
struct Signed {
    id: String,
    told: String,
    /// Whether only the text around the signature was changed.
    only_around: bool,
}

fn signed(forge: &Forge, inventor: &mut Inventor, payload: &str, keys: &[Key]) -> Signed {
    let who = match inventor.0.u8(..8) {
        0 => keys.len() - 1,
        _ => inventor.0.usize(..keys.len() - 1),
    };
    let namespace = match inventor.0.u8(..6) {
        0 => inventor.one_of(&["file", "Git", "gi"]),
        _ => "git",
    };
    let good = keys[who].sign(payload.as_bytes(), namespace);
    let mut told = format!("key {who}, namespace {namespace}");
    let mut signature = good.trim_end().as_bytes().to_vec();
    let mut signed = payload.to_owned().into_bytes();
    let mut only_around = false;
    match inventor.0.u8(..8) {
        0 => {
            signature = inventor.touched(good.trim_end());
            only_around = inside(&signature) == inside(good.as_bytes());
            told += &format!(", signature {:?}", String::from_utf8_lossy(&signature));
        }
        1 => {
            signed = inventor.touched(payload);
            told += &format!(", commit {:?}", String::from_utf8_lossy(&signed));
        }
        _ => {}
    }
    let headers = signed
        .windows(2)
        .position(|two| two == b"\n\n")
        .unwrap_or(signed.len() - 1);
    let mut commit = signed[..headers].to_vec();
    commit.extend_from_slice(b"\ngpgsig ");
    for byte in &signature {
        commit.push(*byte);
        if *byte == b'\n' {
            commit.push(b' ');
        }
    }
    commit.push(b'\n');
    commit.extend_from_slice(&signed[headers + 1..]);
    Signed {
        id: forge.object("commit", &commit),
        told,
        only_around,
    }
}

#[test]
fn a_signature_is_good_where_git_finds_it_good_and_nowhere_else() {
    let mut forge = Forge::bare(&[]);
    // The last of them is in no file.
    let keys: Vec<Key> = ["k0", "k1", "k2", "k3"]
        .map(|name| Key::new(&forge, name))
        .into();
    forge.record(&sharded("a"));
    let plain = forge.git(&["cat-file", "commit", "audit"]);
    let (allowed, revoked) = (forge.beside("allowed"), forge.beside("revoked"));
    let mut inventor = Inventor(fastrand::Rng::with_seed(0x51641));
    let (mut good, mut bad, mut stricter) = (0, 0, 0);
    for round in 0..rounds() {
        let file = inventor.file(&keys[..3]);
        let list: Vec<String> = keys[..3]
            .iter()
            .filter(|_| inventor.0.u8(..8) == 0)
            .map(Key::public)
            .collect();
        let list = format!("# lost\n{}\n", list.join("\n"));
        std::fs::write(&allowed, &file).unwrap();
        std::fs::write(&revoked, &list).unwrap();
        for _ in 0..ROUND {
            let seconds = BEGIN + inventor.0.i64(0..3) * 86_400 + inventor.0.i64(0..4);
            let payload = plain.replace(&(BEGIN + 1).to_string(), &seconds.to_string());
            let case = signed(&forge, &mut inventor, &payload, &keys);
            let theirs = isolated(Command::new("git").arg("-C").arg(&forge.path))
                // A time without a zone is in the machine's zone for OpenSSH, and UTC here.
                .env("TZ", "UTC0")
                .arg("-c")
                .arg(format!("gpg.ssh.allowedSignersFile={}", allowed.display()))
                .arg("-c")
                .arg(format!("gpg.ssh.revocationFile={}", revoked.display()))
                .args(["verify-commit", &case.id])
                .output()
                .unwrap();
            let options = Options {
                reference: Some(case.id.clone()),
                allowed_signers: Some(allowed.clone()),
                revoked_signers: Some(revoked.clone()),
                threads: Some(1),
                ..Options::default()
            };
            let report = verify::verify(&forge.path, &options);
            let claim = report
                .as_ref()
                .map(|report| super::forge::verdict(report, "signatures"));
            let ours = matches!(claim, Ok(Verdict::Holds));
            if theirs.status.success() && !ours && case.only_around {
                stricter += 1;
                continue;
            }
            assert_eq!(
                ours,
                theirs.status.success(),
                "round {round}, {}, at {seconds}\nours: {claim:?}\ngit: {}\nallowed:\n{file}\nrevoked:\n{list}",
                case.told,
                String::from_utf8_lossy(&theirs.stderr)
            );
            match ours {
                true => good += 1,
                false => bad += 1,
            }
        }
    }
    // Both verdicts must occur.
    assert!(
        good * 5 > bad && bad * 5 > good,
        "{good} good, {bad} bad, {stricter} stricter"
    );
    assert!(stricter * 10 < good + bad, "{stricter} stricter");
}
