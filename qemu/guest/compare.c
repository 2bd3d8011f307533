// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The first program of a guest that takes part in a comparison. It makes each
 * file that /corpus describes, gives it to finit_module(2), and tells:
 *
 *	INDEX RESULT MODULE
 *
 * and in the end "tainted BITS". RESULT is the error number; MODULE is the line
 * of /proc/modules, or nothing. /corpus is in 32-bit numbers, the low byte
 * first: the length of the module, and its bytes; then, up to the end, for each
 * case how much of the module, the flags, how many edits, how long the tail; the
 * edits (offset, value); the tail.
 */

#include "guest.h"

static char corpus[64 << 20], file[4 << 20];
static ulong at;

static ulong number(void)
{
	const unsigned char *p = (const unsigned char *)corpus + at;

	at += 4;
	return p[0] | p[1] << 8 | p[2] << 16 | (ulong)p[3] << 24;
}

static void copy(char *to, const char *from, ulong n)
{
	while (n--)
		*to++ = *from++;
}

/* The loader does not take a file that is open for writing, so it is opened twice. */
static long insert(ulong size, ulong flags)
{
	long fd = open("/module", 01 | 0100 | 01000 /* WRONLY, CREAT, TRUNC */), result;
	ulong done = 0;

	while (done < size) {
		long n = call(WRITE, fd, (ulong)file + done, size - done, 0, 0);

		if (n <= 0)
			return n;
		done += n;
	}
	call(CLOSE, fd, 0, 0, 0, 0);
	fd = open("/module", 0);
	result = call(FINIT, fd, (ulong)"", flags, 0, 0);
	call(CLOSE, fd, 0, 0, 0, 0);
	return result;
}

/* Takes out what was loaded; the next case is to find the same kernel. */
static void attempt(ulong index, ulong size, ulong flags)
{
	long result = insert(size, flags), n, end;

	n = slurp("/proc/modules", line, sizeof(line) - 1);
	for (end = 0; end < n && line[end] != '\n'; end++)
		;
	say_number(index);
	say_string(" ");
	say_number(-result);
	say_string(" ");
	say(line, end);
	say_string("\n");
	if (n > 0) {
		for (end = 0; line[end] != ' '; end++)
			;
		line[end] = 0;
		if (call(DELETE, (ulong)line, 0, 0, 0, 0))
			say_string("cannot be taken out\n");
	}
}

__attribute__((used)) static void run(void)
{
	ulong size, index;
	long n;

	begin();
	size = slurp("/corpus", corpus, sizeof(corpus));
	at += number();
	for (index = 0; at < size; index++) {
		ulong length = number(), flags = number(), edits = number();
		ulong tail = number();

		copy(file, corpus + 4, length);
		while (edits--) {
			ulong offset = number();

			file[offset] = number();
		}
		copy(file + length, corpus + at, tail);
		at += tail;
		attempt(index, length + tail, flags);
	}
	n = slurp("/proc/sys/kernel/tainted", line, sizeof(line));
	say_string("tainted ");
	say(line, n);
	end_well();
}
