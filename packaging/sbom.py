#!/usr/bin/env python3
"""What a program is made of, as CycloneDX 1.5 JSON: crates with versions, licences, sums and who needs whom.

Taken from Cargo.lock by `cargo metadata --locked`, for the platform we build for; what only tests use is not in it.
The same tree gives the same text: the time is SOURCE_DATE_EPOCH.

    sbom.py CRATE        prints to standard output
"""

import json
import os
import subprocess
import sys
import tomllib
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLATFORM = "x86_64-unknown-linux-gnu"


def metadata():
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", PLATFORM]
    told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return json.loads(told.stdout)


def needed(nodes, start):
    """The crates that `start` is built from, itself included, each with those it needs itself."""
    found, todo = {}, [start]
    while todo:
        crate = todo.pop()
        if crate in found:
            continue
        found[crate] = [
            dependency["pkg"]
            for dependency in nodes[crate]["deps"]
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])
        ]
        todo += found[crate]
    return found


def component(package, sums):
    name, version = package["name"], package["version"]
    described = {
        "type": "library",
        "bom-ref": f"{name}@{version}",
        "name": name,
        "version": version,
        # Written with a slash by old crates; SPDX says OR.
        "licenses": [{"expression": (package["license"] or "NOASSERTION").replace("/", " OR ")}],
    }
    if package["source"]:
        described["purl"] = f"pkg:cargo/{name}@{version}"
    if checksum := sums.get((name, version)):
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return described


def main(crate):
    told = metadata()
    packages = {package["id"]: package for package in told["packages"]}
    start = next((id_ for id_, package in packages.items() if package["name"] == crate), None)
    if start is None:
        sys.exit(f"sbom: there is no crate {crate} in Cargo.lock")
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    sums = {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}
    crates = needed({node["id"]: node for node in told["resolve"]["nodes"]}, start)
    ref = {id_: f"{packages[id_]['name']}@{packages[id_]['version']}" for id_ in crates}
    components = sorted((component(packages[id_], sums) for id_ in crates if id_ != start), key=lambda c: c["bom-ref"])
    dependencies = [{"ref": ref[id_], "dependsOn": sorted({ref[below] for below in needs})} for id_, needs in crates.items()]
    made_at = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc)
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": made_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": component(packages[start], sums) | {"type": "application"},
        },
        "components": components,
        "dependencies": sorted(dependencies, key=lambda d: d["ref"]),
    }
    json.dump(bom, sys.stdout, indent=1, ensure_ascii=False)
    print()


if len(sys.argv) != 2:
    sys.exit(__doc__)
main(sys.argv[1])
