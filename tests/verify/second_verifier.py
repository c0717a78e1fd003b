#!/usr/bin/env python3
"""A second verifier, written from docs/src/reference/trail-format.md alone. Standard library and `git cat-file` only.

    second_verifier.py REPOSITORY REF...   prints one JSON object for each ref; exit code 0 if every claim holds, 3 if one is broken

It judges what history says: objects, append-only, one-entry, agreement, once, times. It does not look at what lies beside the
objects (the claim `hidden`), at signatures or at checkpoints. `tests/verify/second.rs` compares it with `chiffon-audit verify`.
"""

import datetime
import hashlib
import json
import os
import re
import subprocess
import sys
import unicodedata

CLAIMS = ("objects", "append-only", "one-entry", "agreement", "once", "times")
TASKS = b".audit/tasks/"
HEX64 = "[0-9a-f]{64}"
EVERY = {"Audit-Format": "1", "Audit-Signature": "unavailable|covers [1-9][0-9]{0,8}"}
GENESIS = {"Audit-Trail": "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "Audit-Placement": "checkout|ref"}
RECORD = {
    "Audit-Task": "[A-Za-z0-9][A-Za-z0-9._-]{0,127}",
    "Audit-Interface": r"chiffon:audit@(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){2}",
    "Audit-Policy": "sha256:" + HEX64,
    "Audit-Settings": "sha256:" + HEX64,
    "Audit-Outcome": "hmac-sha256:" + HEX64,
    "Audit-Reporter": "[a-z0-9][a-z0-9._-]{0,63}",
}
OPTIONAL = {"Audit-Signature", "Audit-Outcome", "Audit-Reporter"}
STAMP = re.compile(rb"([^<>\0\n]*[^<>\s][^<>\0\n]*) <([^<>\0\n]*[^<>\s][^<>\0\n]*)> (0|[1-9][0-9]{0,17}) \+0000")
TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
STATUS = re.compile(r"[a-z0-9_-]{1,32}")
SHOWN = re.compile(r"audit: begin trail|audit: task ([A-Za-z0-9][A-Za-z0-9._-]{0,127}) (\S+) at (\d{4}-\d\d-\d\dT[\d:]{8})(\.\d*)?Z")
HIDDEN = ("Cc", "Cf", "Zl", "Zp")
DEVICES = {"con", "prn", "aux", "nul"} | {name + digit for name in ("com", "lpt") for digit in "0123456789"}


class Broken(Exception):
    """One claim is broken: its name and why."""


class Objects:
    """Reads objects through one `git cat-file --batch`, and hashes each."""

    def __init__(self, repository):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        environment |= {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1", "GIT_GRAFT_FILE": os.devnull}
        self.git = ("git", "--no-replace-objects", "-C", repository)
        self.environment = environment
        command = (*self.git, "cat-file", "--batch")
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment)
        self.trees = {}

    def resolve(self, ref):
        command = (*self.git, "rev-parse", "--verify", "--quiet", ref + "^{commit}")
        return subprocess.run(command, env=self.environment, check=True, capture_output=True).stdout.decode().strip()

    def read(self, name, kind):
        try:
            self.process.stdin.write(name.encode() + b"\n")
            self.process.stdin.flush()
            header = self.process.stdout.readline().split()
            if len(header) != 3:
                raise Broken("objects", f"{kind} {name} is missing")
            data = self.process.stdout.read(int(header[2]))
            if self.process.stdout.read(1) != b"\n":
                raise Broken("objects", f"{kind} {name} is cut short")
        except OSError as error:
            raise Broken("objects", f"git cat-file ended: {error}") from error
        if header[1] != kind.encode():
            raise Broken("objects", f"{name} is a {header[1].decode()}, not a {kind}")
        algorithm = hashlib.sha1 if len(name) == 40 else hashlib.sha256
        if algorithm(b"%s %d\0" % (kind.encode(), len(data)) + data).hexdigest() != name:
            raise Broken("objects", f"{kind} {name} does not hash to its name")
        return data

    def tree(self, name):
        """The nodes of a tree: name to (mode, object)."""
        if name in self.trees:
            return self.trees[name]
        data, nodes, at, last, size = self.read(name, "tree"), {}, 0, b"", len(name) // 2
        while at < len(data):
            match = re.compile(rb"([0-7]{5,6}) ([^/\0]+)\0").match(data, at)
            if not match or match.end() + size > len(data):
                raise Broken("objects", f"tree {name} is malformed")
            mode, entry = match.groups()
            if mode.startswith(b"0"):
                raise Broken("hidden", f"tree {name} has a padded mode")
            key = entry + b"/" * (mode == b"40000")
            if entry in nodes or key <= last or entry in (b".", b"..", b".git"):
                raise Broken("objects", f"tree {name} is not sorted")
            last, at = key, match.end() + size
            nodes[entry] = (mode, data[match.end():at].hex())
        self.trees[name] = nodes
        return nodes


def parse_commit(data):
    """Headers as (key, value) lines with their continuations, and the message."""
    head, blank, message = data.partition(b"\n\n")
    if not blank:
        if not data.endswith(b"\n"):
            raise Broken("objects", "a commit is malformed")
        head, message = data[:-1], b""
    headers = []
    for line in head.split(b"\n"):
        if line.startswith(b" ") and headers:
            headers[-1][1] += b"\n" + line[1:]
        else:
            headers.append(list(line.partition(b" ")[::2]))
    if not headers or headers[0][0] != b"tree":
        raise Broken("objects", "a commit has no tree")
    parents = []
    for key, value in headers[1:]:
        if key != b"parent":
            break
        parents.append(value.decode())
    return headers, headers[0][1].decode(), parents, message


def role(message):
    """`person`, `genesis` or `record`, by the trailers as git reads them."""
    if b"audit-format" not in message.lower():
        return "person"
    command = ("git", "interpret-trailers", "--parse", "--no-divider")
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_DIR": os.devnull}
    parsed = subprocess.run(command, input=message, env=environment, check=True, capture_output=True).stdout
    values = {}
    for line in parsed.splitlines():
        key, _, value = line.partition(b":")
        values.setdefault(key.strip().lower(), []).append(value.strip())
    words = lambda key: [value for value in values.get(key, ()) if re.fullmatch(rb"[^ \t\n\v\f\r]+", value)]
    if not any(re.fullmatch(rb"[0-9]+", value) for value in words(b"audit-format")):
        return "person"
    if words(b"audit-trail"):
        return "genesis"
    return "record" if words(b"audit-task") else "person"


def shown(message):
    """The subject as git shows it, without what does not show."""
    paragraph = re.split(r"\n[ \t\r]*\n", message.decode("utf-8", "replace").lstrip())[0]
    seen = (" " if char.isspace() else char for char in paragraph if char.isspace() or unicodedata.category(char) not in HIDDEN)
    return " ".join("".join(seen).split())


def check_headers(headers, parents):
    if len(parents) > 1:
        raise Broken("one-entry", "a trail commit has several parents")
    rest = headers[1 + len(parents):]
    names = [key for key, _ in rest]
    if names[:2] != [b"author", b"committer"] or any(name not in (b"gpgsig", b"gpgsig-sha256") for name in names[2:]):
        raise Broken("agreement", "a trail commit has other headers")
    author, committer = rest[0][1], rest[1][1]
    match = STAMP.fullmatch(committer)
    person = (match[1] + match[2]).decode("utf-8", "surrogateescape") if match else "\0"
    if author != committer or any(unicodedata.category(char) in HIDDEN or "\ud800" <= char <= "\udfff" for char in person):
        raise Broken("agreement", "author and committer are not in a host's form")


def trailers_of(message, kind):
    try:
        text = message.decode()
    except UnicodeDecodeError as error:
        raise Broken("agreement", "the message is not UTF-8") from error
    subject, _, rest = text.partition("\n")
    if not 1 <= len(subject.encode()) <= 200 or any(unicodedata.category(char) in HIDDEN for char in subject):
        raise Broken("agreement", "the subject is not one printable line")
    if not rest.startswith("\n") or not rest.endswith("\n") or rest == "\n":
        raise Broken("agreement", "the trailers are not one paragraph after the subject")
    known, found = EVERY | (GENESIS if kind == "genesis" else RECORD), {}
    for line in rest[1:-1].split("\n"):
        key, separator, value = line.partition(": ")
        if not separator or key not in known or key in found or not re.fullmatch(known[key], value, re.ASCII):
            raise Broken("agreement", f"the trailer line {line!r} is not a host's")
        found[key] = value
    if missing := set(known) - set(found) - OPTIONAL:
        raise Broken("agreement", f"trailers are missing: {sorted(missing)}")
    return found


def task_of(path):
    """The task id of an entry's path."""
    parts = path[len(TASKS):].decode("ascii", "replace").split("/")
    task = parts[-1].removesuffix(".json")
    lower = task.lower()
    if not parts[-1].endswith(".json") or not re.fullmatch(RECORD["Audit-Task"], task, re.ASCII):
        raise Broken("one-entry", f"{path!r} is not an entry's path")
    if ".." in task or task.endswith(".") or lower.endswith(".lock") or lower.split(".")[0] in DEVICES:
        raise Broken("one-entry", f"{task!r} is not a task id")
    if len(parts) > 1 and parts[:-1] != list(hashlib.sha256(lower.encode()).hexdigest()[:4]):
        raise Broken("one-entry", f"{path!r} is in the wrong directory")
    return task


class Number(str):
    """A number as it is written, of any length. It must be finite as an IEEE 754 double."""

    def __new__(cls, text):
        if abs(float(text)) == float("inf"):
            raise ValueError("a number that is not finite")
        return super().__new__(cls, text)


def unique(pairs):
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def check_surrogates(value):
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            value.encode()
        elif isinstance(value, dict):
            stack.extend((*value, *value.values()))
        elif isinstance(value, list):
            stack.extend(value)


def seconds_of(timestamp):
    """The whole seconds since 1970 of `YYYY-MM-DDThh:mm:ss` and anything after it."""
    year = int(timestamp[:4])
    # Python's years begin with 1; the calendar repeats after 400 years.
    time = datetime.datetime.strptime(f"{2000 + year % 400}{timestamp[4:19]}", "%Y-%m-%dT%H:%M:%S")
    days = (time - datetime.datetime(1970, 1, 1)).days + (year // 400 - 5) * 146097
    return days * 86400 + time.hour * 3600 + time.minute * 60 + time.second


def check_subject(message, task, status, seconds):
    """A subject of a record's form says what the entry says."""
    match = SHOWN.fullmatch(shown(message))
    try:
        near = match and match[1] and abs(seconds_of(match[3]) - seconds) <= 60
    except ValueError:
        return
    if match and not (near and match[1] == task and match[2] == status):
        raise Broken("agreement", "the subject is that of another record")


def parse_entry(data):
    """`task_id`, `status`, and the timestamp in whole seconds since 1970."""
    def refuse(word):
        raise ValueError(word)

    try:
        text = data.decode()
        entry = json.loads(text, object_pairs_hook=unique, parse_constant=refuse, parse_int=Number, parse_float=Number)
        check_surrogates(entry)
        task, status, timestamp = entry["task_id"], entry["status"], entry["timestamp"]
        quoted = all(type(value) is str for value in (task, status, timestamp)) and text[0] in " \t\r\n{"
        if not quoted or not STATUS.fullmatch(status) or not TIMESTAMP.fullmatch(timestamp):
            raise ValueError("a member is not in form")
        seconds = seconds_of(timestamp)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Broken("one-entry", f"the entry is malformed: {error}") from error
    return task, status, seconds


class Audit:
    def __init__(self, objects, ref):
        self.objects = objects
        self.tip = self.objects.resolve(ref)
        self.broken = {}
        self.tasks = {}
        self.seen = set()
        self.entries = 0

    def fail(self, broken, commit):
        self.broken.setdefault(broken.args[0], f"{commit}: {broken.args[1]}")

    def run(self):
        chain, merged, at = [], [], self.tip
        while at:
            try:
                commit = parse_commit(self.objects.read(at, "commit"))
            except Broken as broken:
                self.fail(broken, at)
                break
            chain.append((at, *commit))
            merged += commit[2][1:]
            at = commit[2][0] if commit[2] else None
        before, time, begun, placement = {}, None, False, None
        for name, headers, tree, parents, message in reversed(chain):
            kind = role(message)
            try:
                after = self.walk(tree)
            except Broken as broken:
                self.fail(broken, name)
                continue
            for check in (self.judge_history, self.judge_commit, self.judge_changes):
                try:
                    check(kind, headers, parents, message, before, after)
                except Broken as broken:
                    self.fail(broken, name)
            committer = [value for key, value in headers if key == b"committer"][-1:]
            seconds = re.search(rb"> (-?[0-9]+) ", committer[0]) if committer else None
            audit = lambda files: {path: node for path, node in files.items() if path.startswith(b".audit/")}
            if audit(before) == audit(after) and (kind == "record" or kind == "person" and SHOWN.fullmatch(shown(message))):
                self.fail(Broken("agreement", "an imitation of a record"), name)
            if kind == "person":
                if placement == "ref":
                    self.fail(Broken("one-entry", "a ref trail has a commit that is no trail commit"), name)
            else:
                if kind == "genesis":
                    if begun:
                        self.fail(Broken("one-entry", "the trail begins twice, or late"), name)
                    placement = placement or ("ref" if b"Audit-Placement: ref" in message else "checkout")
                begun = True
                if seconds and time is not None and int(seconds[1]) < time:
                    self.fail(Broken("times", "times run backwards"), name)
                time = int(seconds[1]) if seconds else time
            before = after
        self.walk_merged(merged)

    def judge_history(self, kind, headers, parents, message, before, after):
        for path, node in before.items():
            if path.startswith(TASKS) and after.get(path) != node:
                raise Broken("append-only", f"{path!r} was changed or removed")

    def judge_commit(self, kind, headers, parents, message, before, after):
        if kind != "person":
            check_headers(headers, parents)
            trailers_of(message, kind)

    def judge_changes(self, kind, headers, parents, message, before, after):
        changed = [path for path in {*before, *after} if before.get(path) != after.get(path)]
        added = [path for path in changed if path.startswith(TASKS) and path not in before]
        for path in added:
            try:
                lower = task_of(path).lower()
            except Broken:
                continue
            if lower in self.tasks:
                self.fail(Broken("once", f"{lower} was recorded before"), path.decode("utf-8", "replace"))
            self.tasks[lower] = path
        if kind == "person" and added or kind == "genesis" and changed:
            raise Broken("one-entry", f"{changed[0]!r} is changed by a commit that is not a record")
        if kind != "record":
            return
        others = [path for path in changed if not path.startswith(TASKS)]
        if others or len(added) != 1:
            raise Broken("one-entry", f"a record adds {len(added)} entries and changes {len(others)} other files")
        path, (mode, blob) = added[0], after[added[0]]
        if mode != b"100644":
            raise Broken("one-entry", f"{path!r} has the mode {mode.decode()}")
        said, status, seconds = parse_entry(self.objects.read(blob, "blob"))
        self.entries += 1
        task = said
        try:
            task = task_of(path)
        except Broken as broken:
            self.fail(broken, said)
        match = STAMP.fullmatch(headers[1 + len(parents)][1]) if len(headers) > 1 + len(parents) else None
        if match and not 0 <= int(match[3]) - seconds <= 3600:
            self.fail(Broken("times", "the entry is younger than its commit, or much older"), task)
        if said != task or trailers_of(message, kind)["Audit-Task"] != task:
            raise Broken("agreement", f"trailer, path and entry name different tasks: {task}")
        check_subject(message, said, status, seconds)

    def walk(self, tree):
        """Every file of a tree by path; each object is read once."""
        files, stack = {}, [(b"", tree)]
        while stack:
            prefix, name = stack.pop()
            for entry, (mode, node) in self.objects.tree(name).items():
                path = prefix + entry
                if mode == b"40000":
                    stack.append((path + b"/", node))
                    continue
                files[path] = (mode, node)
                if mode != b"160000" and node not in self.seen:
                    self.objects.read(node, "blob")
                    self.seen.add(node)
        return files

    def walk_merged(self, stack):
        """Histories that people merged: only their objects are judged."""
        while stack:
            name = stack.pop()
            if name in self.seen:
                continue
            self.seen.add(name)
            try:
                _, tree, parents, _ = parse_commit(self.objects.read(name, "commit"))
                self.walk(tree)
                stack += parents
            except Broken as broken:
                self.fail(broken, name)


def main():
    objects, worst = Objects(sys.argv[1]), 0
    for ref in sys.argv[2:]:
        audit = Audit(objects, ref)
        audit.run()
        claims = {claim: "broken" if claim in audit.broken else "holds" for claim in CLAIMS}
        print(json.dumps({"ref": ref, "tip": audit.tip, "entries": audit.entries, "claims": claims, "reasons": audit.broken}))
        worst = max(worst, 3 if audit.broken else 0)
    sys.exit(worst)


if __name__ == "__main__":
    main()
