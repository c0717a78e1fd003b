//! Settings: which source takes precedence, and what each may contain.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chiffon_audit_cli::config::{
    CheckpointSettings, Environment, Layout, Settings, Signing, SigningExtent, SigningFailure,
    repository_file,
};
use tempfile::TempDir;

/// A user's home and a repository, in a temporary directory.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Place {
        Place {
            dir: crate::support::temporary(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn user(&self, text: &str) {
        self.write("home/.config/chiffon-audit/config.toml", text);
    }

    fn repository(&self, text: &str) {
        self.write("repository.toml", text);
    }

    fn load(&self, flags: Settings, variables: &[(&str, &str)]) -> Result<Settings, String> {
        let home = self.path("home");
        let environment: Environment = variables
            .iter()
            .copied()
            .chain([("HOME", home.to_str().unwrap())])
            .collect();
        Settings::load(flags, &environment, Some(&self.path("repository.toml"))).map_err(|error| {
            error
                .to_string()
                .replace(self.dir.path().to_str().unwrap(), "")
        })
    }

    #[track_caller]
    fn refused(&self, variables: &[(&str, &str)], message: &str) {
        assert_eq!(
            self.load(Settings::default(), variables).unwrap_err(),
            message
        );
    }
}

#[test]
fn nothing_given_is_nothing_set_but_the_cache() {
    let place = Place::new();
    let settings = place.load(Settings::default(), &[]).unwrap();
    let cache_dir = Some(place.path("home/.cache/chiffon-audit"));
    assert_eq!(
        settings,
        Settings {
            cache_dir,
            ..Settings::default()
        }
    );
}

#[test]
fn every_setting_is_read_from_the_users_file() {
    let place = Place::new();
    place.user(
        r#"
        layout = "sharded"
        statuses = ["timed_out"]
        author = "Audit <audit@example.com>"
        secret_file = "/run/secret"
        lock_wait = 7
        cache_dir = "cache"
        [signing]
        key = "id.pub"
        openpgp_key = "ABCD"
        program = "gpg2"
        passphrase_file = "/run/pass"
        extent = "group"
        on_failure = "unsigned"
        timeout = 0.5
        [checkpoint]
        key = "/run/checkpoint"
        to = "kept"
        every = 600
        [policy]
        file = "policy.wasm"
        settings = { redact = "true", "a.b" = "" }
        wall_time = 2.5
        fuel = 1
        memory = 2
        stack = 3
        instances = 4
        memories = 5
        tables = 6
        table_elements = 7
        host_calls = 8
        wasi_calls = 9
        host_call_bytes = 10
        entry_bytes = 11
        log_lines = 12
        log_bytes = 13
        [outcome]
        max_bytes = 1000
        depth = 10
        "#,
    );
    let settings = place.load(Settings::default(), &[]).unwrap();
    assert_eq!(
        (settings.layout, settings.default_layout),
        (None, Some(Layout::Sharded)),
        "it is for all trails"
    );
    assert_eq!(settings.statuses, Some(vec!["timed_out".to_owned()]));
    assert_eq!(
        settings.author.as_deref(),
        Some("Audit <audit@example.com>")
    );
    assert_eq!(
        settings.secret_file.as_deref(),
        Some(Path::new("/run/secret"))
    );
    assert_eq!(settings.lock_wait, Some(Duration::from_secs(7)));
    let signing = Signing {
        key: Some(place.path("home/.config/chiffon-audit/id.pub")),
        openpgp_key: Some("ABCD".into()),
        // A plain name is looked up on the path.
        program: Some("gpg2".into()),
        passphrase_file: Some("/run/pass".into()),
        extent: Some(SigningExtent::Group),
        on_failure: Some(SigningFailure::Unsigned),
        timeout: Some(Duration::from_millis(500)),
    };
    assert_eq!(settings.signing, signing);
    let checkpoint = CheckpointSettings {
        state: None,
        key: Some("/run/checkpoint".into()),
        to: Some(place.path("home/.config/chiffon-audit/kept")),
        every: Some(Duration::from_secs(600)),
    };
    assert_eq!(settings.checkpoint, checkpoint);
    // Relative to the file, wherever the program is started.
    assert_eq!(
        settings.cache_dir,
        Some(place.path("home/.config/chiffon-audit/cache"))
    );
    assert_eq!(
        settings.policy_file,
        Some(place.path("home/.config/chiffon-audit/policy.wasm"))
    );
    assert_eq!(
        settings.policy_settings.into_iter().collect::<Vec<_>>(),
        [
            ("a.b".to_owned(), String::new()),
            ("redact".to_owned(), "true".to_owned()),
        ]
    );
    assert_eq!(
        (
            settings.outcome_limits.max_bytes,
            settings.outcome_limits.depth
        ),
        (Some(1000), Some(10))
    );
    let limits = settings.policy_limits;
    assert_eq!(limits.wall_time, Some(Duration::from_millis(2500)));
    let limits = [
        limits.fuel,
        limits.memory,
        limits.stack,
        limits.instances,
        limits.memories,
        limits.tables,
        limits.table_elements,
        limits.host_calls,
        limits.wasi_calls,
        limits.host_call_bytes,
        limits.entry_bytes,
        limits.log_lines,
        limits.log_bytes,
    ];
    assert_eq!(
        limits,
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13].map(Some)
    );
}

#[test]
fn nearer_wins() {
    let place = Place::new();
    place.user("author = 'User <u@x>'\nlayout = 'flat'\nlock_wait = 1\npolicy.fuel = 5\npolicy.wall_time = 1\n[policy.settings]\na = 'user'\nb = 'user'\nc = 'user'");
    place.repository("author = 'Repository <r@x>'\nlayout = 'sharded'");
    let variables = [
        ("CHIFFON_AUDIT_AUTHOR", "Environment <e@x>"),
        (
            "CHIFFON_AUDIT_POLICY_SETTINGS",
            "b=environment\nc=environment",
        ),
    ];
    let mut flags = Settings::default();
    flags.policy_settings.insert("c".into(), "flag".into());
    let settings = place.load(flags.clone(), &variables).unwrap();
    assert_eq!(settings.author.as_deref(), Some("Environment <e@x>"));
    assert_eq!(settings.layout, Some(Layout::Sharded));
    assert_eq!(settings.default_layout, Some(Layout::Flat));
    assert_eq!(settings.lock_wait, Some(Duration::from_secs(1)));
    assert_eq!(settings.policy_limits.fuel, Some(5));
    assert_eq!(
        settings.policy_limits.wall_time,
        Some(Duration::from_secs(1))
    );
    let from: Vec<_> = settings
        .policy_settings
        .values()
        .map(String::as_str)
        .collect();
    assert_eq!(from, ["user", "environment", "flag"]);

    flags.author = Some("Flag <f@x>".into());
    let settings = place.load(flags, &variables).unwrap();
    assert_eq!(settings.author.as_deref(), Some("Flag <f@x>"));
}

#[test]
fn the_environment_names_settings_in_upper_case() {
    let place = Place::new();
    let settings = place
        .load(
            Settings::default(),
            &[
                ("CHIFFON_AUDIT_STATUSES", "timed_out, skipped"),
                ("CHIFFON_AUDIT_POLICY_FUEL", "12"),
                ("CHIFFON_AUDIT_POLICY_FILE", "p.wasm"),
                ("XDG_CACHE_HOME", "/cache"),
                ("XDG_CONFIG_HOME", "relative/and/so/ignored"),
            ],
        )
        .unwrap();
    assert_eq!(
        settings.statuses,
        Some(vec!["timed_out".to_owned(), "skipped".to_owned()])
    );
    assert_eq!(settings.policy_limits.fuel, Some(12));
    assert_eq!(settings.policy_file, Some(PathBuf::from("p.wasm")));
    assert_eq!(
        settings.cache_dir,
        Some(PathBuf::from("/cache/chiffon-audit"))
    );
}

#[test]
fn an_unknown_variable_is_a_warning_and_those_of_clients_and_kubernetes_are_not() {
    let place = Place::new();
    let misspelt = [("CHIFFON_AUDIT_POLICY_FIEL", "x"), ("CHIFFON_AUDIT_", "y")];
    let settings = place.load(Settings::default(), &misspelt).unwrap();
    assert_eq!(
        settings.warnings,
        [
            "unknown setting CHIFFON_AUDIT_ in the environment is ignored",
            "unknown setting CHIFFON_AUDIT_POLICY_FIEL in the environment is ignored"
        ]
    );
    // Its value does not matter, so it need not be UTF-8.
    use std::os::unix::ffi::OsStringExt as _;
    let value = std::ffi::OsString::from_vec(vec![0xff]);
    let unknown = chiffon_audit_cli::config::Environment::from_iter([("CHIFFON_AUDIT_FOO", value)]);
    let settings = Settings::load(Settings::default(), &unknown, None).unwrap();
    assert_eq!(
        settings.warnings,
        ["unknown setting CHIFFON_AUDIT_FOO in the environment is ignored"]
    );
    let of_clients = [
        ("CHIFFON_AUDIT_URL", "http://localhost:8787"),
        ("CHIFFON_AUDIT_TOKEN", "secret"),
        ("CHIFFON_AUDIT_SPOOL", "/var/spool"),
    ];
    let settings = place.load(Settings::default(), &of_clients).unwrap();
    assert_eq!(settings.warnings, [""; 0]);
    place.refused(
        &[("CHIFFON_AUDIT_OUTCOME_DEPTH", "deep")],
        "setting CHIFFON_AUDIT_OUTCOME_DEPTH in the environment must be a whole number of at least 1",
    );
    let injected = [
        ("CHIFFON_AUDIT_SERVICE_HOST", "10.0.0.1"),
        ("CHIFFON_AUDIT_PORT", "tcp://10.0.0.1:80"),
        ("CHIFFON_AUDIT_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("CHIFFON_AUDIT_SERVICE_PORT_HTTP", "80"),
    ];
    place.load(Settings::default(), &injected).unwrap();
}

#[test]
fn what_names_a_policy_a_file_or_a_limit_is_not_taken_from_a_repository() {
    let home = "/home/.config/chiffon-audit/config.toml";
    for (text, key, variable) in [
        ("policy.file = 'x'", "policy.file", "POLICY_FILE"),
        (
            "[policy.settings]\na = 'b'",
            "policy.settings",
            "POLICY_SETTINGS",
        ),
        ("secret_file = 'x'", "secret_file", "SECRET_FILE"),
        ("[signing]\nkey = 'x'", "signing.key", "SIGNING_KEY"),
        (
            "[signing]\nprogram = 'x'",
            "signing.program",
            "SIGNING_PROGRAM",
        ),
        ("cache_dir = 'x'", "cache_dir", "CACHE_DIR"),
        ("lock_wait = 1", "lock_wait", "LOCK_WAIT"),
        (
            "[outcome]\nmax_bytes = 1",
            "outcome.max_bytes",
            "OUTCOME_MAX_BYTES",
        ),
        ("policy.fuel = 1", "policy.fuel", "POLICY_FUEL"),
    ] {
        let place = Place::new();
        place.repository(text);
        place.refused(
            &[],
            &format!(
                "setting {key} is not taken from a repository (/repository.toml); \
                 it belongs in {home} or CHIFFON_AUDIT_{variable}"
            ),
        );
    }
}

#[test]
fn a_file_that_says_what_it_must_not_is_named_with_the_setting() {
    for (text, message) in [
        (
            "layuot = 'flat'",
            "unknown setting layuot in /repository.toml",
        ),
        (
            "[outcome]\nx = 1",
            "unknown setting outcome.x in /repository.toml",
        ),
        (
            "[outcome.max_bytes]\nx = 1",
            "setting outcome.max_bytes is not taken from a repository",
        ),
        (
            "\"a\\u001b\" = 1",
            "unknown setting a\\u{1b} in /repository.toml",
        ),
        (
            "layout = 'round'",
            "setting layout in /repository.toml must be `flat` or `sharded`",
        ),
        (
            "layout = 1",
            "setting layout in /repository.toml must be `flat` or `sharded`",
        ),
        (
            "outcome = 1",
            "setting outcome in /repository.toml must be a table",
        ),
        (
            "author = 'Nobody'",
            "setting author in /repository.toml must be `Name <email>` on one line",
        ),
        (
            "statuses = ['OK']",
            "setting statuses in /repository.toml must be a list of names of 1 to 32 lower-case letters, digits, `_` and `-`",
        ),
        ("\nlayout = ", "/repository.toml:2: "),
    ] {
        let place = Place::new();
        place.repository(text);
        let found = place.load(Settings::default(), &[]).unwrap_err();
        assert!(found.starts_with(message), "{found}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_one_that_is_missing_is_not() {
    let place = Place::new();
    place.load(Settings::default(), &[]).unwrap();
    fs::create_dir(place.path("repository.toml")).unwrap();
    place.refused(&[], "cannot read the configuration /repository.toml");
}

#[test]
fn the_repositorys_file_is_found_from_anywhere_in_it() {
    let place = Place::new();
    let root = place.dir.path().canonicalize().unwrap();
    for dir in ["work/.git", "bare.git"] {
        place.write(&format!("{dir}/HEAD"), "ref: refs/heads/main\n");
        fs::create_dir_all(root.join(dir).join("objects")).unwrap();
        fs::create_dir_all(root.join(dir).join("refs")).unwrap();
    }
    place.write("linked/.git", "gitdir: ../work/.git/worktrees/linked\n");
    place.write("work/.git/worktrees/linked/HEAD", "ref: refs/heads/other\n");
    place.write("work/.git/worktrees/linked/commondir", "../..\n");
    fs::create_dir_all(root.join("work/a/b")).unwrap();
    fs::create_dir_all(root.join("none")).unwrap();
    let find = |dir: &str| {
        let file = repository_file(&root.join(dir))?;
        let dir = file
            .parent()
            .unwrap()
            .parent()
            .unwrap()
            .canonicalize()
            .unwrap();
        Some(
            dir.strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned(),
        )
    };
    assert_eq!(find("work").as_deref(), Some("work/.git"));
    assert_eq!(find("work/a/b").as_deref(), Some("work/.git"));
    assert_eq!(find("work/.git").as_deref(), Some("work/.git"));
    assert_eq!(find("linked").as_deref(), Some("work/.git"));
    assert_eq!(find("bare.git").as_deref(), Some("bare.git"));
    assert_eq!(find("none"), None);
    assert_eq!(find("missing"), None);
}
