# SPDX-License-Identifier: GPL-2.0
# Sourced after lib.sh by the scripts in test: how they say what passed and what did not.  What the
# program under test printed is in $work/log.

passed=0
test=${0##*/}
# What is tried, for the messages: a kernel series, say.
trying=

ok() {
	passed=$((passed + 1))
	echo "$test: ${trying:+$trying: }$*: ok"
}

fail() {
	if [ -s "$work/log" ]; then
		echo "--- the last command said:" >&2
		tail -n 30 "$work/log" >&2
	fi
	die "FAIL: ${trying:+$trying: }$*"
}

# says PATTERN, silent PATTERN: what the last command printed.
says() { grep -q -e "$1" "$work/log" || fail "it did not say '$1'"; }
silent() { ! grep -e "$1" "$work/log" || fail "it said '$1'"; }

# finish: the closing line.
finish() { echo "$test: $passed passed, 0 failed"; }

# needs_root WHY, needs_x86_64: for what cannot be tried otherwise.
needs_root() {
	[ "$(id -u)" = 0 ] || { echo "$test: left: needs root, $1"; exit 77; }
}
needs_x86_64() {
	[ "$(uname -m)" = x86_64 ] || die "it builds with the programs of an x86_64 kernel tree: run it on such a machine"
}
