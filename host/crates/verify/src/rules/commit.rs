//! Commits: their headers and message, as git stores them.

use crate::object::Id;

/// The parts of a commit.
#[derive(Debug)]
pub(crate) struct Commit<'a> {
    pub(crate) tree: Id,
    pub(crate) parents: Vec<Id>,
    pub(crate) author: Option<&'a [u8]>,
    pub(crate) committer: Option<&'a [u8]>,
    /// The encoding of the message, if the commit names one.
    pub(crate) encoding: Option<&'a [u8]>,
    /// A header that is none of the others and not a signature.
    pub(crate) other: Option<&'a [u8]>,
    pub(crate) message: &'a [u8],
}

impl<'a> Commit<'a> {
    /// Parses a commit; `None` if it is malformed.
    pub(crate) fn parse(bytes: &'a [u8], hex_len: usize) -> Option<Commit<'a>> {
        let mut rest = bytes;
        let tree = id(header(&mut rest, b"tree ")?, hex_len)?;
        let mut parents = Vec::new();
        while let Some(parent) = header(&mut rest, b"parent ") {
            parents.push(id(parent, hex_len)?);
        }
        let author = header(&mut rest, b"author ");
        let committer = header(&mut rest, b"committer ");
        let (mut encoding, mut other) = (None, None);
        let mut in_signature = false;
        loop {
            // Git accepts a commit that ends after its headers as one without a message.
            let (line, after) = if rest.is_empty() && committer.is_some() {
                (rest, rest)
            } else {
                line(rest)?
            };
            if line.is_empty() {
                return Some(Commit {
                    tree,
                    parents,
                    author,
                    committer,
                    encoding,
                    other,
                    message: after,
                });
            }
            encoding = encoding.or_else(|| line.strip_prefix(b"encoding "));
            // A header continues on lines that start with a space. In a trail commit only a signature does.
            let is_more = line.starts_with(b" ") && in_signature;
            in_signature =
                is_more || line.starts_with(b"gpgsig ") || line.starts_with(b"gpgsig-sha256 ");
            if !in_signature {
                other = other.or(Some(line));
            }
            rest = after;
        }
    }

    /// The commit time, in seconds since 1970; `None` if it is malformed.
    pub(crate) fn time(&self) -> Option<i64> {
        let stamp = self.committer?;
        let after = stamp.iter().rposition(|byte| *byte == b'>')? + 1;
        let (seconds, _) = std::str::from_utf8(&stamp[after..])
            .ok()?
            .trim_start()
            .split_once(' ')?;
        seconds.parse().ok()
    }

    /// Checks that a host may have written these headers: the author is the committer, and times are in UTC.
    ///
    /// # Errors
    ///
    /// Names the part that a host writes differently.
    pub(crate) fn check_headers(&self) -> Result<(), String> {
        let (Some(author), Some(committer)) = (self.author, self.committer) else {
            return Err("it names no author or no committer".to_owned());
        };
        if author != committer {
            return Err("its author is not its committer".to_owned());
        }
        if !is_stamp(committer) {
            return Err(
                "its author and time are not in the form `name <address> seconds +0000`".to_owned(),
            );
        }
        match self.other {
            Some(line) => Err(format!("it has the header {}", crate::quote::quote(line))),
            None => Ok(()),
        }
    }
}

fn is_stamp(stamp: &[u8]) -> bool {
    let Some(rest) = stamp.strip_suffix(b" +0000") else {
        return false;
    };
    let Some(space) = rest.iter().rposition(|byte| *byte == b' ') else {
        return false;
    };
    let (person, seconds) = (&rest[..space], &rest[space + 1..]);
    let plain =
        seconds == b"0" || (!seconds.starts_with(b"0") && (1..=18).contains(&seconds.len()));
    plain && seconds.iter().all(u8::is_ascii_digit) && is_person(person)
}

/// Whether this is exactly `name <address>`, both of printable characters only. Git reads anything else differently.
fn is_person(person: &[u8]) -> bool {
    let parts = std::str::from_utf8(person).ok().and_then(|person| {
        let (name, rest) = person.split_once(" <")?;
        Some([name, rest.strip_suffix('>')?])
    });
    let fits = |part: &str| {
        !part.trim().is_empty()
            && !part.contains(['<', '>'])
            && part.chars().all(super::message::is_printable)
    };
    parts.is_some_and(|parts| parts.into_iter().all(fits))
}

fn header<'a>(rest: &mut &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let value = rest.strip_prefix(key)?;
    let (value, after) = line(value)?;
    *rest = after;
    Some(value)
}

fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    // Most of a commit is its signature, so lines are found many bytes at a time.
    let end = memchr::memchr(b'\n', bytes)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

fn id(hex: &[u8], hex_len: usize) -> Option<Id> {
    Id::from_hex(hex).filter(|_| hex.len() == hex_len)
}

#[cfg(test)]
mod tests {
    use super::Commit;

    const HEAD: &str = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent \
         4b825dc642cb6eb9a060e54bf8d69288fbee4904\n";

    fn check(stamps: &str, time: Option<i64>, ours: bool) {
        let text = format!("{HEAD}{stamps}\n\nsubject\n");
        let commit = Commit::parse(text.as_bytes(), 40);
        let found = commit.map(|commit| {
            (
                commit.time(),
                commit.check_headers().is_ok(),
                commit.parents.len(),
            )
        });
        assert_eq!(found, Some((time, ours, 1)), "{stamps}");
    }

    #[test]
    fn headers_are_distinguished() {
        check(
            "author A <a@b> 5 +0000\ncommitter A <a@b> 5 +0000",
            Some(5),
            true,
        );
        check(
            "author A <a@b> 5 +0000\ncommitter A <a@b> 5 +0000\ngpgsig x\n y",
            Some(5),
            true,
        );
        check(
            "author A <a@b> 5 +0000\ncommitter A <a@b> 5 +0000\nencoding x",
            Some(5),
            false,
        );
        check(
            "author A <a@b> 4 +0000\ncommitter A <a@b> 5 +0000",
            Some(5),
            false,
        );
        check(
            "author A <a@b> 5 +0100\ncommitter A <a@b> 5 +0100",
            Some(5),
            false,
        );
        check(
            "author A <a@b> 05 +0000\ncommitter A <a@b> 05 +0000",
            Some(5),
            false,
        );
        check(
            "author A <a@b> -5 +0000\ncommitter A <a@b> -5 +0000",
            Some(-5),
            false,
        );
        for person in [
            "A> a>",
            "<A <a>",
            "A<a@b>",
            ">>",
            "<>",
            " <>",
            "A <>",
            " <a>",
            "A\rB <a@b>",
            "A \u{202e} <a@b>",
            "A <a \u{1b}[2J>",
        ] {
            let text =
                format!("{HEAD}author {person} 5 +0000\ncommitter {person} 5 +0000\n\nsubject\n");
            let commit = Commit::parse(text.as_bytes(), 40).expect("it has all headers");
            assert!(commit.check_headers().is_err(), "{person:?}");
        }
        check("author A\ncommitter A", None, false);
        check("author A <a@b> 5 +0000", None, false);
    }

    #[test]
    fn a_commit_may_end_with_its_headers() {
        let text = format!("{HEAD}author A <a@b> 5 +0000\ncommitter A <a@b> 5 +0000\n");
        let message =
            |text: &str| Commit::parse(text.as_bytes(), 40).map(|commit| commit.message.to_vec());
        assert_eq!(message(&text), Some(Vec::new()));
        assert_eq!(message(text.trim_end()), None);
    }

    #[test]
    fn what_is_no_commit_is_refused() {
        for text in [
            "",
            "tree 4b825d\n\n",
            "parent 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\n",
            &HEAD[..80],
            HEAD,
        ] {
            assert!(Commit::parse(text.as_bytes(), 40).is_none(), "{text}");
        }
    }
}
