//! The table of settings: the one definition of each. Flags, environment variables, files and the reference are made from it.

use super::key::{
    AUTHOR, EXTENT, FINGERPRINT, HOSTS, Key, LAYOUT, LIMIT, LISTEN, NAMES, NON_FINITE, ON_FAILURE,
    ON_POLICY_FAULT, OVERDUE, PATH, POINTER, POINTERS, PROGRAM, SCHEMA_NAME, SEALED_POINTERS, SPAN,
    STATUS_MAP, STORE_URL, SWITCH, TIME, TOKENS, WHOLE_SECONDS,
};

/// The table whose keys belong to the policy and are not checked here.
pub(super) const POLICY_SETTINGS: &str = "policy.settings";

/// Makes keys of lines: the section, then for each setting its name, who may give it (a repository's own file too, or the operator
/// alone), its field, the form of its value, its default, and what it is for.
macro_rules! settings {
    ($($section:literal {
        $($name:literal ($who:ident) $($field:ident).+: $form:ident, $default:literal, $about:literal;)*
    })*) => {
        &[$($(Key {
            name: $name,
            section: $section,
            expected: $form.expected,
            default: $default,
            about: $about,
            repository: settings!(@$who),
            is_limit: $form.is_limit,
            store: |settings, value| {
                settings.$($field).+ = Some(($form.read)(value)?);
                Some(())
            },
            merge: |nearer, fallback| {
                if nearer.$($field).+.is_none() {
                    nearer.$($field).+ = fallback.$($field).+.take();
                }
            },
            differs: |one, other| one.$($field).+ != other.$($field).+,
        },)*)*]
    };
    (@repository) => { true };
    (@operator) => { false };
}

/// Every setting but those below [`POLICY_SETTINGS`].
pub(super) const KEYS: &[Key] = settings! {
    "The trail" {
        "layout" (repository) layout: LAYOUT,
            "the trail's own; else `sharded` for a ref trail, and for a checkout trail `flat` up to 512 entries and then `sharded`",
            "of new entries. In your own file it counts for trails that do not have a layout yet";
        "statuses" (repository) statuses: NAMES,
            "none",
            "statuses in addition to the four";
        "status_map" (operator) intake.status_map: STATUS_MAP,
            "none",
            "words of other systems for statuses: see [Ids, status words and maps](maps.md)";
        "tasks.overdue" (operator) overdue: OVERDUE,
            "none",
            "time within which an announced task has to end; an overdue one is listed and counted";
        "tasks.record_overdue" (operator) record_overdue: SWITCH,
            "false",
            "whether the service records overdue tasks, with the status `timed_out`";
        "author" (repository) author: AUTHOR,
            "git's `user`, else `Chiffon Audit <chiffon-audit@localhost>`",
            "author and committer";
        "secret_file" (operator) secret_file: PATH,
            "none",
            "key of the trailer `Audit-Outcome`, an HMAC of the submission as it came";
        "checkout.plaintext" (operator) checkout_plaintext: SWITCH,
            "false",
            "whether entries of a checkout trail may be in clear text where a filter encrypts files";
        "lock_wait" (operator) lock_wait: WHOLE_SECONDS,
            "10",
            "seconds to wait for a lock held by another process";
        "cache_dir" (operator) cache_dir: PATH,
            "`~/.cache/chiffon-audit` (`XDG_CACHE_HOME`)",
            "compiled policies. Where it cannot be written there is a warning";
        "outcome.max_bytes" (operator) outcome_limits.max_bytes: LIMIT,
            "1048576",
            "bytes of a document";
        "outcome.accept_max_bytes" (operator) intake.accept_max_bytes: LIMIT,
            "67108864",
            "bytes of a document that is taken in. If it is larger than `outcome.max_bytes`, its long texts are shortened";
        "outcome.non_finite" (operator) intake.non_finite: NON_FINITE,
            "`refuse`",
            "what happens to NaN, infinities and numbers beyond a double";
        "outcome.delivery_members" (operator) intake.delivery_members: POINTERS,
            "none",
            "members that do not decide whether two outcomes are the same. The first delivery stays";
        "outcome.depth" (operator) outcome_limits.depth: LIMIT,
            "64",
            "how deep a document may nest";
    }
    "Signatures and checkpoints" {
        "signing.key" (operator) signing.key: PATH,
            "none: commits are not signed",
            "file of an SSH key (ed25519) that signs every commit: a private key, or a public one whose other half an ssh-agent has";
        "signing.openpgp_key" (operator) signing.openpgp_key: FINGERPRINT,
            "none",
            "the OpenPGP key that signs instead";
        "signing.program" (operator) signing.program: PROGRAM,
            "`gpg`",
            "the program that signs with the OpenPGP key";
        "signing.passphrase_file" (operator) signing.passphrase_file: PATH,
            "none",
            "opens the key";
        "signing.extent" (operator) signing.extent: EXTENT,
            "`commit`",
            "`group`: the last commit of those that become durable at once signs for all of them";
        "signing.on_failure" (operator) signing.on_failure: ON_FAILURE,
            "`hold`",
            "when nobody signs: outcomes are `unavailable`, or recorded `unsigned`, which their commits say";
        "signing.timeout" (operator) signing.timeout: TIME,
            "10",
            "seconds for one signature";
        "checkpoint.key" (operator) checkpoint.key: PATH,
            "none",
            "the key that signs checkpoints";
        "checkpoint.to" (operator) checkpoint.to: PATH,
            "none",
            "where checkpoints are kept, a file or a repository";
        "checkpoint.state" (operator) checkpoint.state: PATH,
            "the key's path and `.signed`",
            "directory of the signer: what the key signed last for each trail";
        "checkpoint.every" (operator) checkpoint.every: TIME,
            "none",
            "seconds between the checkpoints that `serve` makes";
    }
    "Sealed members" {
        "seal.pointers" (operator) seal.pointers: SEALED_POINTERS,
            "none",
            "the members of entries that are sealed: see [Seal members and erase them](../how-to/seal-and-erase.md)";
        "seal.subject" (operator) seal.subject: POINTER,
            "none: each task has a key",
            "the member that names the person or tenant. All keys of one can be erased at once";
        "seal.key_file" (operator) seal.key_file: PATH,
            "none",
            "file of the key-encryption key, 32 bytes. It is made with the key store";
        "seal.key_program" (operator) seal.key_program: PROGRAM,
            "none",
            "the program that wraps and unwraps the key-encryption key instead";
        "seal.key_store" (operator) seal.key_store: PATH,
            "`chiffon-audit/keys.sqlite` in the git directory",
            "the key store, a SQLite file";
    }
    "Copies" {
        "sync.every" (operator) sync.every: TIME,
            "none",
            "seconds between the copies that `serve` makes to all remotes of `[remotes.NAME]`";
        "sync.timeout" (operator) sync.timeout: TIME,
            "60",
            "seconds for which git may hear nothing from a remote";
    }
    "The store" {
        "store" (operator) store: STORE_URL,
            "a SQLite file beside the trail",
            "where accepted outcomes are kept";
        "store.url" (operator) store: STORE_URL,
            "`store`",
            "the same, in a table `[store]`";
        "store.schema" (operator) store_schema: SCHEMA_NAME,
            "`chiffon_audit`",
            "the schema of a PostgreSQL store";
        "store.pool" (operator) store_pool: LIMIT,
            "8",
            "the most connections of a PostgreSQL store";
        "store.keep_turned_down" (operator) turned_down_retention: SPAN,
            "none: kept without limit",
            "how long conflicts and refusals are kept";
        "keep_submissions" (operator) keep_submissions: SWITCH,
            "false",
            "whether submissions are kept after they are committed";
    }
    "The service" {
        "tokens" (operator) tokens: TOKENS,
            "none",
            "who may use the service";
        "tokens_file" (operator) tokens_file: PATH,
            "none",
            "the same, in a file";
        "serve.listen" (operator) serve_listen: LISTEN,
            "127.0.0.1:8787",
            "where to listen";
        "serve.admin_listen" (operator) service.admin_listen: LISTEN,
            "none",
            "a second address, for `/healthz`, `/readyz` and `/metrics` alone";
        "serve.tls.certificate" (operator) service.tls_certificate: PATH,
            "none: no TLS",
            "file of the certificate for TLS at every TCP address, in PEM form, followed by those of intermediate authorities";
        "serve.tls.key" (operator) service.tls_key: PATH,
            "none",
            "file of its private key, which only its owner may read";
        "serve.tls.client_ca" (operator) service.tls_client_ca: PATH,
            "none: clients need no certificate",
            "file of the authorities whose clients may connect";
        "serve.behind_proxy" (operator) service.behind_proxy: SWITCH,
            "false",
            "whether a proxy in front of this host terminates TLS; an address that other machines can reach then needs none here";
        "serve.replicated" (operator) service.replicated: SWITCH,
            "false",
            "whether this host takes part in a trail that several hosts hold";
        "serve.copies" (operator) service.copies: LIMIT,
            "1",
            "hosts that must have an entry, durable, before it is acknowledged as committed; only with `serve.replicated`";
        "serve.allowed_hosts" (operator) service.allowed_hosts: HOSTS,
            "none",
            "names that `Host` may give where there are no tokens, in addition to this machine's own";
        "serve.on_policy_fault" (operator) on_policy_fault: ON_POLICY_FAULT,
            "`hold`",
            "what decides while a policy is in quarantine";
        "serve.lease" (operator) serve_lease: TIME,
            "3",
            "seconds: the longest that nobody commits after the committer died";
        "serve.token_rate" (operator) token_rate: LIMIT,
            "none",
            "requests a second for each token";
        "serve.token_bytes" (operator) token_bytes: LIMIT,
            "none",
            "bytes of bodies a second for each token, received and sent";
        "serve.access_log" (operator) access_log: SWITCH,
            "true",
            "whether the log has a line for each request";
        "serve.drain" (operator) serve_drain: WHOLE_SECONDS,
            "5",
            "seconds for which requests are still taken after SIGTERM";
        "serve.wait_for_store" (operator) wait_for_store: WHOLE_SECONDS,
            "60",
            "seconds to wait at startup for a database server";
        "serve.connections" (operator) service.connections: LIMIT,
            "4096",
            "connections at once";
        "serve.connections_per_peer" (operator) service.connections_per_peer: LIMIT,
            "1024",
            "connections at once from one address (IPv6: one network of 64 bits)";
        "serve.bytes_in_flight" (operator) service.bytes_in_flight: LIMIT,
            "33554432",
            "bytes of bodies that were read and are not answered, of all requests together";
        "serve.queries" (operator) service.queries: LIMIT,
            "16",
            "queries that the store answers at once";
        "serve.followers" (operator) service.followers: LIMIT,
            "512",
            "followers of events";
    }
    "Policies" {
        "policy.file" (operator) policy_file: PATH,
            "the built-in policy",
            "the policy's component";
        "policy.require_signature" (operator) require_signature: SWITCH,
            "false",
            "true: put only policies in force that come with the program, or whose FILE.sig is the signature of an allowed signer";
        "policy.allowed_signers" (operator) policy_signers: PATH,
            "none",
            "the keys whose signatures of policies count, in the form of git's `gpg.ssh.allowedSignersFile`";
        "policy.fuel" (operator) policy_limits.fuel: LIMIT,
            "1000000000",
            "units of one call, about one an instruction and one a byte copied. The same on every machine";
        "policy.wall_time" (operator) policy_limits.wall_time: TIME,
            "10",
            "seconds of one call, for what fuel does not count";
        "policy.memory" (operator) policy_limits.memory: LIMIT,
            "268435456",
            "bytes of all linear memories. A Python component starts with about 40 MiB";
        "policy.stack" (operator) policy_limits.stack: LIMIT,
            "524288",
            "bytes of stack";
        "policy.component_bytes" (operator) policy_limits.component_bytes: LIMIT,
            "33554432",
            "bytes of the component. A Python component has 18 MiB";
        "policy.compile_time" (operator) policy_limits.compile_time: TIME,
            "120",
            "seconds of compiling it, once, in a separate process";
        "policy.compile_memory" (operator) policy_limits.compile_memory: LIMIT,
            "1073741824",
            "bytes of compiling it";
        "policy.instances" (operator) policy_limits.instances: LIMIT,
            "64",
            "core instances";
        "policy.memories" (operator) policy_limits.memories: LIMIT,
            "16",
            "linear memories: a stack has one for each part and one for its driver";
        "policy.tables" (operator) policy_limits.tables: LIMIT,
            "32",
            "tables";
        "policy.table_elements" (operator) policy_limits.table_elements: LIMIT,
            "200000",
            "elements of all tables";
        "policy.host_calls" (operator) policy_limits.host_calls: LIMIT,
            "1000",
            "calls of the interface's functions";
        "policy.wasi_calls" (operator) policy_limits.wasi_calls: LIMIT,
            "100000",
            "calls of WASI's functions";
        "policy.host_call_bytes" (operator) policy_limits.host_call_bytes: LIMIT,
            "134217728",
            "bytes that one call of a host function, or the answer, may carry";
        "policy.entry_bytes" (operator) policy_limits.entry_bytes: LIMIT,
            "2097152",
            "bytes of an entry";
        "policy.log_lines" (operator) policy_limits.log_lines: LIMIT,
            "1000",
            "lines of log; the rest is counted and dropped";
        "policy.log_bytes" (operator) policy_limits.log_bytes: LIMIT,
            "262144",
            "bytes of log; the rest is counted and dropped";
    }
};
