# SPDX-License-Identifier: GPL-2.0
# Sourced after lib.sh by scripts that run programs of another Debian, which is in a directory.

# in_root ROOT DIRECTORY COMMAND...: runs a command in that root, in /build, which is the directory.  What is
# mounted for it goes away with it.
in_root() {
	mkdir -p "$1/build"
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root DEBIAN_FRONTEND=noninteractive \
		unshare --mount --pid --fork --kill-child sh -ec '
		root=$1
		mount --bind "$2" "$root/build"
		mount -t proc proc "$root/proc"
		mount --bind /dev "$root/dev"
		shift 2
		exec chroot "$root" sh -ec "cd /build; exec \"\$@\"" - "$@"
	' - "$@" < /dev/null
}
