#!/usr/bin/env python3
"""Makes a wheel of the Python client and the static program: wheel.py PROJECT PROGRAM LICENSES OUT

PROJECT is the directory with pyproject.toml, LICENSES a directory with LICENSE*. Prints the wheel's path. Needs only Python 3.11. The same input
gives the same bytes; SOURCE_DATE_EPOCH is the time of the files.
"""

import base64
import csv
import hashlib
import io
import os
import sys
import time
import tomllib
import zipfile
from pathlib import Path

# A static program runs with every C library, so the wheel fits both kinds of Linux, and the oldest of each.
TAG = "py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64"


def metadata(project: dict, readme: str, licenses: list[str]) -> str:
    """The file METADATA of a project that names no authors or URLs."""
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"License-Expression: {project['license']}",
        *(f"License-File: {name}" for name in licenses),
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {needed}" for needed in project["dependencies"]),
    ]
    for extra, packages in project["optional-dependencies"].items():
        lines.append(f"Provides-Extra: {extra}")
        lines += [f'Requires-Dist: {needed}; extra == "{extra}"' for needed in packages]
    return "\n".join([*lines, "Description-Content-Type: text/markdown", "", readme])


def entry_points(project: dict) -> str:
    """The file entry_points.txt."""
    text = ""
    for group, entries in project["entry-points"].items():
        text += f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items()) + "\n"
    return text


def main(directory: Path, program: Path, licenses: Path, out: Path) -> None:
    """Writes the wheel."""
    project = tomllib.loads((directory / "pyproject.toml").read_text())["project"]
    known = {"name", "version", "description", "readme", "requires-python", "license", "dependencies"}
    unknown = set(project) - known - {"optional-dependencies", "entry-points"}
    if unknown:
        sys.exit(f"wheel.py does not know these members of [project]: {', '.join(sorted(unknown))}")
    stem = f"{project['name'].replace('-', '_')}-{project['version']}"
    info = f"{stem}.dist-info"

    files: dict[str, tuple[bytes, int]] = {}
    source = directory / "src"
    for path in sorted(source.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            files[str(path.relative_to(source))] = (path.read_bytes(), 0o644)
    files[f"{stem}.data/scripts/chiffon-audit"] = (program.read_bytes(), 0o755)
    license_files = sorted(licenses.glob("LICENSE*"))
    for path in license_files:
        files[f"{info}/licenses/{path.name}"] = (path.read_bytes(), 0o644)
    names = [path.name for path in license_files]
    text = metadata(project, (directory / project["readme"]).read_text(), names)
    files[f"{info}/METADATA"] = (text.encode(), 0o644)
    files[f"{info}/entry_points.txt"] = (entry_points(project).encode(), 0o644)
    tags = [f"py3-none-{platform}" for platform in TAG.removeprefix("py3-none-").split(".")]
    wheel = ["Wheel-Version: 1.0", "Generator: chiffon-audit", "Root-Is-Purelib: false", *(f"Tag: {tag}" for tag in tags)]
    files[f"{info}/WHEEL"] = (("\n".join(wheel) + "\n").encode(), 0o644)

    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    for name, (content, _) in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.writerow([name, f"sha256={digest}", len(content)])
    rows.writerow([f"{info}/RECORD", "", ""])
    files[f"{info}/RECORD"] = (record.getvalue().encode(), 0o644)

    # ZIP knows no time before 1980.
    when = time.gmtime(max(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), 315532800))[:6]
    path = out / f"{stem}-{TAG}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, (content, mode) in files.items():
            entry = zipfile.ZipInfo(name, when)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100000 | mode) << 16
            entry.create_system = 3
            archive.writestr(entry, content)
    print(path)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
