//! Opens a PostgreSQL store: checks that it is a store and would survive a power cut, and creates or migrates it.

use std::time::Duration;

use deadpool_postgres::Object;
use tokio::time::Instant;
use tokio_postgres::Config;

use super::super::url::PostgresUrl;
use super::super::{FingerprintKeys, Options, StoreError, StoreInfo, fingerprint_key};
use super::connections::{Connections, has_no_room};
use super::failure::Failure;
use super::schema::{self, MARK, VERSION};
use super::session::{self, DedicatedConnection, SessionSettings};
use super::tls::{self, TlsConnector};
use super::{PATIENCE, within};

/// How long a connection attempt may take, including the server's greeting, unless the URL gives a time.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// How long a silent connection is left alone before the other end is probed, and the interval between probes. If a
/// network drops everything, or a machine is gone, either end notices within half a minute.
pub(super) const SILENCE: Duration = Duration::from_secs(10);
pub(super) const SILENCE_ASK_EVERY: Duration = Duration::from_secs(5);
pub(super) const SILENCE_ASK_TIMES: u32 = 4;

/// How long a session may be idle in a transaction. A host that is stopped or cut off must not keep its locks for
/// longer.
pub(super) const MAX_IDLE: Duration = Duration::from_secs(30);

/// How long to wait for the first connection if the server allows no further one, and how often to ask.
const FIRST_WAIT: Duration = Duration::from_secs(9);
const FIRST_AGAIN: Duration = Duration::from_millis(50);

/// How long creating or migrating the tables may take: an index over the submissions of many years.
const MIGRATION_PATIENCE: Duration = Duration::from_secs(3600);

/// The key for PostgreSQL's advisory locks that prevents two hosts from migrating at once.
const MIGRATION_LOCK: i64 = 0x4368_4175;

/// Opens the database, and creates or migrates the store if the options allow it.
pub(super) async fn open(
    url: &PostgresUrl,
    options: &Options,
) -> Result<(Connections, StoreInfo, FingerprintKeys), StoreError> {
    let shown = url.to_string();
    let target = configuration(url)?;
    let looking = async {
        let first = first(&target, &shown).await?;
        let about = look_at_server(&first, &shown).await?;
        session::refuse_poolers(&target, &first, &shown).await?;
        Ok(about)
    };
    let mut about = within(PATIENCE, looking, &shown).await?;
    let session = SessionSettings::new(url.schema(), options.lock_wait);
    let connections = Connections::new(&target, options.pool.max(1), session)?;
    let finding = async {
        let client = connections.get().await?;
        let found = find(&*client, url.schema(), &shown).await?;
        Ok((client, found))
    };
    let (mut client, found) = within(PATIENCE, finding, &shown).await?;
    if found != ExistingSchema::Ours(VERSION) {
        let preparing = prepare(&mut client, url.schema(), &shown, options);
        within(MIGRATION_PATIENCE, preparing, &shown).await?;
    }
    let keys = within(PATIENCE, keys(&client), &shown).await?;
    drop(client);
    about.schema = VERSION;
    Ok((connections, about, keys))
}

/// Connects without setting the session up, to check the server before anything is changed, even a session.
async fn first(target: &Target, url: &str) -> Result<DedicatedConnection, Failure> {
    let until = Instant::now() + FIRST_WAIT;
    loop {
        match DedicatedConnection::connect(target, url).await {
            Err(Failure::Sql(error)) if has_no_room(&error) && Instant::now() < until => {
                tokio::time::sleep(FIRST_AGAIN).await;
            }
            connected => return connected,
        }
    }
}

/// A server, and how to connect to it.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) tls: TlsConnector,
}

fn configuration(url: &PostgresUrl) -> Result<Target, StoreError> {
    let (mut config, tls) = tls::configure(url)?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    if config.get_tcp_user_timeout().is_none() {
        // If a network drops everything, the caller would otherwise wait for a quarter of an hour.
        config.tcp_user_timeout(Duration::from_secs(10));
    }
    if config.get_keepalives_idle() == Config::new().get_keepalives_idle() {
        config.keepalives_idle(SILENCE);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(SILENCE_ASK_EVERY);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(SILENCE_ASK_TIMES);
    }
    if config.get_application_name().is_none() {
        config.application_name("chiffon-audit");
    }
    Ok(Target { config, tls })
}

/// Reads the server's version and settings. Refuses a server that would acknowledge a commit before it is on disk.
async fn look_at_server(first: &DedicatedConnection, url: &str) -> Result<StoreInfo, Failure> {
    const ASKED: [&str; 6] = [
        "fsync",
        "full_page_writes",
        "synchronous_commit",
        "server_version",
        "server_encoding",
        "in_recovery",
    ];
    let values = first
        .ask(
            "SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
                current_setting('server_version'), current_setting('server_encoding'), pg_is_in_recovery()",
        )
        .await?;
    let of = |name: &str| {
        let at = ASKED.iter().position(|asked| *asked == name);
        at.and_then(|at| values.get(at))
            .cloned()
            .unwrap_or_default()
    };
    if of("fsync") != "on" {
        return Err(StoreError::NotDurable {
            url: url.to_owned(),
            cause: "fsync is off".into(),
        }
        .into());
    }
    let mut warnings = Vec::new();
    if of("full_page_writes") == "off" {
        warnings.push(
            "full_page_writes is off: unless the file system never tears a page, a power cut damages the database".to_owned(),
        );
    }
    let mut synchronous = of("synchronous_commit");
    if synchronous == "off" {
        warnings.push(
            "synchronous_commit is off on the server; the store's own sessions have it on"
                .to_owned(),
        );
        // Each session sets this and reads it back.
        synchronous = "on".to_owned();
    }
    let encoding = of("server_encoding");
    if encoding != "UTF8" {
        return Err(StoreError::Invalid(format!(
            "{url} has the encoding {encoding}, and the store needs UTF8"
        ))
        .into());
    }
    if of("in_recovery") == "t" {
        return Err(StoreError::Unavailable(format!(
            "{url} is a standby, which cannot be written"
        ))
        .into());
    }
    Ok(StoreInfo {
        url: url.to_owned(),
        database: format!("PostgreSQL {}", of("server_version")),
        schema: 0,
        durability: vec![
            ("fsync".into(), of("fsync")),
            ("full_page_writes".into(), of("full_page_writes")),
            ("synchronous_commit".into(), synchronous),
        ],
        warnings,
    })
}

/// Creates or migrates the tables.
async fn prepare(
    client: &mut Object,
    schema: &str,
    url: &str,
    options: &Options,
) -> Result<(), Failure> {
    let transaction = client.transaction().await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK])
        .await?;
    // Check again, now that no other host can migrate.
    let from = match find(&transaction, schema, url).await? {
        ExistingSchema::Ours(VERSION) => return Ok(()),
        ExistingSchema::Ours(version) => version,
        _ if !options.create => return Err(StoreError::Missing(url.to_owned()).into()),
        ExistingSchema::Empty => 0,
        ExistingSchema::Nothing => {
            let sql = format!("CREATE SCHEMA {}", session::quoted(schema));
            transaction.batch_execute(&sql).await?;
            0
        }
    };
    transaction
        .batch_execute(&schema::statements(schema, from))
        .await?;
    Ok(transaction.commit().await?)
}

/// What exists in the place of the store.
#[derive(Debug, PartialEq, Eq)]
enum ExistingSchema {
    Nothing,
    /// An empty schema, created for the role.
    Empty,
    /// The tables of this version.
    Ours(u32),
}

async fn find(
    client: &impl deadpool_postgres::GenericClient,
    schema: &str,
    url: &str,
) -> Result<ExistingSchema, Failure> {
    let row = client
        .query_opt(
            "SELECT obj_description(oid, 'pg_namespace'), pg_has_role(nspowner, 'USAGE')
                AND NOT EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = n.oid)
                AND NOT EXISTS (SELECT 1 FROM pg_proc WHERE pronamespace = n.oid)
                AND NOT EXISTS (SELECT 1 FROM pg_type WHERE typnamespace = n.oid)
             FROM pg_namespace n WHERE nspname = $1",
            &[&schema],
        )
        .await?;
    let Some(row) = row else {
        return Ok(ExistingSchema::Nothing);
    };
    let comment: Option<String> = row.get(0);
    if comment.is_none() && row.get(1) {
        return Ok(ExistingSchema::Empty);
    }
    let version = comment
        .as_deref()
        .and_then(|comment| comment.strip_prefix(MARK))
        .and_then(|version| version.parse::<u32>().ok())
        .ok_or_else(|| StoreError::Foreign(format!("the schema {schema} of {url}")))?;
    if version > VERSION {
        return Err(StoreError::Newer {
            url: url.to_owned(),
            found: version,
            known: VERSION,
        }
        .into());
    }
    Ok(ExistingSchema::Ours(version))
}

/// Reads the keys for fingerprints. A store that was created with a DBA's statements has no key yet.
async fn keys(client: &Object) -> Result<FingerprintKeys, Failure> {
    const READ: &str = "SELECT k.key, m.former_last IS NOT NULL FROM meta m, fingerprint_key k";
    let row = match client.query_opt(READ, &[]).await? {
        Some(row) => row,
        None => {
            client
                .execute(
                    "INSERT INTO fingerprint_key (key) VALUES ($1) ON CONFLICT DO NOTHING",
                    &[&fingerprint_key().as_slice()],
                )
                .await?;
            client.query_one(READ, &[]).await?
        }
    };
    let key: Vec<u8> = row.get(0);
    Ok(FingerprintKeys {
        key: key.try_into().unwrap_or_default(),
        has_former: row.get(1),
    })
}
