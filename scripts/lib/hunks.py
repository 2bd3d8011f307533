# SPDX-License-Identifier: GPL-2.0
# hunks.py TREE PATCH...: whether each hunk has one place in its file.  A hunk names a line or two, and git apply
# takes the place that is nearest: so there must be no other.
import pathlib
import re
import sys

tree, patches = pathlib.Path(sys.argv[1]), sys.argv[2:]
wrong = []


def place(path, old):
    """Says what is wrong with the place that these lines have in a file, if anything is."""
    try:
        text = "\n" + (tree / path).read_text()
    except FileNotFoundError:
        return f"{path}: not there"
    lines = "".join("\n" + line for line in old) + "\n"
    count, at = 0, text.find(lines)
    while at >= 0:
        count, at = count + 1, text.find(lines, at + 1)
    if count != 1:
        shown = next(line for line in old if line.strip())
        return f"{path}: {count or 'no'} places where {shown.strip()!r} stands as modsig knows it"
    return None


for patch in patches:
    path, old = None, None
    for line in pathlib.Path(patch).read_text().splitlines() + ["@@"]:
        if line.startswith(("@@", "diff --git ")):
            if old and (found := place(path, old)):
                wrong.append(found)
            old = [] if line.startswith("@@") else None
        elif line.startswith("--- a/") and old is None:
            path = re.sub(r"^--- a/", "", line)
        elif old is not None and line[:1] in (" ", "-"):
            old.append(line[1:])
if wrong:
    sys.exit("\n".join(wrong))
