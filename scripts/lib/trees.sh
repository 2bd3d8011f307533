# SPDX-License-Identifier: GPL-2.0
# Sourced after lib.sh by the scripts that install modules and build external ones.

# Builds the host tools and sets bin to the directory that they are in.
build_host_tools() {
	local cargo=${CARGO:-cargo}
	"$cargo" build --quiet --locked --manifest-path "$top/Cargo.toml" -p modsig-tools
	bin=$("$cargo" metadata --format-version 1 --no-deps --manifest-path "$top/Cargo.toml" |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/debug
}

# built_tree SERIES DIRECTORY: what a package of kernel headers has, and the modules: a copy of the
# test kernel's object tree without the objects.
built_tree() {
	"$top/scripts/build/kernel" "$1" x86_64 permissive > /dev/null
	(
		lock "build-$1-x86_64"
		rsync -a --exclude='/vmlinux*' --exclude='/.tmp_vmlinux*' --exclude='*.a' --exclude='*.rmeta' \
			--include=/.module-common.o --exclude='*.o' "$cache/build/objects-$1-x86_64/" "$2"
	)
}

# copy_objects FROM TO [AS]: what was built there, to go on with here (or, once it is moved, in AS).
# objtool's own objects know where they are, and all others depend on it.
copy_objects() {
	# Half of it may be there, if the last one was stopped.
	rm -rf "$2"
	cp -a "$1" "$2"
	{ grep -rlF --null "$1" "$2/tools" 2> /dev/null || true; } | xargs -0r sed -i "s,$1,${3:-$2},g"
}
