// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The first program of a guest whose kernel is given certificates and PKCS#7
 * messages, or what is none: each by add_key(2), first by root, then by another
 * user. It tells:
 *
 *	root|user INDEX RESULT LINK DESCRIPTION
 *	kexec INDEX RESULT
 *
 * RESULT is the error number; LINK that of putting the key into the secondary
 * keyring; DESCRIPTION what /proc/keys says of it, from its type on. /corpus is
 * in 32-bit numbers, the low byte first: 0 for a certificate and 1 for a
 * message, the length, and the bytes. /kexec/0 and so on are images for kexec_file_load(2), which are loaded
 * and not run.
 */

#include "guest.h"

#if defined(__x86_64__)
enum { SETUID = 105, KEXEC_FILE_LOAD = 320 };
#else
enum { SETUID = 146, KEXEC_FILE_LOAD = 294 };
#endif

static char corpus[64 << 20], keys[1 << 20];

static ulong number(ulong at)
{
	const unsigned char *p = (const unsigned char *)corpus + at;

	return p[0] | p[1] << 8 | p[2] << 16 | (ulong)p[3] << 24;
}

/* The line of /proc/keys that begins with this serial number, from the type on. */
static void say_key(ulong serial)
{
	long n = slurp("/proc/keys", keys, sizeof(keys)), at = 0, i;

	while (at < n) {
		ulong found = 0;

		for (i = 0; i < 8; i++)
			found = found << 4 | ((keys[at + i] & 15) + (keys[at + i] > '9' ? 9 : 0));
		for (i = at; i < n && keys[i] != '\n'; i++)
			;
		/* Serial number, flags, uses, time, permissions, owner, group: 49 bytes. */
		if (found == serial)
			say(keys + at + 49, i - at - 49);
		at = i + 1;
	}
}

/* The serial number of the secondary keyring, or a negative error number. */
static long secondary(void)
{
	static const char name[] = ".secondary_trusted_keys";
	long n = slurp("/proc/keys", keys, sizeof(keys)), at, i;
	ulong serial = 0;

	for (at = 0; at + (long)sizeof(name) < n; at++) {
		for (i = 0; name[i] && keys[at + i] == name[i]; i++)
			;
		if (name[i])
			continue;
		while (at > 0 && keys[at - 1] != '\n')
			at--;
		for (i = 0; i < 8; i++)
			serial = serial << 4 | ((keys[at + i] & 15) + (keys[at + i] > '9' ? 9 : 0));
		return serial;
	}
	return -2;
}

static void attempts(const char *who, ulong size, long ring)
{
	enum { LINK = 8, UNLINK = 9, OWN = -2 };
	ulong at = 0, index, is_message, bytes;

	for (index = 0; at < size; index++, at += bytes) {
		long key, link = 0;

		is_message = number(at);
		bytes = number(at + 4);
		at += 8;
		key = call(ADD_KEY, (ulong)(is_message ? "pkcs7_test" : "asymmetric"),
			   (ulong)(is_message ? "content" : ""), (ulong)corpus + at, bytes, OWN);
		if (key >= 0)
			link = call(KEYCTL, LINK, key, ring, 0, 0);
		say_string(who);
		say_string(" ");
		say_number(index);
		say_string(" ");
		say_number(key < 0 ? -key : 0);
		say_string(" ");
		say_number(-link);
		say_string(" ");
		if (key >= 0)
			say_key(key);
		say_string("\n");
		if (key >= 0) {
			if (link == 0)
				call(KEYCTL, UNLINK, key, ring, 0, 0);
			call(KEYCTL, UNLINK, key, OWN, 0, 0);
		}
	}
}

static void images(void)
{
	enum { NO_INITRAMFS = 4 };
	char path[] = "/kexec/0";
	long fd;

	for (; (fd = open(path, 0)) >= 0; path[7]++) {
		long result = call(KEXEC_FILE_LOAD, fd, 0, 1, (ulong)"", NO_INITRAMFS);

		call(CLOSE, fd, 0, 0, 0, 0);
		say_string("kexec ");
		say(path + 7, 1);
		say_string(" ");
		say_number(-result);
		say_string("\n");
	}
}

__attribute__((used)) static void run(void)
{
	long ring;
	ulong size;

	begin();
	size = slurp("/corpus", corpus, sizeof(corpus));
	/* What was taken out is not gone at once. */
	put("/proc/sys/kernel/keys/maxkeys", "1000000");
	put("/proc/sys/kernel/keys/maxbytes", "1000000000");
	ring = secondary();
	attempts("root", size, ring);
	images();
	if (call(CLONE, 17 /* SIGCHLD */, 0, 0, 0, 0) == 0) {
		call(SETUID, 1000, 0, 0, 0, 0);
		attempts("user", size, ring);
		call(EXIT, 0, 0, 0, 0, 0);
	}
	call(WAIT4, -1, 0, 0, 0, 0);
	end_well();
}
