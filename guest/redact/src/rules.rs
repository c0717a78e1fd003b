//! The redaction rules: read from the setting `rules`, tried on their own samples, applied to one text.
//!
//! Fails closed: rules that do not parse, or that do not do what their samples say, are no rules, and then nothing is recorded.

use crate::known::{KNOWN, NAMES};
use crate::needles::Needles;
use policy_kit::marker;
use regex_lite::Regex;
use serde::Deserialize;
use std::cell::OnceCell;

/// What the operator writes: JSON in the setting `rules`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    pointers: Vec<String>,
    #[serde(default)]
    patterns: Vec<PatternDocument>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default = "yes")]
    well_known: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PatternDocument {
    name: String,
    regex: String,
    finds: Vec<String>,
    #[serde(default)]
    leaves: Vec<String>,
}

fn yes() -> bool {
    true
}

/// Rules that do what they say.
pub struct Rules {
    pointers: Vec<Vec<String>>,
    names: Vec<String>,
    patterns: Vec<Pattern>,
    needles: Needles,
}

struct Pattern {
    marker: String,
    source: String,
    /// Compiled when it is first needed: that costs more than most texts do.
    regex: OnceCell<Option<Regex>>,
    /// One of these needles must be in a text, or it is not searched; 0 searches every text.
    needs: u64,
    /// It finds nothing that goes over the end of a line.
    in_line: bool,
}

fn read(setting: &str) -> Result<Document, String> {
    if !setting.trim_start().starts_with('{') {
        return Err("it is no JSON object".to_owned());
    }
    serde_json::from_str(setting).map_err(|error| {
        let said = error.to_string();
        // Of what serde says only this quotes no text of the operator's.
        if said.starts_with("unknown field") || said.starts_with("missing field") {
            said
        } else {
            format!("line {} column {}", error.line(), error.column())
        }
    })
}

impl Rules {
    /// Reads the setting; without one, the well-known forms.
    ///
    /// # Errors
    ///
    /// Says what is wrong, quoting no sample: those look like secrets.
    pub fn load(setting: Option<&str>) -> Result<Rules, String> {
        let document = read(setting.unwrap_or("{}"))
            .map_err(|problem| format!("the setting `rules` is not what it must be: {problem}"))?;
        let mut rules = Rules {
            pointers: Vec::new(),
            names: document.names.iter().map(|name| plain(name)).collect(),
            patterns: Vec::new(),
            needles: Needles::default(),
        };
        for pointer in &document.pointers {
            rules.pointers.push(steps(pointer).ok_or_else(|| {
                format!("the pointer `{pointer}` leads to nothing that can be redacted")
            })?);
        }
        if document.well_known {
            rules
                .names
                .extend(NAMES.iter().map(|&name| name.to_owned()));
            for known in KNOWN {
                let needs = rules.needles.add(known.needs);
                rules.add(known.name, known.regex, needs, known.in_line)?;
            }
        }
        for pattern in &document.patterns {
            rules.add(&pattern.name, &pattern.regex, 0, false)?;
            rules.check(&pattern.name)?;
            if pattern.finds.is_empty() {
                return Err(format!(
                    "the pattern `{}` has no sample in `finds`",
                    pattern.name
                ));
            }
        }
        for PatternDocument {
            name,
            finds,
            leaves,
            ..
        } in &document.patterns
        {
            rules.try_on(
                name,
                finds.iter().map(String::as_str),
                leaves.iter().map(String::as_str),
            )?;
        }
        Ok(rules)
    }

    fn add(&mut self, name: &str, regex: &str, needs: u64, in_line: bool) -> Result<(), String> {
        if !marker::is_name(name) {
            return Err(
                "a pattern's name must be 1 to 40 lower-case letters, digits and `-`".to_owned(),
            );
        }
        let marker = marker::named(name);
        if self.patterns.iter().any(|other| other.marker == marker) {
            return Err(format!("there are two patterns `{name}`"));
        }
        self.patterns.push(Pattern {
            marker,
            source: regex.to_owned(),
            regex: OnceCell::new(),
            needs,
            in_line,
        });
        Ok(())
    }

    /// Whether a pattern of the operator's is one.
    fn check(&self, name: &str) -> Result<(), String> {
        let own = self.pattern(name)?;
        let regex = Regex::new(&own.source)
            .map_err(|error| format!("the regex of the pattern `{name}`: {error}"))?;
        if regex.is_match("") {
            return Err(format!(
                "the pattern `{name}` finds nothing at all, everywhere"
            ));
        }
        Ok(())
    }

    fn pattern(&self, name: &str) -> Result<&Pattern, String> {
        let marker = marker::named(name);
        let own = self.patterns.iter().find(|own| own.marker == marker);
        own.ok_or_else(|| format!("there is no pattern `{name}`"))
    }

    /// Tries a pattern on its samples, with all other rules in force.
    ///
    /// # Errors
    ///
    /// Names the pattern and the sample's number.
    pub fn try_on<'s>(
        &self,
        name: &str,
        finds: impl Iterator<Item = &'s str>,
        leaves: impl Iterator<Item = &'s str>,
    ) -> Result<(), String> {
        let own = self.pattern(name)?;
        for (number, sample) in (1..).zip(finds) {
            if self.apply(own, sample).is_none() {
                return Err(format!(
                    "the pattern `{name}` does not find its sample {number} in `finds`"
                ));
            }
            self.text(sample)?;
        }
        for (number, sample) in (1..).zip(leaves) {
            if self.apply(own, sample).is_some() {
                return Err(format!(
                    "the pattern `{name}` finds its sample {number} in `leaves`"
                ));
            }
        }
        Ok(())
    }

    /// Whether a pointer marks the value there.
    pub fn marks(&self, place: &[String]) -> bool {
        let fits = |(rule, step): (&String, &String)| rule == "*" || rule == step;
        self.pointers
            .iter()
            .any(|rule| rule.len() == place.len() && rule.iter().zip(place).all(fits))
    }

    /// Whether the text of a member of this name is a secret.
    pub fn is_secret_name(&self, name: &str) -> bool {
        let name = plain(name);
        self.names.contains(&name)
    }

    /// A text with its secrets replaced; `None` if it has none.
    ///
    /// # Errors
    ///
    /// Where doing it again would change it again: then the rules find their own markers.
    pub fn text(&self, text: &str) -> Result<Option<String>, String> {
        let Some(redacted) = self.pass(text) else {
            return Ok(None);
        };
        match self.pass(&redacted) {
            None => Ok(Some(redacted)),
            Some(_) => Err("the rules find what they have put in a secret's place".to_owned()),
        }
    }

    fn pass(&self, text: &str) -> Option<String> {
        let present = self.needles.within(text);
        let mut redacted = None;
        for pattern in &self.patterns {
            if pattern.needs != 0 && pattern.needs & present == 0 {
                continue;
            }
            // A marker that was put in brings no needle of another pattern.
            if let Some(changed) = self.apply(pattern, redacted.as_deref().unwrap_or(text)) {
                redacted = Some(changed);
            }
        }
        redacted
    }

    /// The text with what a pattern finds replaced; `None` if there is nothing, or only markers.
    fn apply(&self, pattern: &Pattern, text: &str) -> Option<String> {
        if !pattern.in_line {
            return pattern.replace(text);
        }
        // Line by line, since the search is slow and most lines hold no needle.
        let mut out: Option<String> = None;
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let is_searched = pattern.needs & self.needles.within(line) != 0;
            let changed = is_searched.then(|| pattern.replace(line)).flatten();
            match (&mut out, changed) {
                (Some(out), changed) => out.push_str(changed.as_deref().unwrap_or(line)),
                (None, Some(changed)) => out = Some([&text[..at], &changed].concat()),
                (None, None) => {}
            }
            at += line.len();
        }
        out
    }
}

impl Pattern {
    /// The text with what this pattern finds replaced; `None` if there is nothing, or only markers.
    fn replace(&self, text: &str) -> Option<String> {
        let regex = self.regex.get_or_init(|| Regex::new(&self.source).ok());
        let mut out = String::new();
        let mut copied = 0;
        for found in regex.as_ref()?.captures_iter(text) {
            let Some(secret) = found.name("secret").or_else(|| found.get(0)) else {
                continue;
            };
            if marker::is_marker(secret.as_str()) {
                continue;
            }
            out.push_str(&text[copied..secret.start()]);
            out.push_str(&self.marker);
            copied = secret.end();
        }
        (copied > 0).then(|| {
            out.push_str(&text[copied..]);
            out
        })
    }
}

/// A member's name as names are compared.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|character| !matches!(character, '_' | '-'))
        .map(|character| character.to_ascii_lowercase())
        .collect()
}

/// The steps of a pointer, if what it leads to may be any text: a marker must fit there.
fn steps(pointer: &str) -> Option<Vec<String>> {
    let steps: Vec<String> = pointer
        .strip_prefix('/')?
        .split('/')
        .map(|step| step.replace("~1", "/").replace("~0", "~"))
        .collect();
    let names: Vec<&str> = steps.iter().map(String::as_str).collect();
    let fits = match names.as_slice() {
        ["plan_id"] | ["plan_steps", _] => true,
        ["dispatch_info", name] => matches!(*name, "agent_pool" | "agent_id"),
        ["execution_result", "services_touched", _] => true,
        ["execution_result", "outcome" | "resources_used", ..] => true,
        ["metadata", _, ..] => true,
        _ => false,
    };
    fits.then_some(steps)
}
