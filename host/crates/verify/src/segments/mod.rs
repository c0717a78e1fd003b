//! Audits several trails that continue each other: each one by itself, then the links between them, and that no task
//! is in two of them.

mod links;
mod segment;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::report::{self, AuditResult, Claim, Report, Verdict};
use super::{Options, VerifyError, audit};
use segment::{Segment, SegmentVisitor, TaskIndex};

/// The result of an audit of several trails.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct ChainReport {
    /// The trails, in the order in which they were named.
    pub segments: Vec<SegmentReport>,
    /// The claims about all of them together.
    pub claims: Vec<Claim>,
}

/// The result for one trail of several.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct SegmentReport {
    /// The directory, as it was named.
    pub path: PathBuf,
    /// The audit, if there is a repository that can be read.
    #[serde(flatten)]
    pub report: Option<Report>,
    /// Why it could not be audited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

impl SegmentReport {
    /// The result for this trail.
    pub fn result(&self) -> AuditResult {
        self.report
            .as_ref()
            .map_or(AuditResult::NotShown, Report::result)
    }
}

impl ChainReport {
    /// The overall result: broken takes precedence over not shown, and that over holds.
    pub fn result(&self) -> AuditResult {
        let each = self.segments.iter().map(SegmentReport::result);
        each.fold(report::result(&self.claims), AuditResult::max)
    }
}

/// Audits the trails in these directories, which continue each other. `options` are for each of them, and get a visitor
/// more. Like [`crate::verify`], this only reads.
///
/// # Errors
///
/// The options cannot be used. A trail that cannot be audited is reported as not shown.
pub fn verify_chain<'a>(
    paths: &[PathBuf],
    mut options: impl FnMut() -> Result<Options<'a>, VerifyError>,
) -> Result<ChainReport, VerifyError> {
    let mut index = TaskIndex::default();
    let mut segments = Vec::new();
    let mut reports = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        let options = options()?;
        let is_last = number + 1 == paths.len();
        let (report, segment) = audit_one(path, (number, is_last), &mut index, options);
        reports.push(match report {
            Ok(report) => SegmentReport {
                path: path.clone(),
                report: Some(report),
                missing: None,
            },
            Err(error) => SegmentReport {
                path: path.clone(),
                report: None,
                missing: Some(error.to_string()),
            },
        });
        segments.extend(segment);
    }
    let missing: Vec<String> = reports
        .iter()
        .filter_map(|report| {
            let why = report.missing.as_ref()?;
            Some(format!("{}: {why}", report.path.display()))
        })
        .collect();
    let claims = vec![
        links::claim(&segments, &missing),
        once(&index, &segments, &missing, paths),
    ];
    Ok(ChainReport {
        segments: reports,
        claims,
    })
}

/// Audits one trail. Returns what the links need, if it could be read.
fn audit_one(
    path: &Path,
    (number, is_last): (usize, bool),
    index: &mut TaskIndex,
    options: Options<'_>,
) -> (Result<Report, VerifyError>, Option<Segment>) {
    let seen = SegmentVisitor::new(number, is_last, index);
    let result = {
        let mut visitors = options.visitors.clone();
        visitors.push(&seen);
        let options = Options {
            visitors,
            ..options
        };
        audit::verify(path, &options)
    };
    let (segment, tasks, duplicates) = seen.into_parts(path);
    index.add(number, tasks, duplicates);
    match result {
        Ok(report) => {
            let segment = segment.named(&report);
            (Ok(report), Some(segment))
        }
        Err(error) => (Err(error), None),
    }
}

/// The claim that no task is in two of the trails.
fn once(index: &TaskIndex, segments: &[Segment], missing: &[String], paths: &[PathBuf]) -> Claim {
    let title = "no task is recorded in two of the trails";
    let cut = segments.iter().find_map(|segment| {
        let why = segment.cut.as_ref()?;
        Some(format!("{}: {why}", segment.path.display()))
    });
    let duplicates = index.duplicates();
    let verdict = match (&duplicates.first, missing.first().cloned().or(cut)) {
        (Some(first), _) => Verdict::Broken {
            commit: Some(first.commit.to_string()),
            what: format!(
                "the task {} is recorded in {}, and again in {}",
                super::quote::quote(first.task.as_bytes()),
                paths[first.first].display(),
                paths[first.second].display()
            ),
            count: duplicates.number,
        },
        (None, Some(missing)) => Verdict::NotShown { missing },
        (None, None) => Verdict::Holds,
    };
    Claim::new("once-in-all", title, verdict)
}
