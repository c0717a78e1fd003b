//! One change to one file of a repository: random bytes, or a change by an attacker who knows git.

use std::path::{Path, PathBuf};

use super::bases::Base;
use super::indexes;

/// The directory with `HEAD` in it.
pub fn git_dir(path: &Path) -> PathBuf {
    match path.join(".git") {
        inner if inner.is_dir() => inner,
        _ => path.to_owned(),
    }
}

/// Makes one change, and describes it.
pub fn mutate(random: &mut fastrand::Rng, base: &Base, path: &Path) -> String {
    let git_dir = git_dir(path);
    let change = match random.u8(..10) {
        0..3 => bytes(random, &git_dir),
        3..5 => reference(random, base, &git_dir),
        5..7 => line(random, base, &git_dir),
        7 => object(random, base, &git_dir),
        _ => index(random, &git_dir),
    };
    change.unwrap_or_else(|| "nothing".to_owned())
}

/// Writes a file, and replaces an existing one.
pub fn put(file: &Path, contents: &[u8]) {
    if let Some(parent) = file.parent() {
        let _ = std::fs::create_dir_all(parent);
    }
    // Objects and packs are read-only.
    let _ = std::fs::remove_file(file);
    let _ = std::fs::write(file, contents);
}

fn pick<'a, T: ?Sized>(random: &mut fastrand::Rng, from: &[&'a T]) -> &'a T {
    from[random.usize(..from.len())]
}

/// Every file below a directory, in a fixed order.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for item in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = item.path();
            match item.file_type() {
                Ok(kind) if kind.is_dir() => open.push(path),
                Ok(kind) if kind.is_file() => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

fn name(git_dir: &Path, file: &Path) -> String {
    let name = file.strip_prefix(git_dir).unwrap_or(file);
    name.to_string_lossy().into_owned()
}

/// Damages a file without knowing its format.
fn bytes(random: &mut fastrand::Rng, git_dir: &Path) -> Option<String> {
    let all = files(git_dir);
    // Half of the time one of the few files that are not objects.
    let others: Vec<&PathBuf> = all
        .iter()
        .filter(|file| !file.starts_with(git_dir.join("objects")))
        .collect();
    let file = match random.bool() {
        true => others[random.usize(..others.len())].clone(),
        false => all[random.usize(..all.len())].clone(),
    };
    let mut contents = std::fs::read(&file).ok()?;
    let length = contents.len();
    let at = random.usize(..=length);
    let what = match random.u8(..8) {
        0 if length > 0 => {
            contents[at % length] ^= 1 << random.u8(..8);
            "a bit flipped"
        }
        1 if length > 0 => {
            contents[at % length] = random.u8(..);
            "a byte set"
        }
        2 => {
            contents.truncate(at);
            "cut"
        }
        3 => {
            let extra: Vec<u8> = (0..random.usize(1..9)).map(|_| random.u8(..)).collect();
            contents.splice(at..at, extra);
            "bytes inserted"
        }
        4 => {
            let end = (at + random.usize(1..64)).min(length);
            let part = contents[at..end].to_vec();
            contents.splice(at..at, part);
            "a part doubled"
        }
        5 => {
            contents.insert(
                at,
                pick(random, &[&b' ', &b'\t', &b'\r', &b'\n', &0, &0xff]).to_owned(),
            );
            "a blank inserted"
        }
        6 => {
            let other = all[random.usize(..all.len())].clone();
            let theirs = std::fs::read(&other).ok()?;
            put(&other, &contents);
            contents = theirs;
            put(&file, &contents);
            let names = [name(git_dir, &file), name(git_dir, &other)];
            return Some(format!("{} and {} exchanged", names[0], names[1]));
        }
        _ => {
            let _ = std::fs::remove_file(&file);
            return Some(format!("{} removed", name(git_dir, &file)));
        }
    };
    put(&file, &contents);
    Some(format!("{}: {what} at {at}", name(git_dir, &file)))
}

/// An id that an attacker would like git to show.
fn id(random: &mut fastrand::Rng, base: &Base) -> String {
    let id = match random.u8(..4) {
        0 => &base.honest[random.usize(..base.honest.len())],
        _ => &base.forged.commits[random.usize(..base.forged.commits.len())],
    };
    match random.u8(..12) {
        0 => id.to_uppercase(),
        _ => id.clone(),
    }
}

/// Writes a ref, or something else in its place.
fn reference(random: &mut fastrand::Rng, base: &Base, git_dir: &Path) -> Option<String> {
    let places = [
        "HEAD",
        "refs/heads/audit",
        "refs/tags/audit",
        "refs/audit",
        "refs/remotes/audit",
        "refs/remotes/audit/HEAD",
        "refs/remotes/origin/audit",
        "refs/heads/refs/heads/audit",
        "refs/heads/main",
        "refs/notes/commits",
        "refs/stash",
        "audit",
        "heads/audit",
        "tags/audit",
        "ORIG_HEAD",
        "FETCH_HEAD",
        "refs/bisect/bad",
        "refs/worktree/audit",
        "worktrees/linked/HEAD",
        "worktrees/linked/refs/bisect/bad",
    ];
    let (place, contents) = if random.u8(..3) == 0 {
        let old = match random.u8(..4) {
            0 => &base.replaced.tree,
            1 => &base.replaced.blob,
            _ => &base.honest[random.usize(..base.honest.len())],
        };
        let new = match () {
            () if *old == base.replaced.tree => base.forged.tree.clone(),
            () if *old == base.replaced.blob => base.forged.blob.clone(),
            () => id(random, base),
        };
        (format!("refs/replace/{old}"), new)
    } else {
        (pick(random, &places).to_owned(), id(random, base))
    };
    let contents = match random.u8(..8) {
        0 => format!("ref: {}", pick(random, &places)),
        1 => format!("ref:{}", pick(random, &places)),
        _ => contents,
    };
    let end = pick(
        random,
        &[
            "\n", "", " \n", "\t\n", "\r\n", "\n\n", "\nx\n", "\0\n", " x\n",
        ],
    );
    let begin = pick(random, &["", "", "", "", " ", "\n", "\t"]);
    let contents = format!("{begin}{contents}{end}");
    put(&git_dir.join(&place), contents.as_bytes());
    Some(format!("{place} is {contents:?}"))
}

/// Adds a line to a file that git reads line by line.
fn line(random: &mut fastrand::Rng, base: &Base, git_dir: &Path) -> Option<String> {
    let (honest, new) = (
        &base.honest[random.usize(..base.honest.len())],
        id(random, base),
    );
    let configuration = [
        "[core]\n\tuseReplaceRefs = true",
        "[core]\n\tbare = false",
        "[core]\n\tworktree = ..",
        "[core]\n\tcommitGraph = true",
        "[core]\n\trepositoryFormatVersion = 1",
        "[extensions]\n\tobjectFormat = sha256",
        "[extensions]\n\trefStorage = reftable",
        "[extensions]\n\tworktreeConfig = true",
        "[extensions]\n\tpartialClone = origin",
        "[extensions]\n\tpreciousObjects = true",
        "[log]\n\tshowSignature = true",
        "[log]\n\tfollow = true",
        "[log]\n\texcludeDecoration = refs/heads/*",
        "[i18n]\n\tlogOutputEncoding = utf-16",
        "[i18n]\n\tcommitEncoding = latin1",
        "[transfer]\n\thideRefs = refs/heads",
        "[uploadpack]\n\thideRefs = refs/heads/audit",
        "[core]\n\tprecomposeUnicode = true",
        "[include]\n\tpath = other",
        "[feature]\n\texperimental = true",
    ];
    let grafted = format!("{honest} {new}");
    let alone = honest.clone();
    let packed = [
        format!("{new} refs/heads/audit"),
        format!("{new} refs/tags/audit"),
        format!("{new} refs/replace/{honest}"),
        format!("{new}\trefs/heads/audit"),
        format!("{new} refs/heads/audit "),
        format!("^{new}"),
        "# pack-refs with: peeled fully-peeled sorted ".to_owned(),
        format!(
            "# pack-refs with: {}\n{new} refs/heads/audit",
            "x".repeat(5000)
        ),
        format!("\n{new} refs/replace/{honest}"),
    ];
    let packed: Vec<&str> = packed.iter().map(String::as_str).collect();
    let (file, line) = match random.u8(..8) {
        0 => ("config", pick(random, &configuration)),
        1 => (
            "info/grafts",
            pick(random, &[grafted.as_str(), alone.as_str()]),
        ),
        2 => ("shallow", pick(random, &[alone.as_str(), new.as_str()])),
        3 => (
            "objects/info/alternates",
            pick(random, &["../other", "/nonexistent", "\"../other\"", "#x"]),
        ),
        4 => (
            pick(
                random,
                &[
                    "commondir",
                    "gitdir",
                    "worktrees/linked/commondir",
                    "config.worktree",
                ],
            ),
            pick(random, &[".", "..", "../..", "/nonexistent", ". "]),
        ),
        5 => (
            pick(
                random,
                &[
                    "info/sparse-checkout",
                    "info/exclude",
                    "objects/info/packs",
                    "info/refs",
                ],
            ),
            pick(random, &["*", "/.audit", "P pack-x.pack", new.as_str()]),
        ),
        _ => ("packed-refs", pick(random, &packed)),
    };
    let path = git_dir.join(file);
    let mut contents = std::fs::read(&path).unwrap_or_default();
    let end = pick(random, &["\n", "\n", "\n", "", "\r\n", " \n"]);
    let added = format!("{line}{end}");
    if random.u8(..4) == 0 {
        contents.splice(0..0, added.bytes());
    } else {
        contents.extend(added.bytes());
    }
    put(&path, &contents);
    Some(format!(
        "{file} gets {:?}",
        added.chars().take(200).collect::<String>()
    ))
}

/// Replaces the bytes of one loose object by those of another.
fn object(random: &mut fastrand::Rng, base: &Base, git_dir: &Path) -> Option<String> {
    let path = |id: &str| git_dir.join("objects").join(&id[..2]).join(&id[2..]);
    let (old, new) = match random.u8(..3) {
        0 => (&base.replaced.tree, &base.forged.tree),
        1 => (&base.replaced.blob, &base.forged.blob),
        _ => {
            let honest = &base.honest[random.usize(..base.honest.len())];
            (honest, &base.forged.commits[0])
        }
    };
    let contents = std::fs::read(path(new)).ok()?;
    put(&path(old), &contents);
    Some(format!("the loose object {old} has the bytes of {new}"))
}

/// Changes one of git's indexes over objects and commits.
fn index(random: &mut fastrand::Rng, git_dir: &Path) -> Option<String> {
    let is_index = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".idx") || name == "multi-pack-index" || name == "commit-graph"
    };
    let all: Vec<PathBuf> = files(&git_dir.join("objects"))
        .into_iter()
        .filter(is_index)
        .collect();
    let file = all.get(random.usize(..all.len().max(1)))?;
    indexes::mutate(random, file)
}
