//! Git's configuration, read as git reads it, compared with git in the same repository with the same variables.

use std::process::Command;

use chiffon_audit_cli::trail::{DEFAULT_AUTHOR, GitEnvironment};

use super::*;

/// A home, a repository in `home/work/repo`, and the variables of a process.
struct Person {
    _dir: tempfile::TempDir,
    root: PathBuf,
    variables: BTreeMap<String, String>,
}

impl Person {
    fn new() -> Person {
        let dir = temporary();
        let root = dir.path().canonicalize().unwrap();
        let repo = root.join("home/work/repo");
        std::fs::create_dir_all(&repo).unwrap();
        git(&repo, &["init", "-q", "-b", "main"]);
        git(&repo, &["commit", "-q", "--allow-empty", "-m", "start"]);
        let home = root.join("home").display().to_string();
        let path = std::env::var("PATH").unwrap();
        let variables = [
            ("HOME", home.as_str()),
            ("PATH", &path),
            ("GIT_CONFIG_NOSYSTEM", "1"),
        ];
        Person {
            variables: variables
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            root,
            _dir: dir,
        }
    }

    fn repo(&self) -> PathBuf {
        self.root.join("home/work/repo")
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let root = self.root.to_str().unwrap();
        std::fs::write(path, text.replace("ROOT", root)).unwrap();
    }

    fn set(&mut self, name: &str, value: &str) {
        let value = value.replace("ROOT", self.root.to_str().unwrap());
        self.variables.insert(name.into(), value);
    }

    fn options(&self) -> OpenOptions {
        let variable = |name: &str| self.variables.get(name).map(Into::into);
        OpenOptions {
            environment: GitEnvironment::from_variables(variable),
            ..OpenOptions::default()
        }
    }

    fn git(&self, dir: &Path, args: &[&str]) -> Option<String> {
        let mut command = Command::new("git");
        command.env_clear().envs(&self.variables).arg("-C").arg(dir);
        let output = command.args(args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        output.status.success().then(|| text.trim().to_owned())
    }

    /// The author by git, without the time; `None` if git fails.
    fn by_git(&self, dir: &Path) -> Option<String> {
        let ident = self.git(
            dir,
            &["-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT"],
        )?;
        Some(ident[..=ident.rfind('>').unwrap()].to_owned())
    }

    /// Checks that both have this author.
    #[track_caller]
    fn is(&self, dir: &Path, email: &str) {
        let by_git = self.by_git(dir);
        let by_git = by_git.as_deref().unwrap_or(DEFAULT_AUTHOR);
        assert!(by_git.contains(email), "git says {by_git}, not {email}");
        let trail = Trail::open(dir, self.options()).unwrap();
        assert_eq!(trail.author(), by_git);
    }
}

const NOBODY: &str = "chiffon-audit@localhost";

#[test]
fn the_user_s_files_and_what_they_include_give_the_identity() {
    let mut person = Person::new();
    let repo = person.repo();
    person.is(&repo, NOBODY);
    person.write(
        "home/.config/git/config",
        "[user]\n name = X D G\n email = xdg@x\n",
    );
    person.is(&repo, "xdg@x");
    person.write(
        "home/.gitconfig",
        "[include]\n path = one.inc\n[user]\n email = home@x\n",
    );
    person.is(&repo, "home@x");
    person.write(
        "home/one.inc",
        "[user]\n name = One\n email = one@x\n[include]\npath=sub/two.inc\n",
    );
    person.is(&repo, "home@x");
    person.write(
        "home/sub/two.inc",
        "[author]\n email = two@x\n[include]\npath=../three.inc\n",
    );
    person.is(&repo, "two@x");
    person.write(
        "home/three.inc",
        "[author]\n email = three@x\n name = Thr.ee,\n",
    );
    person.is(&repo, "three@x");
    person.write(
        "other/config",
        "[user]\n name = \"  <Other>; \"\n email = other@x\n",
    );
    person.set("XDG_CONFIG_HOME", "ROOT/other");
    person.is(&repo, "three@x");
    person.set("GIT_CONFIG_GLOBAL", "ROOT/other/config");
    person.is(&repo, "other@x");
    person.set("GIT_CONFIG_GLOBAL", "");
    person.is(&repo, NOBODY);
    // The machine's file comes first, if it is enabled.
    person.set("GIT_CONFIG_SYSTEM", "ROOT/system");
    person.write(
        "system",
        "[include]\npath = ~/system.inc\n[include]\npath=ROOT/missing\n",
    );
    person.write("home/system.inc", "[user]\nname = Sys\nemail = system@x\n");
    person.is(&repo, NOBODY);
    person.set("GIT_CONFIG_NOSYSTEM", "0");
    person.is(&repo, "system@x");
    person.set("GIT_CONFIG_GLOBAL", "ROOT/other/config");
    person.is(&repo, "other@x");
    // The environment comes last, after the repository's own file.
    person.git(&repo, &["config", "user.email", "repo@x"]);
    person.is(&repo, "repo@x");
    for (name, value) in [
        ("GIT_CONFIG_COUNT", "2"),
        ("GIT_CONFIG_KEY_0", "User.EMail"),
        ("GIT_CONFIG_VALUE_0", "environment@x"),
        ("GIT_CONFIG_KEY_1", "include.path"),
        ("GIT_CONFIG_VALUE_1", "ROOT/last.inc"),
    ] {
        person.set(name, value);
    }
    person.is(&repo, "environment@x");
    person.write("last.inc", "[user]\nemail = last@x\n");
    person.is(&repo, "last@x");
}

#[test]
fn conditions_of_includes_hold_where_git_says_so() {
    let person = Person::new();
    let repo = person.repo();
    person.git(
        &repo,
        &[
            "remote",
            "add",
            "origin",
            "https://corp.example/team/repo.git",
        ],
    );
    let linked = person.root.join("linked");
    person.git(
        &repo,
        &[
            "worktree",
            "add",
            "-q",
            "-b",
            "feature/one",
            linked.to_str().unwrap(),
        ],
    );
    std::os::unix::fs::symlink(person.root.join("home/work"), person.root.join("link")).unwrap();
    person.write("home/yes.inc", "[user]\n email = yes@x\n");
    let conditions = [
        "gitdir:~/work/",
        "gitdir:~/work/repo/.git",
        "gitdir:~/work/repo",
        "gitdir:~/work/*",
        "gitdir:~/WORK/",
        "gitdir/i:~/WORK/",
        "gitdir:ROOT/home/**",
        "gitdir:ROOT/home/*/.git",
        "gitdir:ROOT/link/",
        "gitdir:ROOT/link/repo/.git",
        "gitdir:./work/",
        "gitdir/i:./WORK/",
        "gitdir:./other/",
        "gitdir:work/",
        "gitdir:repo/.git",
        "gitdir:ork/",
        "gitdir:**/repo/.git",
        "gitdir:**/.git/worktrees/*",
        "gitdir:~nobody-of-this-name/work/",
        "gitdir:~root/",
        "gitdir:%(prefix)/",
        "gitdir:/",
        "gitdir:",
        "onbranch:main",
        "onbranch:ma*",
        "onbranch:MAIN",
        "onbranch:feature/",
        "onbranch:feature/*",
        "onbranch:feat*",
        "onbranch:**",
        "hasconfig:remote.*.url:https://corp.example/**",
        "hasconfig:remote.*.url:https://corp.example/*",
        "hasconfig:remote.*.url:https://corp.example/team/*",
        "hasconfig:remote.*.url:https://corp.example/",
        "hasconfig:remote.*.url:*",
        "hasconfig:remote.origin.url:**",
        "unknown:main",
        "gitdir",
        "",
    ];
    let mut held = 0;
    for condition in conditions {
        let text = format!(
            "[user]\n name = A\n email = no@x\n[includeIf \"{condition}\"]\n path = yes.inc\n"
        );
        person.write("home/.gitconfig", &text);
        for dir in [&repo, &linked, &person.root.join("link/repo")] {
            let expect = person.by_git(dir).unwrap();
            held += usize::from(expect.contains("yes@x"));
            let trail = Trail::open(dir, person.options()).unwrap();
            assert_eq!(trail.author(), expect, "{condition} in {}", dir.display());
        }
    }
    assert!(held > 20, "{held}");
}

#[test]
fn an_include_that_git_gives_up_on_is_an_error() {
    let person = Person::new();
    let repo = person.repo();
    person.write(
        "home/ring.inc",
        "[include]\npath = ring.inc\n[user]\nname = A\nemail = a@x\n",
    );
    for text in [
        "[include]\npath = ~nobody-of-this-name/x\n",
        "[include]\npath = ring.inc\n",
        "[user\nname = A\n",
    ] {
        person.write("home/.gitconfig", text);
        assert_eq!(
            person.git(&repo, &["config", "--get", "core.bare"]),
            None,
            "{text}"
        );
        let said = refusal(Trail::open(&repo, person.options()).map(drop));
        assert!(said.contains("git's configuration"), "{said}");
    }
}

/// An attacker may have written its file, which could name any file of this machine.
#[test]
fn the_repository_s_own_includes_are_not_followed() {
    let person = Person::new();
    let repo = person.repo();
    person.write("home/.gitconfig", "[user]\nname = A\nemail = home@x\n");
    person.write("secret", "[user]\nemail = secret@x\n");
    let path = person.root.join("secret");
    for key in [
        "include.path",
        "includeIf.gitdir:**.path",
        "includeIf.onbranch:main.path",
    ] {
        person.git(&repo, &["config", key, path.to_str().unwrap()]);
    }
    assert!(person.by_git(&repo).unwrap().contains("secret@x"));
    let trail = Trail::open(&repo, person.options()).unwrap();
    assert_eq!(trail.author(), "A <home@x>");
}

#[test]
fn another_user_s_repository_is_safe_where_git_says_so() {
    let mut person = Person::new();
    let repo = person.repo();
    let bare = person.root.join("bare.git");
    person.git(&person.root.clone(), &["init", "-q", "--bare", "bare.git"]);
    person.git(&bare, &["config", "safe.directory", "*"]);
    std::os::unix::fs::symlink(person.root.join("home/work"), person.root.join("link")).unwrap();
    let given = |dir: &Path| std::os::unix::fs::chown(dir, Some(12345), Some(12345)).is_ok();
    if !given(&bare) || !given(&repo.join(".git")) {
        // Only root can change the owner.
        return;
    }
    person.set("GIT_CONFIG_NOSYSTEM", "0");
    person.set("GIT_CONFIG_SYSTEM", "ROOT/system");
    let mut safe = 0;
    for (system, user) in [
        ("", ""),
        ("[safe]\ndirectory = *\n", ""),
        ("", "[safe]\ndirectory = *\n"),
        ("[safe]\ndirectory = *\n", "[safe]\ndirectory =\n"),
        ("[safe]\ndirectory = *\n", "[safe]\ndirectory\n"),
        ("[safe]\ndirectory = \n", "[safe]\ndirectory = *\n"),
        ("[safe]\ndirectory = ROOT/home/work/repo\n", ""),
        ("[safe]\ndirectory = ROOT/home/work/repo/\n", ""),
        ("[safe]\ndirectory = ROOT/home/work/repo/.git\n", ""),
        ("[safe]\ndirectory = ROOT/home/work\n", ""),
        ("[safe]\ndirectory = ROOT/home/work/*\n", ""),
        ("[safe]\ndirectory = ROOT/home/*\n", ""),
        ("[safe]\ndirectory = ROOT/home/wo*\n", ""),
        ("[safe]\ndirectory = ROOT/link/repo\n", ""),
        ("[safe]\ndirectory = ROOT/link/*\n", ""),
        ("[safe]\ndirectory = ROOT/missing/*\n", ""),
        ("[safe]\ndirectory = ROOT/bare.git\n", ""),
        ("[safe]\ndirectory = ROOT/*\n", ""),
        ("", "[safe]\ndirectory = ~/work/repo\n"),
        ("", "[safe]\ndirectory = ~root/x\n"),
        ("", "[safe]\ndirectory = %(prefix)/x\n"),
        ("", "[safe]\ndirectory = work/repo\n"),
        ("", "[include]\npath = more.inc\n"),
        (
            "[includeIf \"gitdir:ROOT/home/work/\"]\npath = ROOT/home/more.inc\n",
            "",
        ),
    ] {
        person.write("system", system);
        person.write("home/.gitconfig", user);
        person.write("home/more.inc", "[safe]\ndirectory = *\n");
        for dir in [&repo, &bare] {
            let expect = person.git(dir, &["rev-parse", "--git-dir"]).is_some();
            let opened = Trail::open(dir, person.options()).map(drop);
            // Git cannot evaluate a condition on the git directory before it trusts the repository.
            if system.contains("includeIf") && !expect {
                continue;
            }
            safe += usize::from(expect);
            assert_eq!(
                opened.is_ok(),
                expect,
                "{system}{user} for {}: {opened:?}",
                dir.display()
            );
        }
    }
    assert!(safe > 12, "{safe}");
    person.write("system", "");
    person.write("home/.gitconfig", "");
    // As `git -c safe.directory=… COMMAND` passes it on.
    for parameters in [
        "'safe.directory'='*'",
        "'safe.directory=*' 'safe.directory'=",
        "'safe.directory=ROOT/home/work/repo'",
        "'safe.directory'='ROOT/bare.git'",
    ] {
        person.set("GIT_CONFIG_PARAMETERS", parameters);
        for dir in [&repo, &bare] {
            let expect = person.git(dir, &["rev-parse", "--git-dir"]).is_some();
            let opened = Trail::open(dir, person.options()).map(drop);
            assert_eq!(opened.is_ok(), expect, "{parameters}: {opened:?}");
        }
    }
    person.set("GIT_CONFIG_PARAMETERS", "");
    let said = refusal(Trail::open(&repo, person.options()).map(drop));
    assert!(said.contains("GIT_CONFIG_KEY_0=safe.directory"), "{said}");
}

#[test]
fn values_that_git_passes_to_its_programs_are_read_as_git_reads_them() {
    let mut person = Person::new();
    let repo = person.repo();
    person.write("home/.gitconfig", "[user]\nname = A\nemail = home@x\n");
    person.set("GIT_CONFIG_COUNT", "1");
    person.set("GIT_CONFIG_KEY_0", "user.email");
    person.set("GIT_CONFIG_VALUE_0", "count@x");
    person.is(&repo, "count@x");
    for (parameters, email) in [
        ("'user.email=old@x'", "old@x"),
        ("'user.email'='new@x' 'core.bare'='false'", "new@x"),
        ("'user.name'='O'\\''Neil'  'user.email'='two@x'", "two@x"),
    ] {
        person.set("GIT_CONFIG_PARAMETERS", parameters);
        person.is(&repo, email);
    }
}

#[test]
fn values_in_the_environment_that_git_gives_up_on_are_an_error() {
    for variables in [
        &[("GIT_CONFIG_COUNT", "one")][..],
        &[("GIT_CONFIG_COUNT", "-1")],
        &[("GIT_CONFIG_COUNT", "1")],
        &[("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "user.name")],
        &[
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "nokey"),
            ("GIT_CONFIG_VALUE_0", "x"),
        ],
        &[("GIT_CONFIG_PARAMETERS", "user.name=A")],
        &[("GIT_CONFIG_PARAMETERS", "'user.name=A")],
    ] {
        let mut person = Person::new();
        let repo = person.repo();
        for (name, value) in variables {
            person.set(name, value);
        }
        let by_git = person.git(&repo, &["config", "--list"]);
        assert_eq!(by_git, None, "{variables:?}");
        let said = refusal(Trail::open(&repo, person.options()).map(drop));
        assert!(said.contains("in the environment"), "{said}");
    }
}
