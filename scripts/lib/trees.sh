# SPDX-License-Identifier: GPL-2.0
# Sourced after lib.sh by the scripts that build kernels, or in the trees of kernels.
#
# A kernel tree can be copied, and what is built in the copy is what has changed since, because the
# object tree lies in the source tree: so Kbuild calls the sources "..", and only objtool, the Rust
# crates and the object tree's Makefile know their absolute place.

# Where scripts/build/kernel builds.  Nobody else touches these trees: who needs one gets a copy.
trees=$cache/tree

# make for a kernel: one compiler for all architectures, and Debian's rustc, which has the sources
# of core beside it.  An environment variable would not do: the kernel's Makefile overrides it.
# Nothing in what it makes is of this day or machine.
kernel_make() {
	local source=$1 output=$2 arch=$3
	shift 3
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u MAKEOVERRIDES \
		PATH="$llvm:$cache/tools/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
		make -C "$source" O="$output" ARCH="$arch" LLVM=1 \
		RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc HOSTRUSTC=/usr/bin/rustc \
		RUSTFMT=/usr/bin/rustfmt CLIPPY_DRIVER=/usr/bin/clippy-driver \
		KBUILD_BUILD_USER=modsig KBUILD_BUILD_HOST=modsig KBUILD_BUILD_VERSION=1 \
		KBUILD_BUILD_TIMESTAMP="Wed Oct 17 00:00:00 UTC 2012" "$@"
}

# What kernels are built with, a line for each: another version makes another kernel.
kernel_tools() {
	local path=$llvm:$cache/tools/bin:/usr/bin:/bin
	PATH=$path clang --version | head -n 1
	PATH=$path ld.lld --version | head -n 1
	/usr/bin/rustc -vV
	PATH=$path bindgen --version
}

# copy_sources FROM TO: a source tree without what was built in it.  Hard links will do, because
# git apply and rsync replace files and do not write into them.
copy_sources() {
	mkdir -p "$2"
	(cd "$1" && find . -mindepth 1 -maxdepth 1 ! -name build -exec cp -al -t "$2" {} +)
}

# move_objects DIRECTORY FROM TO: says of what was built in this object tree that it was built in TO,
# not in FROM, where FROM and TO are source or object trees.
move_objects() {
	{
		grep -rlIF --null "$2" "$1/tools" 2> /dev/null || true
		find "$1/Makefile" "$1/rust" -name Makefile -print0 -o -name '.*.cmd' -print0 2> /dev/null || true
	} | xargs -0r sed -i "s,$2\([^a-z0-9.-]\|\$\),$3\1,g"
}

# copy_tree SERIES ARCH FLAVOUR DIRECTORY: a tree of one's own, built to the end, at DIRECTORY, which
# is in the cache.  Sets source and objects to what kernel_make wants, and series to its number.
copy_tree() {
	local kernel tree
	kernel=$("$top/scripts/build/kernel" --tree "$1" "$2" "$3")
	series=${kernel##*/} series=${series%%-*}
	tree=$trees/$series-$2/$3
	rm -rf "$4"
	(
		lock "tree-$series-$2-$3"
		# Another checkout may have built something else there meanwhile.
		[ "$(cat "$tree/kernel" 2> /dev/null)" = "$kernel" ] || exit 3
		copy_sources "$tree/linux" "$4" && cp -a "$tree/linux/build" "$4/build" &&
			move_objects "$4/build" "$tree/linux" "$4"
	) || {
		[ $? = 3 ] || die "cannot copy $tree"
		copy_tree "$@"
		return
	}
	source=$4 objects=$4/build
}
