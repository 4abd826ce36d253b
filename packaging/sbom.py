#!/usr/bin/env python3
"""What a program is made of: crates with versions, licences, sums and who needs whom, as CycloneDX 1.5 JSON; or the
licences' texts, which have to come along.

Taken from Cargo.lock by `cargo metadata --locked`, for the platform we build for; what only tests use is not in it.
The same tree gives the same text: the time is SOURCE_DATE_EPOCH.

    sbom.py CRATE               prints the list
    sbom.py --licences CRATE    prints the texts, each once, under the crates that carry it
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLATFORM = "x86_64-unknown-linux-gnu"
# What a crate calls the texts of its licences.
TEXT = re.compile(r"(?i)(licen[cs]e|copying|copyright|notice|unlicense)")


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


def built_from(crate):
    """The program's package, and those it is built from with what each needs."""
    told = metadata()
    packages = {package["id"]: package for package in told["packages"]}
    start = next((id_ for id_, package in packages.items() if package["name"] == crate), None)
    if start is None:
        sys.exit(f"sbom: there is no crate {crate} in Cargo.lock")
    return packages, start, needed({node["id"]: node for node in told["resolve"]["nodes"]}, start)


def print_list(crate):
    packages, start, crates = built_from(crate)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    sums = {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}
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


def print_licences(crate):
    packages, _, crates = built_from(crate)
    carriers, without = {}, []
    for package in sorted((packages[id_] for id_ in crates), key=lambda p: (p["name"], p["version"])):
        if not package["source"]:
            continue
        named = f"{package['name']} {package['version']} ({package['license']})"
        folder = Path(package["manifest_path"]).parent
        texts = [file.read_text(errors="replace") for file in sorted(folder.iterdir()) if file.is_file() and TEXT.match(file.name)]
        for text in texts:
            carriers.setdefault("\n".join(line.rstrip() for line in text.splitlines()).strip(), []).append(named)
        if not texts:
            without.append(named)
    for text, names in carriers.items():
        print("=" * 80, *dict.fromkeys(names), "-" * 80, text, sep="\n")
    print("=" * 80, "These carry no text of their own:", *without, sep="\n")


match sys.argv[1:]:
    case ["--licences", crate]:
        print_licences(crate)
    case [crate]:
        print_list(crate)
    case _:
        sys.exit(__doc__)
