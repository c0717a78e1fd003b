//! The parts of one record, each by itself: parse, policy call, tree update, pack write, flush; and all of them
//! together. `table` measures the whole on trails of some size.
//!
//! `cargo bench --bench parts [-- NAME]`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chiffon_audit_cli::clock::{Clock, SystemClock, Timestamp};
use chiffon_audit_cli::outcome::{Limits, TaskId, TaskOutcome};
use chiffon_audit_cli::policy::{self, Allocation, Engine, Policy, PolicySettings, Verdict};
use chiffon_audit_cli::recorder::{Answer, Options, Recorder};
use chiffon_audit_cli::trail::parts::InMemory;
use chiffon_audit_cli::trail::{InitOptions, Layout, NewEntry, OpenOptions, Provenance, Trail};
use chiffon_audit_cli::verify;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

#[path = "table/material.rs"]
#[expect(dead_code, reason = "the table uses the rest")]
mod material;
use material::{NOW, Nothing};

fn outcome(number: u64) -> TaskOutcome {
    TaskOutcome::parse(material::document(number).as_bytes(), &Limits::default())
        .expect("it is well formed")
}

fn builtin(allocation: Allocation) -> Policy {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("parts-cache");
    let engine = Engine::new(allocation, policy::Limits::default(), Some(&cache))
        .expect("the machine can run policies");
    Policy::builtin(&engine).expect("the built-in policy loads")
}

fn trail(directory: &Path, time: Timestamp) -> Trail {
    let options = InitOptions {
        bare: true,
        reference: None,
        layout: Some(Layout::Sharded),
        second_trail: false,
        accept_tip: None,
        uuid: "00000000-0000-4000-8000-000000000000".into(),
        time,
        open: OpenOptions::default(),
    };
    Trail::init(directory, options)
        .expect("the directory is empty")
        .0
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("target/ can be written")
}

fn parse(criterion: &mut Criterion) {
    let document = material::document(1);
    let mut group = criterion.benchmark_group("outcome");
    group.throughput(Throughput::Bytes(document.len() as u64));
    group.bench_function("parse", |bencher| {
        bencher.iter(|| TaskOutcome::parse(document.as_bytes(), &Limits::default()));
    });
}

fn policy_call(criterion: &mut Criterion) {
    let (outcome, settings) = (outcome(1), PolicySettings::default());
    let mut group = criterion.benchmark_group("policy");
    for (name, allocation) in [
        ("call, pooled", Allocation::Pooling),
        ("call, on demand", Allocation::OnDemand),
    ] {
        let policy = builtin(allocation);
        group.bench_function(name, |bencher| {
            bencher.iter(|| policy.call(&outcome, Box::new(Nothing), NOW, &settings));
        });
    }
    for (name, allocation) in [
        ("load cached, pooled", Allocation::Pooling),
        ("load cached, on demand", Allocation::OnDemand),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| builtin(allocation)));
    }
}

/// The default policy's decisions on outcomes from that number on.
fn decided(
    policy: &Policy,
    settings: &PolicySettings,
    numbers: std::ops::Range<u64>,
) -> Vec<(TaskId, Vec<u8>, String)> {
    let decide = |number| {
        let outcome = outcome(number);
        match policy
            .call(&outcome, Box::new(Nothing), NOW, settings)
            .verdict
        {
            Ok(Verdict::Commit { entry, subject }) => (outcome.task_id, entry, subject),
            other => panic!("the default policy commits, not {other:?}"),
        }
    };
    numbers.map(decide).collect()
}

/// The work of the writer's thread for an entry, without a disk, for several numbers of entries, since directories
/// grow.
fn writer(criterion: &mut Criterion) {
    let (policy, settings) = (builtin(Allocation::Pooling), PolicySettings::default());
    let mut group = criterion.benchmark_group("writer");
    const GROUP: u64 = 1024;
    for existing in [0, 200_000] {
        let mut trail = InMemory::default();
        for number in 0..existing {
            let task_id = TaskId::parse(&material::task_id(number)).expect("it is a good id");
            trail
                .update_trees(&task_id, b"{}")
                .expect("all is in memory");
        }
        let next = AtomicU64::new(existing);
        let more = |count| {
            let first = next.fetch_add(count, Ordering::Relaxed);
            let entries = decided(&policy, &settings, first..first + count);
            let entries = entries
                .into_iter()
                .map(|(task_id, entry, _)| (task_id, entry));
            entries.collect::<Vec<_>>()
        };
        group.throughput(Throughput::Elements(GROUP));
        group.bench_function(
            format!("tree update, {GROUP} entries, {existing} existing"),
            |bencher| {
                bencher.iter_batched(
                    || more(GROUP),
                    |entries| {
                        for (task_id, entry) in &entries {
                            trail
                                .update_trees(task_id, entry)
                                .expect("all is in memory");
                        }
                    },
                    BatchSize::PerIteration,
                );
            },
        );
        let message = "task: completed\n\nAudit-Format: 1\n";
        let name =
            format!("pack write, tree update included, {GROUP} entries, {existing} existing");
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || more(GROUP),
                |entries| {
                    trail
                        .write_pack(&entries, message)
                        .expect("all is in memory")
                },
                BatchSize::PerIteration,
            );
        });
    }
}

/// The cost of the trail without a policy, by the size of a group.
fn append(criterion: &mut Criterion) {
    let place = directory();
    let trail = trail(place.path(), NOW);
    let (policy, settings) = (builtin(Allocation::Pooling), PolicySettings::default());
    let provenance = Provenance {
        interface: policy.built_for().to_owned(),
        policy: policy.digest().to_owned(),
        settings: settings.digest(),
        outcome: None,
        reporter: None,
    };
    let next = AtomicU64::new(0);
    let mut group = criterion.benchmark_group("trail");
    group.sample_size(20);
    for size in [1u64, 64, 1024, 4096] {
        group.throughput(Throughput::Elements(size));
        let entries = || {
            let first = next.fetch_add(size, Ordering::Relaxed);
            decided(&policy, &settings, first..first + size)
        };
        group.bench_function(
            format!("flush, append included, group of {size}"),
            |bencher| {
                bencher.iter_batched(
                    entries,
                    |entries| {
                        let mut last = None;
                        for (task_id, entry, subject) in entries {
                            let append = NewEntry {
                                predecessors_asked: false,
                                task_id: &task_id,
                                entry,
                                subject,
                                provenance: &provenance,
                                time: NOW,
                            };
                            last = Some(trail.append(append).expect("the task is new"));
                        }
                        last.map(|ticket| ticket.wait().expect("the disk works"))
                    },
                    BatchSize::PerIteration,
                );
            },
        );
    }
}

fn record(criterion: &mut Criterion) {
    let place = directory();
    let options = Options {
        clock: Arc::new(SystemClock),
        limits: Limits::default(),
        settings: PolicySettings::default(),
        secret: None,
        delivery: chiffon_audit_cli::recorder::Delivery::default(),
        sealer: None,
    };
    // `NOW` is ahead of the clock, so nothing would be recorded.
    let trail = trail(place.path(), SystemClock.now());
    let recorder = Recorder::new(trail, builtin(Allocation::Pooling), options);
    let recorded = |answer: Answer| {
        let reason = answer.reason.as_deref().unwrap_or_default();
        assert!(answer.commit.is_some(), "{reason}");
    };
    let next = AtomicU64::new(0);
    let mut group = criterion.benchmark_group("recorder");
    group.sample_size(20);
    group.bench_function("record, alone", |bencher| {
        bencher.iter_batched(
            || material::document(next.fetch_add(1, Ordering::Relaxed)),
            |document| recorded(recorder.record(document.as_bytes())),
            BatchSize::PerIteration,
        );
    });
    let document = material::document(0);
    group.bench_function("record again", |bencher| {
        bencher.iter(|| recorded(recorder.record(document.as_bytes())))
    });
    let size = 2_000;
    group.throughput(Throughput::Elements(size));
    group.sample_size(10);
    group.bench_function("a stream of 2,000", |bencher| {
        bencher.iter_batched(
            || {
                (0..size)
                    .map(|_| material::document(next.fetch_add(1, Ordering::Relaxed)))
                    .collect::<Vec<_>>()
            },
            |documents| {
                let pending: Vec<_> = documents
                    .iter()
                    .map(|document| recorder.submit(document.as_bytes()))
                    .collect();
                pending
                    .into_iter()
                    .for_each(|pending| recorded(pending.wait()))
            },
            BatchSize::PerIteration,
        );
    });
    let options = verify::Options::default();
    let commits = verify::verify(place.path(), &options)
        .expect("it is a trail")
        .commits;
    group.throughput(Throughput::Elements(commits));
    group.bench_function("verify, a commit", |bencher| {
        bencher.iter(|| verify::verify(place.path(), &options).expect("it is a trail"));
    });
}

criterion_group!(parts, parse, policy_call, writer, append, record);
criterion_main!(parts);
