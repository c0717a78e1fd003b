//! The branches of another repository. Each is followed through its first parents until it meets the audited history,
//! another branch, or its end. Every commit is read once.

use std::collections::HashMap;

use crate::object::{Id, Kind};
use crate::refs::Refs;
use crate::rules::commit::Commit;
use crate::rules::message::{self, Role};
use crate::store::reader::{Fault, Reader};
use crate::walk::Context;

/// Where a branch leads.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// To the audited history, at this depth below its tip.
    Known(u32, Id),
    /// To its own first commit.
    First,
    /// To a commit that cannot be read, with the reason.
    Lost(String),
}

/// The commits of a branch that the audited history does not have.
#[derive(Clone, Debug)]
pub(super) struct Tip {
    pub(super) names: Vec<Vec<u8>>,
    pub(super) end: End,
    /// The number of commits before that end.
    pub(super) commits: u64,
    /// The number of trail commits among them.
    pub(super) recorded: u64,
    /// The oldest trail commit among them.
    pub(super) oldest: Option<Id>,
    /// The trail that starts among them: its uuid, or its first record.
    pub(super) trail: Option<String>,
}

/// The commits of a branch until it meets another one.
struct Line {
    recorded: Vec<bool>,
    oldest: Option<Id>,
    trail: Option<String>,
    first_record: Option<Id>,
    then: LineEnd,
}

enum LineEnd {
    Ends(End),
    Joins(usize, usize),
}

/// Follows all branches of a repository, and `HEAD`.
pub(super) fn follow(
    context: &Context<'_>,
    refs: &Refs<'_>,
    known: &HashMap<u64, u32>,
) -> Vec<Tip> {
    let mut reader = Reader::new(context.current);
    let mut tips: Vec<(Id, Vec<Vec<u8>>)> = Vec::new();
    let mut places: HashMap<Id, usize> = HashMap::new();
    let head = refs.resolve(b"HEAD").ok().flatten();
    let head = head.and_then(|head| Some((b"HEAD".to_vec(), head.id?)));
    let branches = refs.branches().into_iter();
    let branches = branches.filter_map(|branch| Some((branch.name, branch.id.ok().flatten()?)));
    for (name, id) in branches.chain(head) {
        let place = *places.entry(id).or_insert_with(|| {
            tips.push((id, Vec::new()));
            tips.len() - 1
        });
        tips[place].1.push(name);
    }
    let mut spots: HashMap<u64, (usize, usize)> = HashMap::new();
    let mut lines: Vec<Line> = Vec::new();
    let mut found: Vec<Tip> = Vec::new();
    for (id, names) in tips {
        let line = read_line(context, &mut reader, id, known, &mut spots, lines.len());
        let tip = sum_up(&line, &lines, &found, names);
        lines.push(line);
        found.push(tip);
    }
    found
}

fn read_line(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    tip: Id,
    known: &HashMap<u64, u32>,
    spots: &mut HashMap<u64, (usize, usize)>,
    number: usize,
) -> Line {
    let mut line = Line {
        recorded: Vec::new(),
        oldest: None,
        trail: None,
        first_record: None,
        then: LineEnd::Ends(End::First),
    };
    let mut next = Some(tip);
    while let Some(id) = next {
        let key = context.key(id.as_slice());
        if let Some(depth) = known.get(&key) {
            line.then = LineEnd::Ends(End::Known(*depth, id));
            break;
        }
        if let Some((other, depth)) = spots.get(&key) {
            line.then = LineEnd::Joins(*other, *depth);
            break;
        }
        let content = reader.fetch(&id, Kind::Commit);
        let commit = content
            .as_ref()
            .ok()
            .and_then(|content| Commit::parse(&content.data, context.algorithm.len_in_hex()));
        let Some(commit) = commit else {
            let why = match content {
                Err(Fault::Missing) => "is not there",
                _ => "cannot be read",
            };
            line.then = LineEnd::Ends(End::Lost(format!("the commit {id} {why}")));
            break;
        };
        spots.insert(key, (number, line.recorded.len()));
        let role = message::role(commit.message);
        line.recorded.push(role != Role::Person);
        line.oldest = Some(id);
        if role == Role::Entry {
            line.first_record = Some(id);
        }
        if role == Role::Genesis {
            let trailers = message::check(commit.message, role).ok();
            let uuid = trailers.and_then(|trailers| trailers.trail.map(str::to_owned));
            line.trail = uuid.or(line.trail);
        }
        next = commit.parents.first().copied();
    }
    line
}

/// Adds up a line and the lines that it joins.
fn sum_up(line: &Line, lines: &[Line], found: &[Tip], names: Vec<Vec<u8>>) -> Tip {
    let own = |recorded: &[bool]| recorded.iter().filter(|recorded| **recorded).count() as u64;
    let first = line.first_record.map(|id| format!("commit-{id}"));
    let mut tip = Tip {
        names,
        end: End::First,
        commits: line.recorded.len() as u64,
        recorded: own(&line.recorded),
        oldest: line.oldest,
        trail: line.trail.clone().or(first),
    };
    match &line.then {
        LineEnd::Ends(end) => tip.end = end.clone(),
        LineEnd::Joins(other, depth) => {
            let (below, above) = (&found[*other], &lines[*other].recorded[..*depth]);
            tip.end = below.end.clone();
            tip.commits += below.commits - above.len() as u64;
            tip.recorded += below.recorded - own(above);
            tip.oldest = below.oldest.or(tip.oldest);
            let is_uuid = |trail: &&String| !trail.starts_with("commit-");
            let own_uuid = tip.trail.clone().filter(|trail| is_uuid(&trail));
            tip.trail = below
                .trail
                .clone()
                .filter(|trail| is_uuid(&trail) || own_uuid.is_none());
            tip.trail = tip.trail.or(own_uuid);
        }
    }
    tip
}
