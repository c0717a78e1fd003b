#!/usr/bin/env python3
"""Prints what is compiled into the program as a CycloneDX 1.5 document: sbom.py TARGET

The packages come from `cargo metadata`, their digests from Cargo.lock. The same commit gives the same bytes.
"""

import json
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PROGRAM = "chiffon-audit-cli"


def reachable(metadata: dict, root: str) -> dict[str, list[str]]:
    """The packages that are compiled for the program, each with those that it needs. Tests' needs are not among them."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found: dict[str, list[str]] = {}
    waiting = [root]
    while waiting:
        package = waiting.pop()
        if package in found:
            continue
        needed = [d["pkg"] for d in nodes[package]["deps"] if any(kind["kind"] != "dev" for kind in d["dep_kinds"])]
        found[package] = sorted(set(needed))
        waiting += needed
    return found


def main(target: str) -> None:
    """Prints the document."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target]
    metadata = json.loads(subprocess.run(command, cwd=TOP, check=True, stdout=subprocess.PIPE).stdout)
    lock = tomllib.loads((TOP / "Cargo.lock").read_text())
    digests = {(p["name"], p["version"]): p.get("checksum") for p in lock["package"]}
    packages = {package["id"]: package for package in metadata["packages"]}
    root = next(p["id"] for p in metadata["packages"] if p["name"] == PROGRAM)
    needs = reachable(metadata, root)

    def reference(package: str) -> str:
        return f"pkg:cargo/{packages[package]['name']}@{packages[package]['version']}"

    def component(package: str) -> dict:
        known = packages[package]
        made = {
            "type": "application" if package == root else "library",
            "bom-ref": reference(package),
            "name": known["name"],
            "version": known["version"],
            "purl": reference(package),
        }
        if known["license"]:
            made["licenses"] = [{"expression": known["license"].replace("/", " OR ")}]
        digest = digests.get((known["name"], known["version"]))
        if digest:
            made["hashes"] = [{"alg": "SHA-256", "content": digest}]
        return made

    ordered = sorted(needs, key=reference)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, (TOP / 'Cargo.lock').read_text() + target)}",
        "version": 1,
        "metadata": {"component": component(root), "properties": [{"name": "target", "value": target}]},
        "components": [component(package) for package in ordered if package != root],
        "dependencies": [{"ref": reference(p), "dependsOn": sorted(map(reference, needs[p]))} for p in ordered],
    }
    json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
