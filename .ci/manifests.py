"""Renders the Helm chart with Helm's own engine, and checks it and the plain manifests against Kubernetes' schemas:
manifests.py CHART DIRECTORY"""

import sys
from pathlib import Path

import helm_python as helm
import kubernetes_validate
import yaml

# The defaults, everything that can be set, and as little as possible.
VALUES = [
    {},
    {
        "image": {"repository": "registry.example/chiffon-audit", "tag": "1.2.3"},
        "storeSecret": "database",
        "config": '[serve]\nallowed_hosts = ["audit.example"]\n',
        "storage": {"size": "1Gi", "className": "fast"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "audit", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "drain": 1,
    },
    {"clients": {"chiffon-audit-client": None}, "resources": {}},
]

# What the chart's schema must refuse.
WRONG = [{"drain": -1}, {"frobnicate": 1}, {"tokensSecret": ""}]

# The oldest version of Kubernetes that the manifests are meant for.
VERSION = "1.30"


def check(text: str, where: str) -> None:
    """Checks every document of a file."""
    for document in yaml.safe_load_all(text):
        if document and document["kind"] != "Kustomization":
            kubernetes_validate.validate(document, VERSION, strict=True)
            print(f"{where}: {document['kind']} {document['metadata']['name']}")


def main(path: str, directory: Path) -> None:
    """Fails at the first manifest that is wrong."""
    with helm.Chart.load(path) as chart:
        for number, values in enumerate(VALUES):
            chart.validate_schema(values)
            rendered = chart.render(values, name="audit", namespace="prod")
            for name, text in sorted(rendered.items()):
                check(text, f"{name}, values {number}")
        for values in WRONG:
            try:
                chart.validate_schema(values)
            except helm.HelmError:
                continue
            sys.exit(f"the chart takes {values}")
    for file in sorted(directory.glob("*.yaml")):
        check(file.read_text(encoding="utf-8"), str(file))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
