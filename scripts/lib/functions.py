# SPDX-License-Identifier: GPL-2.0
# functions.py [--list] TABLE TREE: whether a kernel tree's C verifier is one that modsig stands for.  TABLE is
# rust/patches/functions.  Prints what these functions do where trees differ, as variables of Kconfig; or, for
# each function that is not known, what to look at.  With --list it prints the lines of the table that the
# tree's functions make, for somebody who has looked, and that of the table "trees" beside it.
import hashlib
import pathlib
import re
import sys

listing = sys.argv[1] == "--list"
table, tree = map(pathlib.Path, sys.argv[-2:])


def normalised(text):
    """Without comments, and one space for any white space: what is left of C, or of a grammar, decides."""
    text = re.sub(r'("(?:\\.|[^"\\])*")|/\*.*?\*/|//[^\n]*', lambda found: found[1] or " ", text, flags=re.S)
    text = re.sub(r"^\s*--.*$", " ", text, flags=re.M)
    return re.sub(r"\s+", " ", text).strip()


def end(text, at):
    """Where the bracket at this place is closed."""
    pairs, depth = {"(": ")", "{": "}"}, []
    for found in re.finditer(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])+\'|[(){}]', text[at:]):
        if found[0] in pairs:
            depth.append(pairs[found[0]])
        elif depth and found[0] == depth[-1]:
            depth.pop()
            if not depth:
                return at + found.end()
    return len(text)


def definition(text, name):
    """The text of a function, of a struct, or of all if the name is *; None if it is not there."""
    if name == "*":
        return text
    start = re.compile(rf"\bstruct {name[7:]} (?={{)" if name.startswith("struct-") else rf"\b{name} ?(?=\()")
    for found in start.finditer(text):
        if name.startswith("struct-"):
            return text[found.start():end(text, found.end())]
        body = end(text, found.end())
        opened = re.compile(r" ?(?:-> \w+ )?{").match(text, body)
        if opened:
            return text[found.start():end(text, opened.end() - 1)]
    return None


rows = [line.split() for line in table.read_text().splitlines() if line.strip() and not line.startswith("#")]
texts, known = {}, {}
for path, name, mirror, *rest in rows:
    known.setdefault((path, name, mirror), {})[rest[0]] = rest[1:]
facts, unknown, numbers = set(), [], []
for (path, name, mirror), hashes in known.items():
    if path not in texts:
        try:
            texts[path] = normalised((tree / path).read_text())
        except FileNotFoundError:
            texts[path] = ""
    found = definition(texts[path], name)
    number = hashlib.sha256(found.encode()).hexdigest()[:16] if found else "absent"
    if "any" not in hashes:
        numbers.append(number)
    if listing:
        print(path, name, mirror, number, *hashes.get(number, []))
    elif number in hashes:
        facts.update(hashes[number])
    elif "any" in hashes and found:
        facts.update(hashes["any"])
    else:
        unknown.append(f"{path}: {name}, for which {mirror} stands, is none that modsig knows ({number})")
if unknown:
    sys.exit("\n".join(unknown))
makefile = (tree / "Makefile").read_text()
version = [re.search(rf"^{part} *=[ \t]*(.*)$", makefile, re.M)[1]
           for part in ("VERSION", "PATCHLEVEL", "SUBLEVEL", "EXTRAVERSION")]
version = ".".join(version[:3]) + version[3]
whole = hashlib.sha256(" ".join(numbers).encode()).hexdigest()[:16]
if listing:
    print(whole, version)
else:
    trees = dict(line.split(maxsplit=1) for line in (table.parent / "trees").read_text().splitlines()
                 if line.strip() and not line.startswith("#"))
    known_as = f"that of {trees[whole]}" if whole in trees else "made of what several known ones have"
    print("# Made by scripts/integrate from rust/patches/functions.")
    print(f"# Linux {version}: all {len(numbers)} functions of its C verifier are known; it is {known_as}")
    for fact in sorted({fact for hashes in known.values() for facts in hashes.values() for fact in facts}):
        print(f"modsig-{fact} := {'y' if fact in facts else 'n'}")
