//! Judges one commit against its first parent: what it changes, and whether its message and its entry match.

use super::changes::{self, Change, Changes};
use super::objects;
use super::record::{self, JudgedEntry};
use super::{Context, Place, Tally};
use crate::findings::Rule;
use crate::object::{Id, Kind};
use crate::quote::quote;
use crate::rules::commit::Commit;
use crate::rules::encoding::{self, Encoding};
use crate::rules::message::{self, MessageError, Role, Trailers};
use crate::rules::tree::{Mode, Node, Nodes};
use crate::rules::{path, subject};
use crate::store::reader::Reader;
use crate::visit::{TrailCommit, TrailEntry};

/// The tree of a commit's first parent.
#[derive(Clone, Copy, Debug)]
pub(super) enum ParentTree {
    /// The commit has no parent.
    Nothing,
    /// The parent has this tree.
    Tree(Id),
    /// The parent is cut off or broken; the commit's changes are not known.
    Unknown,
}

/// A commit to judge.
pub(super) struct CommitCase<'a> {
    pub(super) place: Place,
    /// The number of older entries.
    pub(super) position: u64,
    /// The bytes of the commit.
    pub(super) raw: &'a [u8],
    pub(super) commit: Commit<'a>,
    pub(super) role: Role,
    pub(super) before: ParentTree,
}

/// Judges a commit.
pub(super) fn judge(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    tally: &mut Tally,
    case: &CommitCase<'_>,
) {
    let place = case.place;
    let trailers = if case.role == Role::Person {
        None
    } else {
        check_commit(context, case)
    };
    if let (Role::Person, Some(name)) = (case.role, case.commit.encoding) {
        judge_encoding(context, place, name, case.commit.message);
    }
    tally.objects += 1;
    let mut seen = SeenFile::default();
    if let ParentTree::Unknown = case.before {
        tally.objects += objects::check_new(context, reader, case.commit.tree, None, place);
    } else {
        judge_changes(context, reader, tally, case, trailers.as_ref(), &mut seen);
    }
    context.record_bad_copies(reader, place);
    show(context, case, trailers.as_ref(), &seen);
}

/// Judges the encoding in a person's commit: git may show another text than was checked here.
fn judge_encoding(context: &Context<'_>, place: Place, name: &[u8], message: &[u8]) {
    let may_show_record = match encoding::encoding(name) {
        Encoding::Utf8 => false,
        Encoding::Extended => {
            let title = subject::raw_title(message);
            !title.is_ascii() && encoding::may_show_record(&title)
        }
        Encoding::Shifting => {
            let plain = encoding::without_shifts(message);
            message::role(&plain) != Role::Person
                || encoding::may_show_record(&subject::raw_title(&plain))
        }
        Encoding::Other => true,
    };
    if may_show_record {
        let (id, name) = (place.1, quote(name));
        context.findings.not_shown(
            Rule::Agreement,
            Some(place),
            format!(
                "whether the commit {id} looks like a record: git decodes its message from {name}"
            ),
        );
    }
}

/// The only file that the commit adds, kept for visitors.
#[derive(Default)]
pub(super) struct SeenFile(pub(super) Option<File>);

/// The path, the id, and what was judged.
type File = (Vec<u8>, Id, JudgedEntry);

/// Shows a trail commit to the visitors.
fn show(
    context: &Context<'_>,
    case: &CommitCase<'_>,
    trailers: Option<&Trailers<'_>>,
    seen: &SeenFile,
) {
    if context.visitors.is_empty() || case.role == Role::Person {
        return;
    }
    let commit = TrailCommit {
        depth: case.place.0,
        position: case.position,
        policy: trailers
            .and_then(|trailers| trailers.policy)
            .unwrap_or_default(),
        settings: trailers
            .and_then(|trailers| trailers.settings)
            .unwrap_or_default(),
        reporter: trailers.and_then(|trailers| trailers.reporter),
        id: case.place.1,
        raw: case.raw,
        is_genesis: case.role == Role::Genesis,
        seconds: case.commit.time(),
        entry: seen.0.as_ref().map(|(path, blob, judged)| TrailEntry {
            path,
            blob: *blob,
            task: path::name(path).filter(|_| judged.has_task),
            bytes: &judged.content.data,
            recorded: judged.recorded,
        }),
    };
    for visitor in &context.visitors {
        visitor.visit(&commit);
    }
}

/// Checks a trail commit by itself.
fn check_commit<'a>(context: &Context<'_>, case: &'a CommitCase<'_>) -> Option<Trailers<'a>> {
    let place = case.place;
    if case.commit.parents.len() > 1 {
        let number = case.commit.parents.len();
        context.findings.broken(
            Rule::OneEntry,
            place,
            format!("a trail commit has {number} parents; look at the others' history"),
        );
    }
    if let Err(why) = case.commit.check_headers() {
        context.findings.broken(Rule::Agreement, place, why);
    }
    match message::check(case.commit.message, case.role) {
        Ok(trailers) => Some(trailers),
        Err(MessageError::Broken(why)) => {
            context.findings.broken(Rule::Agreement, place, why);
            None
        }
        Err(MessageError::Later(what)) => {
            context
                .findings
                .not_shown(Rule::Agreement, Some(place), what);
            None
        }
    }
}

fn judge_changes(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    tally: &mut Tally,
    case: &CommitCase<'_>,
    trailers: Option<&Trailers<'_>>,
    seen: &mut SeenFile,
) {
    let place = case.place;
    let parent = match case.before {
        ParentTree::Tree(id) => Some(id),
        _ => None,
    };
    if parent == Some(case.commit.tree) {
        judge_without_changes(context, case);
        return;
    }
    // Defects of the parent's tree are reported where it was new.
    let before = match parent.map(|id| reader.fetch(&id, Kind::Tree)) {
        None => None,
        Some(Ok(content)) => Some(content),
        Some(Err(_)) => {
            context.findings.not_shown(
                Rule::OneEntry,
                Some(place),
                "what this commit changes; its parent's tree cannot be read".to_owned(),
            );
            tally.objects += objects::check_new(context, reader, case.commit.tree, None, place);
            return;
        }
    };
    let Some(after) = objects::read_tree(context, reader, &case.commit.tree, place) else {
        context.findings.not_shown(
            Rule::OneEntry,
            Some(place),
            "what this commit changes; its tree cannot be read".to_owned(),
        );
        return;
    };
    tally.objects += 1;
    let hash_len = context.hash_len();
    let old: &[u8] = before.as_ref().map_or(&[], |content| &content.data);
    let root = |tree| Nodes::new(tree, hash_len);
    let is_audit = |node: &Node<'_>| node.name == b".audit";
    let others = |tree| root(tree).filter(move |node| !is_audit(node));
    let others_differ = !others(old).eq(others(&after.data));
    if others_differ {
        let mut old_others = others(old);
        let changed = others(&after.data)
            .find(|node| old_others.next() != Some(*node))
            .or_else(|| others(old).next());
        let name = changed.map_or_else(String::new, |node| quote(node.name));
        if case.role != Role::Person {
            context.findings.broken(
                Rule::OneEntry,
                place,
                format!("a trail commit changes a path outside `.audit`: {name}"),
            );
        }
        // The root itself is counted already.
        tally.objects +=
            objects::check_new(context, reader, case.commit.tree, parent, place).saturating_sub(1);
    }
    let (before, now) = (root(old).find(is_audit), root(&after.data).find(is_audit));
    if now.is_some() && (others_differ || before.is_none()) {
        // If this commit begins the trail, no earlier one was checked for these names: all of them count as new.
        let known = before.as_ref().map_or(&[][..], |_| old);
        check_names(context, known, &after.data, place);
    }
    let same = match (&before, &now) {
        (Some(before), Some(now)) => before.is_same(now),
        (before, now) => before.is_none() && now.is_none(),
    };
    if same {
        judge_without_changes(context, case);
        return;
    }
    let changes = changes::compare(context, reader, before, now, place);
    tally.objects += changes.objects;
    judge_audit(context, reader, tally, case, trailers, changes, seen);
}

/// Judges a commit that does not change the trail: it must not look like one that does.
fn judge_without_changes(context: &Context<'_>, case: &CommitCase<'_>) {
    let (findings, place) = (&context.findings, case.place);
    match case.role {
        Role::Entry => {
            findings.broken(
                Rule::OneEntry,
                place,
                "a trail commit adds no entry".to_owned(),
            );
            let what = "an imitation: it has the trailers of a record, and adds no entry";
            findings.broken(Rule::Agreement, place, what.to_owned());
        }
        Role::Person if subject::is_record(case.commit.message) => {
            let what =
                "an imitation: git shows it under the subject of a record, and it adds no entry";
            findings.broken(Rule::Agreement, place, what.to_owned());
        }
        Role::Person | Role::Genesis => {}
    }
}

/// Checks the names beside `.audit`: one that some systems treat as `.audit` hides the real one. `old` is the tree
/// whose names were checked before.
fn check_names(context: &Context<'_>, old: &[u8], new: &[u8], place: Place) {
    let shadows = |node: &Node<'_>| node.name != b".audit" && imitates_audit(node.name);
    let hash_len = context.hash_len();
    if let Some(node) = Nodes::new(new, hash_len).find(shadows)
        && !Nodes::new(old, hash_len).any(|old| old.name == node.name)
    {
        let name = quote(node.name);
        context.findings.broken(
            Rule::Hidden,
            place,
            format!("{name} beside `.audit` is the same directory on some systems"),
        );
    }
}

/// Whether a system treats this name as `.audit`: one that ignores case or invisible characters, or Windows. The rules
/// are those of git for `.git` and `.gitmodules` on HFS+ and NTFS.
fn imitates_audit(name: &[u8]) -> bool {
    let text = String::from_utf8_lossy(name);
    let dropped = |letter: &char| matches!(letter, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let visible: String = text.chars().filter(|letter| !dropped(letter)).collect();
    // Windows reads `\\` as a separator, and what follows `:` as the name of a stream.
    let first = visible.split(['\\', ':']).next().unwrap_or_default();
    let first = first.trim_end_matches(['.', ' ']);
    first.eq_ignore_ascii_case(".audit") || is_short_name(first)
}

/// Whether this is a short name that Windows makes for `.audit`. It makes four of this form for names that begin alike.
fn is_short_name(name: &str) -> bool {
    let Some((begin, number)) = name.split_once('~') else {
        return false;
    };
    begin.eq_ignore_ascii_case("audit") && matches!(number, "1" | "2" | "3" | "4")
}

fn judge_audit(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    tally: &mut Tally,
    case: &CommitCase<'_>,
    trailers: Option<&Trailers<'_>>,
    mut changes: Changes,
    seen: &mut SeenFile,
) {
    let place = case.place;
    if case.role == Role::Person {
        let number = changes.list.len();
        let readmes = changes.list.extract_if(.., |change| is_readme(change));
        for change in readmes {
            let path = quote(&change.path);
            let what = format!(
                "commit {}: {path} is a person's file, not an entry",
                place.1
            );
            context.findings.note(Rule::OneEntry, what);
            tally.objects += check_file(context, reader, &change, place);
        }
        if changes.list.is_empty() && number > 0 && !changes.more {
            judge_without_changes(context, case);
            return;
        }
    }
    if let Some(what) = changes
        .list
        .iter()
        .find_map(|change| describe_undone(change, &changes))
    {
        context.findings.broken(Rule::AppendOnly, place, what);
    }
    let mut added = (0..changes.list.len()).filter(|at| changes.list[*at].before.is_none());
    let only = match (added.next(), added.next()) {
        (Some(only), None) if case.role == Role::Entry && !changes.more => Some(only),
        _ => None,
    };
    drop(added);
    if let Some(only) = only {
        let change = changes.list.swap_remove(only);
        tally.entries += 1;
        let judged = record::judge_entry(context, reader, tally, case, trailers, &change);
        if let (Some(judged), Some((_, id))) = (judged, change.after) {
            seen.0 = Some((change.path, id, judged));
        }
    } else {
        let added: Vec<&Change> = changes
            .list
            .iter()
            .filter(|change| change.before.is_none())
            .collect();
        judge_others(context, tally, case, &changes, &added);
    }
    for change in &changes.list {
        tally.objects += check_file(context, reader, change, place);
    }
}

/// Hashes the file after a change, if there is one. Returns the number of objects.
fn check_file(
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    change: &Change,
    place: Place,
) -> u64 {
    let Some((mode, id)) = change.after.filter(|(mode, _)| *mode != Mode::Tree) else {
        return 0;
    };
    let node = Node {
        mode,
        name: &change.path,
        id: id.as_slice(),
    };
    objects::check_leaf(context, reader, &node, place)
}

/// Whether the change is of a file with information for readers: `.audit/README` or `.audit/README.md`, which cannot be
/// an entry.
fn is_readme(change: &Change) -> bool {
    const NAME: &[u8] = b"readme";
    let is_file = |side: Option<(Mode, Id)>| side.is_none_or(|(mode, _)| mode == Mode::File);
    let Some(name) = change.path.strip_prefix(b".audit/") else {
        return false;
    };
    let (begin, end) = name.split_at(name.len().min(NAME.len()));
    begin.eq_ignore_ascii_case(NAME)
        && (end.is_empty() || end.starts_with(b"."))
        && !name.contains(&b'/')
        && is_file(change.before)
        && is_file(change.after)
}

/// Judges the changes of a commit other than one added entry.
fn judge_others(
    context: &Context<'_>,
    tally: &mut Tally,
    case: &CommitCase<'_>,
    changes: &Changes,
    added: &[&Change],
) {
    let place = case.place;
    let first = added
        .first()
        .map_or_else(String::new, |change| quote(&change.path));
    let number = if changes.more {
        format!("at least {}", added.len())
    } else {
        added.len().to_string()
    };
    match (case.role, added) {
        (Role::Entry, []) => context.findings.broken(
            Rule::OneEntry,
            place,
            "a trail commit adds no entry".to_owned(),
        ),
        (Role::Entry, _) => {
            context.findings.broken(
                Rule::OneEntry,
                place,
                format!("a trail commit adds {number} files, {first} among them"),
            );
        }
        (_, []) if changes.list.is_empty() => {
            context.findings.broken(
                Rule::AppendOnly,
                place,
                "it changes directories in `.audit`".to_owned(),
            );
        }
        (_, []) => {}
        (Role::Genesis, _) => context.findings.broken(
            Rule::OneEntry,
            place,
            format!("the trail's first commit adds {first}"),
        ),
        (Role::Person, [_]) => {
            let what = format!(
                "an entry without a task: {first} is added by a commit that is not a trail commit"
            );
            context.findings.broken(Rule::OneEntry, place, what);
        }
        (Role::Person, _) => {
            let what = format!(
                "entries without a task: {number} files, {first} among them, are added by a commit that is not a \
                 trail commit"
            );
            context.findings.broken(Rule::OneEntry, place, what);
        }
    }
    for change in added {
        if let Ok(task) = path::task_at(&change.path) {
            tally.tasks.push((context.task_key(task), place.0));
        }
    }
}

/// Describes the recorded entry that a change undoes, if it undoes one.
fn describe_undone(change: &Change, changes: &Changes) -> Option<String> {
    let (mode, id) = change.before?;
    let path = quote(&change.path);
    Some(match change.after {
        Some((after, after_id)) if after_id == id => format!(
            "the mode of {path} changes from {} to {}",
            mode.name(),
            after.name()
        ),
        Some((_, after_id)) => {
            format!("the recorded {path} is edited: compare {id} with {after_id}")
        }
        None => {
            let renamed = changes.list.iter().find(|other| {
                other.before.is_none() && other.after.is_some_and(|(_, after)| after == id)
            });
            match renamed {
                Some(other) => format!("the recorded {path} is renamed to {}", quote(&other.path)),
                None => format!("the recorded {path} is deleted; it was {id}"),
            }
        }
    })
}
