//! All attacks, with the claim that reveals each, and the verdict of git's own tools. The attacker holds the key,
//! unless stated otherwise. The table in tests/README.md is made here, by running all three on each forged trail.

mod files;
mod indexes;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use chiffon_audit_cli::verify::{self, AuditResult, Options, Verdict};

use super::forge::{
    BEGIN, Forge, Operation, entry, flat, git, sharded, timestamp, try_git, verdict, write,
};

/// A signed trail of a genesis commit and the entries `a`, `b` (flat) and `c`, with its key.
struct Scene {
    forge: Forge,
    key: PathBuf,
    /// A copy from before the attack.
    copy: PathBuf,
    /// Options of the allowed signer, such as the time from which its key counts.
    validity: &'static str,
}

/// An attack, and the verdict of `verify`.
struct Attack {
    name: &'static str,
    run: fn(&mut Scene),
    /// What the audit needs to detect it.
    given: Given,
    claim: &'static str,
    words: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum Given {
    Nothing,
    Signers,
    Copy,
}

impl Scene {
    fn new() -> Scene {
        let mut forge = Forge::bare(&[]);
        let key = forge.beside("key");
        // The same key each time: ids depend on signatures, and what git notices about a changed index depends on ids.
        std::fs::write(&key, include_str!("second_opinion/signer.key")).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let public = Command::new("ssh-keygen").arg("-yf").arg(&key).output();
        std::fs::write(key.with_extension("pub"), public.unwrap().stdout).unwrap();
        forge.genesis();
        let copy = forge.beside("copy");
        let mut scene = Scene {
            forge,
            key,
            copy,
            validity: "",
        };
        scene.sign();
        for path in [sharded("a"), flat("b"), sharded("c")] {
            scene.forge.record(&path);
            scene.sign();
        }
        let copy = scene.copy.to_str().unwrap();
        git(&scene.forge.path, &["clone", "-q", "--bare", ".", copy]);
        scene
    }

    /// Signs the tip.
    fn sign(&mut self) -> String {
        self.sign_for("git")
    }

    fn sign_for(&mut self, namespace: &str) -> String {
        let commit = self.forge.git(&["cat-file", "commit", "audit"]);
        let mut child = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", namespace, "-f"])
            .arg(&self.key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), commit.as_bytes()).unwrap();
        let signature = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let (headers, message) = commit.split_once("\n\n").unwrap();
        let signature = signature.trim_end().replace('\n', "\n ");
        let signed = format!("{headers}\ngpgsig {signature}\n\n{message}");
        let id = self.forge.object("commit", signed.as_bytes());
        self.forge.git(&["update-ref", "refs/heads/audit", &id]);
        id
    }

    /// A person's commit with the trail's key.
    fn person(&mut self, operation: Operation) {
        let commit = self.forge.by_person(vec![operation]);
        self.forge.add(&commit);
        self.sign();
    }

    /// A host's commit for this path, with a change.
    fn host(&mut self, path: &str, change: impl FnOnce(&mut super::forge::Commit)) {
        let mut commit = self.forge.draft(path);
        change(&mut commit);
        self.forge.add(&commit);
        self.sign();
    }

    fn back(&mut self, commits: usize) {
        let to = format!("audit~{commits}");
        self.forge.git(&["update-ref", "refs/heads/audit", &to]);
    }

    fn put(&self, name: &str, contents: &str) {
        let path = self.forge.path.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }

    /// The file of the allowed signers.
    fn allowed(&self) -> PathBuf {
        let public = std::fs::read_to_string(self.key.with_extension("pub")).unwrap();
        let path = self.forge.beside("allowed");
        std::fs::write(&path, format!("host {} {public}", self.validity)).unwrap();
        path
    }
}

/// Stands for a refusal instead of a claim: nothing is judged without `--ref`.
const REFUSED: &str = "--ref";

const ATTACKS: &[Attack] = &[
    Attack {
        name: "entry edited",
        run: |scene| scene.person(write(&sharded("a"), &entry("a", &timestamp(BEGIN)))),
        given: Given::Nothing,
        claim: "append-only",
        words: "is edited",
    },
    Attack {
        name: "entry deleted",
        run: |scene| scene.person(Operation::Delete(flat("b"))),
        given: Given::Nothing,
        claim: "append-only",
        words: "is deleted",
    },
    Attack {
        name: "entry renamed",
        run: |scene| scene.person(Operation::Rename(flat("b"), flat("bb"))),
        given: Given::Nothing,
        claim: "append-only",
        words: "is renamed",
    },
    Attack {
        name: "entry added without a task",
        run: |scene| scene.person(write(&flat("x"), &entry("x", &timestamp(BEGIN)))),
        given: Given::Nothing,
        claim: "one-entry",
        words: "an entry without a task",
    },
    Attack {
        name: "entry moved to another task's path",
        run: |scene| {
            scene.host(&sharded("x"), |commit| {
                commit.operations = vec![write(&sharded("y"), &entry("x", &timestamp(BEGIN)))];
            });
        },
        given: Given::Nothing,
        claim: "agreement",
        words: "holds an entry of the task `x`",
    },
    Attack {
        name: "duplicate entry under another layout",
        run: |scene| scene.host(&flat("a"), |_| {}),
        given: Given::Nothing,
        claim: "once",
        words: "was recorded before",
    },
    Attack {
        name: "forged trailer",
        run: |scene| {
            scene.host(&sharded("x"), |commit| {
                commit.message = commit.message.replace("Audit-Task: x", "Audit-Task: other");
            });
        },
        given: Given::Nothing,
        claim: "agreement",
        words: "Audit-Task: other",
    },
    Attack {
        name: "second parent smuggled in",
        run: |scene| {
            let hidden = scene.forge.by_person(vec![write("secret", "x\n")]);
            let (branch, forge) = ("refs/heads/hidden", &scene.forge);
            let hidden = forge.add_to(branch, branch, &hidden);
            forge.git(&["update-ref", "-d", branch]);
            scene.host(&sharded("x"), |commit| commit.merge = vec![hidden]);
        },
        given: Given::Nothing,
        claim: "one-entry",
        words: "has 2 parents",
    },
    Attack {
        name: "backdated commit",
        run: |scene| {
            scene.host(&sharded("x"), |commit| {
                let early = format!("Chiffon Audit <audit@localhost> {} +0000", BEGIN + 2);
                (commit.author, commit.committer) = (early.clone(), early);
                commit.operations = vec![write(&sharded("x"), &entry("x", &timestamp(BEGIN)))];
            });
        },
        given: Given::Nothing,
        claim: "times",
        words: "is before",
    },
    Attack {
        name: "blob replaced in the object store",
        run: |scene| {
            let place = |id: &str| format!("objects/{}/{}", &id[..2], &id[2..]);
            let of =
                |forge: &Forge, name: String| forge.git(&["rev-parse", &name]).trim().to_owned();
            let victim = of(&scene.forge, format!("audit:{}", flat("b")));
            let other = scene
                .forge
                .object("blob", entry("b", &timestamp(BEGIN)).as_bytes());
            let path = scene.forge.path.join(place(&victim));
            std::fs::remove_file(&path).unwrap();
            std::fs::copy(scene.forge.path.join(place(&other)), path).unwrap();
        },
        given: Given::Nothing,
        claim: "objects",
        words: "its content is that of",
    },
    Attack {
        name: "replace ref",
        run: |scene| {
            let tree = scene.forge.git(&["rev-parse", "audit~2^{tree}"]);
            let other = scene.forge.git(&["commit-tree", "-m", "x", tree.trim()]);
            scene.forge.git(&["replace", "audit", other.trim()]);
        },
        given: Given::Nothing,
        claim: "hidden",
        words: "refs/replace/",
    },
    Attack {
        name: "graft",
        run: |scene| {
            let tip = scene.forge.git(&["rev-parse", "audit"]);
            scene.put("info/grafts", &tip);
        },
        given: Given::Nothing,
        claim: "hidden",
        words: "info/grafts",
    },
    Attack {
        name: "shallow cut",
        run: |scene| {
            let cut = scene.forge.git(&["rev-parse", "audit~"]);
            scene.put("shallow", &cut);
        },
        given: Given::Nothing,
        claim: "hidden",
        words: "the history before",
    },
    Attack {
        name: "alternates",
        run: |scene| {
            scene.forge.git(&["repack", "-adq"]);
            let other = scene.forge.beside("other-objects");
            std::fs::create_dir(&other).unwrap();
            let pack = scene.forge.path.join("objects/pack");
            std::fs::rename(&pack, other.join("pack")).unwrap();
            std::fs::create_dir(&pack).unwrap();
            scene.put("objects/info/alternates", other.to_str().unwrap());
        },
        given: Given::Nothing,
        claim: "hidden",
        words: "objects/info/alternates",
    },
    Attack {
        name: "history squashed and signed again with the real key",
        run: |scene| {
            let tree = scene.forge.git(&["rev-parse", "audit^{tree}"]);
            let squashed = scene
                .forge
                .git(&["commit-tree", "-m", "squashed", tree.trim()]);
            scene
                .forge
                .git(&["update-ref", "refs/heads/audit", squashed.trim()]);
            scene.sign();
        },
        given: Given::Nothing,
        claim: "one-entry",
        words: "entries without a task: 3 files",
    },
    Attack {
        name: "history rewritten without an entry and signed again with the real key",
        run: |scene| {
            scene.back(2);
            scene.host(&sharded("c"), |_| {});
        },
        given: Given::Copy,
        claim: "against",
        words: "they diverge after",
    },
    Attack {
        name: "policy digest swapped, signed again",
        run: |scene| {
            scene.back(1);
            scene.host(&sharded("c"), |commit| {
                let swapped = format!("Audit-Policy: sha256:{}", "1".repeat(64));
                let real = format!("Audit-Policy: sha256:{}", "0".repeat(64));
                commit.message = commit.message.replace(&real, &swapped);
            });
        },
        given: Given::Copy,
        claim: "against",
        words: "they diverge after",
    },
    Attack {
        name: "tip rolled back",
        run: |scene| scene.back(1),
        given: Given::Copy,
        claim: "against",
        words: "behind or was rolled back",
    },
    Attack {
        name: "HEAD pointed elsewhere",
        run: |scene| {
            scene.forge.git(&["branch", "-q", "decoy", "audit~2"]);
            scene
                .forge
                .git(&["symbolic-ref", "HEAD", "refs/heads/decoy"]);
        },
        given: Given::Copy,
        claim: "against",
        words: "behind or was rolled back",
    },
    Attack {
        name: "HEAD pointed to another end of the trail",
        run: |scene| {
            scene.forge.git(&["branch", "-q", "decoy", "audit~2"]);
            let draft = scene.forge.draft(&sharded("d"));
            let decoy = "refs/heads/decoy";
            scene.forge.add_to(decoy, decoy, &draft);
            scene
                .forge
                .git(&["symbolic-ref", "HEAD", "refs/heads/decoy"]);
        },
        given: Given::Nothing,
        claim: REFUSED,
        words: "`refs/heads/decoy`",
    },
    Attack {
        name: "two remotes showing different histories",
        run: |scene| {
            scene.back(1);
            scene.host(&sharded("d"), |_| {});
        },
        given: Given::Copy,
        claim: "against",
        words: "they diverge after",
    },
    Attack {
        name: "unsigned commit (without the key)",
        run: |scene| {
            scene.forge.record(&sharded("x"));
        },
        given: Given::Signers,
        claim: "signatures",
        words: "",
    },
    Attack {
        name: "signed in another namespace",
        run: |scene| {
            scene.forge.record(&sharded("x"));
            scene.sign_for("file");
        },
        given: Given::Signers,
        claim: "signatures",
        words: "",
    },
    Attack {
        name: "signed by a key outside its time",
        run: |scene| scene.validity = "valid-before=\"20200101\"",
        given: Given::Signers,
        claim: "signatures",
        words: "",
    },
];

/// The verdict of `verify`, by name.
fn audit(scene: &Scene, attack: &Attack) -> &'static str {
    let options = Options {
        against: match attack.given {
            Given::Copy => vec![scene.copy.clone()],
            _ => Vec::new(),
        },
        allowed_signers: (attack.given == Given::Signers).then(|| scene.allowed()),
        ..Options::default()
    };
    let name = attack.name;
    let report = match verify::verify(&scene.forge.path, &options) {
        Err(error) if attack.claim == REFUSED => {
            assert!(error.to_string().contains(attack.words), "{name}: {error}");
            return "not shown";
        }
        report => report.unwrap(),
    };
    let is_noted = |claim: &verify::Claim| {
        claim.id == attack.claim && claim.notes.iter().any(|note| note.contains(attack.words))
    };
    if report.result() == AuditResult::Holds && report.claims.iter().any(is_noted) {
        return "a note";
    }
    assert_ne!(report.result(), AuditResult::Holds, "{name}: {report:#?}");
    match verdict(&report, attack.claim) {
        Verdict::Broken { what, .. } => {
            assert!(what.contains(attack.words), "{name}: {what}");
            "broken"
        }
        Verdict::NotShown { missing } => {
            assert!(missing.contains(attack.words), "{name}: {missing}");
            "not shown"
        }
        other => panic!("{name}: {other:?}\n{report:#?}"),
    }
}

/// Whether `git verify-commit` rejects any commit that git shows.
fn verify_commit_notices(scene: &Scene) -> bool {
    let allowed = format!("gpg.ssh.allowedSignersFile={}", scene.allowed().display());
    let Some(commits) = try_git(&scene.forge.path, &["rev-list", "HEAD"]) else {
        return true;
    };
    commits.lines().any(|commit| {
        try_git(
            &scene.forge.path,
            &["-c", &allowed, "verify-commit", commit],
        )
        .is_none()
    })
}

fn row(attack: &Attack) -> String {
    let mut scene = Scene::new();
    (attack.run)(&mut scene);
    let said = audit(&scene, attack);
    let notices = |notices| if notices { "notices" } else { "–" };
    let fsck = try_git(&scene.forge.path, &["fsck", "--full", "--strict"]).is_none();
    let given = match attack.given {
        Given::Nothing => "",
        Given::Signers => ", `--allowed-signers`",
        Given::Copy => ", `--against` a copy",
    };
    format!(
        "| {} | {said}: `{}`{given} | {} | {} |\n",
        attack.name,
        attack.claim,
        notices(fsck),
        notices(verify_commit_notices(&scene))
    )
}

#[test]
fn every_attack_is_called_by_its_name_and_the_table_says_what_git_says() {
    // Each runs a hundred programs; two at a time are as fast as two processors allow.
    let attacks: Vec<&Attack> = ATTACKS
        .iter()
        .chain(files::ATTACKS)
        .chain(indexes::ATTACKS)
        .collect();
    let (one, other) = attacks.split_at(attacks.len() / 2);
    let rows = |attacks: &[&Attack]| attacks.iter().map(|attack| row(attack)).collect::<String>();
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| rows(one));
        let second = rows(other);
        (first.join().unwrap(), second)
    });
    let table = first + &second;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let begin = "| attack | `verify` | `git fsck --full --strict` | `git verify-commit`, each commit |\n| --- | --- | --- | --- |\n";
    let (before, rest) = readme.split_once(begin).expect("the table's head");
    let end = rest.find("\n\n").unwrap() + 1;
    if std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite") {
        std::fs::write(path, format!("{before}{begin}{table}{}", &rest[end..])).unwrap();
    } else {
        snapbox::assert_data_eq!(rest[..end].to_owned(), snapbox::Data::text(table).raw());
    }
}
