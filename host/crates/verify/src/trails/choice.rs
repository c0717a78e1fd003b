//! Which branches add something to a trail, and which only have a part of it.

use std::collections::{HashMap, HashSet};

use super::Candidate;
use super::survey::{LinePosition, Survey};
use crate::object::Id;
use crate::quote::quote;
use crate::walk::Context;

/// A trail: the branch to audit, which is `HEAD`'s or the most complete one, and branches with something else.
pub(crate) struct Trail {
    pub(crate) candidate: Candidate,
    pub(crate) tip: Id,
    /// Its uuid, or its first record; `None` if that is not known or not needed.
    pub(crate) id: Option<String>,
    /// Other branches of the same trail that continue differently, with their tips.
    pub(crate) beside: Vec<(Candidate, Id)>,
    /// The more complete branch, if `HEAD` has only a part of the trail.
    pub(crate) further: Option<Candidate>,
}

impl Trail {
    /// The names of all its branches that add something, for a message.
    pub(super) fn names(&self) -> Vec<String> {
        let trail = self.id.as_deref().unwrap_or("unknown");
        let beside = self.beside.iter().map(|(candidate, _)| candidate);
        std::iter::once(&self.candidate)
            .chain(beside)
            .map(|candidate| format!("{} (trail {trail})", quote(&candidate.name)))
            .collect()
    }
}

/// Finds the trails at these tips.
pub(super) fn find(
    context: &Context<'_>,
    shallow: &HashSet<Id>,
    tips: Vec<(Id, Vec<Candidate>)>,
    head: Option<Id>,
) -> Vec<Trail> {
    let mut survey = Survey::begin(context, shallow, tips);
    let head = head.and_then(|head| survey.lines.iter().position(|line| line.tip == head));
    survey.follow(head);
    let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut place_of = HashMap::new();
    for place in 0..survey.lines.len() {
        let root = survey.root_of(place);
        let group = *place_of.entry(root).or_insert_with(|| {
            groups.push((root, Vec::new()));
            groups.len() - 1
        });
        groups[group].1.push(place);
    }
    groups.retain(|(_, lines)| lines.iter().any(|place| survey.lines[*place].shows_trail()));
    // If in doubt, use `HEAD`: a missing commit must not lead the audit to another branch.
    if let Some(head) = head
        && survey.lines[head].unreadable
        && survey.lines[head].joins.is_none()
    {
        let root = survey.root_of(head);
        groups.retain(|(group, _)| *group == root);
    }
    let several = groups.len() > 1;
    let groups = groups.into_iter();
    let mut trails: Vec<Trail> = groups
        .map(|(_, lines)| Group::new(&survey, lines, head).judge(&mut survey, several))
        .collect();
    trails.sort_by(|one, other| one.candidate.cmp(&other.candidate));
    trails
}

/// Lines with a common history.
struct Group {
    lines: Vec<usize>,
    head: Option<usize>,
    /// The size of the history from each line down, for the lines that were followed.
    sizes: HashMap<usize, HistorySize>,
    /// The most complete line.
    best: usize,
    /// The path down from its tip: for each line the depth from which it is part of the path, and the number of commits
    /// before that.
    way: HashMap<usize, (u32, u64)>,
    order: Vec<usize>,
    /// Where the end of each other line meets the path.
    met: HashMap<usize, LinePosition>,
    /// The entries at the commits of the path, with the newest number of each. Filled when needed.
    states: HashMap<Id, u64>,
    scanned: (usize, u32, u64),
}

/// What a branch has and the most complete one lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surplus {
    /// Nothing except people's work: its part of the trail is a prefix.
    Nothing,
    /// Merges that bring in what the trail records, or that the trail brought in.
    Merges,
    /// Records, or changes of recorded entries.
    Records,
}

/// The number of records, and of all commits.
type HistorySize = (u64, u64);

impl Group {
    fn new(survey: &Survey<'_, '_>, lines: Vec<usize>, head: Option<usize>) -> Group {
        let head = head.filter(|head| lines.contains(head));
        let mut sizes = HashMap::new();
        for line in &lines {
            add_size(survey, *line, &mut sizes);
        }
        let most = sizes.values().map(|(recorded, _)| *recorded).max();
        let with_most = lines.iter().filter(|line| Some(sizes[line].0) == most);
        let best = with_most.max_by_key(|line| {
            let preferred = survey.lines[**line].refs.first();
            (
                head == Some(**line),
                sizes[line].1,
                std::cmp::Reverse(preferred),
            )
        });
        let best = best.map_or(lines[0], |line| *line);
        let mut group = Group {
            lines,
            head,
            sizes,
            best,
            way: HashMap::new(),
            order: Vec::new(),
            met: HashMap::new(),
            states: HashMap::new(),
            scanned: (0, 0, 0),
        };
        let mut before = 0;
        let mut next = Some((best, 0));
        while let Some((line, depth)) = next {
            group.way.insert(line, (depth, before));
            group.order.push(line);
            before += survey.lines[line].commits.len() as u64 - u64::from(depth);
            next = survey.lines[line].joins;
        }
        group
    }

    fn judge(mut self, survey: &mut Survey<'_, '_>, several: bool) -> Trail {
        let lines = std::mem::take(&mut self.lines);
        let others = lines.into_iter().filter(|line| *line != self.best);
        let others: Vec<usize> = others.collect();
        let others: Vec<(usize, Surplus)> = others
            .into_iter()
            .map(|line| (line, self.surplus(survey, line)))
            .collect();
        let with = |beside: Surplus| others.iter().filter(move |(_, found)| *found == beside);
        let adding: Vec<usize> = with(Surplus::Records).map(|(line, _)| *line).collect();
        let id = (several || !adding.is_empty())
            .then(|| survey.trail_of(self.best))
            .flatten();
        let named = |line: usize| {
            let line = &survey.lines[line];
            let candidate = line.refs.first().cloned();
            (candidate.expect("a line begins at a ref"), line.tip)
        };
        // Git shows this branch by default, so it is the one in question, though another may be more complete.
        let holds_some = |line: &usize| {
            let line = &survey.lines[*line];
            line.has_entries || !line.recorded.is_empty()
        };
        let is_part = |head: &usize| with(Surplus::Nothing).any(|(line, _)| line == head);
        let head = self.head.filter(|head| holds_some(head) && is_part(head));
        let shown = head.unwrap_or(self.best);
        let is_less = self.size(survey, (shown, 0)).0 < self.size(survey, (self.best, 0)).0;
        let (candidate, tip) = named(shown);
        Trail {
            candidate,
            tip,
            id,
            further: is_less.then(|| named(self.best).0),
            beside: match adding.is_empty() {
                true => Vec::new(),
                false => {
                    let others = adding.into_iter().chain([self.best]);
                    others.filter(|line| *line != shown).map(named).collect()
                }
            },
        }
    }

    /// What a line has and the best one lacks.
    fn surplus(&mut self, survey: &mut Survey<'_, '_>, line: usize) -> Surplus {
        let meeting = self.meeting(survey, line);
        if meeting == (line, 0) {
            return Surplus::Nothing;
        }
        let tip = survey.lines[line].tip;
        if survey.lines[line].unreadable {
            return Surplus::Records;
        }
        if self.size(survey, (line, 0)).0 > self.size(survey, meeting).0 {
            let best = survey.lines[self.best].tip;
            return match survey.is_merged(best, tip) && survey.holds_all(&best, &tip) {
                true => Surplus::Merges,
                false => Surplus::Records,
            };
        }
        // Only people's commits are left: the branch has other work.
        let now = survey.audit_tree(&tip).map(|(tree, _)| tree);
        let meets = survey.lines[meeting.0].commits[meeting.1 as usize];
        if survey.audit_tree(&meets).map(|(tree, _)| tree) == now {
            return Surplus::Nothing;
        }
        // Or the branch took over later records of the trail, by a merge.
        match now.is_some_and(|now| self.had_entries_since(survey, meeting, now)) {
            true => Surplus::Merges,
            false => Surplus::Records,
        }
    }

    /// Where a line meets the best one's path: at its own tip, if that is on the path.
    fn meeting(&mut self, survey: &Survey<'_, '_>, line: usize) -> LinePosition {
        let mut passed = Vec::new();
        let mut spot = (line, 0);
        let met = loop {
            if let Some((depth, _)) = self.way.get(&spot.0) {
                break (spot.0, spot.1.max(*depth));
            }
            if let Some(met) = self.met.get(&spot.0) {
                break *met;
            }
            passed.push(spot.0);
            spot = survey.lines[spot.0].joins.expect("lines of a group meet");
        };
        self.met.extend(passed.into_iter().map(|line| (line, met)));
        met
    }

    fn size(&self, survey: &Survey<'_, '_>, spot: LinePosition) -> HistorySize {
        let line = &survey.lines[spot.0];
        let above = line.recorded.partition_point(|depth| *depth < spot.1);
        let (recorded, commits) = self.sizes[&spot.0];
        (recorded - above as u64, commits - u64::from(spot.1))
    }

    /// Whether the best line had these entries at a commit after the one where the other line left it.
    fn had_entries_since(
        &mut self,
        survey: &mut Survey<'_, '_>,
        meeting: LinePosition,
        wanted: Id,
    ) -> bool {
        let (depth, before) = self.way[&meeting.0];
        let end = before + u64::from(meeting.1 - depth);
        while self.scanned.2 < end {
            let (place, step, number) = self.scanned;
            let line = self.order[place];
            let depth = self.way[&line].0 + step;
            let Some(commit) = survey.lines[line].commits.get(depth as usize).copied() else {
                self.scanned = (place + 1, 0, number);
                continue;
            };
            if let Some((tree, _)) = survey.audit_tree(&commit) {
                self.states.entry(tree).or_insert(number);
            }
            self.scanned = (place, step + 1, number + 1);
        }
        self.states.get(&wanted).is_some_and(|number| *number < end)
    }
}

/// Adds up the sizes from a line down.
fn add_size(survey: &Survey<'_, '_>, line: usize, sizes: &mut HashMap<usize, HistorySize>) {
    let mut passed = Vec::new();
    let mut next = Some((line, 0));
    while let Some((line, _)) = next
        && !sizes.contains_key(&line)
    {
        passed.push(line);
        next = survey.lines[line].joins;
    }
    for line in passed.into_iter().rev() {
        let (mut recorded, mut commits) = (0, 0);
        let found = &survey.lines[line];
        if let Some((below, depth)) = found.joins {
            let above = survey.lines[below]
                .recorded
                .partition_point(|at| *at < depth);
            recorded = sizes[&below].0 - above as u64;
            commits = sizes[&below].1 - u64::from(depth);
        }
        recorded += found.recorded.len() as u64;
        commits += found.commits.len() as u64;
        sizes.insert(line, (recorded, commits));
    }
}
