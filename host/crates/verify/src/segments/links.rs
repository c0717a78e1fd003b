//! The claim that each trail begins where its predecessor ended. Pure: compares what the audits of the trails have kept.

use super::segment::Segment;
use crate::continuation::{Begin, PredecessorClaim};
use crate::merkle::note::{Checkpoint, ORIGIN};
use crate::quote::quote;
use crate::report::{Claim, Verdict};

const TITLE: &str = "each trail begins where its predecessor has ended";

/// What the links show.
#[derive(Default)]
struct Findings {
    broken: Vec<(Option<String>, String)>,
    not_shown: Vec<String>,
    notes: Vec<String>,
}

impl Findings {
    fn broken(&mut self, commit: Option<String>, what: String) {
        self.broken.push((commit, what));
    }
}

/// Makes the claim. `missing` says which trails could not be audited.
pub(super) fn claim(segments: &[Segment], missing: &[String]) -> Claim {
    let mut findings = Findings::default();
    findings.not_shown.extend(missing.iter().cloned());
    find_copies(segments, &mut findings);
    find_rivals(segments, &mut findings);
    for segment in segments {
        check_begin(segment, segments, &mut findings);
        check_end(segment, segments, &mut findings);
    }
    // Last: the others say more.
    find_unlinked(segments, missing, &mut findings);
    let count = findings.broken.len() as u64;
    let verdict = match (
        findings.broken.into_iter().next(),
        findings.not_shown.first(),
    ) {
        (Some((commit, what)), _) => Verdict::Broken {
            commit,
            what,
            count,
        },
        (None, Some(missing)) => Verdict::NotShown {
            missing: missing.clone(),
        },
        (None, None) => Verdict::Holds,
    };
    Claim {
        notes: findings.notes,
        ..Claim::new("links", TITLE, verdict)
    }
}

/// Two directories with one trail: a copy, or two trails that both claim to be the successor.
fn find_copies(segments: &[Segment], findings: &mut Findings) {
    for (number, segment) in segments.iter().enumerate() {
        let same = |other: &&Segment| other.id.is_some() && other.id == segment.id;
        let Some(other) = segments[..number].iter().find(same) else {
            continue;
        };
        let (one, two) = (other.path.display(), segment.path.display());
        let what = match other.tip == segment.tip {
            true => format!("{one} and {two} are the same trail, {}", segment.origin()),
            false => format!(
                "{one} and {two} are two trails with the name {}: one of them is not the successor, or is an older copy",
                segment.origin()
            ),
        };
        findings.broken(segment.tip.clone(), what);
    }
}

/// Two trails that say that they continue the same one.
fn find_rivals(segments: &[Segment], findings: &mut Findings) {
    for (number, segment) in segments.iter().enumerate() {
        let Some((begin, before)) = described(segment) else {
            continue;
        };
        let rival = segments[..number].iter().find(|other| {
            let continues = described(other).map(|(_, described)| &described.origin);
            continues == Some(&before.origin) && other.id != segment.id
        });
        if let Some(rival) = rival {
            let what = format!(
                "two successors: {} in {} and {} in {} both continue {}",
                rival.origin(),
                rival.path.display(),
                segment.origin(),
                segment.path.display(),
                quote(before.origin.as_bytes())
            );
            findings.broken(Some(begin.id.to_string()), what);
        }
    }
}

/// More than one trail that continues none: they are not linked.
fn find_unlinked(segments: &[Segment], missing: &[String], findings: &mut Findings) {
    let firsts: Vec<&Segment> = segments
        .iter()
        .filter(|segment| segment.ends.begin.is_none() && segment.cut.is_none())
        .collect();
    if let [first, second, ..] = firsts[..]
        && missing.is_empty()
        && first.id != second.id
    {
        let what = format!(
            "not linked: neither {} in {} nor {} in {} says that it continues another trail",
            first.origin(),
            first.path.display(),
            second.origin(),
            second.path.display()
        );
        findings.broken(None, what);
    }
}

fn described(segment: &Segment) -> Option<(&Begin, &PredecessorClaim)> {
    let begin = segment.ends.begin.as_ref()?;
    Some((begin, begin.before.as_ref()?))
}

/// Compares what the first entry says with the predecessor.
fn check_begin(segment: &Segment, segments: &[Segment], findings: &mut Findings) {
    let Some((begin, said)) = described(segment) else {
        return;
    };
    let commit = Some(begin.id.to_string());
    let place = segment.path.display();
    let before = segments.iter().find(|other| other.origin() == said.origin);
    let Some(before) = before else {
        findings.not_shown.push(format!(
            "{}, which {place} continues, is not among the directories",
            quote(said.origin.as_bytes())
        ));
        return;
    };
    if let Some(why) = &before.cut {
        findings
            .not_shown
            .push(format!("{}: {why}", before.path.display()));
        return;
    }
    let Some(end) = &before.ends.end else {
        let what = format!(
            "{place} says that it continues {}, which has not ended",
            before.origin()
        );
        findings.broken(commit, what);
        return;
    };
    if end.successor != segment.id {
        let named = end.successor.as_deref().unwrap_or("no trail");
        let what = format!(
            "{place} says that it continues {}, whose end names {}",
            before.origin(),
            quote(named.as_bytes())
        );
        findings.broken(commit, what);
        return;
    }
    let own = [
        (
            "entries",
            said.size.to_string(),
            Some(before.size().to_string()),
        ),
        ("root", said.root.clone(), before.root_at(before.size())),
        (
            "last commit",
            said.tip.clone(),
            before.last.map(|id| id.to_string()),
        ),
    ];
    for (what, said, is) in own {
        match is {
            None => findings.not_shown.push(format!(
                "the {what} of {}: not every entry can be read",
                before.path.display()
            )),
            Some(is) if is != said => {
                let what = format!(
                    "its {what} of the predecessor is {}, and {} has {}",
                    quote(said.as_bytes()),
                    before.path.display(),
                    quote(is.as_bytes())
                );
                findings.broken(commit.clone(), what);
                return;
            }
            Some(_) => {}
        }
    }
    if let Some(note) = &said.checkpoint
        && let Err(why) = check_checkpoint(note, before)
    {
        let what = format!(
            "the checkpoint in it is not one of {}: {why}",
            before.origin()
        );
        findings.broken(commit, what);
        return;
    }
    findings.notes.push(format!(
        "{place} continues {} after {} entries",
        before.path.display(),
        said.size
    ));
}

/// Checks that the trail extends the checkpoint that its successor has kept.
fn check_checkpoint(note: &str, before: &Segment) -> Result<(), String> {
    let checkpoint = Checkpoint::parse(note.as_bytes())?;
    if checkpoint.origin != before.origin() {
        return Err(format!("it is of {}", quote(checkpoint.origin.as_bytes())));
    }
    let root = before.root_at(checkpoint.size);
    match root == Some(checkpoint.root_in_base64()) {
        true => Ok(()),
        false => Err(format!(
            "its root over {} entries is another one",
            checkpoint.size
        )),
    }
}

/// Looks for the trail that an end names.
fn check_end(segment: &Segment, segments: &[Segment], findings: &mut Findings) {
    let Some(end) = &segment.ends.end else { return };
    let Some(successor) = &end.successor else {
        // The claim about this trail says so.
        return;
    };
    let place = segment.path.display();
    let after = segments
        .iter()
        .find(|other| other.id.as_ref() == Some(successor));
    let Some(after) = after else {
        findings.not_shown.push(format!(
            "{}, which continues {place}, is not among the directories",
            quote(format!("{ORIGIN}{successor}").as_bytes())
        ));
        return;
    };
    let continues = described(after).map(|(_, said)| said.origin.clone());
    if after.cut.is_none() && continues.as_ref() != Some(&segment.origin()) {
        let what = format!(
            "the end of {place} names {} as its successor, which {}",
            after.path.display(),
            match continues {
                Some(other) => format!("continues {}", quote(other.as_bytes())),
                None => "does not say that it continues a trail".to_owned(),
            }
        );
        findings.broken(Some(end.id.to_string()), what);
    }
}
