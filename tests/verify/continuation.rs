//! Trails that continue each other, honest and forged by stock git: the ends of each one, and the links between them.

use std::path::PathBuf;

use chiffon_audit_cli::trail::{OpenOptions, Trail};
use chiffon_audit_cli::verify::{self, AuditResult, ChainReport, Options, Verdict};

use super::forge::{Commit, Forge, Operation, flat, sharded};

const ONE: &str = "11111111-1111-4111-8111-111111111111";
const TWO: &str = "22222222-2222-4222-8222-222222222222";
const THREE: &str = "33333333-3333-4333-8333-333333333333";

/// A trail with this uuid: its genesis commit and nothing else.
fn genesis(uuid: &str) -> Forge {
    let mut forge = Forge::bare(&[]);
    let draft = forge.draft(&flat("x"));
    forge.add(&Commit {
        message: format!(
            "audit: begin trail\n\nAudit-Format: 1\nAudit-Trail: {uuid}\nAudit-Placement: checkout\n"
        ),
        operations: Vec::new(),
        ..draft
    });
    forge
}

/// Records an entry with this metadata, as an honest host would.
fn record_with(forge: &mut Forge, task: &str, metadata: &str) -> String {
    record_at(forge, &flat(task), metadata)
}

fn record_at(forge: &mut Forge, path: &str, metadata: &str) -> String {
    let mut draft = forge.draft(path);
    for operation in &mut draft.operations {
        if let Operation::Write { contents, .. } = operation {
            *contents = contents.replace(
                "\"timestamp\"",
                &format!("\"metadata\": {metadata},\n  \"timestamp\""),
            );
        }
    }
    forge.add(&draft)
}

fn record_end(forge: &mut Forge, successor: &str) -> String {
    let metadata = format!("{{\"successor\": \"{successor}\"}}");
    record_with(forge, "chiffon-audit.end", &metadata)
}

/// What the first entry of a successor says about this trail.
struct Said {
    origin: String,
    size: u64,
    root: String,
    tip: String,
    checkpoint: String,
}

/// The truth about a trail, from the writer's own tree.
fn said_of(forge: &Forge, uuid: &str) -> Said {
    let trail = Trail::open(&forge.path, OpenOptions::default()).unwrap();
    let tree = trail.tree().unwrap();
    Said {
        origin: format!("chiffon-audit/{uuid}"),
        size: tree.size(),
        root: tree.root_in_base64(),
        tip: tree.last_commit().unwrap(),
        checkpoint: "null".to_owned(),
    }
}

fn record_begin(forge: &mut Forge, said: &Said) -> String {
    let Said {
        origin,
        size,
        root,
        tip,
        checkpoint,
    } = said;
    let metadata = format!(
        "{{\"predecessor\": {{\"origin\": \"{origin}\", \"size\": {size}, \"root\": \"{root}\", \"tip\": \"{tip}\", \
         \"checkpoint\": {checkpoint}}}}}"
    );
    record_with(forge, "chiffon-audit.begin", &metadata)
}

/// A trail with the tasks `a1` and `a2` that has ended with this successor.
fn first(successor: &str) -> Forge {
    let mut forge = genesis(ONE);
    forge.record(&flat("a1"));
    forge.record(&flat("a2"));
    record_end(&mut forge, successor);
    forge
}

/// A trail that continues `before` as it is described, with the task `b1`.
fn after(uuid: &str, said: &Said) -> Forge {
    let mut forge = genesis(uuid);
    record_begin(&mut forge, said);
    forge.record(&flat("b1"));
    forge
}

/// Audits trails on one thread, which reads each chain first, and on several, which judge commits meanwhile.
#[track_caller]
fn audit(forges: &[&Forge]) -> ChainReport {
    let paths: Vec<PathBuf> = forges.iter().map(|forge| forge.path.clone()).collect();
    let [alone, shared] = [1, 4].map(|threads| {
        let options = || {
            Ok(Options {
                threads: Some(threads),
                ..Options::default()
            })
        };
        verify::verify_chain(&paths, options).unwrap()
    });
    let json = |report| serde_json::to_value(report).unwrap();
    assert_eq!(json(&alone), json(&shared));
    shared
}

fn verdict<'a>(report: &'a ChainReport, claim: &str) -> &'a Verdict {
    let mut claims = report.claims.iter();
    &claims.find(|found| found.id == claim).unwrap().verdict
}

#[track_caller]
fn broken(forges: &[&Forge], claim: &str, words: &str) {
    let report = audit(forges);
    assert_eq!(report.result(), AuditResult::Broken, "{report:#?}");
    match verdict(&report, claim) {
        Verdict::Broken { what, .. } => assert!(what.contains(words), "{what}"),
        other => panic!("{claim}: {other:?}\n{report:#?}"),
    }
    // Whatever the order in which they are named.
    let mut turned = forges.to_vec();
    turned.reverse();
    assert_eq!(audit(&turned).result(), AuditResult::Broken);
}

#[track_caller]
fn not_shown(forges: &[&Forge], words: &str) {
    let report = audit(forges);
    assert_eq!(report.result(), AuditResult::NotShown, "{report:#?}");
    match verdict(&report, "links") {
        Verdict::NotShown { missing } => assert!(missing.contains(words), "{missing}"),
        other => panic!("{other:?}\n{report:#?}"),
    }
}

#[test]
fn honest_trails_are_linked_in_any_order() {
    let one = first(TWO);
    let mut two = after(TWO, &said_of(&one, ONE));
    record_end(&mut two, THREE);
    let mut three = genesis(THREE);
    record_begin(&mut three, &said_of(&two, TWO));
    for forges in [[&one, &two, &three], [&three, &one, &two]] {
        let report = audit(&forges);
        assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
        assert_eq!(report.claims[0].notes.len(), 2, "{report:#?}");
    }
    // Each is also a trail by itself.
    for forge in [&one, &two, &three] {
        forge.holds();
    }
}

#[test]
fn an_absent_trail_is_not_shown() {
    let one = first(TWO);
    let mut two = after(TWO, &said_of(&one, ONE));
    record_end(&mut two, THREE);
    let mut three = genesis(THREE);
    record_begin(&mut three, &said_of(&two, TWO));
    not_shown(&[&one, &three], TWO);
    not_shown(&[&one, &two], THREE);
    not_shown(&[&two, &three], ONE);
    let paths = [one.path.clone(), one.beside("nothing")];
    let report = verify::verify_chain(&paths, || Ok(Options::default())).unwrap();
    assert_eq!(report.result(), AuditResult::NotShown, "{report:#?}");
    assert!(report.segments[1].missing.is_some());
    // Nothing is known of the tasks of a trail that is not there.
    assert!(matches!(
        verdict(&report, "once-in-all"),
        Verdict::NotShown { .. }
    ));
}

#[test]
fn an_entry_after_the_end_is_broken() {
    let mut one = first(TWO);
    let two = after(TWO, &said_of(&one, ONE));
    let late = one.record(&flat("late"));
    one.record(&flat("later"));
    one.broken("continuation", Some(&late), "an entry after the end");
    broken(&[&one, &two], "links", "entries of the predecessor is `3`");
}

#[test]
fn a_beginning_that_is_not_the_first_entry_is_broken() {
    let one = first(TWO);
    let mut two = genesis(TWO);
    two.record(&flat("early"));
    let begin = record_begin(&mut two, &said_of(&one, ONE));
    two.broken("continuation", Some(&begin), "entries come before it");
}

#[test]
fn a_duplicate_end_or_beginning_is_broken() {
    let mut one = first(TWO);
    let metadata = format!("{{\"successor\": \"{THREE}\"}}");
    let again = record_at(&mut one, &sharded("chiffon-audit.end"), &metadata);
    one.broken("continuation", Some(&again), "an entry after the end");
    one.broken("once", Some(&again), "chiffon-audit.end");
    let mut two = after(TWO, &said_of(&first(TWO), ONE));
    let metadata = "{\"predecessor\": {}}";
    let again = record_at(&mut two, &sharded("chiffon-audit.begin"), metadata);
    two.broken("once", Some(&again), "chiffon-audit.begin");
    // Whichever is named first, the first one counts.
    broken(&[&one, &two], "links", "entries of the predecessor is `3`");
}

#[test]
fn ends_that_no_host_writes_are_broken() {
    let mut one = genesis(ONE);
    let end = record_with(&mut one, "chiffon-audit.end", "{}");
    one.broken("continuation", Some(&end), "does not name");
    let mut two = genesis(TWO);
    let begin = record_with(&mut two, "chiffon-audit.begin", "{\"predecessor\": []}");
    two.broken("continuation", Some(&begin), "does not describe");
}

/// Changes what a first entry says. The text is the root of another trail.
type Forgery = fn(&mut Said, &str);

#[test]
fn a_forged_link_is_named() {
    let one = first(TWO);
    let other_root = said_of(&first(THREE), ONE).root;
    let forged: [(&str, Forgery); 4] = [
        ("entries", |said, _| said.size -= 1),
        ("root", |said, root| said.root = root.to_owned()),
        ("last commit", |said, _| said.tip = "0".repeat(40)),
        ("the checkpoint in it", |said, _| {
            said.checkpoint = format!(
                "\"{}\\n1\\n{}\\n\\n\u{2014} x AAAAAAAA\\n\"",
                said.origin, said.root
            );
        }),
    ];
    for (words, forge) in forged {
        let mut said = said_of(&one, ONE);
        forge(&mut said, &other_root);
        let two = after(TWO, &said);
        broken(&[&one, &two], "links", words);
    }
    // The predecessor has not ended at all.
    let mut open = genesis(ONE);
    open.record(&flat("a1"));
    let two = after(TWO, &said_of(&open, ONE));
    broken(&[&open, &two], "links", "has not ended");
}

#[test]
fn a_skipped_link_is_named() {
    let one = first(TWO);
    let mut two = after(TWO, &said_of(&one, ONE));
    record_end(&mut two, THREE);
    // The third says that it continues the first.
    let mut three = genesis(THREE);
    record_begin(&mut three, &said_of(&one, ONE));
    broken(&[&one, &two, &three], "links", "two successors");
    broken(&[&one, &three], "links", "whose end names");
}

#[test]
fn two_successors_are_named() {
    let one = first(TWO);
    let said = said_of(&one, ONE);
    let two = after(TWO, &said);
    let rival = after(THREE, &said);
    broken(&[&one, &two, &rival], "links", "two successors");
    // With the same uuid, on another machine.
    let mut twin = genesis(TWO);
    record_begin(&mut twin, &said);
    twin.record(&flat("c1"));
    broken(&[&one, &two, &twin], "links", "two trails with the name");
    // A copy that is named twice.
    broken(&[&one, &two, &two], "links", "are the same trail");
}

#[test]
fn trails_that_are_not_linked_are_named() {
    let mut one = genesis(ONE);
    one.record(&flat("a"));
    let mut two = genesis(TWO);
    two.record(&flat("b"));
    broken(&[&one, &two], "links", "not linked");
    let ended = first(TWO);
    broken(&[&ended, &two], "links", "does not say that it continues");
}

#[test]
fn a_task_in_two_trails_is_named() {
    let one = first(TWO);
    let mut two = after(TWO, &said_of(&one, ONE));
    let again = two.record(&flat("A2"));
    two.record(&flat("a1"));
    record_end(&mut two, THREE);
    let mut three = genesis(THREE);
    record_begin(&mut three, &said_of(&two, TWO));
    three.record(&flat("b1"));
    broken(&[&one, &two, &three], "once-in-all", "`A2`");
    let report = audit(&[&one, &two, &three]);
    let Verdict::Broken { commit, count, .. } = verdict(&report, "once-in-all") else {
        panic!("{report:#?}");
    };
    assert_eq!((commit.as_ref(), *count), (Some(&again), 3));
}
