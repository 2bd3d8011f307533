/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How the guest's programs change the kernel's keyrings. Included after guest.h, and after "file", a buffer that this
 * overwrites.
 */

/* The serial number of a keyring, or a negative error number. */
static long keyring(const char *name)
{
	long n = slurp("/proc/keys", file, sizeof(file)), at, i;
	ulong serial;

	for (at = 0; at + (long)length(name) < n; at++) {
		for (i = 0; name[i] && file[at + i] == name[i]; i++)
			;
		if (name[i])
			continue;
		while (at > 0 && file[at - 1] != '\n')
			at--;
		for (i = 0, serial = 0; i < 8; i++)
			serial = serial << 4 | (file[at + i] & 15) + (file[at + i] > '9' ? 9 : 0);
		return serial;
	}
	return -2;
}

/*
 * Changes the keyrings, as the command says: + puts a certificate into the
 * secondary keyring, - takes out the last one, ! revokes its key, ~ and a
 * description blacklist that, with a signature over it. Returns 0 or a negative
 * error number. Who is to revoke a key has to have it in a keyring of his own.
 */
static long change(const char *command, const char *path)
{
	enum { KEYCTL_REVOKE = 3, KEYCTL_LINK = 8, KEYCTL_UNLINK = 9, OWN = -2 };
	static long last;
	long n, ring = keyring(command[0] == '~' ? " .blacklist:" : " .secondary_trusted_keys:");

	if (ring < 0)
		return ring;
	if (command[0] == '-')
		return call(KEYCTL, KEYCTL_UNLINK, last, ring, 0, 0);
	if (command[0] == '!')
		return call(KEYCTL, KEYCTL_REVOKE, last, 0, 0, 0);
	n = slurp(path, file, sizeof(file));
	if (command[0] == '~') {
		n = call(ADD_KEY, (ulong)"blacklist", (ulong)command + 1, (ulong)file, n, ring);
		return n < 0 ? n : 0;
	}
	last = call(ADD_KEY, (ulong)"asymmetric", (ulong)"", (ulong)file, n, OWN);
	return last < 0 ? last : call(KEYCTL, KEYCTL_LINK, last, ring, 0, 0);
}
