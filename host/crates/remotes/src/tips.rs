//! The tips of a remote's refs.

use std::collections::BTreeMap;

use crate::error::{RemoteError, classify};
use crate::{PushRepository, Remote};

/// Refs and the commits that they name, in hexadecimal.
pub type Tips = BTreeMap<String, String>;

impl PushRepository {
    /// The tips of these refs at the remote. A ref that the remote does not have is missing.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Unreachable`], [`RemoteError::Unauthorised`].
    pub fn remote_tips(&self, remote: &Remote, refs: &[&str]) -> Result<Tips, RemoteError> {
        let mut tips = self.list(remote, refs)?;
        // A pattern of `git ls-remote` matches the end of a name.
        tips.retain(|name, _| refs.contains(&name.as_str()));
        Ok(tips)
    }

    /// Whether the remote has no refs.
    ///
    /// # Errors
    ///
    /// Those of [`PushRepository::remote_tips`].
    pub fn is_empty(&self, remote: &Remote) -> Result<bool, RemoteError> {
        Ok(self.list(remote, &[])?.is_empty())
    }

    fn list(&self, remote: &Remote, refs: &[&str]) -> Result<Tips, RemoteError> {
        let url = remote.url.as_git_takes_it();
        let arguments = [&["ls-remote", "--quiet", "--refs", "--", url], refs].concat();
        let ended = self.git(remote, &arguments)?;
        if !ended.status.success() {
            return Err(classify(&remote.name, &remote.url.redact(&ended.messages)));
        }
        let unreadable = || RemoteError::Unreachable {
            remote: remote.name.clone(),
            said: "its list of refs is malformed".to_owned(),
        };
        let text = String::from_utf8_lossy(&ended.output);
        let tips = text.lines().map(|line| {
            let (id, name) = line.split_once('\t')?;
            is_id(id).then(|| (name.to_owned(), id.to_owned()))
        });
        tips.collect::<Option<Tips>>().ok_or_else(unreadable)
    }
}

/// Whether a text is a whole object id.
pub(crate) fn is_id(text: &str) -> bool {
    [40, 64].contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
