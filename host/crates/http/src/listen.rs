//! Addresses to listen on: TCP or a Unix socket.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, UnixListener};

/// An address in text form: `127.0.0.1:8787`, `[::1]:8787`, `localhost:8787` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address and a port.
    Tcp(Vec<SocketAddr>),
    /// A socket in the file system, by path.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Listen, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err("needs a path after `unix:`".into())
            } else {
                Ok(Listen::Unix(PathBuf::from(path)))
            };
        }
        if let Ok(address) = text.parse() {
            return Ok(Listen::Tcp(vec![address]));
        }
        if let Some(port) = text.strip_prefix("localhost:")
            && let Ok(port) = port.parse::<u16>()
        {
            return Ok(Listen::Tcp(vec![SocketAddr::from(([127, 0, 0, 1], port))]));
        }
        Err("must be ADDRESS:PORT, such as 127.0.0.1:8787, or unix:PATH".into())
    }
}

impl Listen {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Listen::Tcp(addresses) => addresses.iter().all(|address| address.ip().is_loopback()),
            Listen::Unix(_) => true,
        }
    }
}

/// A socket that listens.
pub enum Listener {
    /// A TCP listener.
    Tcp(TcpListener),
    /// A Unix socket. Its path is removed on drop.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Starts to listen.
    ///
    /// Replaces a socket file that no process listens on, such as one left by a crash; any other file is kept.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub async fn bind(listen: &Listen) -> io::Result<Listener> {
        match listen {
            Listen::Tcp(addresses) => Ok(Listener::Tcp(TcpListener::bind(&addresses[..]).await?)),
            Listen::Unix(path) => {
                remove_stale(path).await?;
                let listener = UnixListener::bind(path)?;
                // Anyone who may write to the socket may report: its owner and group, depending on the directory.
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
                Ok(Listener::Unix(listener, path.clone()))
            }
        }
    }
}

impl Listener {
    /// The address as a client writes it: a URL with this scheme, or `unix:PATH`.
    pub fn address(&self, scheme: &str) -> String {
        match self {
            Listener::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("{scheme}://{address}"),
                Err(error) => format!("({error})"),
            },
            Listener::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }
}

async fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = match path.symlink_metadata() {
        Ok(metadata) => metadata.file_type().is_socket(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !is_socket {
        return Err(io::Error::other("the path exists and is not a socket"));
    }
    if tokio::net::UnixStream::connect(path).await.is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process listens on it",
        ));
    }
    std::fs::remove_file(path)
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = self {
            // If this fails, the next listener replaces the file.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Listen;

    #[test]
    fn only_loopback_and_sockets_are_local() {
        for (text, local) in [
            ("127.0.0.1:8787", true),
            ("[::1]:0", true),
            ("localhost:80", true),
            ("unix:/run/chiffon.sock", true),
            ("0.0.0.0:8787", false),
            ("[::]:8787", false),
            ("192.0.2.1:1", false),
        ] {
            let listen: Listen = text
                .parse()
                .unwrap_or_else(|detail| panic!("{text}: {detail}"));
            assert_eq!(listen.is_local(), local, "{text}");
        }
        for text in ["", "8787", "unix:", "example.org:80", "127.0.0.1"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }
}
