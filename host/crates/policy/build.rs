//! Provides WebAssembly in `$OUT_DIR`: for the crate `policy` the components of `guest/`, `policy.wasm` and those that come beside it;
//! for the crate `pages`, which has this build script too, the verifier that runs in a browser.
//!
//! `host/prebuilt/` holds them, built, so that neither a target for WebAssembly nor the time to build them is
//! needed, and so that every build of one release records the same `Audit-Policy`. Each is used while the digest beside
//! it is that of its sources as they stand; otherwise the sources are built.
//!
//! `.ci/prebuilt` compiles this file alone and runs it with an argument: `refresh` builds the sources and replaces the
//! prebuilt copies, `check` builds them and fails unless each copy is, byte for byte, what they give; a second argument names the only one.
//! So it has no dependencies.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to a build script through the environment, and the guest is built by cargo"
)]

mod components;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs, io};

use components::{COMPONENTS, Component};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

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
    let only = env::args().nth(2);
    let crate_name = env::var("CARGO_PKG_NAME").unwrap_or_default();
    let is_asked =
        |component: &&Component| only.as_deref().is_none_or(|name| name == component.name);
    for component in COMPONENTS.iter().filter(is_asked) {
        match mode.as_deref() {
            None if component.embedded_by() != crate_name => {}
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
        for setting in component
            .profile()
            .chain(component.linking().iter().copied())
        {
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
            component.target,
        ]);
        command.args(["--release", "--locked", "--quiet"]);
        command.arg("--target-dir").arg(&target);
        for setting in component.profile() {
            command.args(["--config", setting]);
        }
        // Flags, wrappers and profiles of the outer build are for the host's code, and would change the bytes.
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(is_foreign) {
                command.env_remove(name);
            }
        }
        command.env("CARGO_ENCODED_RUSTFLAGS", self.rustflags(component)?);
        let done = command
            .status()
            .map_err(|error| format!("could not run cargo: {error}"))?;
        if !done.success() {
            return Err(format!(
                "could not build `{name}`.\n\
                 host/prebuilt/{name}.wasm is not what its sources give as they stand, so they must be built, which needs the \
                 target {target}:\n\n    rustup target add {target}\n\n\
                 (.ci/prebuilt then brings the prebuilt copy up to date; undoing the changes to {directory}, what it uses and \
                 its dependencies in Cargo.lock makes it valid again)",
                name = component.name,
                target = component.target,
                directory = component.directory
            )
            .into());
        }
        let artefact = format!("{}.wasm", component.package.replace('-', "_"));
        Ok(target.join(component.target).join("release").join(artefact))
    }

    /// How to link, and what hides where the sources are: panic messages hold their paths, and the bytes would depend on whose
    /// home it is.
    fn rustflags(&self, component: &Component) -> Result<String> {
        let cargo_home = match env::var_os("CARGO_HOME") {
            Some(home) => PathBuf::from(home),
            None => env::home_dir()
                .ok_or("there is no home directory")?
                .join(".cargo"),
        };
        let linking = component.linking().iter();
        let mut flags: Vec<String> = linking.map(|flag| (*flag).to_owned()).collect();
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
