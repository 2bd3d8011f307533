# SPDX-License-Identifier: GPL-2.0
"""
series.py PATCH PATCHES...: writes files as they are in one patch of the series.  PATCHES are the names of all
patches, in their order, PATCH is one of them.  Standard input has a line for each file: where it comes from, and
where it goes.

The file says in comments of its own, each a line, what of it is where:

	series: cut          up to the end: not in the series
	series: from PATCH   up to the end: in the series from that patch on
	series: before PATCH up to the end: in the series before that patch
	series: end          the end of the last one that was opened
	series: put TEXT     TEXT, in the series only
"""

import os
import re
import shutil
import sys


def cut(name, text, patch, patches):
    now = patches.index(patch)
    kept, depth = [], []
    for number, line in enumerate(text.split("\n"), 1):
        found = re.fullmatch(r"(\s*)(?://|#) series: (\w+) ?(.*)", line)
        if not found:
            if all(depth):
                kept.append(line)
            continue
        indent, word, rest = found.groups()
        if word == "cut" and not rest:
            depth.append(False)
        elif word == "from" and rest in patches:
            depth.append(patches.index(rest) <= now)
        elif word == "before" and rest in patches:
            depth.append(patches.index(rest) > now)
        elif word == "end" and not rest and depth:
            depth.pop()
        elif word == "put" and rest:
            if all(depth):
                kept.append(indent + rest)
        else:
            sys.exit(f"{name}:{number}: no such mark, or nothing to end: {line.strip()}")
    if depth:
        sys.exit(f"{name}: a mark is not ended")
    # What was between two blank lines leaves one, and none at the end.
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).rstrip("\n") + "\n"


if __name__ == "__main__":
    patch, *patches = sys.argv[1:]
    for line in sys.stdin:
        source, path = line.split()
        with open(source, encoding="utf-8") as file:
            text = cut(source, file.read(), patch, patches)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        shutil.copymode(source, path)
