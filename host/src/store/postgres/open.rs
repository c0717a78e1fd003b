//! Opening a PostgreSQL store: is it ours, would it survive a power cut; making and migrating it.

use std::str::FromStr as _;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::{Config, NoTls};

use super::super::url::PostgresUrl;
use super::super::{About, Options, StoreError, fingerprint_key};
use super::failure::Failure;
use super::project;
use super::schema::{
    MARK, MIGRATIONS, PROJECTION_OF_3, SCHEMA, VERSION, projection, projection_indexes,
};
use super::{PATIENCE, within};

/// Connections of one process: one commits accepted submissions, one settles, the others answer queries.
const CONNECTIONS_MOST: usize = 8;

/// How long a connection may take, the server's greeting included, where the URL does not say.
const CONNECT: Duration = Duration::from_secs(5);

/// After so long without a word the other end is asked whether it is there, so often, so many times. A network that swallows
/// everything, or a machine that is gone, is noticed in half a minute by either end.
const SILENCE: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_secs(5);
const ASK_TIMES: u32 = 4;

/// A host that is stopped in the middle of a transaction, or cut off, must not keep its locks from the others for longer.
const IDLE_MOST: Duration = Duration::from_secs(30);

/// Keeps two hosts from migrating at once: a key of our own for PostgreSQL's advisory locks.
const MIGRATION_LOCK: i64 = 0x4368_4175;

/// Opens the database, made and migrated as far as the options allow.
pub(super) async fn open(
    url: &PostgresUrl,
    options: &Options,
) -> Result<(Pool, About), StoreError> {
    let shown = url.to_string();
    let mut config = configuration(url, options)?;
    let failed = |failure: Failure| failure.into_store_error(&shown);
    // The first connection tells how the others are to be set.
    let pool = pool(&config)?;
    let mut client = pool.get().await.map_err(|error| failed(error.into()))?;
    let looking = look_at_server(&client, &shown);
    let (mut about, lax) = within(PATIENCE, looking, &shown).await?;
    if lax {
        append_option(&mut config, "synchronous_commit=on");
    }
    within(PATIENCE, prepare(&mut client, &shown, options), &shown).await?;
    about.schema = VERSION;
    drop(client);
    Ok((self::pool(&config)?, about))
}

fn configuration(url: &PostgresUrl, options: &Options) -> Result<Config, StoreError> {
    // The parser's message may quote the URL, and with it the password.
    let mut config = Config::from_str(url.secret())
        .map_err(|_| StoreError::Invalid(format!("{url} is not a URL of a PostgreSQL database")))?;
    if config.get_ssl_mode() == SslMode::Require
        || config.get_channel_binding() == ChannelBinding::Require
    {
        return Err(StoreError::Invalid(format!(
            "{url} asks for TLS, which the store does not speak: use a Unix socket, the loopback or a tunnel, and sslmode=disable"
        )));
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    if config.get_tcp_user_timeout().is_none() {
        // A network that swallows everything would otherwise hold a caller for a quarter of an hour.
        config.tcp_user_timeout(Duration::from_secs(10));
    }
    if config.get_keepalives_idle() == Config::new().get_keepalives_idle() {
        config.keepalives_idle(SILENCE);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(ASK_EVERY);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(ASK_TIMES);
    }
    if config.get_application_name().is_none() {
        config.application_name("chiffon-audit");
    }
    append_option(&mut config, &format!("search_path={SCHEMA}"));
    append_option(
        &mut config,
        &format!("lock_timeout={}", options.lock_wait.as_millis()),
    );
    // The server's end of the same; its own default is two hours, for which a dead host's locks would stay.
    for (setting, value) in [
        ("tcp_keepalives_idle", SILENCE.as_secs()),
        ("tcp_keepalives_interval", ASK_EVERY.as_secs()),
        ("tcp_keepalives_count", ASK_TIMES.into()),
        (
            "idle_in_transaction_session_timeout",
            IDLE_MOST.as_millis() as u64,
        ),
    ] {
        append_option(&mut config, &format!("{setting}={value}"));
    }
    // A plan made for any page size takes a page for a tenth of the table, and sorts it.
    append_option(&mut config, "plan_cache_mode=force_custom_plan");
    append_option(&mut config, "client_encoding=UTF8");
    Ok(config)
}

fn append_option(config: &mut Config, setting: &str) {
    let before = config.get_options().unwrap_or_default();
    let options = format!("{before} -c {setting}");
    config.options(options.trim_start());
}

fn pool(config: &Config) -> Result<Pool, StoreError> {
    let manager = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    Pool::builder(Manager::from_config(config.clone(), NoTls, manager))
        .max_size(CONNECTIONS_MOST)
        .runtime(deadpool_postgres::Runtime::Tokio1)
        .wait_timeout(Some(Duration::from_secs(10)))
        // The socket's own is over when the server has taken the connection; one that is stopped says nothing more.
        .create_timeout(config.get_connect_timeout().copied())
        .build()
        .map_err(|error| StoreError::Invalid(error.to_string()))
}

/// What the server says of itself, and whether it would acknowledge a commit before it is on the disk.
async fn look_at_server(client: &Object, url: &str) -> Result<(About, bool), Failure> {
    let mut durability = Vec::new();
    let mut warnings = Vec::new();
    let mut lax = false;
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        let value: String = client.query_one(&format!("SHOW {name}"), &[]).await?.get(0);
        match (name, value.as_str()) {
            ("fsync", "off") => {
                return Err(StoreError::NotDurable {
                    url: url.to_owned(),
                    cause: "fsync is off".into(),
                }
                .into());
            }
            ("full_page_writes", "off") => warnings.push(
                "full_page_writes is off: unless the file system never tears a page, a power cut damages the database"
                    .to_owned(),
            ),
            ("synchronous_commit", "off") => {
                lax = true;
                warnings.push(
                    "synchronous_commit is off on the server; the store's own sessions have it on".to_owned(),
                );
            }
            _ => {}
        }
        let value = if lax { "on".to_owned() } else { value };
        durability.push((name.to_owned(), value));
    }
    let row = client
        .query_one(
            "SELECT current_setting('server_version'), current_setting('server_encoding'), pg_is_in_recovery()",
            &[],
        )
        .await?;
    let (version, encoding, is_standby): (String, String, bool) =
        (row.get(0), row.get(1), row.get(2));
    if encoding != "UTF8" {
        return Err(StoreError::Invalid(format!(
            "{url} has the encoding {encoding}, and the store needs UTF8"
        ))
        .into());
    }
    if is_standby {
        return Err(StoreError::Unavailable(format!(
            "{url} is a standby, which cannot be written"
        ))
        .into());
    }
    let about = About {
        url: url.to_owned(),
        database: format!("PostgreSQL {version}"),
        schema: 0,
        durability,
        warnings,
    };
    Ok((about, lax))
}

/// Makes or migrates the tables.
async fn prepare(client: &mut Object, url: &str, options: &Options) -> Result<(), Failure> {
    if version(client, url).await? == Some(VERSION) {
        return Ok(());
    }
    let transaction = client.transaction().await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK])
        .await?;
    // Again, now that nobody else migrates.
    let found = version(&transaction, url).await?;
    let from = match found {
        None if options.create => {
            transaction
                .batch_execute(&format!("CREATE SCHEMA {SCHEMA}"))
                .await?;
            0
        }
        None => return Err(StoreError::Missing(url.to_owned()).into()),
        Some(version) => version,
    };
    for migration in &MIGRATIONS[from as usize..] {
        transaction.batch_execute(migration).await?;
    }
    if from == 0 {
        let tables = projection("") + &projection_indexes("");
        transaction.batch_execute(&tables).await?;
    } else if from < 3 {
        transaction.batch_execute(PROJECTION_OF_3).await?;
        transaction.batch_execute(&project::counting("")).await?;
    }
    if from < 3 {
        transaction
            .execute(
                "INSERT INTO fingerprint_key (key) VALUES ($1)",
                &[&fingerprint_key().as_slice()],
            )
            .await?;
    }
    transaction
        .batch_execute(&format!("COMMENT ON SCHEMA {SCHEMA} IS '{MARK}{VERSION}'"))
        .await?;
    Ok(transaction.commit().await?)
}

/// The version of the tables; nothing where there are none.
async fn version(
    client: &impl deadpool_postgres::GenericClient,
    url: &str,
) -> Result<Option<u32>, Failure> {
    let row = client
        .query_opt(
            "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1",
            &[&SCHEMA],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let comment: Option<String> = row.get(0);
    let version = comment
        .as_deref()
        .and_then(|comment| comment.strip_prefix(MARK))
        .and_then(|version| version.parse::<u32>().ok())
        .ok_or_else(|| StoreError::Foreign(format!("the schema {SCHEMA} of {url}")))?;
    if version > VERSION {
        return Err(StoreError::Newer {
            url: url.to_owned(),
            found: version,
            known: VERSION,
        }
        .into());
    }
    Ok(Some(version))
}
