#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What the module loader makes of a module that is validly signed, of one that
# was altered after it was signed, and of one that is not signed: the same,
# whichever verifier was configured.
#
# Usage: signature.sh [MODULE], a signed module of the running kernel that
# needs no other one; test_module (CONFIG_TEST_LKM) if it is not said.

ksft_pass=0
ksft_fail=1
ksft_skip=4

skip()
{
	echo "SKIP: $1"
	exit $ksft_skip
}

[ "$(id -u)" = 0 ] || skip "must be run as root"
[ "$(cat /proc/sys/kernel/modules_disabled)" = 0 ] || skip "modules are disabled"

module=$1
if [ -z "$module" ]; then
	module=$(modinfo -n test_module 2> /dev/null) ||
		skip "there is no test_module (CONFIG_TEST_LKM=m)"
fi
case $module in
*.ko) ;;
*) skip "$module: not an uncompressed module" ;;
esac
marker="~Module signature appended~"
[ "$(tail -c 28 "$module")" = "$marker" ] || skip "$module: not signed"
name=$(basename "$module" .ko | tr - _)
! grep -q "^$name " /proc/modules || skip "$name is loaded"

enforced=no
for file in /sys/module/module/parameters/sig_enforce; do
	[ ! -r "$file" ] || [ "$(cat "$file")" = N ] || enforced=yes
done
if grep -q '\[\(integrity\|confidentiality\)\]' /sys/kernel/security/lockdown 2> /dev/null; then
	enforced=yes
fi

work=$(mktemp -d) || exit $ksft_fail
trap 'rm -rf "$work"' EXIT
failed=0
count=0

# result DESCRIPTION: says whether what was done before it has succeeded.
result()
{
	status=$?
	count=$((count + 1))
	if [ $status = 0 ]; then
		echo "ok $count $1"
	else
		echo "not ok $count $1"
		failed=1
	fi
}

# loads FILE
loads()
{
	insmod "$1" > "$work/log" 2>&1 || {
		sed 's/^/# /' "$work/log"
		return 1
	}
	rmmod "$name"
}

# taint of the last module that has loaded: E if it has no good signature.
is_tainted_by()
{
	insmod "$1" 2> /dev/null || return 1
	tainted=1
	case $(cat "/sys/module/$name/taint") in
	*E*) tainted=0 ;;
	esac
	rmmod "$name"
	return $tainted
}

size=$(wc -c < "$module")
# A byte of the ELF header's padding, which nobody looks at.
cp "$module" "$work/$name.ko"
printf '\001' | dd of="$work/$name.ko" bs=1 seek=9 conv=notrunc 2> /dev/null
mkdir "$work/unsigned"
head -c $((size - 28)) "$module" > "$work/unsigned/$name.ko"
# A message that is cut off, with a length that says so.
mkdir "$work/cut"
{
	head -c $((size - 40)) "$module"
	printf '\000\000\002\000\000\000\000\000\000\000\000\020'
	echo "$marker"
} > "$work/cut/$name.ko"

echo "1..5"
loads "$module"
result "a module that is validly signed loads"
! is_tainted_by "$module"
result "and does not taint the kernel for a lack of a signature"
! loads "$work/$name.ko" 2> /dev/null
result "a module that was altered is refused"
! loads "$work/cut/$name.ko" 2> /dev/null
result "a module with a signature that cannot be parsed is refused"
if [ $enforced = yes ]; then
	! loads "$work/unsigned/$name.ko"
	result "a module without a signature is refused"
else
	is_tainted_by "$work/unsigned/$name.ko"
	result "a module without a signature taints the kernel"
fi

[ $failed = 0 ] && exit $ksft_pass
exit $ksft_fail
