//! A PostgreSQL server for the tests: in a temporary directory, on a socket there, removed with the test process.

use std::hash::{Hash as _, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use chiffon_audit_cli::store::StoreUrl;
use tokio_postgres::NoTls;

/// A running server.
pub struct Server {
    dir: PathBuf,
    programs: PathBuf,
    /// A shell that ends the server when its input ends, which is when this process ends for any reason.
    guard: Option<Child>,
    settings: String,
    /// The number in its socket's name.
    port: u16,
}

/// PostgreSQL refuses to run as root; Debian's package creates the first user, and every system has the other.
fn user() -> Option<(u32, u32)> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt as _;
        own.uid() == 0
    });
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of = |name: &str| {
        let line = passwd
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    is_root.then(|| {
        of("postgres")
            .or_else(|| of("nobody"))
            .unwrap_or((65534, 65534))
    })
}

/// The directory with `initdb` and `postgres`, from Debian or on the path; the newest version is used.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok();
    let mut found: Vec<(u32, PathBuf)> = versions
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort();
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&paths).collect();
    found
        .into_iter()
        .rev()
        .map(|(_, path)| path)
        .chain(on_path)
        .find(|path| path.join("initdb").exists() && path.join("postgres").exists())
}

/// What `initdb` is asked for, before the directory.
const INITDB: [&str; 6] = [
    "--no-sync",
    "--encoding=UTF8",
    "--locale=C",
    "--auth=trust",
    "--username=test",
    "-D",
];

/// Copies a directory with all that is in it, for that user.
fn copy(from: &Path, to: &Path, user: Option<(u32, u32)>) {
    std::fs::create_dir(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy(&item.path(), &target, user);
            continue;
        }
        std::fs::copy(item.path(), &target).unwrap();
        if let Some((uid, gid)) = user {
            chown(target, Some(uid), Some(gid)).unwrap();
        }
    }
    if let Some((uid, gid)) = user {
        chown(to, Some(uid), Some(gid)).unwrap();
    }
}

impl Server {
    /// Creates and starts a server; `None`, with a line on standard error, if PostgreSQL is not installed.
    pub fn start() -> Option<Server> {
        Server::start_with("-c shared_buffers=32MB")
    }

    /// Creates and starts a server with these options of `postgres`.
    pub fn start_with(settings: &str) -> Option<Server> {
        Server::start_prepared(settings, 5432, |_| ())
    }

    /// The same on this port, with files put in its directory of data before it starts.
    pub fn start_prepared(
        settings: &str,
        port: u16,
        prepare: impl FnOnce(&Server),
    ) -> Option<Server> {
        let Some(programs) = programs() else {
            static SAID: OnceLock<()> = OnceLock::new();
            SAID.get_or_init(|| {
                // Not through the macros: a passing test captures their output.
                let _ = std::io::stderr()
                    .write_all(b"skipped: the store on PostgreSQL, which is not installed\n");
            });
            return None;
        };
        // The guard removes it.
        let dir = tempfile::Builder::new()
            .prefix("pg")
            .tempdir_in(super::place())
            .unwrap()
            .keep();
        if let Some((uid, gid)) = user() {
            chown(&dir, Some(uid), Some(gid)).unwrap();
        }
        let mut server = Server {
            dir,
            programs,
            guard: None,
            settings: settings.to_owned(),
            port,
        };
        server.lay_out();
        prepare(&server);
        server.resume();
        Some(server)
    }

    /// Writes a file in the directory of data that only the server may read.
    pub fn write(&self, name: &str, text: &str) {
        let file = self.dir.join("data").join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((uid, gid)) = user() {
            chown(&file, Some(uid), Some(gid)).unwrap();
        }
    }

    /// Makes the directory of data: a copy of what `initdb` has made once for all servers and runs, since `initdb` takes a second.
    fn lay_out(&self) {
        let data = self.dir.join("data");
        let initdb = self.programs.join("initdb");
        let version = self.command(&initdb).arg("--version").output().unwrap();
        let mut hasher = std::hash::DefaultHasher::new();
        (&version.stdout, INITDB).hash(&mut hasher);
        let kept =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("initdb-{:016x}", hasher.finish()));
        if !kept.exists() {
            let mut command = self.command(&initdb);
            let made = command.args(INITDB).arg(&data).output().unwrap();
            let said = String::from_utf8_lossy(&made.stderr);
            assert!(made.status.success(), "{said}");
            let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            copy(&data, &place.path().join("data"), None);
            // Fails where another process was faster.
            let _ = std::fs::rename(place.path().join("data"), &kept);
            return;
        }
        copy(&kept, &data, user());
        // The server accepts no directory that others can read.
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.dir)
            .env_clear()
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        if let Some((uid, gid)) = user() {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Starts the server that was stopped.
    pub fn resume(&mut self) {
        let script = r#""$1" -D "$2/data" -k "$2" -c listen_addresses= -c dynamic_shared_memory_type=mmap -c max_connections=300 $3 \
            >"$2/log" 2>&1 & server=$!
            cat >/dev/null; kill -QUIT $server 2>/dev/null; wait $server; test -e "$2/stay" || rm -rf "$2""#;
        let guard = self
            .command(Path::new("/bin/sh"))
            .args(["-c", script, "sh"])
            .arg(self.programs.join("postgres"))
            .arg(&self.dir)
            .arg(&self.settings)
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.guard = Some(guard);
        let ready = super::run(async {
            for _ in 0..600 {
                if tokio_postgres::connect(&self.address("postgres"), NoTls)
                    .await
                    .is_ok()
                {
                    return true;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            false
        });
        let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        assert!(ready, "PostgreSQL does not start: {log}");
    }

    /// Ends the server like a crash: immediately, whatever it is doing, without writing anything.
    pub fn crash(&mut self) {
        std::fs::write(self.dir.join("stay"), "").unwrap();
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            guard.wait().unwrap();
        }
        std::fs::remove_file(self.dir.join("stay")).unwrap();
    }

    /// Stops every process of the server: it answers nobody, and no connection ends.
    pub fn stop(&self) {
        self.signal("-STOP");
    }

    /// Continues the stopped processes.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let file = std::fs::read_to_string(self.dir.join("data/postmaster.pid")).unwrap();
        let main = file.lines().next().unwrap();
        let sent = |pid: &str| {
            let mut kill = Command::new("kill");
            // A client may have disconnected meanwhile, and its process is gone.
            kill.args([signal, pid]).stderr(Stdio::null());
            kill.status().unwrap()
        };
        // First the process that would start others.
        assert!(sent(main).success());
        let children = format!("/proc/{main}/task/{main}/children");
        for child in std::fs::read_to_string(children)
            .unwrap()
            .split_whitespace()
        {
            sent(child);
        }
    }

    /// A connection pooler in front of this server, in that mode; `None` if pgbouncer is not installed.
    pub fn pooler(&self, mode: &str, settings: &str) -> Option<Pooler> {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let program = std::env::split_paths(&paths)
            .chain([PathBuf::from("/usr/sbin")])
            .map(|path| path.join("pgbouncer"))
            .find(|program| program.exists())?;
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let dir = self
            .dir
            .join(format!("pooler{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir(&dir).unwrap();
        if let Some((uid, gid)) = user() {
            chown(&dir, Some(uid), Some(gid)).unwrap();
        }
        let file = dir.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={}\n[pgbouncer]\nlisten_port = 6432\nlisten_addr =\nunix_socket_dir = {}\n\
             auth_type = any\npool_mode = {mode}\nlogfile = {}\n{settings}\n",
            self.directory().display(),
            dir.display(),
            dir.join("log").display(),
        );
        // With `auth_type = any` every client has all rights, so the server's user is configured.
        let text = text.replace("host=", "user=test host=");
        std::fs::write(&file, text).unwrap();
        let child = self
            .command(&program)
            .arg("-q")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pooler = Pooler { child, dir };
        let socket = pooler.dir.join(".s.PGSQL.6432");
        let waited = (0..600).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            socket.exists()
        });
        assert!(waited, "pgbouncer does not start");
        Some(pooler)
    }

    /// The directory of its socket.
    pub fn directory(&self) -> &Path {
        &self.dir
    }

    /// The address of a database.
    pub fn address(&self, database: &str) -> String {
        let dir = self.dir.display().to_string().replace('/', "%2F");
        match self.port {
            5432 => format!("postgres://test@{dir}/{database}"),
            port => format!("postgres://test@{dir}:{port}/{database}"),
        }
    }

    /// The URL of a new database.
    pub async fn database(&self) -> StoreUrl {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        StoreUrl::parse(&self.address(&name)).unwrap()
    }

    /// Runs a statement in a database.
    pub async fn execute(&self, database: &str, sql: &str) -> Result<(), tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.address(database), NoTls).await?;
        let connection = tokio::spawn(connection);
        let result = client.batch_execute(sql).await;
        drop(client);
        let _ = connection.await;
        result
    }
}

/// A running pooler.
pub struct Pooler {
    child: Child,
    dir: PathBuf,
}

impl Pooler {
    /// The URL of a database of the server behind it.
    pub fn url(&self, database: &str) -> StoreUrl {
        let dir = self.dir.display().to_string().replace('/', "%2F");
        StoreUrl::parse(&format!("postgres://test@{dir}:6432/{database}")).unwrap()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
    }
}

/// The server for tests that do not harm it.
pub fn shared() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER
        .get_or_init(|| std::thread::spawn(Server::start).join().unwrap())
        .as_ref()
}
