//! Which remote branch a ref tracks, by `remote.*.fetch`, and which branches are default branches.

use super::search::Search;
use crate::place::repository::Repository;

/// The note for a person who uses the trail in a shallow clone.
pub(crate) const CUT_OFF: &str = "this clone is shallow, and earlier commits of the trail are not in it: `git fetch --unshallow` \
     fetches them";

/// The part of a remote that this clone does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UnfetchedBranches {
    /// The clone fetches only this branch.
    NotConfigured(String),
    /// Only a part was fetched.
    NotFetched,
}

impl UnfetchedBranches {
    /// The warning for a person whose trail starts here.
    pub(crate) fn warning(&self) -> String {
        match self {
            UnfetchedBranches::NotConfigured(branch) => format!(
                "this clone has only {branch} of its remote, and a trail on another branch there is not visible: `git remote \
                 set-branches origin '*'` and a `git fetch` show it"
            ),
            UnfetchedBranches::NotFetched => "only a part of the remote was fetched, and a trail on another branch there may not be \
                 visible: `git fetch` shows it (`git fetch --unshallow` in a shallow clone)"
                .to_owned(),
        }
    }
}

/// The configured remotes. Nothing in the configuration is executed, and nothing is connected to.
pub(crate) struct Remotes {
    /// The source and destination of each refspec of `remote.*.fetch`.
    refspecs: Vec<(String, String)>,
}

impl Remotes {
    pub(crate) fn read(repository: &Repository) -> Remotes {
        let refspecs = repository.fetch_refspecs();
        let pairs = refspecs.iter().filter_map(|spec| {
            let (source, destination) = spec.trim_start_matches('+').split_once(':')?;
            let whole = |name: &str| match name.starts_with("refs/") {
                true => name.to_owned(),
                false => format!("refs/heads/{name}"),
            };
            // Negative refspecs have no destination.
            (!destination.is_empty() && !source.starts_with('^'))
                .then(|| (whole(source), whole(destination)))
        });
        Remotes {
            refspecs: pairs.collect(),
        }
    }

    /// The namespaces of remote-tracking refs. Refs that are fetched into `refs/heads/`, as in a mirror, are branches
    /// here.
    pub(super) fn namespaces(&self) -> Vec<String> {
        let mut found = vec!["refs/remotes/".to_owned()];
        for (_, destination) in &self.refspecs {
            let namespace = destination.split('*').next().unwrap_or_default();
            // A single ref counts as its directory.
            let namespace = namespace
                .rsplit_once('/')
                .map_or("", |(directory, _)| directory);
            let namespace = format!("{namespace}/");
            let is_apart = namespace.matches('/').count() >= 2
                && ["refs/heads/", "refs/tags/", "refs/remotes/"]
                    .iter()
                    .all(|known| !namespace.starts_with(known));
            if is_apart && !found.contains(&namespace) {
                found.push(namespace);
            }
        }
        found
    }

    /// The branches that are fetched, if not all branches of a remote are. A trail on another branch is not visible
    /// here.
    pub(crate) fn only(&self) -> Option<String> {
        let mut sources = self.refspecs.iter().map(|(source, _)| source.as_str());
        let has_all = |source: &str| ["refs/heads/*", "refs/*"].contains(&source);
        let first = sources.clone().next()?;
        (!sources.any(has_all)).then(|| first.to_owned())
    }

    /// Why a trail on another branch of a remote may not be visible here, if so.
    pub(crate) fn find_unfetched(&self, repository: &Repository) -> Option<UnfetchedBranches> {
        if self.refspecs.is_empty() {
            return None;
        }
        if let Some(branch) = self.only() {
            return Some(UnfetchedBranches::NotConfigured(branch));
        }
        let tracked = Search::new(repository).refs(&self.namespaces()).ok()?;
        let is_copy = |name: &str| {
            let mut specs = self.refspecs.iter();
            specs.any(|(_, destination)| match destination.split_once('*') {
                Some((begin, end)) => name.starts_with(begin) && name.ends_with(end),
                None => destination == name,
            })
        };
        // A build that fetches one commit, as actions/checkout does, gets no other branch.
        let has_no_branch = !tracked.is_empty() && !tracked.iter().any(|(name, _)| is_copy(name));
        (repository.shallow || has_no_branch).then_some(UnfetchedBranches::NotFetched)
    }

    /// Whether a fetch sets this branch to the remote's commit, and drops entries that were recorded here.
    pub(crate) fn overwrites(&self, branch: &str) -> bool {
        self.refspecs
            .iter()
            .any(|(_, destination)| match destination.split_once('*') {
                Some((begin, end)) => branch.starts_with(begin) && branch.ends_with(end),
                None => destination == branch,
            })
    }

    /// The branch that a remote-tracking ref is a copy of, by its name in this repository.
    pub(super) fn branch(&self, tracking: &str) -> String {
        let tracked = self.refspecs.iter().find_map(|(source, destination)| {
            match (source.split_once('*'), destination.split_once('*')) {
                (None, None) => (destination == tracking).then(|| source.clone()),
                (Some((before, after)), Some((begin, end))) => {
                    let matched = tracking.strip_prefix(begin)?.strip_suffix(end)?;
                    Some(format!("{before}{matched}{after}"))
                }
                _ => None,
            }
        });
        if let Some(branch) = tracked.filter(|branch| branch.starts_with("refs/heads/")) {
            return branch;
        }
        // The remote is no longer configured: assume that its name has no slash.
        let below = tracking.strip_prefix("refs/remotes/").unwrap_or(tracking);
        let name = below.split_once('/').map_or(below, |(_, name)| name);
        format!("refs/heads/{name}")
    }

    /// Whether people work on this branch by default: a remote's `HEAD` names it, or it is `main` or `master`.
    pub(super) fn is_default_branch(&self, repository: &Repository, branch: &str) -> bool {
        let heads = repository.remote_heads();
        if heads.is_empty() {
            return ["refs/heads/main", "refs/heads/master"].contains(&branch);
        }
        heads.iter().any(|head| self.branch(head) == branch)
    }
}

/// The short name of a ref, as people write it.
pub(crate) fn short(reference: &str) -> &str {
    ["refs/heads/", "refs/remotes/"]
        .iter()
        .find_map(|prefix| reference.strip_prefix(prefix))
        .unwrap_or(reference)
}

#[cfg(test)]
mod tests {
    use super::Remotes;

    fn remotes(refspecs: &[(&str, &str)]) -> Remotes {
        Remotes {
            refspecs: refspecs
                .iter()
                .map(|(source, destination)| ((*source).to_owned(), (*destination).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn a_tracking_ref_is_of_the_branch_that_the_refspec_says() {
        let remotes = remotes(&[
            ("refs/heads/*", "refs/remotes/team/hub/*"),
            ("refs/heads/audit", "refs/upstream/trail"),
            ("refs/heads/wip/*", "refs/copies/*/wip"),
        ]);
        for (tracking, branch) in [
            ("refs/remotes/team/hub/audit", "refs/heads/audit"),
            ("refs/remotes/team/hub/a/b", "refs/heads/a/b"),
            ("refs/upstream/trail", "refs/heads/audit"),
            ("refs/copies/x/wip", "refs/heads/wip/x"),
            ("refs/remotes/gone/audit", "refs/heads/audit"),
        ] {
            assert_eq!(remotes.branch(tracking), branch, "{tracking}");
        }
        assert_eq!(
            remotes.namespaces(),
            ["refs/remotes/", "refs/upstream/", "refs/copies/"]
        );
    }

    #[test]
    fn what_a_mirror_fetches_into_are_branches_here() {
        let mirror = remotes(&[("refs/*", "refs/*")]);
        assert_eq!(mirror.namespaces(), ["refs/remotes/"]);
        assert!(mirror.overwrites("refs/heads/audit"));
        assert_eq!(mirror.only(), None);
    }

    #[test]
    fn a_clone_of_one_branch_is_known_as_such() {
        let one = remotes(&[("refs/heads/main", "refs/remotes/origin/main")]);
        assert_eq!(one.only().as_deref(), Some("refs/heads/main"));
        assert!(!one.overwrites("refs/heads/main"));
        let all = remotes(&[("refs/heads/*", "refs/remotes/origin/*")]);
        assert_eq!((all.only(), remotes(&[]).only()), (None, None));
    }
}
