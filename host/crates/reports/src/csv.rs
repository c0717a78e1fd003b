//! The report as one table for spreadsheets: one row per number, and no cell that a program takes for a formula.

use super::facts::{Facts, Kept, NamedTally, Tally};

/// The columns.
const HEAD: [&str; 7] = ["section", "name", "status", "count", "from", "to", "detail"];

/// Renders the table.
pub fn csv(facts: &Facts) -> String {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    for row in std::iter::once(HEAD.map(str::to_owned)).chain(rows(facts)) {
        // Writing to memory cannot fail.
        let _ = writer.write_record(row.iter().map(|cell| harmless(cell)));
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// Makes a cell plain text in every program. Spreadsheets evaluate text that starts like a formula, some even after
/// spaces, and take a tab or a line end for the next cell.
fn harmless(cell: &str) -> String {
    let clean: String = cell
        .chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect();
    let begins = ['=', '+', '-', '@', '|', '%', '＝', '＋', '－', '＠'];
    let is_formula = clean.trim_start().starts_with(begins);
    if is_formula {
        format!("'{clean}")
    } else {
        clean
    }
}

fn rows(facts: &Facts) -> Vec<[String; 7]> {
    let mut rows = Vec::new();
    let text = str::to_owned;
    let mut row = |cells: [&str; 7]| rows.push(cells.map(text));
    row([
        "report",
        &facts.reference,
        "",
        "",
        &facts.made_at,
        "",
        &facts.repository,
    ]);
    for claim in &facts.claims {
        let what = claim.what.as_deref().unwrap_or_default();
        let commit = claim.commit.as_deref().unwrap_or_default();
        row(["claim", claim.id, claim.verdict, "", "", commit, what]);
    }
    let mut each = |section: &str, name: &str, from: &str, tally: &Tally| {
        for (status, number) in facts.statuses.iter().zip(&tally.by_status) {
            let number = number.to_string();
            rows.push([section, name, &status.name, &number, from, "", ""].map(text));
        }
    };
    for period in &facts.over_time {
        each("time", facts.period, &period.from, &period.tally);
    }
    let lists: [(&str, &[NamedTally]); 3] = [
        ("service", &facts.services),
        ("pool", &facts.pools),
        ("reporter", &facts.reporters),
    ];
    for (section, list) in lists {
        for named in list {
            each(section, &named.name, "", &named.tally);
        }
    }
    let mut row = |cells: [&str; 7]| rows.push(cells.map(text));
    for failure in &facts.failures {
        let services = failure.services.join(", ");
        row([
            "failure",
            &failure.task_id,
            "failed",
            "1",
            &failure.time,
            &failure.commit,
            &services,
        ]);
    }
    for gap in &facts.gaps {
        row([
            "gap",
            "",
            "",
            &gap.seconds.to_string(),
            &gap.from,
            &gap.to,
            &gap.length,
        ]);
    }
    for policy in &facts.policies {
        let entries = policy.entries.to_string();
        row([
            "policy",
            &policy.policy,
            "",
            &entries,
            &policy.from,
            &policy.to,
            &policy.settings,
        ]);
    }
    for line in &facts.signers {
        row(["signer", "", "", "", "", "", line]);
    }
    match &facts.kept {
        Kept::NotShown { missing } => row(["kept", "", "not-shown", "", "", "", missing]),
        Kept::Shown {
            store,
            refused,
            conflicting,
            latest,
        } => {
            row(["kept", "", "store", "", "", "", store]);
            row(["kept", "", "refused", &refused.to_string(), "", "", ""]);
            row([
                "kept",
                "",
                "conflicting",
                &conflicting.to_string(),
                "",
                "",
                "",
            ]);
            for note in latest {
                row([
                    "kept",
                    &note.task_id,
                    &note.kind,
                    "1",
                    &note.time,
                    "",
                    &note.reason,
                ]);
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, expect) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "' =1"),
            ("\r\n=1", "'  =1"),
            ("  =1", "'  =1"),
            ("＝1", "'＝1"),
            ("deploy-1", "deploy-1"),
            ("", ""),
        ] {
            assert_eq!(harmless(cell), expect);
        }
    }
}
