//! A repository that each run of a crash scenario starts from: it is made once and copied.

use std::fs;
use std::path::Path;

use chiffon_audit_cli::trail::disk::simulated::{Plan, SimulatedDisk};

use super::crash::{Kind, git_dir};
use super::*;

/// A repository before the scenario, and the files that change when it fetches from a clone with one more entry.
pub(super) struct Template {
    repo: Repo,
    fetched: Vec<(PathBuf, Vec<u8>)>,
}

impl Template {
    pub(super) fn new(kind: Kind) -> Template {
        let repo = if kind.has_work_tree() {
            Repo::init(&[])
        } else {
            Repo::bare()
        };
        // Each run copies and looks through all that is there.
        fs::remove_dir_all(git_dir(&repo.path, kind).join("hooks")).unwrap();
        let other = Repo::init(&[]);
        match kind {
            Kind::Bare => {}
            Kind::Checkout | Kind::Unwritable => repo.commit_file("readme", "hello"),
            Kind::Merging | Kind::MergingBeside | Kind::Indexing => {
                let trail = repo.trail();
                for (n, id) in kind.before().iter().enumerate() {
                    append(&trail, id, at(n as i64 - 9_000_000))
                        .unwrap()
                        .wait()
                        .unwrap();
                }
            }
        }
        if kind != Kind::Bare {
            other.git(&["pull", "-q", repo.path.to_str().unwrap(), "main"]);
        }
        append(&other.trail(), "f", at(-1_000_000))
            .unwrap()
            .wait()
            .unwrap();
        let fetched = fetched(&repo.path, &other.path, kind);
        Template { repo, fetched }
    }

    /// A copy for one run, after the fetch. The simulated disk treats the earlier files as durable and the fetched ones as not
    /// synced.
    pub(super) fn copy(&self, to: &Path, kind: Kind, plan: Plan) -> SimulatedDisk {
        copy(&self.repo.path, to);
        let disk = SimulatedDisk::new(to, plan).unwrap();
        for (path, contents) in &self.fetched {
            let path = to.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let _ = fs::remove_file(&path);
            fs::write(path, contents).unwrap();
        }
        if kind.has_work_tree() {
            // As git leaves it, which knows the files that it has written.
            git(to, &["update-index", "-q", "--refresh"]);
        }
        disk
    }
}

/// The files that differ after a fetch into a copy, or a pull where there is a work tree.
fn fetched(repo: &Path, other: &Path, kind: Kind) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = temporary();
    let work = dir.path().join("work");
    copy(repo, &work);
    let other = other.to_str().unwrap();
    let words = match kind {
        Kind::Checkout | Kind::Unwritable => ["pull", "-q", "--ff-only", other, "main"],
        _ => ["fetch", "-q", "--", other, "main:main"],
    };
    git(
        &work,
        &[&["-c", "fetch.unpackLimit=1"], &words[..]].concat(),
    );
    let before = relative(repo);
    let after = relative(&work);
    assert!(before.keys().all(|path| after.contains_key(path)));
    let is_new = |path: &PathBuf, contents: &Vec<u8>| before.get(path) != Some(contents);
    after
        .into_iter()
        .filter(|(path, contents)| work.join(path).is_file() && is_new(path, contents))
        .collect()
}

/// What a directory holds, by the path within it.
fn relative(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = listing(dir).into_iter();
    all.map(|(path, contents)| (path.strip_prefix(dir).unwrap().to_owned(), contents))
        .collect()
}
