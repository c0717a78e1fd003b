//! The list of refs for plain HTTP, `info/refs`: a clone over HTTP without a program on the server takes the refs from
//! it, while git reads the refs themselves elsewhere.

use std::collections::{HashMap, HashSet};

use crate::findings::{Depth, Rule};
use crate::object::{Id, Kind};
use crate::quote::quote;
use crate::rules::commit::Commit;
use crate::rules::message::{self, Role};
use crate::rules::tree::Nodes;
use crate::store::reader::{Fault, Reader};
use crate::walk::Context;
use crate::walk::chain::Chain;

/// The refs of the list, or why it cannot be used.
pub(crate) type ServedRefs = Result<Vec<(Vec<u8>, Id)>, String>;

/// Compares what the list says about the audited ref, or a ref that leads to it, with the audited history. `names` has
/// these refs. The list must be read before the refs, so that it is never newer than the audited tip.
pub(crate) fn find_served(
    context: &Context<'_>,
    served: ServedRefs,
    names: &[Vec<u8>],
    chain: &Chain,
) {
    let findings = &context.findings;
    let served = match served {
        Ok(served) => served,
        Err(why) => {
            findings.broken_anywhere(Rule::Hidden, why);
            return;
        }
    };
    let mut seen = HashSet::new();
    let mut commits = None;
    for (name, id) in served {
        // A tag has its own object, which is in no history.
        if !names.contains(&name) || name.starts_with(b"refs/tags/") {
            continue;
        }
        if !seen.insert((name.clone(), id)) {
            continue;
        }
        // The usual case needs no map of the history.
        if chain.ids().next() == Some(id) {
            continue;
        }
        let commits = commits.get_or_insert_with(|| ServedCommits::new(context, chain));
        let name = quote(&name);
        let shows =
            format!("the file `info/refs` gives {id} for {name}: clones over plain HTTP get it");
        let renew = "`git update-server-info` renews the file";
        match commits.depths.get(&id) {
            Some(depth) => {
                let distance = match depth {
                    1 => "1 commit".to_owned(),
                    _ => format!("{depth} commits"),
                };
                findings.note(
                    Rule::Hidden,
                    format!("{shows}, and it is {distance} behind; {renew}"),
                );
            }
            None if chain.cut.is_some() || chain.until.is_some() => findings.not_shown(
                Rule::Hidden,
                None,
                format!(
                    "whether {id} is in this history; the file `info/refs` gives it for {name}"
                ),
            ),
            None => match commits.outdated_reason(id) {
                Some(reason) => {
                    findings.note(Rule::Hidden, format!("{shows}, but {reason}; {renew}"));
                }
                None => findings.broken_anywhere(
                    Rule::Hidden,
                    format!("{shows}, and it is not in this history"),
                ),
            },
        }
    }
}

/// The commits that the list leads to. An attacker may have written the list, so each of them is read once.
struct ServedCommits<'a, 'c> {
    context: &'a Context<'c>,
    /// The commits of the audited history.
    depths: HashMap<Id, Depth>,
    /// The entries of commits that were read, and why they may be in an honest list.
    judged: HashMap<Id, (Option<Id>, Option<&'static str>)>,
}

impl<'a, 'c> ServedCommits<'a, 'c> {
    fn new(context: &'a Context<'c>, chain: &Chain) -> ServedCommits<'a, 'c> {
        ServedCommits {
            context,
            depths: chain.ids().zip(0..).collect(),
            judged: HashMap::new(),
        }
    }

    /// Why a commit outside of the history may be in an honest list: `git gc` writes the list, and a person may amend or
    /// prune a commit afterwards. `None` if the commit shows other entries than the history.
    fn outdated_reason(&mut self, served: Id) -> Option<&'static str> {
        let mut reader = Reader::new(self.context.current);
        let (mut passed, mut entries) = (Vec::new(), None);
        let mut next = Some(served);
        let reason = loop {
            let Some(id) = next else { break None };
            if let Some((here, reason)) = self.judged.get(&id) {
                break reason.filter(|_| entries.is_none_or(|entries| entries == *here));
            }
            let content = match reader.fetch(&id, Kind::Commit) {
                Ok(content) => content,
                Err(Fault::Missing) if id == served => break Some("the commit is not here"),
                Err(_) => break None,
            };
            let commit = Commit::parse(&content.data, self.context.algorithm.len_in_hex());
            let Some(commit) = commit else { break None };
            let Some(here) = entries_of(self.context, &mut reader, &commit.tree) else {
                break None;
            };
            if *entries.get_or_insert(here) != here {
                break None;
            }
            passed.push((id, here));
            if self.depths.contains_key(&id) {
                break Some("it is a person's commit that is no longer in this history");
            }
            if message::role(commit.message) != Role::Person {
                break None;
            }
            next = commit.parents.first().copied();
        };
        let judged = passed.into_iter().map(|(id, here)| (id, (here, reason)));
        self.judged.extend(judged);
        reason
    }
}

/// The id of the directory with the entries in a tree; `Some(None)` if there is none, and `None` if the tree cannot be read.
fn entries_of(context: &Context<'_>, reader: &mut Reader<'_>, tree: &Id) -> Option<Option<Id>> {
    let content = reader.fetch(tree, Kind::Tree).ok()?;
    let mut nodes = Nodes::new(&content.data, context.algorithm.len_in_bytes());
    Some(
        nodes
            .find(|node| node.name == b".audit")
            .map(|node| node.id()),
    )
}
