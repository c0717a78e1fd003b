//! The repository's own configuration: how objects and refs are stored, and what changes the output of git.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{Repository, small_file, unreadable};
use crate::VerifyError;
use crate::object::Algorithm;
use crate::quote::quote;

/// Settings that change what `git log` and `git show` print, or name another file that does. `*` stands for all keys of
/// a section.
const SHOWING: [(&str, &str); 31] = [
    ("include", "*"),
    ("includeif", "*"),
    ("attr", "tree"),
    ("color", "*"),
    ("core", "attributesfile"),
    ("core", "bigfilethreshold"),
    ("core", "commentchar"),
    ("core", "commentstring"),
    ("core", "notesref"),
    ("core", "pager"),
    ("core", "usereplacerefs"),
    ("core", "sparsecheckout"),
    ("diff", "external"),
    ("diff", "orderfile"),
    ("diff", "textconv"),
    ("diff", "command"),
    ("diff", "binary"),
    ("filter", "*"),
    ("format", "pretty"),
    ("format", "notes"),
    ("i18n", "*"),
    ("log", "*"),
    ("mailmap", "*"),
    ("notes", "displayref"),
    ("pager", "*"),
    ("gpg", "*"),
    ("grep", "*"),
    ("pretty", "*"),
    ("trailer", "*"),
    ("transfer", "hiderefs"),
    ("uploadpack", "hiderefs"),
];

/// Reads the configuration of a git directory.
pub(super) fn open(git_dir: PathBuf, common_dir: PathBuf) -> Result<Repository, VerifyError> {
    let mut repository = Repository {
        git_dir,
        common_dir,
        work_tree: None,
        algorithm: Algorithm::Sha1,
        partial: false,
        unknown_extensions: Vec::new(),
        settings: Vec::new(),
    };
    let own = parse(&repository.common_dir.join("config"), "config")?;
    let has_worktree_config = read_extensions(&mut repository, &own)?;
    read_settings(&mut repository, &own);
    // A work tree's own settings apply if the extension is on.
    let path = repository.git_dir.join("config.worktree");
    if has_worktree_config {
        let of_work_tree = parse(&path, "config.worktree")?;
        read_settings(&mut repository, &of_work_tree);
    }
    let reftable = repository.common_dir.join("reftable");
    if reftable.symlink_metadata().is_ok() {
        return Err(VerifyError::Unsupported(
            "refs in files and in a `reftable`, of which only one counts".to_owned(),
        ));
    }
    // A promisor remote without the extension also marks a partial clone.
    let promisor = own
        .sections_by_name("remote")
        .into_iter()
        .flatten()
        .any(|section| section.contains_value_name("promisor"));
    repository.partial |= promisor;
    Ok(repository)
}

fn parse(path: &Path, name: &str) -> Result<gix::config::File, VerifyError> {
    let contents = small_file(path)
        .map_err(|why| unreadable(name, &why))?
        .unwrap_or_default();
    gix::config::File::from_bytes_no_includes(
        &contents,
        gix::config::file::Metadata::default(),
        Default::default(),
    )
    .map_err(|_| unreadable(name, "is malformed"))
}

/// Reads the extensions. Returns whether a work tree has its own settings.
fn read_extensions(
    repository: &mut Repository,
    config: &gix::config::File,
) -> Result<bool, VerifyError> {
    let mut has_worktree_config = false;
    let mut seen: HashSet<String> = HashSet::new();
    for section in config.sections_by_name("extensions").into_iter().flatten() {
        for (name, value) in section.body() {
            let value = value.to_string().to_ascii_lowercase();
            let name = name.to_ascii_lowercase();
            // Programs differ in which of two values they use.
            if seen.contains(&name) && matches!(name.as_str(), "objectformat" | "refstorage") {
                let twice = format!("the extension {} twice", quote(name.as_bytes()));
                return Err(VerifyError::Unsupported(twice));
            }
            match (name.as_str(), value.as_str()) {
                ("objectformat", "sha1") => {}
                ("objectformat", "sha256") => repository.algorithm = Algorithm::Sha256,
                ("objectformat", _) => {
                    return Err(VerifyError::Unsupported(format!(
                        "the object format {}",
                        quote(value.as_bytes())
                    )));
                }
                ("refstorage", "files") => {}
                ("refstorage", _) => {
                    return Err(VerifyError::Unsupported(format!(
                        "the ref storage {}",
                        quote(value.as_bytes())
                    )));
                }
                ("partialclone", _) => repository.partial = true,
                ("worktreeconfig", value) => {
                    has_worktree_config = !matches!(value, "false" | "no" | "off" | "0");
                }
                ("noop" | "preciousobjects" | "relativeworktrees" | "compatobjectformat", _) => {}
                (other, _) => repository.unknown_extensions.push(quote(other.as_bytes())),
            }
            seen.insert(name);
        }
    }
    Ok(has_worktree_config)
}

/// Notes the settings that change what git shows.
fn read_settings(repository: &mut Repository, config: &gix::config::File) {
    let mut seen: HashSet<String> = repository.settings.iter().cloned().collect();
    for section in config.sections() {
        let header = section.header();
        let title = header.name().to_string().to_ascii_lowercase();
        for name in section.value_names() {
            let name = name.to_ascii_lowercase();
            let shows = SHOWING
                .iter()
                .any(|(section, key)| *section == title && (*key == "*" || *key == name));
            let setting = match header.subsection_name() {
                Some(part) => format!("{title}.{part}.{name}"),
                None => format!("{title}.{name}"),
            };
            if shows && seen.insert(setting.clone()) {
                repository.settings.push(setting);
            }
        }
    }
}
