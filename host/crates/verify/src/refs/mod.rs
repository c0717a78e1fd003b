//! The refs, loose and packed, read once and byte for byte. Knows no object: a ref is a name for an id. Anything that
//! is not in the form that git writes is reported, because another program may read it differently.

mod loose;
mod name;
mod packed;

use std::path::PathBuf;

use super::VerifyError;
use super::object::Id;
use super::quote::quote;
use super::repository::Repository;
use loose::Target;
use packed::PackedRefs;

/// The most symbolic refs that git follows one after the other.
const MAX_SYMBOLIC: usize = 4;

/// The result of following a ref.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    /// The last name: for `HEAD` the branch that it names.
    pub(crate) name: Vec<u8>,
    /// The symbolic refs on the way to it, in order.
    pub(crate) passed: Vec<Vec<u8>>,
    /// The id; `None` if that branch has no commit yet.
    pub(crate) id: Option<Id>,
}

/// The refs of a repository at one time.
pub(crate) struct Refs<'a> {
    repository: &'a Repository,
    packed: PackedRefs,
    /// The names of the loose refs, in order.
    loose: Vec<Vec<u8>>,
    /// `HEAD` and the branches that are symbolic refs.
    symbolic: Vec<Vec<u8>>,
    /// Sentences about everything that is not in git's form.
    pub(crate) odd: Vec<String>,
}

/// A local or remote-tracking branch and its commit, or the reason why git cannot read it.
pub(crate) struct Branch {
    pub(crate) name: Vec<u8>,
    pub(crate) id: Result<Option<Id>, VerifyError>,
}

impl<'a> Refs<'a> {
    /// Reads the packed refs, and lists the loose ones.
    ///
    /// # Errors
    ///
    /// A file or directory cannot be read.
    pub(crate) fn load(repository: &'a Repository) -> Result<Refs<'a>, VerifyError> {
        let unreadable = |what: &str, why| VerifyError::Unreadable {
            what: what.to_owned(),
            why,
        };
        let hex_len = repository.algorithm.len_in_hex();
        let path = repository.common_dir.join("packed-refs");
        let packed =
            PackedRefs::read(&path, hex_len).map_err(|why| unreadable("packed-refs", why))?;
        let found = loose::list(&repository.common_dir).map_err(|why| unreadable("refs:", why))?;
        let mut odd = Vec::new();
        if let Some((what, count)) = &packed.odd {
            let more = match count {
                1 => String::new(),
                _ => format!(" (and {} more)", count - 1),
            };
            odd.push(format!(
                "the file `packed-refs` is not as git writes it: {what}{more}"
            ));
        }
        odd.extend(found.odd.into_iter().map(|what| format!("the ref {what}")));
        let mut loose = found.names;
        loose.sort_unstable();
        let mut refs = Refs {
            repository,
            packed,
            loose,
            symbolic: Vec::new(),
            odd,
        };
        refs.check_form();
        Ok(refs)
    }

    /// Reads the files of branches and `HEAD`, and notes what is not in git's form.
    fn check_form(&mut self) {
        let branches =
            [&b"refs/heads/"[..], b"refs/remotes/"].map(|prefix| self.loose_below(prefix));
        let names = branches
            .into_iter()
            .flatten()
            .map(Vec::as_slice)
            .chain([&b"HEAD"[..]]);
        let mut symbolic = Vec::new();
        let odd: Vec<String> = names
            .filter_map(|name| {
                let why = match self.read_loose(name) {
                    Ok(found) => {
                        let found = found?;
                        if let Target::Ref(_) = found.target {
                            symbolic.push(name.to_vec());
                        }
                        found.odd.or_else(|| leads_away(&found.target))?.to_owned()
                    }
                    Err(why) => format!("it {why}"),
                };
                Some(format!(
                    "the ref {} is not as git writes it: {why}",
                    quote(name)
                ))
            })
            .collect();
        self.odd.extend(odd);
        self.symbolic = symbolic;
    }

    fn loose_below<'b>(&'b self, prefix: &'b [u8]) -> impl Iterator<Item = &'b Vec<u8>> {
        let first = self.loose.partition_point(|name| name.as_slice() < prefix);
        let names = self.loose[first..].iter();
        names.take_while(move |name| name.starts_with(prefix))
    }

    fn read_loose(&self, name: &[u8]) -> Result<Option<loose::LooseRef>, String> {
        loose::read(&self.path_of(name), self.repository.algorithm.len_in_hex())
    }

    /// The file of a loose ref, where git looks for it: some refs belong to a work tree, and have another name when
    /// seen from other work trees.
    fn path_of(&self, name: &[u8]) -> PathBuf {
        let common_dir = &self.repository.common_dir;
        if name::is_of_work_tree(name) {
            return loose::join(&self.repository.git_dir, name);
        }
        match name.strip_prefix(b"main-worktree/") {
            Some(of_main) if name::is_of_work_tree(of_main) => loose::join(common_dir, of_main),
            _ => loose::join(common_dir, name),
        }
    }

    /// Follows a ref to an id; `None` if there is no ref with this name. A symbolic ref to a missing ref has no id.
    ///
    /// # Errors
    ///
    /// Git cannot read the ref.
    pub(crate) fn resolve(&self, name: &[u8]) -> Result<Option<Resolved>, VerifyError> {
        let broken = |why: &str| VerifyError::BadReference {
            name: quote(name),
            why: why.to_owned(),
        };
        if !name::is_valid_one_level(name) {
            return Err(broken("it names no valid ref"));
        }
        let mut current = name.to_vec();
        let mut passed = Vec::new();
        for _ in 0..=MAX_SYMBOLIC {
            let Some(found) = self
                .read_loose(&current)
                .map_err(|why| broken(&format!("it {why}")))?
            else {
                let id = self.packed.get(&current);
                let exists = id.is_some() || !passed.is_empty();
                let name = current;
                return Ok(exists.then_some(Resolved { name, passed, id }));
            };
            match found.target {
                Target::Ref(target) => passed.push(std::mem::replace(&mut current, target)),
                Target::Id(id) => {
                    return Ok(Some(Resolved {
                        name: current,
                        passed,
                        id: Some(id),
                    }));
                }
            }
        }
        Err(broken(&format!(
            "it leads through more than {MAX_SYMBOLIC} symbolic refs"
        )))
    }

    /// The other names of a ref: branches and `HEAD`, if they are symbolic refs that lead to it or were passed on the
    /// way.
    pub(crate) fn aliases(&self, name: &[u8]) -> Vec<Vec<u8>> {
        let found = self.symbolic.iter().map(|from| self.resolve(from));
        let found = found.filter_map(|found| found.ok().flatten());
        let mut aliases: Vec<Vec<u8>> = found
            .filter(|found| found.name == name)
            .flat_map(|found| found.passed)
            .collect();
        aliases.sort_unstable();
        aliases.dedup();
        aliases
    }

    /// All local and remote-tracking branches, each once. The `HEAD` of a remote is left out.
    pub(crate) fn branches(&self) -> Vec<Branch> {
        let mut branches = Vec::new();
        for prefix in [&b"refs/heads/"[..], b"refs/remotes/"] {
            for name in self.loose_below(prefix) {
                let id = self
                    .resolve(name)
                    .map(|found| found.and_then(|found| found.id));
                branches.push(Branch {
                    name: name.clone(),
                    id,
                });
            }
            for (name, id) in self.packed.below(prefix) {
                // A loose ref takes precedence over the packed one.
                if self
                    .loose
                    .binary_search_by(|loose| loose.as_slice().cmp(name))
                    .is_err()
                {
                    let name = name.to_vec();
                    branches.push(Branch {
                        name,
                        id: Ok(Some(id)),
                    });
                }
            }
        }
        branches.retain(|branch| {
            !(branch.name.starts_with(b"refs/remotes/") && branch.name.ends_with(b"/HEAD"))
        });
        branches
    }

    /// The names of the refs below `refs/replace/`.
    pub(crate) fn replacing(&self) -> impl Iterator<Item = &[u8]> {
        let prefix = b"refs/replace/";
        let loose = self.loose_below(prefix).map(Vec::as_slice);
        loose.chain(self.packed.below(prefix).map(|(name, _)| name))
    }

    /// Whether the loose ref with this name cannot be read by git.
    pub(crate) fn is_broken(&self, name: &[u8]) -> bool {
        self.read_loose(name).is_err()
    }
}

/// The reason why a symbolic ref with this target has more than one reading, if it has: the refs of a work tree differ
/// from one work tree to the next, and other programs look for them in other places.
fn leads_away(target: &Target) -> Option<&'static str> {
    match target {
        Target::Ref(name) if !name.starts_with(b"refs/") || name::is_of_work_tree(name) => {
            Some("it leads to a ref that belongs to one work tree")
        }
        _ => None,
    }
}
