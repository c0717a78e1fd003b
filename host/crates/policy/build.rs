//! Provides the components of `guest/` in `$OUT_DIR`: `policy.wasm`, the built-in policy, and those that come beside it.
//!
//! `host/prebuilt/` holds them, built, so that neither the `wasm32-wasip2` target nor the time to build them is
//! needed, and so that every build of one release records the same `Audit-Policy`. Each is used while the digest beside
//! it is that of its sources as they stand; otherwise the sources are built.
//!
//! `.ci/prebuilt` compiles this file alone and runs it with an argument: `refresh` builds the sources and replaces the
//! prebuilt copies, `check` builds them and fails unless each copy is, byte for byte, what they give. So it has no dependencies.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to a build script through the environment, and the guest is built by cargo"
)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs, io};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One of the policies that come with the host.
struct Component {
    /// Its file, without extension.
    name: &'static str,
    package: &'static str,
    /// Where its package is, from the workspace's root.
    directory: &'static str,
}

impl Component {
    /// The files and directories that it is made of. Tests are not among them: they may change without a rebuild.
    fn sources(&self) -> impl Iterator<Item = String> {
        let own = ["Cargo.toml", "src"].map(|path| format!("{}/{path}", self.directory));
        let is_of_stacks = self.name.ends_with("-layer") || self.name == "stack";
        let layers = SHARED_BY_LAYERS.iter().filter(move |_| is_of_stacks);
        own.into_iter()
            .chain(SHARED.iter().chain(layers).map(|path| (*path).to_owned()))
    }
}

const COMPONENTS: &[Component] = &[
    Component {
        name: "policy",
        package: "chiffon-audit-policy",
        directory: "guest/builtin",
    },
    Component {
        name: "redact",
        package: "chiffon-audit-policy-redact",
        directory: "guest/redact",
    },
    Component {
        name: "bound",
        package: "chiffon-audit-policy-bound",
        directory: "guest/bound",
    },
    Component {
        name: "redact-layer",
        package: "chiffon-audit-layer-redact",
        directory: "guest/redact-layer",
    },
    Component {
        name: "bound-layer",
        package: "chiffon-audit-layer-bound",
        directory: "guest/bound-layer",
    },
    Component {
        name: "stack",
        package: "chiffon-audit-stack",
        directory: "guest/stack",
    },
];

/// What every component is made of besides its own directory.
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

const TARGET: &str = "wasm32-wasip2";

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

/// How it is linked. The pool writes a memory as it was after each call, stack included, which rustc makes 1 MiB: that was most
/// of a call's cost. JSON at its deepest, 128 levels, takes some tens of KiB; beyond its end a stack traps.
const LINKING: &[&str] = &["-Clink-arg=-zstack-size=262144"];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            fail(&*error);
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a build script has no other way to say what is wrong"
)]
fn fail(error: &dyn Error) {
    eprintln!("{error}");
}

fn run() -> Result<()> {
    let directory = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .ok_or(format!("{name} is not set"))
    };
    let out = directory("OUT_DIR")?;
    let workspace = Workspace::beside(&directory("CARGO_MANIFEST_DIR")?)?;
    let mode = env::args().nth(1);
    for component in COMPONENTS {
        match mode.as_deref() {
            None => workspace.embed(component, &out)?,
            Some("refresh") => workspace.refresh(component, &out)?,
            Some("check") => workspace.check(component, &out)?,
            Some(other) => {
                return Err(
                    format!("unknown mode `{other}`: expected `refresh` or `check`").into(),
                );
            }
        }
    }
    Ok(())
}

struct Workspace {
    root: PathBuf,
    guest: PathBuf,
    lock: PathBuf,
    prebuilt: PathBuf,
}

impl Workspace {
    fn beside(manifest: &Path) -> Result<Workspace> {
        // Resolved, because cargo looks for the workspace in the parents of the guest's own directory.
        let manifest = manifest.canonicalize()?;
        let root = manifest
            .ancestors()
            .find(|directory| directory.join("guest/kit/Cargo.toml").is_file())
            .ok_or("no directory above has guest/")?
            .to_owned();
        let guest = root.join("guest");
        Ok(Workspace {
            lock: root.join("Cargo.lock"),
            prebuilt: root.join("host/prebuilt"),
            guest,
            root,
        })
    }

    fn embed(&self, component: &Component, out: &Path) -> Result<()> {
        let sources = component.sources().map(|path| self.root.join(path));
        for path in sources.chain([self.lock.clone(), self.prebuilt.clone()]) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
        let digest = self.digest(component)?;
        let bytes = if self.recorded_digest(component)?.as_deref() == Some(&*digest) {
            fs::read(self.copy(component))?
        } else {
            fs::read(self.build(component, out)?)?
        };
        fs::write(out.join(format!("{}.wasm", component.name)), bytes)?;
        Ok(())
    }

    /// The prebuilt copy.
    fn copy(&self, component: &Component) -> PathBuf {
        self.prebuilt.join(format!("{}.wasm", component.name))
    }

    /// The digest of what the prebuilt copy was built from.
    fn copy_of(&self, component: &Component) -> PathBuf {
        self.prebuilt.join(format!("{}.sources", component.name))
    }

    /// What the component's bytes depend on beside the compiler: the sources, the locked versions of all that the guest
    /// depends on, and how it is built.
    ///
    /// FNV-1a with 128 bits. It notices a forgotten refresh and is no defence against a forger, who could as well replace
    /// the component; that the copy is genuine is what `.ci/prebuilt --check` proves.
    fn digest(&self, component: &Component) -> Result<String> {
        let mut files = Vec::new();
        for path in component.sources() {
            list(&self.root.join(path), &mut files)?;
        }
        files.sort();
        let mut hash = Fnv::default();
        for file in files {
            let name = file
                .strip_prefix(&self.root)?
                .to_str()
                .ok_or("a path is not UTF-8")?;
            // A checkout on Windows may have rewritten the line ends.
            let text = fs::read_to_string(&file)?.replace("\r\n", "\n");
            hash.field(&name.replace('\\', "/"));
            hash.field(&text);
        }
        for package in locked(component.package, &fs::read_to_string(&self.lock)?)? {
            hash.field(&package);
        }
        for setting in PROFILE.iter().chain(LINKING) {
            hash.field(setting);
        }
        Ok(format!("{:032x}", hash.0))
    }

    fn recorded_digest(&self, component: &Component) -> Result<Option<String>> {
        match fs::read_to_string(self.copy_of(component)) {
            Ok(text) => Ok(text.split_whitespace().next().map(str::to_owned)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Builds the component from the sources; the answer is its path.
    fn build(&self, component: &Component, out: &Path) -> Result<PathBuf> {
        // A separate directory: the outer cargo holds the lock of the one that it uses.
        let target = out.join("guest");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&self.guest);
        command.args([
            "rustc",
            "-p",
            component.package,
            "--lib",
            "--crate-type=cdylib",
            "--target",
            TARGET,
        ]);
        command.args(["--release", "--locked", "--quiet"]);
        command.arg("--target-dir").arg(&target);
        for setting in PROFILE {
            command.args(["--config", setting]);
        }
        // Flags, wrappers and profiles of the outer build are for the host's code, and would change the bytes.
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(is_foreign) {
                command.env_remove(name);
            }
        }
        command.env("CARGO_ENCODED_RUSTFLAGS", self.rustflags()?);
        let done = command
            .status()
            .map_err(|error| format!("could not run cargo: {error}"))?;
        if !done.success() {
            return Err(format!(
                "could not build the policy `{name}`.\n\
                 host/prebuilt/{name}.wasm is not what guest/ and wit/ give as they stand, so they must be built, which needs the \
                 target {TARGET}:\n\n    rustup target add {TARGET}\n\n\
                 (.ci/prebuilt then brings the prebuilt copy up to date; undoing the changes to guest/, wit/ and their \
                 dependencies in Cargo.lock makes it valid again)",
                name = component.name
            )
            .into());
        }
        let artefact = format!("{}.wasm", component.package.replace('-', "_"));
        Ok(target.join(TARGET).join("release").join(artefact))
    }

    /// How to link, and what hides where the sources are: panic messages hold their paths, and the bytes would depend on whose
    /// home it is.
    fn rustflags(&self) -> Result<String> {
        let cargo_home = match env::var_os("CARGO_HOME") {
            Some(home) => PathBuf::from(home),
            None => env::home_dir()
                .ok_or("there is no home directory")?
                .join(".cargo"),
        };
        let mut flags: Vec<String> = LINKING.iter().map(|flag| (*flag).to_owned()).collect();
        let mut remap = |from: &Path, to: &str| -> Result<()> {
            let from = from.to_str().ok_or("a path is not UTF-8")?;
            flags.push(format!("--remap-path-prefix={from}={to}"));
            Ok(())
        };
        remap(&self.root, "chiffon-audit")?;
        remap(&cargo_home, "cargo")?;
        // rustc takes the last prefix that fits, and each registry has a directory named for its index's URL and kind.
        let sources = cargo_home.join("registry/src");
        let mut registries = match fs::read_dir(&sources) {
            Ok(entries) => entries
                .map(|entry| Ok(entry?.path()))
                .collect::<io::Result<Vec<_>>>()?,
            Err(_) => Vec::new(),
        };
        registries.sort();
        for registry in registries {
            remap(&registry, "registry")?;
        }
        Ok(flags.join("\u{1f}"))
    }

    fn refresh(&self, component: &Component, out: &Path) -> Result<()> {
        let built = self.build(component, out)?;
        fs::create_dir_all(&self.prebuilt)?;
        fs::copy(built, self.copy(component))?;
        fs::write(self.copy_of(component), self.digest(component)? + "\n")?;
        Ok(())
    }

    fn check(&self, component: &Component, out: &Path) -> Result<()> {
        let name = component.name;
        if self.recorded_digest(component)?.as_deref() != Some(&*self.digest(component)?) {
            return Err(format!(
                "host/prebuilt/{name}.sources is not the digest of its sources: run .ci/prebuilt"
            )
            .into());
        }
        if fs::read(self.build(component, out)?)? != fs::read(self.copy(component))? {
            return Err(format!(
                "host/prebuilt/{name}.wasm is not what its sources give: run .ci/prebuilt"
            )
            .into());
        }
        Ok(())
    }
}

/// Whether a variable of the outer build must not reach the inner one.
fn is_foreign(name: &str) -> bool {
    let named = [
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_",
        "CARGO_PROFILE_",
        "CARGO_TARGET_",
        "CARGO_ENCODED_RUSTFLAGS",
    ];
    name == "RUSTFLAGS"
        || name.starts_with("RUSTC_")
        || named.iter().any(|prefix| name.starts_with(prefix))
}

fn list(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        // wit/README.md is no part of the interface.
        if path.extension().is_none_or(|extension| extension != "md") {
            files.push(path.to_owned());
        }
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        list(&entry?.path(), files)?;
    }
    Ok(())
}

/// A package's dependencies as Cargo.lock has them, near and far: `name version checksum`, sorted.
fn locked(package: &str, lock: &str) -> Result<Vec<String>> {
    let lock = lock.replace("\r\n", "\n");
    let packages: Vec<&str> = lock.split("[[package]]\n").skip(1).collect();
    let mut wanted = vec![package.to_owned()];
    let mut found: Vec<String> = Vec::new();
    while let Some(name) = wanted.pop() {
        // A dependency is `name`, or `name version` where there are several versions.
        let (name, version) = name
            .split_once(' ')
            .map_or((&*name, None), |(name, version)| (name, Some(version)));
        let package = packages
            .iter()
            .find(|package| {
                value(package, "name") == Some(name)
                    && version.is_none_or(|v| value(package, "version") == Some(v))
            })
            .ok_or_else(|| format!("Cargo.lock does not have the package `{name}`"))?;
        let of = |key| value(package, key).unwrap_or_default();
        let line = format!("{} {} {}", of("name"), of("version"), of("checksum"));
        if !found.contains(&line) {
            found.push(line);
            let dependencies = package
                .split_once("dependencies = [")
                .map_or("", |(_, rest)| rest);
            let dependencies = dependencies.split(']').next().unwrap_or_default();
            wanted.extend(
                dependencies
                    .split('"')
                    .skip(1)
                    .step_by(2)
                    .map(str::to_owned),
            );
        }
    }
    found.sort();
    Ok(found)
}

fn value<'a>(package: &'a str, key: &str) -> Option<&'a str> {
    package.lines().find_map(|line| {
        line.strip_prefix(key)?
            .strip_prefix(" = \"")?
            .strip_suffix('"')
    })
}

struct Fnv(u128);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Fnv {
    /// Adds a text and its length, so that no two lists of texts run together to the same bytes.
    fn field(&mut self, text: &str) {
        for byte in text.bytes().chain((text.len() as u64).to_le_bytes()) {
            self.0 =
                (self.0 ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
}
