//! What the build script builds: the policies that come with the host, and the verifier; each with its sources.

/// One of the policies that come with the host, or the verifier.
pub struct Component {
    /// Its file, without extension.
    pub name: &'static str,
    /// Its package.
    pub package: &'static str,
    /// Where its package is, from the workspace's root.
    pub directory: &'static str,
    /// What it is compiled for.
    pub target: &'static str,
}

impl Component {
    /// The crate that embeds it.
    pub fn embedded_by(&self) -> &'static str {
        match self.name {
            "verifier" => "chiffon-audit-pages",
            _ => "chiffon-audit-policy-host",
        }
    }

    /// How it is linked.
    pub fn linking(&self) -> &'static [&'static str] {
        match self.name {
            "verifier" => &[],
            _ => LINKING,
        }
    }

    /// How it is built.
    pub fn profile(&self) -> impl Iterator<Item = &'static str> {
        let small = match self.name {
            "verifier" => SMALL,
            _ => &[],
        };
        PROFILE.iter().chain(small).copied()
    }

    /// The files and directories that it is made of. Tests are not among them: they may change without a rebuild.
    pub fn sources(&self) -> impl Iterator<Item = String> {
        let own = ["Cargo.toml", "src"].map(|path| format!("{}/{path}", self.directory));
        let shared: &[&[&str]] = match self.name {
            "verifier" => &[PROOF_CORE],
            "stack" | "redact-layer" | "bound-layer" => &[SHARED, SHARED_BY_LAYERS],
            _ => &[SHARED],
        };
        let shared = shared.iter().flat_map(|paths| paths.iter());
        own.into_iter().chain(shared.map(|path| (*path).to_owned()))
    }
}

/// Everything that is built.
pub const COMPONENTS: &[Component] = &[
    Component {
        name: "policy",
        package: "chiffon-audit-policy",
        directory: "guest/builtin",
        target: "wasm32-wasip2",
    },
    Component {
        name: "redact",
        package: "chiffon-audit-policy-redact",
        directory: "guest/redact",
        target: "wasm32-wasip2",
    },
    Component {
        name: "bound",
        package: "chiffon-audit-policy-bound",
        directory: "guest/bound",
        target: "wasm32-wasip2",
    },
    Component {
        name: "redact-layer",
        package: "chiffon-audit-layer-redact",
        directory: "guest/redact-layer",
        target: "wasm32-wasip2",
    },
    Component {
        name: "bound-layer",
        package: "chiffon-audit-layer-bound",
        directory: "guest/bound-layer",
        target: "wasm32-wasip2",
    },
    Component {
        name: "stack",
        package: "chiffon-audit-stack",
        directory: "guest/stack",
        target: "wasm32-wasip2",
    },
    Component {
        name: "verifier",
        package: "chiffon-audit-verifier",
        directory: "host/crates/verifier",
        target: "wasm32-unknown-unknown",
    },
];

/// What every policy is made of besides its own directory.
const SHARED: &[&str] = &["guest/kit/Cargo.toml", "guest/kit/src", "wit"];

/// What the layers and the driver of a stack are made of besides that.
const SHARED_BY_LAYERS: &[&str] = &[
    "guest/bound/Cargo.toml",
    "guest/bound/src",
    "guest/layer-kit/Cargo.toml",
    "guest/layer-kit/src",
    "guest/redact/Cargo.toml",
    "guest/redact/src",
    "guest/stack/wit",
];

/// What the verifier is made of besides its own directory: the part of `verify` that checks proofs.
const PROOF_CORE: &[&str] = &[
    "host/crates/verify/Cargo.toml",
    "host/crates/verify/src/expected.rs",
    "host/crates/verify/src/given.rs",
    "host/crates/verify/src/lib.rs",
    "host/crates/verify/src/merkle",
    "host/crates/verify/src/object.rs",
    "host/crates/verify/src/proven.rs",
    "host/crates/verify/src/quote.rs",
    "host/crates/verify/src/report.rs",
    "host/crates/verify/src/rules",
    "host/crates/verify/src/same_checkpoint.rs",
    "host/crates/verify/src/signature",
    "host/crates/verify/src/witnesses.rs",
];

/// How the component is built: small enough to be instantiated in microseconds, and the same bytes everywhere.
const PROFILE: &[&str] = &[
    "profile.release.codegen-units=1",
    "profile.release.debug=0",
    "profile.release.debug-assertions=false",
    "profile.release.incremental=false",
    "profile.release.lto=\"fat\"",
    "profile.release.opt-level=3",
    "profile.release.overflow-checks=false",
    "profile.release.panic=\"abort\"",
    "profile.release.strip=\"symbols\"",
];

/// What replaces the above for what is sent to a browser.
const SMALL: &[&str] = &["profile.release.opt-level=\"s\""];

/// How a policy is linked. The pool writes a memory as it was after each call, stack included, which rustc makes 1 MiB: that was most
/// of a call's cost. JSON at its deepest, 128 levels, takes some tens of KiB; beyond its end a stack traps.
const LINKING: &[&str] = &["-Clink-arg=-zstack-size=262144"];
