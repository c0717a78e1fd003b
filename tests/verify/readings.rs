//! Commits that git displays differently from their bytes: encodings, zero bytes, scissors, folded trailers, names,
//! invisible characters. Stock git confirms each.

use super::forge::{BEGIN, Forge, flat, holds, sharded, timestamp};

const LOOKS: &str = "audit: task x completed at 2026-01-01T00:00:05.000001Z";

/// The trailers of a record of the task `x`.
fn trailers() -> String {
    let digest = format!("sha256:{}", "0".repeat(64));
    format!(
        "Audit-Format: 1\nAudit-Task: x\nAudit-Interface: chiffon:audit@0.1.0\nAudit-Policy: {digest}\n\
         Audit-Settings: {digest}\n"
    )
}

/// Commits this message on the branch, as a person and without changes; returns the commit's id.
fn say(forge: &Forge, encoding: Option<&str>, message: &[u8]) -> String {
    let [tree, parent] = ["audit^{tree}", "audit"].map(|name| forge.git(&["rev-parse", name]));
    let (tree, parent) = (tree.trim(), parent.trim());
    let stamp = "A Person <person@example.org> 1767225600 +0000";
    let encoding = encoding.map_or_else(String::new, |name| format!("encoding {name}\n"));
    let head =
        format!("tree {tree}\nparent {parent}\nauthor {stamp}\ncommitter {stamp}\n{encoding}\n");
    let id = forge.object("commit", &[head.as_bytes(), message].concat());
    forge.git(&["update-ref", "refs/heads/audit", &id]);
    id
}

/// The output of `git log` about the tip in this format.
fn shown(forge: &Forge, format: &str) -> String {
    let format = format!("--format={format}");
    forge
        .git(&["log", "-1", &format, "audit"])
        .trim()
        .to_owned()
}

#[test]
fn a_message_ends_for_git_at_its_first_zero_byte() {
    let trailers = trailers();
    for message in [
        format!("{LOOKS}\0 only a subject\n"),
        format!("{LOOKS}\n\n{trailers}\0\n\nnothing to see\n"),
        format!("work\n\n{trailers}\0\n\nnothing to see\n"),
        format!("{LOOKS}\0\nx\n\n{trailers}\nlast\n"),
    ] {
        let forge = Forge::trail();
        let id = say(&forge, None, message.as_bytes());
        assert!(!shown(&forge, "%B").contains("nothing to see"));
        forge.broken("agreement", Some(&id), "");
    }
    let forge = Forge::trail();
    say(&forge, None, b"work\n\nwith a \0 in it\n");
    holds(&forge.path);
}

#[test]
fn a_message_in_an_encoding_that_is_not_known_is_not_shown_to_be_harmless() {
    for name in [
        "CP930", "CP933", "CP939", "CP037", "CP500", "CP1047", "IBM037", "UTF-7", "mine",
    ] {
        let forge = Forge::trail();
        say(&forge, Some(name), b"work\n");
        forge.not_shown("agreement", &format!("decodes its message from `{name}`"));
    }
}

#[test]
fn blanks_and_hidden_characters_of_other_encodings_do_not_hide_an_imitation() {
    let replaced = |from: &str, to: &[u8]| -> Vec<u8> {
        let parts: Vec<&[u8]> = LOOKS.split(from).map(str::as_bytes).collect();
        parts.join(to)
    };
    for (encoding, title) in [
        ("ISO-8859-1", replaced(" ", b"\xa0")),
        ("ISO-8859-1", replaced("task", b"ta\xadsk")),
        ("GB18030", replaced("task", b"ta\x81\x36\xa6\x31sk")),
        ("ISO-2022-JP", replaced("task", b"ta\x1b(Bsk")),
    ] {
        let forge = Forge::trail();
        say(&forge, Some(encoding), &title);
        forge.not_shown("agreement", encoding);
    }
    let forge = Forge::trail();
    let folded = trailers().replace("Audit-Task", "Audit-\u{1b}(BTask");
    say(
        &forge,
        Some("ISO-2022-JP"),
        format!("work\n\n{folded}").as_bytes(),
    );
    forge.not_shown("agreement", "ISO-2022-JP");
}

#[test]
fn what_people_write_in_other_encodings_holds() {
    let forge = Forge::trail();
    for (encoding, message) in [
        (
            "ISO-8859-1",
            &b"F\xfcge audit: Tasks hinzu\n\nbis 2026-01-02T03:04:05Z\n"[..],
        ),
        ("ISO-8859-15", b"plain\n"),
        ("windows-1252", b"caf\xe9\n"),
        ("latin1", b"na\xefve\n"),
        ("latin-1", b"na\xefve\n"),
        ("Shift_JIS", b"\x93\xfa\x96\x7b\n"),
        ("EUC-JP", b"\xc6\xfc\xcb\xdc\n"),
        ("GB18030", b"\xd6\xd0\xce\xc4\n"),
        ("KOI8-R", b"\xd2\xd5\xd3\xd3\xcb\xc9\xca\n"),
        ("ISO-2022-JP", b"\x1b$BF|K\\\x1b(B\n"),
        ("UTF-8", "\u{65e5}\u{672c}\n".as_bytes()),
    ] {
        say(&forge, Some(encoding), message);
        holds(&forge.path);
    }
}

#[test]
fn trailers_above_the_scissors_and_on_lines_that_continue_are_read_as_git_reads_them() {
    let scissors = "# ------------------------ >8 ------------------------\nthe end\n";
    let folded = "Audit-Format:\n 1\nAudit-Task:\n x\nAudit-Interface: chiffon:audit@0.1.0\n";
    for message in [
        format!("work\n\n{}{scissors}", trailers()),
        format!("work\n\n{folded}"),
    ] {
        let forge = Forge::trail();
        let id = say(&forge, None, message.as_bytes());
        assert_eq!(
            shown(&forge, "%(trailers:key=Audit-Task,valueonly,unfold)"),
            "x"
        );
        forge.broken("agreement", Some(&id), "");
    }
}

#[test]
fn colours_and_characters_without_ink_do_not_hide_an_imitation() {
    for message in [
        LOOKS.replace("audit:", "audit:\u{1b}[m"),
        LOOKS.replace(' ', "\u{3164}"),
        LOOKS.replace(' ', "\u{2800}"),
        LOOKS.replace("task", "ta\u{115f}sk"),
        "audit:\u{2800}begin trail".to_owned(),
    ] {
        let forge = Forge::trail();
        let id = say(&forge, None, message.as_bytes());
        forge.broken("agreement", Some(&id), "an imitation");
    }
    let forge = Forge::trail();
    say(
        &forge,
        None,
        "\u{2800}\u{3164} \u{1b}[31mred\u{1b}[m\n".as_bytes(),
    );
    holds(&forge.path);
}

#[test]
fn a_trail_commit_names_a_person_that_git_can_show() {
    for person in [
        "Chiffon> audit>",
        "<Chiffon <x>",
        "A<a@b>",
        ">>",
        "<>",
        " <>",
        "A\rB <x@y>",
        "A <x\u{1b}[2Jy>",
        "A \u{202e} <x@y>",
    ] {
        let mut forge = Forge::trail();
        let honest = forge.draft(&sharded("x"));
        let good = forge.add(&honest);
        let commit = forge.git(&["cat-file", "commit", &good]);
        let forged = commit.replace("Chiffon Audit <audit@localhost>", person);
        let id = forge.object("commit", forged.as_bytes());
        forge.git(&["update-ref", "refs/heads/audit", &id]);
        forge.broken("agreement", Some(&id), "`name <address> seconds +0000`");
    }
}

#[test]
fn a_subject_of_a_records_form_says_what_the_entry_says() {
    for (from, to, words) in [
        ("task x", "task other", "the task is `other`"),
        ("completed", "failed", "the status is `failed`"),
        ("at 2026", "at 2001", "the time is `2001"),
    ] {
        let mut forge = Forge::trail();
        let mut commit = forge.draft(&sharded("x"));
        commit.message = commit.message.replacen(from, to, 1);
        let id = forge.add(&commit);
        forge.only_broken("agreement", &id, words);
    }
    let subject = |forge: &mut Forge, subject: &str| {
        let mut commit = forge.draft(&sharded("x"));
        let (_, rest) = commit.message.split_once('\n').unwrap();
        commit.message = format!("{subject}\n{rest}");
        forge.add(&commit)
    };
    let mut forge = Forge::trail();
    let id = subject(&mut forge, "audit: begin trail");
    forge.only_broken("agreement", &id, "a trail's first commit");
    let mut forge = Forge::trail();
    let near = format!("audit: task x completed at {}", timestamp(BEGIN + 30));
    subject(&mut forge, &near);
    holds(&forge.path);
    // A policy's own word in place of the status.
    let mut forge = Forge::trail();
    let done = format!("audit: task x done at {}", timestamp(BEGIN + 30));
    subject(&mut forge, &done);
    holds(&forge.path);
    let mut forge = Forge::trail();
    subject(&mut forge, "a policy's own words about other");
    holds(&forge.path);
}

/// A tree with these entries: the mode, the name and the id of each.
fn tree(forge: &Forge, entries: &[(&str, &str, &str)]) -> String {
    let entries = entries.iter().map(|(mode, name, id)| {
        let head = format!("{mode} {name}\0");
        [head.as_bytes(), &super::misled::unhex(id)].concat()
    });
    forge.object("tree", &entries.collect::<Vec<_>>().concat())
}

#[test]
fn an_object_is_checked_for_each_kind_that_a_tree_takes_it_for() {
    let audit = |forge: &Forge| {
        let id = forge.git(&["rev-parse", "audit:.audit"]);
        id.trim().to_owned()
    };
    // A submodule becomes a file with the same id, and the file's object is another.
    let mut forge = Forge::trail();
    let entries = audit(&forge);
    let text = forge.object("blob", b"the text\n");
    let commits = ["160000", "100644"].map(|mode| {
        let tree = tree(
            &forge,
            &[
                ("40000", ".audit", entries.as_str()),
                (mode, "text", text.as_str()),
            ],
        );
        let work = forge.by_person(Vec::new());
        forge.add_tree(&tree, &work)
    });
    holds(&forge.path);
    let other = forge.object("blob", b"a forged text\n");
    let [from, to] = [&other, &text].map(|id| {
        let directory = forge.path.join("objects").join(&id[..2]);
        directory.join(&id[2..])
    });
    std::fs::remove_file(&to).unwrap();
    std::fs::copy(from, to).unwrap();
    assert_eq!(forge.git(&["show", "audit:text"]), "a forged text\n");
    forge.broken("objects", Some(&commits[1]), &text);
    // A directory becomes a file with the same id.
    let mut forge = Forge::trail();
    let entries = audit(&forge);
    let blob = forge.object("blob", b"x\n");
    let directory = tree(&forge, &[("100644", "f", blob.as_str())]);
    let commits = ["40000", "100644"].map(|mode| {
        let tree = tree(
            &forge,
            &[
                ("40000", ".audit", entries.as_str()),
                (mode, "text", directory.as_str()),
            ],
        );
        let work = forge.by_person(Vec::new());
        forge.add_tree(&tree, &work)
    });
    forge.broken("objects", Some(&commits[1]), &directory);
    // One id is both in the first commit.
    let mut forge = Forge::bare(&[]);
    let blob = forge.object("blob", b"x\n");
    let both = tree(
        &forge,
        &[
            ("100644", "a", blob.as_str()),
            ("40000", "b", blob.as_str()),
        ],
    );
    let stamp = "A <a@b> 1 +0000";
    let first = format!("tree {both}\nauthor {stamp}\ncommitter {stamp}\n\nfirst\n");
    let first = forge.object("commit", first.as_bytes());
    forge.git(&["update-ref", "refs/heads/audit", &first]);
    let next = tree(&forge, &[("100644", "a", blob.as_str())]);
    let work = forge.by_person(Vec::new());
    forge.add_tree(&next, &work);
    forge.genesis();
    forge.record(&flat("x"));
    forge.broken("objects", Some(&first), &blob);
}
