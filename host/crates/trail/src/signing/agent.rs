//! Signatures by keys in an ssh-agent (draft-miller-ssh-agent), over its socket, with a time limit.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::TrailError;
use crate::signing::ssh;

/// A key that an agent holds.
pub(super) struct AgentKey {
    public: Vec<u8>,
    socket: PathBuf,
    timeout: Duration,
}

const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// The longest answer, in bytes. A signature has about a hundred.
const MAX_ANSWER: usize = 64 << 10;

impl AgentKey {
    pub(super) fn new(
        public: Vec<u8>,
        socket: Option<&Path>,
        file: &Path,
        timeout: Duration,
    ) -> Result<AgentKey, TrailError> {
        let socket = socket.ok_or_else(|| {
            TrailError::Invalid(format!(
                "the signing key {} is a public key, and there is no ssh-agent (SSH_AUTH_SOCK) with its private part",
                file.display()
            ))
        })?;
        Ok(AgentKey {
            public,
            socket: socket.to_owned(),
            timeout,
        })
    }

    /// Makes the armoured signature of these bytes.
    pub(super) fn sign(&self, payload: &[u8]) -> Result<String, String> {
        let answer = self
            .ask(&ssh::to_be_signed(payload))
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => format!(
                    "the ssh-agent did not answer within {} s",
                    self.timeout.as_secs_f32()
                ),
                _ => format!("the ssh-agent cannot be used: {error}"),
            })?;
        let signature = match answer.split_first_chunk::<5>() {
            Some(([SIGN_RESPONSE, ..], signature)) if !signature.is_empty() => signature,
            _ => {
                return Err(
                    "the ssh-agent does not sign with the signing key; `ssh-add` gives it a key"
                        .into(),
                );
            }
        };
        Ok(ssh::armour(&self.public, signature))
    }

    fn ask(&self, data: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut request = vec![SIGN_REQUEST];
        ssh::append(&mut request, &self.public);
        ssh::append(&mut request, data);
        request.extend_from_slice(&[0; 4]);
        let mut framed = Vec::with_capacity(request.len() + 4);
        ssh::append(&mut framed, &request);
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(self.timeout))?;
        stream.set_write_timeout(Some(self.timeout))?;
        stream.write_all(&framed)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_ANSWER {
            return Err(std::io::Error::other("its answer is too long"));
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}
