# SPDX-License-Identifier: GPL-2.0
# sum.py STEPS.JSONL RUN: prints a table of the steps of one run of "make test".
import json
import sys
from datetime import datetime

steps = [json.loads(line) for line in open(sys.argv[1])]
steps = [step for step in steps if step["run"] == sys.argv[2]]
print("\n seconds  step")
for step in steps:
    said = {"passed": "", "unchanged": "left: its inputs have not changed since it passed",
            "left": "left: it cannot be run here", "failed": "FAILED"}[step["outcome"]]
    print(f"{step['seconds']:8.1f}  {step['step']:34} {said}".rstrip())
count = {name: sum(step["outcome"] == name for step in steps) for name in ("passed", "unchanged", "left", "failed")}
print(f"{sum(step['seconds'] for step in steps):8.1f}  in all steps, some of them at the same time")
began = sys.argv[2].rsplit("-", 1)[0]
clock = datetime.strptime(steps[-1]["when"], "%Y-%m-%dT%H:%M:%SZ") - datetime.strptime(began, "%Y-%m-%dT%H:%M:%SZ")
print(f"{clock.total_seconds():8.1f}  by the clock\n")
print(f"{count['passed']} ran and passed, {count['unchanged']} were left as they passed before, "
      f"{count['left']} cannot be run here, {count['failed']} failed")
print(f"steps: {count['passed'] + count['unchanged']} passed, {count['failed']} failed, {count['left']} skipped")
