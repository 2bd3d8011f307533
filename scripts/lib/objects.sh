# SPDX-License-Identifier: GPL-2.0
# Sourced after lib.sh by the checks of the verifier's object.

# names_panic OBJECT: whether it names a panic of core, or what leads to one; prints which.
names_panic() {
	"$llvm/llvm-nm" --undefined-only --demangle "$1" |
		grep -iE 'panic|unwrap_failed|expect_failed|slice_.*_fail|index_fail'
}

# stack OBJECT ENTRY FRAME DEPTH LEAF: see lib/stack.py
stack() {
	"$llvm/llvm-objdump" -dr --no-show-raw-insn "$1" | python3 "$top/scripts/lib/stack.py" "$@"
}
