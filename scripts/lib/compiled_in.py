#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""compiled_in.py METADATA CRATES: prints the crates that are compiled into the programs, each with its licence,
and then the texts of those licences, each once.

METADATA is what "cargo metadata" prints. CRATES has a line "NAME VERSION" for each crate.
"""

import json
import pathlib
import sys

with open(sys.argv[1]) as file:
    packages = {f"{package['name']} {package['version']}": package for package in json.load(file)["packages"]}
texts = {}
with open(sys.argv[2]) as file:
    crates = file.read().splitlines()
for crate in crates:
    package = packages[crate]
    # Those of this project.
    if package["source"] is None:
        continue
    print(f"{crate}: {package['license']}")
    folder = pathlib.Path(package["manifest_path"]).parent
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name.upper().startswith(("LICEN", "COPYING", "NOTICE", "COPYRIGHT")):
            text = path.read_text(errors="replace")
            texts.setdefault(text, []).append(f"{crate}: {path.relative_to(folder)}")
for text, of in texts.items():
    print("\n" + "=" * 72, *of, "", text.strip(), sep="\n")
