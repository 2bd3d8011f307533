# SPDX-License-Identifier: GPL-2.0
# Sourced by the scripts beside it: where things are, and how to say that something is wrong.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/modsig

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# One at a time: two builds in one cache would spoil each other.
lock() {
	mkdir -p "$cache"
	exec 9> "$cache/$1.lock"
	flock 9
}

# Whether the Rust compiler in PATH comes with AddressSanitizer.
has_asan() {
	local runtime
	for runtime in "$(rustc --print sysroot)"/lib/rustlib/*/lib/librustc-*_rt.asan.a; do
		[ -e "$runtime" ] && return
	done
	return 1
}

# make for a kernel: one compiler for all architectures, and Debian's rustc, which has the sources
# of core beside it.  An environment variable would not do: the kernel's Makefile overrides it.
# Nothing in what it makes is of this day or machine.
# Kernels that differ in a few options have most objects in common, which ccache finds.
kernel_make() {
	local source=$1 output=$2 arch=$3
	shift 3
	local path=/usr/lib/llvm-19/bin:$cache/tools/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	if [ -x /usr/bin/ccache ]; then
		mkdir -p "$cache/tools/ccache"
		ln -sf /usr/bin/ccache "$cache/tools/ccache/clang"
		path=$cache/tools/ccache:$path
	fi
	PATH=$path CCACHE_DIR=$cache/ccache make -C "$source" O="$output" ARCH="$arch" LLVM=1 \
		RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc HOSTRUSTC=/usr/bin/rustc \
		RUSTFMT=/usr/bin/rustfmt CLIPPY_DRIVER=/usr/bin/clippy-driver \
		KBUILD_BUILD_USER=modsig KBUILD_BUILD_HOST=modsig KBUILD_BUILD_VERSION=1 \
		KBUILD_BUILD_TIMESTAMP="Wed Oct 17 00:00:00 UTC 2012" "$@"
}
