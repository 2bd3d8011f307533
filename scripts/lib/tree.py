# SPDX-License-Identifier: GPL-2.0
# tree.py OBJECTS STRIP: whether root and proofs of a build are those of the tree that
# Documentation/hashes.md defines.  Made slowly and straight from the definition, without any code of
# modsig's, which it is to judge.
import hashlib
import pathlib
import struct
import subprocess
import sys
import tempfile

objects, strip = pathlib.Path(sys.argv[1]), sys.argv[2]
MAGIC = b"~Module signature appended~\n"


def split(module):
    assert module.endswith(MAGIC), "no trailer"
    at = len(module) - len(MAGIC) - 12
    kind, length = module[at + 2], struct.unpack(">I", module[at + 8:at + 12])[0]
    assert kind == 3, f"id_type {kind}"
    return module[:at - length], module[at - length:at]


def stripped(content):
    with tempfile.NamedTemporaryFile(suffix=".ko") as file:
        file.write(content)
        file.flush()
        subprocess.run([strip, "--strip-debug", file.name], check=True)
        return pathlib.Path(file.name).read_bytes()


paths = [objects / line.removesuffix(".o").__add__(".ko") for line in (objects / "modules.order").read_text().split()]
contents, proofs = zip(*(split(path.read_bytes()) for path in paths))
leaves = [leaf for content in contents for leaf in (content, stripped(content))]
level = [hashlib.sha256(b"\1" + struct.pack(">I", at) + leaf).digest() for at, leaf in enumerate(leaves)]
levels = [level]
while len(levels[-1]) > 1:
    level = levels[-1] + levels[-1][-1:] * (len(levels[-1]) % 2)
    levels.append([hashlib.sha256(b"\2" + level[i] + level[i + 1]).digest() for i in range(0, len(level), 2)])

vmlinux = (objects / "vmlinux").read_bytes()
mark = vmlinux.index(b"modsig: hashes 1")
assert vmlinux[mark - 40:mark - 4] == struct.pack("<I", len(levels) - 1) + levels[-1][0], "the root is another one"
for number, (path, proof) in enumerate(zip(paths, proofs)):
    own = 2 * number
    expected = struct.pack(">I", own)
    for level in levels[:-1]:
        sibling = own ^ 1
        expected += level[sibling if sibling < len(level) else own]
        own >>= 1
    assert proof == expected, f"{path}: the proof is another one"
print(f"{len(paths)} modules, {len(levels) - 1} levels")
