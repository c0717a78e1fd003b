//! Which members are sealed: JSON pointers in which `*` stands for every member or element.

use std::fmt;

/// A JSON pointer (RFC 6901) in which a step `*` matches every member of an object and every element of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Any,
    Named(String),
}

/// Why a pointer does not say what to seal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is not a JSON pointer to a member.
    #[error("`{0}` is not a JSON pointer to a member")]
    NotAPointer(String),
    /// The host and its queries need the member in clear text.
    #[error(
        "`{0}` cannot be sealed: only members of `/metadata`, `/execution_result/outcome`, `/execution_result/resources_used` and of a \
         policy's own can, because queries and the trail need the others"
    )]
    NeverSealed(String),
}

/// Members that the trail, its queries and its readers need in clear text.
const NEVER: &[&[&str]] = &[
    &["task_id"],
    &["status"],
    &["timestamp"],
    &["plan_id"],
    &["plan_steps"],
    &["dispatch_info"],
    &["execution_result", "services_touched"],
    &["execution_result", "start_time"],
    &["execution_result", "end_time"],
];

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// It is no pointer, or leads to a member that is never sealed.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        let rest = text.strip_prefix('/');
        let rest = rest.ok_or_else(|| PatternError::NotAPointer(text.to_owned()))?;
        let steps: Vec<Step> = rest
            .split('/')
            .map(|step| match step {
                "*" => Step::Any,
                name => Step::Named(name.replace("~1", "/").replace("~0", "~")),
            })
            .collect();
        let reaches = |path: &[&str]| {
            let both = steps.iter().zip(path);
            let mut both = both.map(|(step, name)| step.matches(name));
            both.all(|matches| matches)
        };
        if NEVER.iter().any(|path| reaches(path)) {
            return Err(PatternError::NeverSealed(text.to_owned()));
        }
        Ok(Pattern {
            text: text.to_owned(),
            steps,
        })
    }

    /// The steps that follow one with this name, if the pattern begins with it.
    pub(crate) fn begin(&self) -> Rest<'_> {
        Rest(&self.steps)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Step {
    fn matches(&self, name: &str) -> bool {
        match self {
            Step::Any => true,
            Step::Named(own) => own == name,
        }
    }
}

/// The steps of a pattern that are still to be matched.
#[derive(Clone, Copy)]
pub(crate) struct Rest<'a>(&'a [Step]);

impl<'a> Rest<'a> {
    /// The rest after a step to this member or element; `None` if the pattern does not go there.
    pub(crate) fn after(self, name: &str) -> Option<Rest<'a>> {
        let (first, rest) = self.0.split_first()?;
        first.matches(name).then_some(Rest(rest))
    }

    /// Whether the pattern ends here, so that the value is sealed.
    pub(crate) fn is_done(self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, PatternError};

    #[test]
    fn what_the_trail_needs_is_never_sealed() {
        for text in [
            "/task_id",
            "/status",
            "/timestamp",
            "/*",
            "/*/outcome/x",
            "/dispatch_info/agent_id",
            "/execution_result",
            "/execution_result/*",
            "/plan_steps/*",
        ] {
            let never = PatternError::NeverSealed(text.to_owned());
            assert_eq!(Pattern::parse(text), Err(never), "{text}");
        }
        for text in ["", "metadata"] {
            let wrong = PatternError::NotAPointer(text.to_owned());
            assert_eq!(Pattern::parse(text), Err(wrong), "{text}");
        }
        for text in [
            "/metadata",
            "/metadata/*/email",
            "/execution_result/outcome",
            "/own",
            "/execution_result/resources_used/*",
        ] {
            assert!(Pattern::parse(text).is_ok(), "{text}");
        }
    }
}
