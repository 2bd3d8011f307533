# SPDX-License-Identifier: GPL-2.0
# Sourced by the scripts: where things are, and how to say that something is wrong.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/modsig
# The compiler, linker and so on of all test kernels.
llvm=/usr/lib/llvm-19/bin

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# lock NAME: one at a time, in whatever checkout.  Until this shell ends, or locks something else.
lock() {
	mkdir -p "$cache/lock"
	exec 9> "$cache/lock/$1"
	flock 9
}

# work_directory NAME: sets work to an empty directory in the cache, which goes away when the script
# ends.  What scripts have left that were killed goes away now.
work_directory() {
	local left
	mkdir -p "$cache/work"
	for left in "$cache"/work/*.*; do
		[ ! -d "$left" ] || kill -0 "${left##*.}" 2> /dev/null || rm -rf --one-file-system "$left"
	done
	work=$cache/work/$1.$$
	mkdir "$work"
	trap 'rm -rf --one-file-system "$work"' EXIT
}

# Whether the Rust compiler in PATH comes with AddressSanitizer.
has_asan() {
	local runtime
	for runtime in "$(rustc --print sysroot)"/lib/rustlib/*/lib/librustc-*_rt.asan.a; do
		[ -e "$runtime" ] && return
	done
	return 1
}

# Builds the host tools and sets bin to the directory that they are in.
build_host_tools() {
	local cargo=${CARGO:-cargo}
	"$cargo" build --quiet --locked --manifest-path "$top/Cargo.toml" -p modsig-tools >&2
	bin=$("$cargo" metadata --format-version 1 --no-deps --manifest-path "$top/Cargo.toml" |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/debug
}

# copy_sources DIRECTORY: copies the files of this checkout there, changed and new ones too, as new files.
copy_sources() {
	(cd "$top" && git ls-files -z --cached --others --exclude-standard |
		xargs -0 sh -c 'for file; do [ ! -e "$file" ] || printf "%s\0" "$file"; done' - |
		tar --null -T - -c) | tar -C "$1" -xm
}
