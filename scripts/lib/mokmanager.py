# SPDX-License-Identifier: GPL-2.0
# mokmanager.py SOCKET CONSOLE: does at a machine's serial console what a person does there who was asked by
# "mokutil --import" to confirm a key: waits for MokManager in what the machine has said so far (CONSOLE), and has it
# enroll the key.  Every key that is pressed is written to standard output.  Ends when the machine is switched off.

import socket
import sys
import time

DOWN, ENTER = "\x1b[B", "\r"
# What the console shows, and what is then pressed.
DIALOGUE = [
    ("Press any key to perform MOK management", ENTER),
    ("Enroll MOK", DOWN + ENTER),
    ("View key 0", DOWN + ENTER),
    ("Enroll the key(s)?", DOWN + ENTER),
    ("Password:", "password" + ENTER),
    ("Reboot", ENTER),
]

console = open(sys.argv[2], encoding="ascii", errors="replace")
serial = socket.socket(socket.AF_UNIX)
serial.connect(sys.argv[1])
serial.settimeout(0.2)
said = ""
for text, keys in DIALOGUE:
    while text not in said:
        try:
            # The console's file has it as well.
            if not serial.recv(4096):
                sys.exit(f"mokmanager: the machine did not say {text!r}")
        except TimeoutError:
            pass
        said += console.read()
    said = said[said.index(text) + len(text):]
    # It takes keys when its picture is complete.
    time.sleep(1)
    said += console.read()
    for key in [DOWN] * keys.count(DOWN) + list(keys.replace(DOWN, "")):
        serial.sendall(key.encode())
        time.sleep(0.5)
    print(f"{text}: {keys!r}", flush=True)
while True:
    try:
        if not serial.recv(4096):
            break
    except TimeoutError:
        pass
