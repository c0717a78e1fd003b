//! Loose objects: their ids, and their content as a stream.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::inflate::Inflater;
use crate::object::{Id, Kind};

/// The ids of all loose objects, as their first eight bytes, sorted. The file shows the whole id.
#[derive(PartialEq, Eq)]
pub(crate) struct Names(Vec<u64>);

impl Names {
    /// Lists the loose objects.
    ///
    /// # Errors
    ///
    /// The reason why a directory cannot be read.
    pub(crate) fn list(objects: &Path, hash_len: usize) -> Result<Names, String> {
        let mut names = Vec::new();
        for first in 0..=255_u8 {
            let entries = match std::fs::read_dir(objects.join(format!("{first:02x}"))) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(format!("its loose objects cannot be listed: {error}")),
            };
            for entry in entries {
                let name = entry
                    .map_err(|error| format!("its loose objects cannot be listed: {error}"))?
                    .file_name();
                let Some(rest) = name.to_str().filter(|rest| rest.len() == 2 * hash_len - 2) else {
                    continue;
                };
                if let Some(id) = Id::from_hex(format!("{first:02x}{rest}").as_bytes()) {
                    names.push(prefix(&id));
                }
            }
        }
        names.sort_unstable();
        Ok(Names(names))
    }

    /// Whether there may be a loose object with this id.
    pub(crate) fn may_hold(&self, id: &Id) -> bool {
        !self.0.is_empty() && self.0.binary_search(&prefix(id)).is_ok()
    }
}

fn prefix(id: &Id) -> u64 {
    let bytes = id.as_slice();
    u64::from_be_bytes([
        bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
    ])
}

/// Opens the file of a loose object; `None` if it does not exist.
pub(crate) fn open(objects: &Path, id: &Id) -> Result<Option<File>, String> {
    let hex = id.to_string();
    let path = objects.join(&hex[..2]).join(&hex[2..]);
    match super::open_file(&path) {
        Ok(file) => Ok(Some(file)),
        Err(_) if !path.exists() => Ok(None),
        Err(why) => Err(format!("its file {why}")),
    }
}

/// Inflates a loose object. Calls `begin` with its type and size, and `piece` with each piece of its content.
///
/// # Errors
///
/// An error of a callback, or what is wrong with the file.
pub(crate) fn stream<State>(
    mut file: File,
    inflater: &mut Inflater,
    begin: impl FnOnce(Kind, u64) -> Result<State, String>,
    mut piece: impl FnMut(&mut State, &[u8]) -> Result<(), String>,
) -> Result<State, String> {
    let mut begin = Some(begin);
    let mut state: Option<(State, u64)> = None;
    let mut header = Vec::new();
    let source = |buffer: &mut [u8]| {
        file.read(buffer)
            .map_err(|error| format!("its file cannot be read: {error}"))
    };
    let left_over = inflater.stream(source, |mut bytes| {
        if state.is_none() {
            // The longest header is "commit " and twenty digits.
            let end = bytes.iter().position(|byte| *byte == 0);
            header.extend_from_slice(&bytes[..end.unwrap_or(bytes.len()).min(40)]);
            let Some(end) = end.filter(|_| header.len() <= 32) else {
                return if header.len() > 32 {
                    Err("its header is malformed".to_owned())
                } else {
                    Ok(())
                };
            };
            bytes = &bytes[end + 1..];
            let (kind, size) = parse_header(&header).ok_or("its header is malformed")?;
            let begin = begin.take().expect("the header is read once");
            state = Some((begin(kind, size)?, size));
        }
        let Some((state, left)) = &mut state else {
            return Ok(());
        };
        *left = left
            .checked_sub(bytes.len() as u64)
            .ok_or("it is longer than its header says")?;
        piece(state, bytes)
    })?;
    match state {
        _ if left_over => Err("there is garbage after it in its file".to_owned()),
        Some((state, 0)) => Ok(state),
        Some(_) => Err("it is shorter than its header says".to_owned()),
        None => Err("its header is malformed".to_owned()),
    }
}

fn parse_header(header: &[u8]) -> Option<(Kind, u64)> {
    let space = header.iter().position(|byte| *byte == b' ')?;
    let digits = std::str::from_utf8(&header[space + 1..]).ok()?;
    if digits.is_empty()
        || !digits.bytes().all(|byte| byte.is_ascii_digit())
        || (digits.len() > 1 && digits.starts_with('0'))
    {
        return None;
    }
    Some((Kind::from_name(&header[..space])?, digits.parse().ok()?))
}
