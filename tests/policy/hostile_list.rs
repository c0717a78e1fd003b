//! All hostile policies, with the way each must end: for a test, and for the table of `cargo bench --bench hostile`.

use super::guest::{hostile, with_realloc};
use chiffon_audit_cli::clock::Timestamp;
use chiffon_audit_cli::outcome::{self, TaskOutcome};
use chiffon_audit_cli::policy::{Engine, Policy, PolicySettings, Trial};

/// A hostile policy.
pub struct Hostile {
    /// What the policy does.
    pub name: &'static str,
    /// Makes the component.
    pub make: fn() -> Vec<u8>,
    /// The message at its end, or the relevant part of it.
    pub ends: &'static str,
    /// Whether it takes too long for a normal test run: compiled code takes the time.
    pub slow: bool,
}

const fn quick(name: &'static str, make: fn() -> Vec<u8>, ends: &'static str) -> Hostile {
    Hostile {
        name,
        make,
        ends,
        slow: false,
    }
}

/// All hostile policies.
pub const ALL: &[Hostile] = &[
    quick("honest, for comparison", honest, "committed"),
    quick(
        "endless loop",
        || hostile("endless-loop", &[]),
        "policy exceeded its fuel limit of 1000000000 (setting policy.fuel)",
    ),
    quick(
        "endless recursion",
        || hostile("endless-recursion", &[]),
        "policy exceeded its stack limit of 524288 bytes (setting policy.stack)",
    ),
    quick(
        "grows to 8 GiB",
        || hostile("eight-gibibytes", &[]),
        "policy exceeded its memory limit of 268435456 bytes (setting policy.memory)",
    ),
    quick(
        "a table without end",
        || hostile("large-table", &[]),
        "policy exceeded its limit of 200000 table elements (setting policy.table_elements)",
    ),
    quick(
        "100 memories",
        || with_module(&module(&[(5, repeated(100, &[0, 1]))])),
        "limit of 16 memories (setting policy.memories)",
    ),
    quick(
        "100 tables",
        || with_module(&module(&[(4, repeated(100, &[0x70, 0, 10]))])),
        "limit of 32 tables (setting policy.tables)",
    ),
    quick(
        "900 instances",
        many_instances,
        "limit of 64 instances (setting policy.instances)",
    ),
    quick(
        "answers with a text of 4 GiB",
        || {
            hostile(
                "reason",
                &[("KIND", "1"), ("REASON", "x"), ("LENGTH", "-1")],
            )
        },
        "policy's answer could not be read: ",
    ),
    quick(
        "logs a text of 4 GiB",
        || hostile("long-log", &[]),
        "policy's answer could not be read: ",
    ),
    quick(
        "answers with text that is not UTF-8",
        || {
            hostile(
                "reason",
                &[("KIND", "1"), ("REASON", "\\ff"), ("LENGTH", "1")],
            )
        },
        "policy passed text that is not UTF-8",
    ),
    quick(
        "traps in realloc, when it is given memory to fill",
        || with_realloc("honest", "(unreachable)"),
        "policy trapped: wasm `unreachable` instruction executed",
    ),
    quick(
        "gives memory that it does not have, in realloc",
        || with_realloc("honest", "(local.set $at (i32.const -8))"),
        "policy's answer could not be read: ",
    ),
    quick(
        "loops in realloc, when it is given memory to fill",
        || with_realloc("honest", "(loop $again (br $again))"),
        "policy exceeded its fuel limit of 1000000000 (setting policy.fuel)",
    ),
    quick(
        "a gigabyte of log",
        || hostile("gigabyte-log", &[]),
        "policy exceeded its limit of 1000 host calls (setting policy.host_calls)",
    ),
    quick(
        "ten thousand commits",
        || hostile("thousand-commits", &[("LEFT", "10000")]),
        "policy exceeded its limit of 1000 host calls (setting policy.host_calls)",
    ),
    quick(
        "stages ten thousand files",
        || hostile("ten-thousand-files", &[]),
        "policy exceeded its limit of 1000 host calls (setting policy.host_calls)",
    ),
    quick(
        "an entry of a million brackets",
        || hostile("nested-entry", &[]),
        "policy's entry is nested more than 127 deep",
    ),
    quick(
        "types of lists, a million deep",
        million_lists,
        "could not load policy hostile: it needs more than a policy may have: ",
    ),
    quick(
        "imports sockets",
        || hostile("network", &[]),
        "could not load policy hostile: it imports `wasi:sockets/",
    ),
    quick(
        "imports an unknown interface",
        || hostile("unknown-import", &[]),
        "could not load policy hostile: it imports `acme:secrets/keys@1.0.0`, which a policy may not have",
    ),
    quick(
        "a start function that loops",
        || {
            let body = &[0, 0x03, 0x40, 0x0c, 0, 0x0b, 0x0b];
            let code = [leb(1), leb(body.len()), body.to_vec()].concat();
            with_module(&module(&[
                (1, vec![1, 0x60, 0, 0]),
                (3, vec![1, 0]),
                (8, vec![0]),
                (10, code),
            ]))
        },
        "policy exceeded its fuel limit of 1000000000 (setting policy.fuel)",
    ),
    quick("components nested ten deep", || nested(10), "committed"),
    quick(
        "components nested a million deep",
        || nested(1_000_000),
        "it contains components nested more than 32 deep",
    ),
    quick(
        "64 MiB of code",
        || with_module(&code(64 << 20)),
        "could not load policy hostile: it has ",
    ),
    Hostile {
        name: "31 MiB of code, which are allowed",
        make: || with_module(&code(31 << 20)),
        ends: "committed",
        slow: true,
    },
    Hostile {
        name: "70 KiB of code that compile for minutes",
        make: || with_module(&slow_code()),
        ends: "compiling it takes",
        slow: true,
    },
    Hostile {
        name: "a billion components in 700 bytes",
        make: || with_sections(&doubled(30)),
        ends: "compiling it takes more than 1073741824 bytes of memory (setting policy.compile_memory)",
        slow: true,
    },
];

/// The policy that is not hostile.
pub fn honest() -> Vec<u8> {
    hostile("honest", &[])
}

/// Loads a policy and calls it once; returns the message at its end.
pub fn end(engine: &Engine, component: &[u8]) -> String {
    let policy = match Policy::load(engine, "hostile", component) {
        Ok(policy) => policy,
        Err(error) => return error.to_string(),
    };
    let document = br#"{"task_id":"t","status":"completed"}"#;
    let outcome = TaskOutcome::parse(document, &outcome::Limits::default()).unwrap();
    // The time that the policies of tests/policies know.
    let now = Timestamp::from_microseconds(1_768_989_902_000_123);
    let call = Trial::new(&outcome, &PolicySettings::default(), now).run(&policy);
    call.reason().unwrap_or_else(|| call.result().to_owned())
}

/// The component cut at every kilobyte.
pub fn truncations(component: &[u8]) -> impl Iterator<Item = &[u8]> {
    (0..component.len())
        .step_by(1024)
        .map(|length| &component[..length])
}

/// Copies of the component with one bit flipped each, `count` of them, from a seed.
pub fn bit_flips(component: &[u8], seed: u64, count: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut state = seed;
    (0..count).map(move |_| {
        // SplitMix64; any reproducible sequence would do.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let bit = usize::try_from(mixed % (component.len() as u64 * 8)).unwrap();
        let mut flipped = component.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

/// The honest policy with additional sections at its end.
pub fn with_sections(sections: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut component = honest();
    for (id, body) in sections {
        component.push(*id);
        component.extend(leb(body.len()));
        component.extend(body);
    }
    component
}

/// The honest policy with an additional core module, which is instantiated.
pub fn with_module(module: &[u8]) -> Vec<u8> {
    let instance = [leb(1), vec![0], leb(modules()), vec![0]].concat();
    with_sections(&[(1, module.to_vec()), (2, instance)])
}

fn many_instances() -> Vec<u8> {
    let one = [vec![0], leb(modules()), vec![0]].concat();
    with_sections(&[(1, module(&[])), (2, repeated(900, &one))])
}

fn million_lists() -> Vec<u8> {
    // The first type is a list of strings, each further one a list of the one before. The honest policy has types
    // already.
    let types = component_types();
    let mut body = leb(1_000_000);
    body.extend([0x70, 0x73]);
    for at in 0..999_999 {
        body.push(0x70);
        body.extend(leb(types + at));
    }
    with_sections(&[(7, body)])
}

/// Nested components: the bytes are the headers, one after the other.
fn nested(depth: usize) -> Vec<u8> {
    const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";
    let mut sizes = vec![HEADER.len()];
    for at in 1..depth {
        let inner = sizes[at - 1];
        sizes.push(HEADER.len() + 1 + leb(inner).len() + inner);
    }
    let mut bytes = Vec::new();
    for inner in sizes[..depth - 1].iter().rev() {
        bytes.extend(HEADER);
        bytes.push(4);
        bytes.extend(leb(*inner));
    }
    bytes.extend(HEADER);
    with_sections(&[(4, bytes)])
}

/// A module with this many bytes of code, in functions of about seven kilobytes.
fn code(bytes: usize) -> Vec<u8> {
    // local.get 0, i32.const 1, i32.add, local.set 0
    let step = [0x20, 0, 0x41, 1, 0x6a, 0x21, 0];
    let mut body = vec![1, 1, 0x7f];
    body.extend(step.repeat(1_000));
    body.push(0x0b);
    let one = [leb(body.len()), body].concat();
    let count = bytes / one.len();
    module(&[
        (1, vec![1, 0x60, 0, 0]),
        (3, repeated(count, &[0])),
        (10, repeated(count, &one)),
    ])
}

/// One function of about 70 KiB: nested loops with jumps to every level, over a thousand variables.
pub fn slow_code() -> Vec<u8> {
    const LOOPS: usize = 800;
    const VARIABLES: usize = 1_000;
    let mut state = 1_usize;
    let mut some = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    let mut body = [vec![1], leb(VARIABLES), vec![0x7f]].concat();
    for depth in 0..LOOPS {
        body.extend([0x03, 0x40]);
        for _ in 0..6 {
            // local.get, local.get, i32.add, local.set; local.get, br_if
            let [one, other, sum, when] = [(); 4].map(|()| leb(some(VARIABLES)));
            body.extend([&[0x20], &one[..], &[0x20], &other, &[0x6a, 0x21], &sum].concat());
            body.extend([&[0x20], &when[..], &[0x0d], &leb(some(depth + 1))].concat());
        }
    }
    body.extend(vec![0x0b; LOOPS + 1]);
    let one = [leb(body.len()), body].concat();
    module(&[
        (1, vec![1, 0x60, 0, 0]),
        (3, repeated(1, &[0])),
        (10, repeated(1, &one)),
    ])
}

/// Sections with this many components, each with two instances of the one before, and an instance of the last.
pub fn doubled(times: usize) -> Vec<(u8, Vec<u8>)> {
    const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";
    let first = components();
    let mut sections = vec![(4, HEADER.to_vec())];
    for at in first..first + times {
        let alias = [leb(1), vec![0x04, 0x02, 1], leb(at)].concat();
        let twice = [leb(2), vec![0, 0, 0, 0, 0, 0]].concat();
        let section = |id: u8, body: Vec<u8>| [vec![id], leb(body.len()), body].concat();
        sections.push((
            4,
            [HEADER.to_vec(), section(6, alias), section(5, twice)].concat(),
        ));
    }
    sections.push((5, [leb(1), vec![0], leb(first + times), vec![0]].concat()));
    sections
}

fn module(sections: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    for (id, body) in sections {
        module.push(*id);
        module.extend(leb(body.len()));
        module.extend(body);
    }
    module
}

/// A vector: the count, and the elements.
fn repeated(count: usize, one: &[u8]) -> Vec<u8> {
    [leb(count), one.repeat(count)].concat()
}

/// Unsigned LEB128.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        bytes.push(if number == 0 { low } else { low | 0x80 });
        if number == 0 {
            return bytes;
        }
    }
}

/// The number of core modules and of types at the top of the honest policy, which is the index of an added one.
fn modules() -> usize {
    tops(|section| usize::from(matches!(section, wasmparser::Payload::ModuleSection { .. })))
}

fn components() -> usize {
    tops(|section| {
        usize::from(matches!(
            section,
            wasmparser::Payload::ComponentSection { .. }
        ))
    })
}

fn component_types() -> usize {
    use wasmparser::Payload;
    // Imports and exports of types define further ones; the sum only has to be the index of an existing type.
    tops(|section| match section {
        Payload::ComponentTypeSection(types) => types.count() as usize,
        _ => 0,
    })
}

fn tops(count: impl Fn(&wasmparser::Payload<'_>) -> usize) -> usize {
    use wasmparser::Payload;
    let (mut depth, mut found) = (0_usize, 0);
    for section in wasmparser::Parser::new(0).parse_all(&honest()) {
        let section = section.unwrap();
        if depth == 0 {
            found += count(&section);
        }
        match section {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    found
}
