//! The repositories that are mutated: small trails in the states in which git leaves repositories.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::super::forge::{Commit, Forge, flat, git, sharded, write};
use super::view::Expected;

/// A repository to mutate.
pub struct Base {
    pub name: &'static str,
    pub path: PathBuf,
    /// Every commit of the honest trail, the tip first.
    pub honest: Vec<String>,
    /// Objects that break a rule or start another history: commits, and the trees and blobs beside the honest ones.
    pub forged: Forged,
    /// Objects of the trail: commits, trees and blobs in the order of `forged`.
    pub replaced: Forged,
    /// What git has shown of the base, by tip.
    pub expected: Mutex<HashMap<String, Arc<Expected>>>,
}

/// A commit, its tree, and a blob in it.
pub struct Forged {
    pub commits: Vec<String>,
    pub tree: String,
    pub blob: String,
}

/// Builds all of them below a directory.
pub fn all(place: &Path) -> Vec<Base> {
    let mut bases = Vec::new();
    for name in [
        "loose", "packed", "packs", "checkout", "clone", "worktree", "sha256",
    ] {
        let mut forge = match name {
            "checkout" | "worktree" => Forge::checkout(),
            "sha256" => Forge::bare(&["--object-format=sha256"]),
            _ => Forge::bare(&[]),
        };
        fill(&mut forge, name);
        let to = place.join(name);
        match name {
            "clone" => {
                let paths = [forge.path.to_str().unwrap(), to.to_str().unwrap()];
                git(
                    &forge.path,
                    &["clone", "-q", "--no-local", paths[0], paths[1]],
                );
            }
            _ => crate::support::copy(&forge.path, &to),
        }
        if name == "worktree" {
            let linked = place.join("linked");
            let path = linked.to_str().unwrap();
            git(&to, &["worktree", "add", "-q", "-b", "aside", path]);
        }
        bases.push(describe(name, to));
    }
    bases
}

fn fill(forge: &mut Forge, name: &'static str) {
    let is_checkout = matches!(name, "checkout" | "worktree");
    if !is_checkout {
        forge.genesis();
    }
    for (number, task) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        let path = match number % 2 {
            0 => sharded(task),
            _ => flat(task),
        };
        forge.record(&path);
        if is_checkout && number == 2 {
            let work = forge.by_person(vec![write("src/x", "x\n")]);
            forge.add(&work);
        }
        if name == "packs" && number % 2 == 0 {
            git(&forge.path, &["repack", "-q", "-d"]);
        }
    }
    match name {
        "packed" | "sha256" => {
            git(&forge.path, &["gc", "-q"]);
        }
        "packs" => {
            git(&forge.path, &["repack", "-q", "-d"]);
            git(&forge.path, &["multi-pack-index", "write"]);
            git(&forge.path, &["commit-graph", "write", "--reachable"]);
        }
        "checkout" => {
            git(&forge.path, &["repack", "-q", "-a", "-d"]);
            git(&forge.path, &["pack-refs", "--all"]);
            git(&forge.path, &["checkout", "-q", "-f", "audit"]);
        }
        "worktree" => {
            git(&forge.path, &["checkout", "-q", "-f", "audit"]);
        }
        _ => {}
    }
}

/// Adds the objects of an attacker, which are unreachable, and collects the ids.
fn describe(name: &'static str, path: PathBuf) -> Base {
    let tip = git(&path, &["rev-parse", "HEAD"]).trim().to_owned();
    let list = git(&path, &["rev-list", "HEAD"]);
    let honest: Vec<String> = list.lines().map(str::to_owned).collect();
    let stamp = "Chiffon Audit <audit@localhost> 1767226000 +0000";
    let commit = |message: &str, operations| Commit {
        message: message.to_owned(),
        author: stamp.to_owned(),
        committer: stamp.to_owned(),
        merge: Vec::new(),
        operations,
    };
    let edited = write(
        &flat("b"),
        "{\"task_id\":\"b\",\"status\":\"failed\",\"timestamp\":\"2026-01-01T00:00:03.000001Z\"}\n",
    );
    let forge = Forge::at(&path);
    let mut commits = Vec::new();
    for (from, message) in [
        (tip.as_str(), "a correction\n"),
        (honest[1].as_str(), "audit: another end\n"),
    ] {
        let branch = "refs/heads/forged";
        let id = forge.add_to(branch, from, &commit(message, vec![edited.clone()]));
        commits.push(id);
        git(&path, &["update-ref", "-d", branch]);
    }
    let show = |what: String| git(&path, &["rev-parse", &what]).trim().to_owned();
    let forged = Forged {
        tree: show(format!("{}^{{tree}}", commits[0])),
        blob: show(format!("{}:{}", commits[0], flat("b"))),
        commits,
    };
    let replaced = Forged {
        commits: honest.clone(),
        tree: show(format!("{tip}^{{tree}}")),
        blob: show(format!("{tip}:{}", flat("b"))),
    };
    let git_dir = super::mutate::git_dir(&path);
    for needless in ["hooks", "description", "branches"] {
        let _ = std::fs::remove_dir_all(git_dir.join(needless));
        let _ = std::fs::remove_file(git_dir.join(needless));
    }
    Base {
        name,
        path,
        honest,
        forged,
        replaced,
        expected: Mutex::default(),
    }
}
