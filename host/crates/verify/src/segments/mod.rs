//! Audits several trails that continue each other: each one by itself, then the links between them, and that no task
//! is in two of them.

mod links;
mod segment;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::report::{self, AuditResult, Claim, Report, Verdict};
use super::{Options, VerifyError, audit};
use segment::{Known, Seen, Segment};

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
        let mut results = each.chain([report::result(&self.claims)]);
        results
            .clone()
            .find(|result| *result == AuditResult::Broken)
            .unwrap_or_else(|| {
                results
                    .find(|result| *result == AuditResult::NotShown)
                    .unwrap_or(AuditResult::Holds)
            })
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
    let mut known = Known::default();
    let mut segments = Vec::new();
    let mut reports = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        let options = options()?;
        let (report, segment) = audit_one(path, number, &mut known, options);
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
        once(&known, &segments, &missing, paths),
    ];
    Ok(ChainReport {
        segments: reports,
        claims,
    })
}

/// Audits one trail. Returns what the links need, if it could be read.
fn audit_one(
    path: &Path,
    number: usize,
    known: &mut Known,
    options: Options<'_>,
) -> (Result<Report, VerifyError>, Option<Segment>) {
    let seen = Seen::new(number, known);
    let result = {
        let mut visitors = options.visitors.clone();
        visitors.push(&seen);
        let options = Options {
            visitors,
            ..options
        };
        audit::verify(path, &options)
    };
    let (segment, tasks, again) = seen.into_parts(path);
    known.add(number, tasks, again);
    match result {
        Ok(report) => {
            let segment = segment.named(&report);
            (Ok(report), Some(segment))
        }
        Err(error) => (Err(error), None),
    }
}

/// The claim that no task is in two of the trails.
fn once(known: &Known, segments: &[Segment], missing: &[String], paths: &[PathBuf]) -> Claim {
    let title = "no task is recorded in two of the trails";
    let cut = segments.iter().find_map(|segment| {
        let why = segment.cut.as_ref()?;
        Some(format!("{}: {why}", segment.path.display()))
    });
    let verdict = match (known.first_twice(), missing.first().cloned().or(cut)) {
        (Some(twice), _) => Verdict::Broken {
            commit: Some(twice.commit.to_string()),
            what: format!(
                "the task {} is recorded in {}, and again in {}",
                super::quote::quote(twice.task.as_bytes()),
                paths[twice.first].display(),
                paths[twice.second].display()
            ),
            count: known.number_twice(),
        },
        (None, Some(missing)) => Verdict::NotShown { missing },
        (None, None) => Verdict::Holds,
    };
    Claim::new("once-in-all", title, verdict)
}
