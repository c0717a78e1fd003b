//! The report as Markdown, for a pull request, a wiki or a terminal.

use std::fmt::{self, Write as _};

use super::facts::{Facts, Kept, NamedTally};
use super::picture::percentage;
use outcome::counted;

/// Renders the text.
pub fn markdown(facts: &Facts) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = write(facts, &mut text);
    text
}

/// Text that cannot act as markup, end a cell or a line, or hide or reorder characters.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, character) in self.0.char_indices() {
            match character {
                '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '!' | '&' | '~'
                | '@' => {
                    write!(out, "\\{character}")?;
                }
                _ if character.is_control() || is_hidden(character) => {
                    write!(out, "\\{}", character.escape_unicode())?;
                }
                // Some readers turn a URL into a link even without brackets.
                ':' => out.write_str("&#58;")?,
                '.' if ends_in_www(&self.0[..place]) => out.write_str("&#46;")?,
                _ => out.write_char(character)?,
            }
        }
        Ok(())
    }
}

fn ends_in_www(text: &str) -> bool {
    let last = text.len().checked_sub(3);
    last.and_then(|last| text.get(last..))
        .is_some_and(|last| last.eq_ignore_ascii_case("www"))
}

fn is_hidden(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn write(facts: &Facts, out: &mut String) -> fmt::Result {
    writeln!(out, "# Audit report\n")?;
    let trail = facts.trail_id.as_deref().unwrap_or("without an identity");
    writeln!(
        out,
        "Trail {} on {} of {}, made {}.  ",
        Plain(trail),
        Plain(&facts.reference),
        Plain(&facts.repository),
        facts.made_at
    )?;
    let tip = facts.tip.as_deref().unwrap_or("none");
    writeln!(
        out,
        "Tip {tip}: {}, {}, {} hashed.\n",
        counted(facts.commits, "commit", "commits"),
        counted(facts.entries, "entry", "entries"),
        counted(facts.objects, "object", "objects")
    )?;
    if let Some(span) = &facts.span {
        writeln!(
            out,
            "{} counted, from {} to {}.\n",
            counted(facts.counted, "entry", "entries"),
            span.from,
            span.to
        )?;
    }
    writeln!(out, "## What was asked, and what holds\n")?;
    writeln!(out, "Asked: {}.\n", Plain(&facts.asked.join("; ")))?;
    writeln!(out, "| verdict | claim | look at |\n| --- | --- | --- |")?;
    for claim in &facts.claims {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(
            claim
                .commit
                .as_ref()
                .map(|commit| format!("commit {commit}")),
        );
        parts.extend(claim.what.as_ref().map(|what| Plain(what).to_string()));
        parts.extend(claim.notes.iter().map(|note| Plain(note).to_string()));
        writeln!(
            out,
            "| {} | {} | {} |",
            claim.label,
            Plain(&claim.title),
            parts.join("; ")
        )?;
    }
    table(out, "Outcomes", "status", &facts.statuses, facts)?;
    table(out, "By service", "service", &facts.services, facts)?;
    table(out, "By agent pool", "agent pool", &facts.pools, facts)?;
    table(out, "By reporter", "reporter", &facts.reporters, facts)?;
    writeln!(out, "\n## Over time (each {})\n", facts.period)?;
    let names: Vec<String> = facts
        .statuses
        .iter()
        .map(|status| Plain(&status.name).to_string())
        .collect();
    writeln!(out, "| from | tasks | {} |", names.join(" | "))?;
    writeln!(out, "| --- | ---: |{}", " ---: |".repeat(names.len()))?;
    for period in &facts.over_time {
        let numbers: Vec<String> = period.tally.by_status.iter().map(u64::to_string).collect();
        writeln!(
            out,
            "| {} | {} | {} |",
            period.from,
            period.tally.total,
            numbers.join(" | ")
        )?;
    }
    rest(facts, out)
}

fn table(
    out: &mut String,
    title: &str,
    what: &str,
    named: &[NamedTally],
    facts: &Facts,
) -> fmt::Result {
    writeln!(out, "\n## {title}\n")?;
    writeln!(out, "| {what} | tasks | share |\n| --- | ---: | ---: |")?;
    for named in named {
        let name = match named.name.as_str() {
            "" => "(none)",
            name => name,
        };
        let share = percentage(named.tally.total, facts.counted);
        writeln!(out, "| {} | {} | {share} |", Plain(name), named.tally.total)?;
    }
    Ok(())
}

fn rest(facts: &Facts, out: &mut String) -> fmt::Result {
    writeln!(out, "\n## Failures: {}\n", facts.failed)?;
    writeln!(
        out,
        "| recorded | task | agent pool | reporter | services | commit |\n| --- | --- | --- | --- | --- | --- |"
    )?;
    for failure in &facts.failures {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            failure.time,
            Plain(&failure.task_id),
            Plain(failure.agent_pool.as_deref().unwrap_or_default()),
            Plain(failure.reporter.as_deref().unwrap_or_default()),
            Plain(&failure.services.join(", ")),
            failure.commit
        )?;
    }
    writeln!(out, "\n## Conflicts and refusals\n")?;
    match &facts.kept {
        Kept::NotShown { missing } => writeln!(out, "not shown: {}", Plain(missing))?,
        Kept::Shown {
            store,
            refused,
            conflicting,
            latest,
        } => {
            writeln!(
                out,
                "{conflicting} conflicting, {refused} refused, according to the store {}.\n",
                Plain(store)
            )?;
            for note in latest {
                let reporter = note.reporter.as_deref();
                let by = reporter.map(|name| format!(" (reported by {})", Plain(name)));
                writeln!(
                    out,
                    "- {} {} {}{}: {}",
                    note.time,
                    Plain(&note.task_id),
                    note.kind,
                    by.unwrap_or_default(),
                    Plain(&note.reason)
                )?;
            }
        }
    }
    writeln!(out, "\n## Longest gaps\n")?;
    writeln!(out, "| without an entry | from | to |\n| --- | --- | --- |")?;
    for gap in &facts.gaps {
        writeln!(out, "| {} | {} | {} |", gap.length, gap.from, gap.to)?;
    }
    writeln!(out, "\n## Which policies decided when\n")?;
    writeln!(
        out,
        "| policy | settings | entries | from | to |\n| --- | --- | ---: | --- | --- |"
    )?;
    for policy in &facts.policies {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            Plain(&policy.policy),
            Plain(&policy.settings),
            policy.entries,
            policy.from,
            policy.to
        )?;
    }
    writeln!(out, "\n## Who signed\n")?;
    if facts.signers.is_empty() {
        writeln!(out, "not shown: `--allowed-signers FILE` checks signatures")?;
    }
    for line in &facts.signers {
        writeln!(out, "- {}", Plain(line))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Plain;

    #[test]
    fn nothing_is_markup_or_a_link() {
        for (text, expect) in [
            ("a|b [x](y) <b> *c*", "a\\|b \\[x\\](y) \\<b\\> \\*c\\*"),
            ("https://x.org", "https&#58;//x.org"),
            ("www.x.org, WwW.y", "www&#46;x.org, WwW&#46;y"),
            ("me@x.org", "me\\@x.org"),
            ("\u{202e}\n", "\\\\u{202e}\\\\u{a}"),
            ("éw.eu", "éw.eu"),
        ] {
            assert_eq!(Plain(text).to_string(), expect);
        }
    }
}
