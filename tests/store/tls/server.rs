//! A PostgreSQL server that speaks TLS on the loopback, and the certificates for both ends.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use chiffon_audit_cli::store::{self, Store, StoreError, StoreUrl};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::support::certificates::{Authority, Identity, params};

use super::super::place::options;
use super::super::server::Server;

/// The name of the server in the URLs.
pub const NAME: &str = "db.example";

/// The password of every role.
pub const PASSWORD: &str = "not-in-clear-text";

/// Who may log in, and how. Each way has a role of the same name.
const HBA: &str = "local all all trust
hostssl all scram 127.0.0.1/32 scram-sha-256
hostssl all cleartext 127.0.0.1/32 password
hostssl all md5 127.0.0.1/32 md5
hostssl all trusted 127.0.0.1/32 trust
hostssl all certified 127.0.0.1/32 scram-sha-256 clientcert=verify-full
";

/// The properties of a certificate for [`NAME`] that is valid from one year to another.
pub fn params_between(from: i32, until: i32) -> CertificateParams {
    let mut params = params(&[NAME], "server");
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params
}

/// A certificate that this key, as PEM, signs for itself.
pub fn self_signed(key: &str) -> Identity {
    let pair = KeyPair::from_pem(key).unwrap();
    Identity {
        certificate: params(&[NAME], NAME).self_signed(&pair).unwrap().pem(),
        key: key.to_owned(),
    }
}

/// A running server with TLS.
pub struct TlsServer {
    server: Server,
    port: u16,
    /// The authority of its first certificate and of its clients'.
    pub authority: Authority,
    /// The directory of the client's files.
    dir: tempfile::TempDir,
}

impl TlsServer {
    /// Starts a server whose certificate is for [`NAME`]; `None` if PostgreSQL is not installed.
    pub async fn start() -> Option<TlsServer> {
        let authority = Authority::new("test authority");
        let identity = authority.issue(&[NAME]);
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let settings = format!(
            "-c shared_buffers=32MB -c ssl_cert_file=server.crt -c ssl_key_file=server.key -c ssl_ca_file=ca.crt \
             -c listen_addresses=127.0.0.1 -c port={port} -c log_connections=on"
        );
        let (ca, hba) = (authority.pem(), HBA);
        let server = std::thread::spawn(move || {
            Server::start_prepared(&settings, port, |server| {
                server.write("server.crt", &identity.certificate);
                server.write("server.key", &identity.key);
                server.write("ca.crt", &ca);
                server.write("pg_hba.conf", hba);
                // On the command line nothing could turn it off.
                server.write("postgresql.auto.conf", "ssl = on\n");
            })
        });
        let server = server.join().unwrap()?;
        for role in ["scram", "cleartext", "md5", "trusted", "certified"] {
            let encryption = match role {
                "md5" => "md5",
                _ => "scram-sha-256",
            };
            let sql = format!(
                "SET password_encryption = '{encryption}'; CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"
            );
            server.execute("postgres", &sql).await.unwrap();
            let sql = format!("CREATE DATABASE {role} OWNER {role}");
            server.execute("postgres", &sql).await.unwrap();
        }
        let dir = crate::support::temporary();
        let started = TlsServer {
            server,
            port,
            authority,
            dir,
        };
        started.put("ca.pem", &started.authority.pem());
        Some(started)
    }

    /// Writes a file of the client, with the rights that a key needs.
    pub fn put(&self, name: &str, text: &str) -> PathBuf {
        let file = self.dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        file
    }

    /// The path of a file of the client.
    pub fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// The URL of a role's database. The server has the name in [`NAME`]; `CA` in the parameters is the authority's file.
    pub fn url(&self, role: &str, parameters: &str) -> String {
        self.url_of(NAME, role, parameters)
    }

    /// The same, with another name for the server, or without one.
    pub fn url_of(&self, name: &str, role: &str, parameters: &str) -> String {
        let parameters = parameters.replace("CA", &self.file("ca.pem"));
        let port = self.port;
        let (place, port) = match name {
            "" => (String::new(), format!("&port={port}")),
            name => (format!("{name}:{port}"), String::new()),
        };
        format!("postgres://{role}:{PASSWORD}@{place}/{role}?hostaddr=127.0.0.1{port}&{parameters}")
    }

    /// A URL with another server as the second host.
    pub fn url_with(&self, other: &TlsServer, role: &str, parameters: &str) -> String {
        let place = format!("{NAME}:{},{NAME}:{}", self.port, other.port);
        let url = self.url(role, parameters);
        url.replace(&format!("{NAME}:{}", self.port), &place)
            .replace("hostaddr=127.0.0.1", "hostaddr=127.0.0.1,127.0.0.1")
    }

    /// Presents another certificate to new connections.
    pub async fn present(&self, identity: &Identity) {
        self.server.write("server.crt", &identity.certificate);
        self.server.write("server.key", &identity.key);
        self.reload().await;
        let log = self.log();
        assert!(!log.contains("SSL configuration was not reloaded"), "{log}");
    }

    /// Waits until new connections have the settings and files as they are now.
    async fn reload(&self) {
        // A server process inherits the time from the main process, which reads all files before it starts another one.
        let sql = "SELECT pg_reload_conf()";
        self.server
            .execute(
                "postgres",
                &format!("CREATE TABLE reloaded AS SELECT pg_conf_load_time() AS at; {sql}"),
            )
            .await
            .unwrap();
        let changed = "DO $$ BEGIN IF (SELECT at = pg_conf_load_time() FROM reloaded) THEN RAISE 'as before'; END IF; END $$";
        while self.server.execute("postgres", changed).await.is_err() {}
        self.server
            .execute("postgres", "DROP TABLE reloaded")
            .await
            .unwrap();
    }

    /// Turns TLS on or off for new connections.
    pub async fn set_tls(&self, is_on: bool) {
        let sql = format!("ALTER SYSTEM SET ssl = {is_on}");
        self.server.execute("postgres", &sql).await.unwrap();
        self.reload().await;
    }

    /// Ends every session of a role.
    pub async fn end_sessions(&self, role: &str) {
        let sql = format!(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = '{role}'"
        );
        self.server.execute("postgres", &sql).await.unwrap();
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.server.directory().join("log")).unwrap()
    }
}

/// Opens a store, as the service does.
pub async fn open(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    store::open(&StoreUrl::parse(url)?, &options()).await
}

/// The sentence of the error with which a store is not opened. It has one line and no password.
pub async fn refusal(url: &str) -> String {
    let error = match open(url).await {
        Ok(_) => panic!("{url} opens"),
        Err(error) => error.to_string(),
    };
    assert!(
        !error.contains('\n') && !error.contains(PASSWORD),
        "{error}"
    );
    error
}
