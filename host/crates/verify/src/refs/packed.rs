//! The file `packed-refs`, byte for byte: a header that git knows, then lines of one id and one valid name, each name
//! once, in order if the header says so. Git uses a binary search and relies on the order, so a file in another form
//! may show a ref to one program and hide it from another.

use std::io::Read;
use std::path::Path;

use super::name;
use crate::object::Id;
use crate::quote::quote;
use crate::store::open_file;

/// The largest file, in bytes: fifty million refs.
const MAX_BYTES: u64 = u32::MAX as u64;

/// The words that git's header may have.
const TRAITS: [&[u8]; 3] = [b"peeled", b"fully-peeled", b"sorted"];

/// The packed refs: the file, and the offsets of its lines in the order of names.
#[derive(Default)]
pub(super) struct PackedRefs {
    bytes: Vec<u8>,
    lines: Vec<u32>,
    hex_len: usize,
    /// The first difference from git's form, and the number of differences.
    pub(super) odd: Option<(String, u64)>,
}

impl PackedRefs {
    /// Reads the file. A missing file has no refs.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(super) fn read(path: &Path, hex_len: usize) -> Result<PackedRefs, String> {
        if path
            .symlink_metadata()
            .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        {
            return Ok(PackedRefs::default());
        }
        let mut bytes = Vec::new();
        open_file(path)?
            .take(MAX_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("cannot be read: {error}"))?;
        if bytes.len() as u64 == MAX_BYTES {
            return Err(format!(
                "is larger than {MAX_BYTES} bytes; `git pack-refs --all --prune` rewrites it"
            ));
        }
        Ok(PackedRefs::parse(bytes, hex_len))
    }

    fn parse(bytes: Vec<u8>, hex_len: usize) -> PackedRefs {
        let mut packed = PackedRefs {
            hex_len,
            ..PackedRefs::default()
        };
        let mut odd = Irregularities::default();
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            odd.add(|| "its last line has no end".to_owned());
        }
        let mut at = 0;
        let mut is_sorted = false;
        let mut peelable = false;
        for line in bytes.split(|byte| *byte == b'\n') {
            let begin = at;
            at += line.len() + 1;
            if begin == 0 && line.starts_with(b"#") {
                is_sorted = odd.header(line);
            } else if line.starts_with(b"^") {
                if !peelable || !is_id(&line[1..], hex_len) {
                    odd.add(|| format!("the line {} belongs to no tag", quote(line)));
                }
                peelable = false;
            } else if begin < bytes.len() {
                peelable = false;
                match line.split_at_checked(hex_len) {
                    Some((id, rest))
                        if is_id(id, hex_len) && rest.starts_with(b" ") && is_full(&rest[1..]) =>
                    {
                        packed.lines.push(begin as u32);
                        // A branch names a commit, which cannot be peeled.
                        peelable = !rest.starts_with(b" refs/heads/");
                    }
                    _ => odd.add(|| format!("it holds the line {}", quote(line))),
                }
            }
        }
        packed.bytes = bytes;
        packed.order(is_sorted, &mut odd);
        packed.odd = odd.0;
        packed
    }

    /// Sorts the lines by name.
    fn order(&mut self, is_sorted: bool, odd: &mut Irregularities) {
        let mut lines = std::mem::take(&mut self.lines);
        if !lines.is_sorted_by(|one, next| self.name_at(*one) < self.name_at(*next)) {
            if is_sorted {
                odd.add(|| {
                    "its names are not in the order that its first line promises".to_owned()
                });
            }
            lines.sort_by(|one, next| self.name_at(*one).cmp(self.name_at(*next)));
            for pair in lines.windows(2) {
                let name = self.name_at(pair[0]);
                if name == self.name_at(pair[1]) {
                    odd.add(|| format!("it holds the ref {} twice", quote(name)));
                }
            }
        }
        self.lines = lines;
    }

    /// The id of the ref with this name.
    pub(super) fn get(&self, name: &[u8]) -> Option<Id> {
        let place = self
            .lines
            .binary_search_by(|line| self.name_at(*line).cmp(name));
        self.id_at(self.lines[place.ok()?])
    }

    /// The refs whose names have this prefix, in order.
    pub(super) fn below(&self, prefix: &[u8]) -> impl Iterator<Item = (&[u8], Id)> {
        let first = self
            .lines
            .partition_point(|line| self.name_at(*line) < prefix);
        let lines = self.lines[first..]
            .iter()
            .map(|line| (self.name_at(*line), *line));
        lines
            .take_while(move |(name, _)| name.starts_with(prefix))
            .filter_map(|(name, line)| Some((name, self.id_at(line)?)))
    }

    fn name_at(&self, line: u32) -> &[u8] {
        let rest = &self.bytes[line as usize + self.hex_len + 1..];
        rest.split(|byte| *byte == b'\n').next().unwrap_or_default()
    }

    fn id_at(&self, line: u32) -> Option<Id> {
        let begin = line as usize;
        Id::from_hex(&self.bytes[begin..begin + self.hex_len])
    }
}

/// The differences from git's form.
#[derive(Default)]
struct Irregularities(Option<(String, u64)>);

impl Irregularities {
    fn add(&mut self, what: impl FnOnce() -> String) {
        match &mut self.0 {
            Some((_, count)) => *count += 1,
            none => *none = Some((what(), 1)),
        }
    }

    /// Parses the header; returns whether it promises that the names are sorted.
    fn header(&mut self, line: &[u8]) -> bool {
        let Some(rest) = line.strip_prefix(b"# pack-refs with:") else {
            self.add(|| format!("it holds the line {}", quote(line)));
            return false;
        };
        // Git ends the header with a space, other programs do not.
        let rest = rest.strip_suffix(b" ").unwrap_or(rest);
        let mut traits: Vec<&[u8]> = rest.split(|byte| *byte == b' ').collect();
        let is_known =
            traits.remove(0).is_empty() && traits.iter().all(|word| TRAITS.contains(word));
        if !is_known {
            self.add(|| format!("its first line is {}", quote(line)));
        }
        traits.contains(&&b"sorted"[..])
    }
}

fn is_full(name: &[u8]) -> bool {
    name.starts_with(b"refs/") && name::is_valid(name)
}

/// Whether this is an object id as git writes it, in lower case.
pub(super) fn is_id(hex: &[u8], hex_len: usize) -> bool {
    hex.len() == hex_len
        && hex
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::PackedRefs;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    fn check(text: &str, words: Option<&str>) {
        let text = text.replace("$1", ONE).replace("$2", TWO);
        let packed = PackedRefs::parse(text.clone().into_bytes(), 40);
        match (&packed.odd, words) {
            (None, None) => {}
            (Some((what, _)), Some(words)) => assert!(what.contains(words), "{what}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn what_git_and_other_tools_write_is_taken() {
        for header in [
            "# pack-refs with: peeled fully-peeled sorted \n",
            "# pack-refs with: peeled fully-peeled sorted\n",
            "# pack-refs with: peeled \n",
            "",
        ] {
            check(
                &format!("{header}$1 refs/heads/a\n$2 refs/tags/v\n^$1\n"),
                None,
            );
        }
        check("", None);
        // Without the promise git sorts the lines itself.
        check(
            "# pack-refs with: peeled \n$1 refs/heads/b\n$2 refs/heads/a\n",
            None,
        );
        let packed = PackedRefs::parse(
            format!("{ONE} refs/heads/b\n{TWO} refs/heads/a\n").into_bytes(),
            40,
        );
        let found = packed.get(b"refs/heads/a").map(|id| id.to_string());
        assert_eq!(found.as_deref(), Some(TWO));
        let below: Vec<_> = packed
            .below(b"refs/heads/")
            .map(|(name, _)| name.to_vec())
            .collect();
        assert_eq!(below, [b"refs/heads/a", b"refs/heads/b"]);
        assert_eq!(packed.get(b"refs/heads/c"), None);
    }

    #[test]
    fn every_other_form_is_named() {
        for (text, words) in [
            ("$1 refs/heads/a", "no end"),
            ("$1\trefs/heads/a\n", "holds the line"),
            ("$1  refs/heads/a\n", "holds the line"),
            ("$1 refs/heads/a \n", "holds the line"),
            ("$1 refs/heads/a\r\n", "holds the line"),
            ("$1 refs/heads/a junk\n", "holds the line"),
            ("$1 main\n", "holds the line"),
            ("$1 HEAD\n", "holds the line"),
            (" $1 refs/heads/a\n", "holds the line"),
            ("11 refs/heads/a\n", "holds the line"),
            ("$1 refs/heads/a\n\n", "holds the line"),
            ("$1 refs/heads/a\n# x\n", "holds the line"),
            ("# other\n$1 refs/heads/a\n", "holds the line"),
            (
                "# pack-refs with: peeled new \n$1 refs/heads/a\n",
                "its first line",
            ),
            (
                "# pack-refs with:sorted \n$1 refs/heads/a\n",
                "its first line",
            ),
            (
                "# pack-refs with: sorted \n$1 refs/heads/b\n$1 refs/heads/a\n",
                "not in the order",
            ),
            (
                "# pack-refs with: sorted \n$1 refs/heads/a\n$2 refs/heads/a\n",
                "not in the order",
            ),
            ("$1 refs/heads/a\n$2 refs/heads/a\n", "twice"),
            ("^$1\n$1 refs/heads/a\n", "belongs to no tag"),
            ("$1 refs/heads/a\n^$2\n", "belongs to no tag"),
            ("$1 refs/tags/a\n^$2\n^$2\n", "belongs to no tag"),
            ("$1 refs/tags/a\n^$2 \n", "belongs to no tag"),
        ] {
            check(text, Some(words));
        }
        let upper = "A".repeat(40);
        check(&format!("{upper} refs/heads/a\n"), Some("holds the line"));
    }
}
