# SPDX-License-Identifier: GPL-2.0
# stack.py OBJECT ENTRY FRAME DEPTH LEAF: how much stack a kernel object takes, on x86_64 or arm64.  Reads what
# llvm-objdump -dr prints of OBJECT on standard input.  No function may have a frame of more than FRAME
# bytes (return address and saved registers included), and none that is called from ENTRY may be entered
# outside of OBJECT with more than DEPTH bytes in use.  All calls are direct, or it is an error.
import re
import sys

name, entry = sys.argv[1:3]
frame_limit, depth_limit, leaf_limit = map(int, sys.argv[3:])
function = re.compile(r"^[0-9a-f]+ <(.+)>:$")
operand = re.compile(r"<([^>+]+)(\+0x[0-9a-f]+)?>")
relocation = re.compile(r"^\s+[0-9a-f]+:\s+R_(?:X86_64_PLT32|X86_64_PC32|AARCH64_CALL26|AARCH64_JUMP26)\s+(\S+?)(?:[-+]0x[0-9a-f]+)?$")
# What an instruction adds to the frame.
saves = [
    (re.compile(r"^\s*pushq?\s"), lambda found: 8),
    (re.compile(r"^\s*subq\s+\$(0x[0-9a-f]+|\d+), %rsp"), lambda found: int(found[1], 0)),
    (re.compile(r"^\s*sub\s+sp, sp, #(0x[0-9a-f]+|\d+)(?:, lsl #(\d+))?"), lambda found: int(found[1], 0) << int(found[2] or 0)),
    (re.compile(r"^\s*st[rp]\s.*\[sp, #-(0x[0-9a-f]+|\d+)\]!"), lambda found: int(found[1], 0)),
]
call = re.compile(r"^\s*(?:callq?|jmpq?|bl|b)\s")
indirect = re.compile(r"^\s*(?:callq?\s+\*|blr\s)")
jump_table = re.compile(r"^\s*(?:jmpq?\s+\*|br\s)")

frames, calls, current, pending = {}, {}, None, False
# A call puts the return address there; on arm64 it is among the saved registers.
pushed = 0
for line in sys.stdin:
    if "file format elf64-x86-64" in line:
        pushed = 8
    if found := function.match(line):
        current, pending = found[1], False
        frames[current], calls[current] = pushed, set()
        continue
    if found := relocation.match(line):
        if pending and current:
            calls[current].discard(pending)
            calls[current].add(found[1])
        pending = False
        continue
    instruction = line.partition(":")[2]
    if current is None or not instruction.strip():
        continue
    pending = False
    for pattern, size in saves:
        if found := pattern.match(instruction):
            frames[current] += size(found)
    if jump_table.match(instruction):
        continue
    if indirect.match(instruction):
        sys.exit(f"{name}: {current} calls what is not known here: {instruction.strip()}")
    if call.match(instruction):
        found = operand.search(instruction)
        # A jump inside the function is none that counts.
        if found and (found[1] != current or not found[2]):
            calls[current].add(found[1])
            pending = found[1]
        else:
            pending = "?"
if entry not in frames:
    sys.exit(f"{name}: there is no {entry} in it")

leaf = re.compile(r"(mem(cpy|move|set|cmp)|bcmp|_R\w*4core5slice\w*)$")
external = {}


def short(symbol):
    """The last part of what Rust made this symbol of."""
    return (re.findall(r"\d([a-z][a-z_0-9]*)", symbol) or [symbol])[-1]


def walk(at, used, way):
    if at in way:
        sys.exit(f"{name}: {at} calls itself")
    used += frames[at]
    for callee in sorted(calls[at] - {at, "?"}):
        if callee in frames:
            walk(callee, used, way + [at])
        elif used > external.get(callee, (0,))[0]:
            external[callee] = (used, way + [at])


walk(entry, 0, [])
if not external:
    sys.exit(f"{name}: {entry} calls nothing outside")
wrong = [f"{at} has a frame of {size} bytes, more than {frame_limit}" for at, size in frames.items() if size > frame_limit]
for callee, (used, way) in external.items():
    limit = leaf_limit if leaf.match(callee) else depth_limit
    if used > limit:
        chain = " > ".join(f"{short(one)} ({frames[one]})" for one in way)
        wrong.append(f"{callee} is entered with {used} bytes in use, more than {limit}: {chain}")
if wrong:
    sys.exit("\n".join(f"{name}: {line}" for line in wrong))
largest = max(frames, key=frames.get)
deepest = max((callee for callee in external if not leaf.match(callee)), key=lambda callee: external[callee][0])
print(f"largest frame {frames[largest]} ({short(largest)}), deepest {external[deepest][0]} when {deepest} is entered")
