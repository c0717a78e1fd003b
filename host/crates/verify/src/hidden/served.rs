//! The list of refs for plain HTTP, `info/refs`: a clone over HTTP without a program on the server takes the refs from
//! it, while git reads the refs themselves elsewhere.

use crate::findings::Rule;
use crate::quote::quote;
use crate::repository::Repository;
use crate::walk::Context;
use crate::walk::chain::Chain;

/// Compares what the list says about the audited ref, or a ref that leads to it, with the audited history. `names` has
/// these refs.
pub(crate) fn find_served(
    repository: &Repository,
    context: &Context<'_>,
    names: &[Vec<u8>],
    chain: &Chain,
) {
    let findings = &context.findings;
    let listed = match repository.served_refs() {
        Ok(listed) => listed,
        Err(why) => {
            findings.broken_anywhere(Rule::Hidden, why);
            return;
        }
    };
    for (name, id) in listed {
        // A tag has its own object, which is in no history.
        if !names.contains(&name) || name.starts_with(b"refs/tags/") {
            continue;
        }
        let name = quote(&name);
        let shows = format!(
            "the file `info/refs` says that {name} is {id}, which clones over plain HTTP show"
        );
        match chain.depth_of(&id) {
            Some(0) => {}
            Some(depth) => {
                let commits = match depth {
                    1 => "1 commit".to_owned(),
                    _ => format!("{depth} commits"),
                };
                findings.note(
                    Rule::Hidden,
                    format!("{shows}: it is {commits} behind; `git update-server-info` renews it"),
                );
            }
            None if chain.cut.is_some() || chain.until.is_some() => findings.not_shown(
                Rule::Hidden,
                None,
                format!("whether it is in this history: {shows}"),
            ),
            None => findings.broken_anywhere(
                Rule::Hidden,
                format!("{shows}, and which is not in this history"),
            ),
        }
    }
}
