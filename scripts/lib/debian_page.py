#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What scripts/test/disk wants of Documentation/scenarios/debian.md.

debian_page.py PAGE RELEASE HEADING...         prints the commands below these headings, one a line
debian_page.py PAGE RELEASE --compare REPORT   fails where the page shows something else than what they printed

Commands are the lines of ```console blocks that begin with "$ " or "# ". Below one is what it prints; "[exit N]" is
its exit status, if that is not 0. "…" stands for any text within a line, or alone for any lines. RELEASE is that of
the kernel that is there, and takes the place of the one that the page shows.

REPORT has "# COMMAND", its output and "[exit N]" of each, in the order of the page. There may be others between them.

Serial numbers, digests, times, and sizes of modules are not compared, because each build has others.
"""

import re
import sys

RELEASE = re.compile(r"\d+\.\d+\.\d+\+deb13-cloud-amd64-modsig")
VARIES = [
    (re.compile(r"\b(0x)?[0-9a-f]{16,}\b"), "<identifier>"),
    (re.compile(r"^\[ *\d+\.\d+\]"), "<time>"),
    (re.compile(r"\bmodule of \d+ bytes\b"), "module of <number> bytes"),
]


def commands(page):
    """(heading, command, what the page shows below it), in order."""
    found, heading, inside = [], None, False
    for line in page.splitlines():
        if line.startswith("```"):
            inside = line == "```console"
        elif not inside:
            heading = line.removeprefix("## ") if line.startswith("## ") else heading
        elif line[:2] in ("$ ", "# "):
            found.append((heading, line[2:], []))
        else:
            found[-1][2].append(line)
    return found


def plain(lines):
    """The lines without what varies, as one text."""
    text = []
    for line in lines:
        for pattern, name in VARIES:
            line = pattern.sub(name, line)
        text.append(line.rstrip() + "\n")
    return "".join(text)


def same(shown, printed):
    """Whether a command that printed these lines did what the page shows."""
    pattern = re.sub(r"(?m)^…\\\n", r"(?:.*\\n)*?", re.escape(plain(shown))).replace("…", ".*")
    return re.fullmatch(pattern, plain(printed)) is not None


def compare(page, report):
    """The number of commands that did something else, which are printed, and of all."""
    wrong, rest, count = 0, iter(report), 0
    for _, command, shown in page:
        # What follows it is another boot.
        if command == "reboot":
            continue
        count += 1
        if f"# {command}" not in rest:
            sys.exit(f"debian_page: the machine did not run, or not in the page's order: {command}")
        printed = []
        for line in rest:
            if re.fullmatch(r"\[exit \d+\]", line):
                printed += [] if line == "[exit 0]" else [line]
                break
            printed.append(line)
        if not same(shown, printed):
            wrong += 1
            print(f"# {command}\n--- the page shows", *shown, "--- it printed", *printed, sep="\n")
    return wrong, count


def main():
    path, release, *rest = sys.argv[1:]
    with open(path) as file:
        page = commands(RELEASE.sub(release, file.read()))
    if rest[0] != "--compare":
        wanted = [command for heading, command, _ in page if heading in rest]
        if not wanted:
            sys.exit(f"debian_page: {path} has no command below {rest}")
        print(*wanted, sep="\n")
        return False
    with open(rest[1]) as file:
        wrong, count = compare([one for one in page if one[0] != "The package"], file.read().replace("\r", "").splitlines())
    print(f"debian_page: {path}: {count} commands, {wrong} not as shown")
    return bool(wrong)


sys.exit(main())
