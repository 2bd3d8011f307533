#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""transcript.py PAGE COMMAND...: runs the commands of a page, and fails where they do not print what it shows.

The commands are the lines that begin with "$ " in the page's ```console blocks. They are run one after the other
by one shell, which "COMMAND... -c SCRIPT" starts. Below a command is what it prints; "[exit N]" is its exit status,
if that is not 0. "…" stands for any text within a line.

What differs between kernels is not compared: releases, how modules are packed, identifiers, and how many thousand
modules there are.
"""

import re
import subprocess
import sys

MARK = "=== end of"
VARIES = [
    (re.compile(r"\b[0-9a-f]{16,}\b"), "<identifier>"),
    (re.compile(r"\b\d+\.\d+\.\d+[-+.\w]*-(amd64|arm64)\b"), "<release>"),
    (re.compile(r"\.ko\.xz\b"), ".ko"),
    (re.compile(r"\b\d{4,} good\b"), "<thousands> good"),
]


def commands(page):
    """Each command with the lines that the page shows below it."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found:
                found[-1][1].append(line)
            else:
                sys.exit(f"transcript: output of no command: {line}")
    return found


def plain(line):
    """The line without what varies."""
    for pattern, name in VARIES:
        line = pattern.sub(name, line)
    return line.rstrip()


def same(shown, printed):
    """Whether a command that printed these lines did what the page shows."""
    if len(shown) != len(printed):
        return False
    pairs = zip(map(plain, shown), map(plain, printed))
    return all(re.fullmatch(".*".join(map(re.escape, one.split("…"))), other) for one, other in pairs)


def main():
    path, *shell = sys.argv[1:]
    with open(path) as file:
        page = commands(file.read())
    if not page:
        sys.exit(f"transcript: {path} shows no command")
    script = "".join(f"{command}\nprintf '\\n{MARK} {at}: %s\\n' $?\n" for at, (command, _) in enumerate(page))
    run = subprocess.run([*shell, "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    rest, wrong = run.stdout.decode(errors="replace"), 0
    for at, (command, shown) in enumerate(page):
        output, found, rest = rest.partition(f"\n{MARK} {at}: ")
        status, _, rest = rest.partition("\n")
        printed = output.rstrip("\n").splitlines()
        if status != "0":
            printed.append(f"[exit {status}]" if found else "[the shell ended]")
        if not same(shown, printed):
            wrong += 1
            print(f"$ {command}\n--- {path} shows", *shown, "--- it printed", *printed, sep="\n")
    print(f"transcript: {path}: {len(page)} commands, {wrong} not as shown")
    return bool(wrong)


sys.exit(main())
