# SPDX-License-Identifier: GPL-2.0
# mokmanager.py PIPE: does at a machine's serial console (QEMU's chardev pipe: PIPE.out and PIPE.in) what a person
# does there who was asked by "mokutil --import" to confirm a key: waits for MokManager, and has it enroll the key.
# Every key that is pressed is written to standard output.  Ends when the machine is switched off.
#
# It reads all the time, also while it waits before a key: the firmware leaves out what the console does not take at
# once.  A pipe holds 64 KiB; a socket holds some hundred bytes, since each of them comes by itself.

import os
import select
import sys
import time

DOWN, ENTER = "\x1b[B", "\r"
# What the console shows, and what is then pressed.
DIALOGUE = [
    ("Press any key to perform MOK management", [ENTER]),
    ("Enroll MOK", [DOWN, ENTER]),
    ("View key 0", [DOWN, ENTER]),
    ("Enroll the key(s)?", [DOWN, ENTER]),
    ("Password:", [*"password", ENTER]),
    ("Reboot", [ENTER]),
]

# Each waits until QEMU has opened the other end.
output = os.open(sys.argv[1] + ".out", os.O_RDONLY)
keyboard = os.open(sys.argv[1] + ".in", os.O_WRONLY)
said = ""


def listen(seconds=0.0):
    """Adds to `said` what the machine says in so many seconds, and until it pauses."""
    global said
    end = time.monotonic() + seconds
    while True:
        if not select.select([output], [], [], 0.1)[0]:
            if time.monotonic() >= end:
                return
            continue
        new = os.read(output, 1 << 16)
        if not new:
            sys.exit(0 if not left else f"mokmanager: the machine did not say {left[0][0]!r}")
        said += new.decode("ascii", "replace")


left = DIALOGUE[:]
while left:
    text, keys = left[0]
    while text not in said:
        listen()
    said = said[said.index(text) + len(text) :]
    # It takes keys when its picture is complete.
    listen(1)
    for key in keys:
        os.write(keyboard, key.encode())
        listen(0.5)
    print(f"{text}: {''.join(keys)!r}", flush=True)
    del left[0]
while True:
    listen()
