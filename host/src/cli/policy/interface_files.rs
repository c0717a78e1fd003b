//! The files of the interface, as they are part of this program: the policy author's manual, and the source of bindings.

/// A file: its path below a project's `wit/`, and its text.
pub type InterfaceFile = (&'static str, &'static str);

macro_rules! wit {
    ($($name:literal),*) => {
        &[$((
            concat!($name, ".wit"),
            include_str!(concat!("../../../../wit/", $name, ".wit")),
        )),*]
    };
}

/// What every policy is built with.
pub const POLICY: &[InterfaceFile] = wit!(
    "clock",
    "config",
    "filesystem",
    "git",
    "log",
    "recorder",
    "types",
    "world"
);

/// The interface of the files for layers.
pub const LAYER_INTERFACE: &str = "chiffon:audit@0.2.0";

/// What a layer needs as well.
pub const LAYER: &[InterfaceFile] = wit!("0.2/rewriting", "0.2/stacking", "0.2/world");

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{LAYER, LAYER_INTERFACE, POLICY};
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn the_files_for_layers_are_of_their_interface() {
        let package = format!("package {LAYER_INTERFACE};\n");
        assert!(LAYER.iter().all(|(_, text)| text.contains(&package)));
    }

    #[test]
    fn every_file_of_the_interface_is_listed() {
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
        for (directory, listed) in [("", POLICY), ("0.2/", LAYER)] {
            let found = std::fs::read_dir(wit.join(directory)).unwrap();
            let names = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let found: BTreeSet<String> = names
                .filter(|name| name.ends_with(".wit"))
                .map(|name| format!("{directory}{name}"))
                .collect();
            let listed: BTreeSet<String> =
                listed.iter().map(|(path, _)| (*path).to_owned()).collect();
            assert_eq!(found, listed);
        }
    }
}
