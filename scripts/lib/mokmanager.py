# SPDX-License-Identifier: GPL-2.0
# mokmanager.py SOCKET: does at a machine's serial console what a person does there who was asked by "mokutil
# --import" to confirm a key: waits for MokManager, and has it enroll the key.  Every key that is pressed is written
# to standard output.  Ends when the machine is switched off.
#
# It reads all the time, also while it waits before a key: the firmware leaves out what the console does not take at
# once, and the socket holds some hundred bytes.

import socket
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

serial = socket.socket(socket.AF_UNIX)
serial.connect(sys.argv[1])
serial.settimeout(0.1)
said = ""


def listen(seconds=0.0):
    """Adds to `said` what the machine says in so many seconds, and until it pauses."""
    global said
    end = time.monotonic() + seconds
    while True:
        try:
            new = serial.recv(4096)
        except TimeoutError:
            if time.monotonic() >= end:
                return
            continue
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
        serial.sendall(key.encode())
        listen(0.5)
    print(f"{text}: {''.join(keys)!r}", flush=True)
    del left[0]
while True:
    listen()
