# SPDX-License-Identifier: GPL-2.0
# Sourced after lib.sh by what runs Debian's DKMS for another machine than this one.

# dkms_for DIRECTORY ARGUMENT...: DKMS, which finds below DIRECTORY/root what it looks for in /lib/modules,
# /etc/dkms, /var/lib/dkms and /usr/src.  It has no other way to be told than a mount namespace.
dkms_for() {
	local map=
	[ "$(id -u)" = 0 ] || map=--map-root-user
	mkdir -p "$1"/dkms/lib/modules "$1"/root/{etc/dkms,usr/src,var/lib/dkms,lib/modules}
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS unshare $map --mount bash -euc '
		work=$1 root=$1/root llvm=$2
		mount -t overlay -o "lowerdir=$work/dkms/lib:/usr/lib" modsig /usr/lib
		mount --bind "$root/lib/modules" /usr/lib/modules
		mount --bind "$root/etc/dkms" /etc/dkms
		mount --bind "$root/var/lib/dkms" /var/lib/dkms
		mount --bind "$root/usr/src" /usr/src
		shift 2
		# The kernel was built with this compiler.
		PATH=$llvm:$PATH LLVM=1 exec /usr/sbin/dkms "$@"' - "$1" "$llvm" "${@:2}"
}
