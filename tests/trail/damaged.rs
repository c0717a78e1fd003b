//! A damaged repository inside another one: the message names it, and the outer one is not changed.

use super::*;

/// A repository with another one inside it, which has a trail.
struct Nested {
    outer: Repo,
    inner: PathBuf,
    tip: String,
}

fn nested(args: &[&str]) -> Nested {
    let outer = checkout();
    let inner = outer.path.join("inner");
    git(
        &outer.path,
        &[&["init", "-q", "-b", "main", "inner"], args].concat(),
    );
    record_at(&inner, "a", 0).unwrap();
    let tip = outer.git(&["rev-parse", "HEAD"]);
    Nested { outer, inner, tip }
}

impl Nested {
    /// Checks that without `name`, opening from each of `from` fails with these words, and works again when it is
    /// restored.
    #[track_caller]
    fn without(&self, name: &str, from: &[PathBuf], words: &str) {
        let (there, away) = (self.inner.join(name), self.outer.path.join("away"));
        std::fs::rename(&there, &away).unwrap();
        for dir in from {
            let Err(error) = open(dir) else {
                panic!("{} opens without {name}", dir.display());
            };
            assert!(
                matches!(error, TrailError::Unreadable { .. }) && error.may_pass(),
                "{name}: {error}"
            );
            let inner = self.inner.canonicalize().unwrap();
            let said = error.to_string();
            assert!(
                said.contains(words) && said.contains(inner.to_str().unwrap()),
                "{said}"
            );
        }
        assert_eq!(self.outer.git(&["rev-parse", "HEAD"]), self.tip);
        assert!(!self.outer.path.join(".git/chiffon-audit").exists());
        std::fs::rename(&away, &there).unwrap();
        for dir in from {
            open(dir).unwrap();
        }
    }
}

#[test]
fn a_damaged_repository_is_named_and_the_one_around_it_is_not_taken() {
    let bare = nested(&["--bare"]);
    let from = [bare.inner.clone(), bare.inner.join("chiffon-audit")];
    for (name, words) in [
        ("refs", "refs is missing"),
        ("objects", "objects is missing"),
        ("HEAD", "HEAD is missing"),
    ] {
        bare.without(name, &from, words);
    }
    let checkout = nested(&[]);
    let below = checkout.inner.join("deep/below");
    std::fs::create_dir_all(&below).unwrap();
    let from = [checkout.inner.clone(), below];
    for (name, words) in [
        (".git/refs", "refs is missing"),
        (".git/objects", "objects is missing"),
        (".git/HEAD", "HEAD is missing"),
    ] {
        checkout.without(name, &from, words);
    }
}

#[test]
fn a_git_file_that_leads_nowhere_and_an_empty_git_directory_are_named() {
    let outer = checkout();
    for (name, contents) in [("file", Some("gitdir: ../gone\n")), ("mount", None)] {
        let dir = outer.path.join(name);
        std::fs::create_dir(&dir).unwrap();
        match contents {
            Some(text) => std::fs::write(dir.join(".git"), text).unwrap(),
            None => std::fs::create_dir(dir.join(".git")).unwrap(),
        }
        let said = refusal(open(&dir).map(drop));
        assert!(said.contains("missing") && said.contains(name), "{said}");
    }
}

/// The damaged repository is not changed: its configuration belongs to a person.
#[test]
fn a_damaged_repository_is_not_initialised_again() {
    let nested = nested(&["--bare"]);
    std::fs::rename(nested.inner.join("refs"), nested.outer.path.join("away")).unwrap();
    let before = listing(&nested.inner);
    let said = refusal(Trail::init(&nested.inner, init_options()).map(drop));
    assert!(said.contains("refs is missing"), "{said}");
    assert_eq!(listing(&nested.inner), before);
}

/// A directory that only has the name of a git directory is skipped, as git does.
#[test]
fn ordinary_directories_are_none() {
    let outer = checkout();
    for (name, files) in [
        ("one", &["HEAD"][..]),
        ("two", &["objects/info/x"]),
        ("three", &["config", "objects/x", "refs/x"]),
        ("four", &["chiffon-audit/README.md", "HEAD"]),
    ] {
        for file in files {
            let path = outer.path.join(name).join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "another's").unwrap();
        }
        let trail = open(&outer.path.join(name)).unwrap();
        let common = trail.common_dir().canonicalize().unwrap();
        assert_eq!(common, outer.path.join(".git").canonicalize().unwrap());
    }
}
