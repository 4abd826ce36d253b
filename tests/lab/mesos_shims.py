#!/usr/bin/env python3
"""Builds stand-ins for the shared libraries that the Mesos library names and Debian no longer has.

    mesos_shims.py LIBRARY FOLDER

The loader insists that every library named exists and defines the symbol versions asked of it, even
where nothing is ever called. Mesos touches OpenSSL and curl only with TLS on or a fetch over HTTP, which
the lab does neither of, so each stand-in defines every wanted symbol, in its wanted version, as a function
that returns zero.
"""

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

# Only these are replaced; everything else Mesos needs is a Debian package.
ABSENT = ("libcrypto.so.1.0.0", "libssl.so.1.0.0", "libcurl.so.4")

# These are called, and Debian has the next version of them, which answers to the same names.
RENAMED = {
    "libevent-2.0.so.5": "libevent-2.1.so.7",
    "libevent_openssl-2.0.so.5": "libevent_openssl-2.1.so.7",
    "libevent_pthreads-2.0.so.5": "libevent_pthreads-2.1.so.7",
}


def readelf(option, library):
    command = ["readelf", "--wide", option, library]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def versions_by_library(library):
    """Which symbol versions the Mesos library wants from which file: {file: [version]}."""
    wanted = defaultdict(list)
    file = None
    for line in readelf("--version-info", library).splitlines():
        if match := re.search(r"\bFile: (\S+)", line):
            file = match.group(1)
        elif (match := re.search(r"\bName: (\S+)\s+Flags:", line)) and file:
            wanted[file].append(match.group(1))
    return wanted


def undefined_symbols(library):
    """The names left to other libraries, by version: {version: {name}}."""
    names = defaultdict(set)
    for line in readelf("--dyn-syms", library).splitlines():
        if match := re.search(r"\bUND ([^\s@]+)@+(\S+)", line):
            names[match.group(2)].add(match.group(1))
    return names


def needed_libraries(library):
    return re.findall(r"\(NEEDED\).*\[(\S+)\]", readelf("--dynamic", library))


def path_of(name):
    """Where the loader finds a library of this name."""
    listed = subprocess.run(["/sbin/ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    if match := re.search(rf"^\s*{re.escape(name)} \(.*x86-64.*=> (\S+)$", listed, re.MULTILINE):
        return match.group(1)
    sys.exit(f"mesos_shims.py: find {name}: the loader knows none; install its Debian package")


def build(name, versions, names, folder):
    code, script = [], []
    for version in versions:
        # A version without a symbol still has to exist.
        symbols = sorted(names.get(version, ())) or ["unused_" + re.sub(r"\W", "_", version)]
        code += [f"long {symbol}(void) {{ return 0; }}" for symbol in symbols]
        script.append(f"{version} {{ global: {'; '.join(symbols)}; }};")
    source, map_file, target = folder / f"{name}.c", folder / f"{name}.map", folder / name
    source.write_text("\n".join(code) + "\n")
    map_file.write_text("\n".join(script) + "\n")
    # -fno-builtin: some names are also known to the compiler, with another signature.
    subprocess.run(
        ["gcc", "-w", "-fno-builtin", "-shared", "-fPIC", "-o", target, source]
        + [f"-Wl,-soname,{name}", f"-Wl,--version-script={map_file}"],
        check=True,
    )


def main(library, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wanted, names = versions_by_library(library), undefined_symbols(library)
    for name in ABSENT:
        if name in wanted:
            # libssl and libcrypto share version names. Both then define the same symbols, and the
            # loader takes the first: a zero from either is the same zero.
            build(name, wanted[name], names, folder)
    for name in needed_libraries(library):
        if name in RENAMED:
            target = path_of(RENAMED[name])
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(target)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: mesos_shims.py LIBRARY FOLDER")
    main(*sys.argv[1:])
