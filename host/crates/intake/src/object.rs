//! A JSON object under construction, whose values stay as they were written.

/// Members in order. A later value of the same name replaces the earlier one.
#[derive(Clone, Debug, Default)]
pub struct Object {
    members: Vec<(String, String)>,
}

impl Object {
    /// An object without members.
    pub fn new() -> Object {
        Object::default()
    }

    /// The members of an object that is known to be JSON; none if it is another kind of value.
    pub fn of(text: &str) -> Object {
        let members = outcome::json::members(text).unwrap_or_default();
        Object {
            members: members
                .into_iter()
                .map(|(name, value)| (name.into_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// Sets a member to JSON as written.
    pub fn raw(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.members.iter_mut().find(|(known, _)| known == name) {
            Some(member) => member.1 = value,
            None => self.members.push((name.to_owned(), value)),
        }
    }

    /// Sets a member to a string.
    pub fn text(&mut self, name: &str, value: &str) {
        self.raw(name, quoted(value));
    }

    /// A member's value as written.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.members.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The object as JSON without white space between members.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{");
        for (index, (name, value)) in self.members.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(&quoted(name));
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
        out
    }
}

/// A text as a JSON string.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string is JSON")
}
