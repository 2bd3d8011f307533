# SPDX-License-Identifier: GPL-2.0
# Sourced after lib.sh by scripts that take packages which the machine is not to install.

# find_mirror: sets $mirror to the one that the machine uses already, and $keyring to what its lists are
# signed with.
find_mirror() {
	local codename
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' |
		awk -v release="$codename" '$2 == release { print $1; exit }')
	[ -n "$mirror" ] || die "cannot tell which mirror this machine uses (apt-get indextargets)"
	for keyring in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
		[ ! -r "$keyring" ] || break
	done
}

# scratch_apt DIRECTORY SUITE [ARCHITECTURE]: a configuration of apt with one suite and state of
# its own, so that the machine's is not changed; "${apt_options[@]}" selects it.  The mirror is the
# one that the machine uses already, and apt checks what comes from it against the signed lists.
scratch_apt() {
	local work=$1 suite=$2 architecture=${3:-$(dpkg --print-architecture)} mirror keyring
	find_mirror
	mkdir -p "$work/lists/partial" "$work/archives/partial"
	echo "deb [signed-by=$keyring] $mirror $suite main" > "$work/sources.list"
	apt_options=(-o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
		-o "Dir::State::Lists=$work/lists" -o "Dir::Cache::archives=$work/archives"
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=
		-o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture")
	apt-get "${apt_options[@]}" -q=2 update >&2
}
