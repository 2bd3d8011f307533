// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The test guest's first program. It tries each file of /cases with both system
 * calls, or with kmod, and tells what came of it through a virtio port of its
 * own, where no kernel message can get in between:
 *
 *	enforce YN
 *	try INDEX finit|init|kmod|keys RESULT MODULE
 *	said TEXT
 *	stays ERROR
 *	log TEXT
 *	late YN
 *
 * YN is module.sig_enforce, and what it is after 0 was written to it: first as
 * it was booted, then late, after 1 was written. After that the first case is
 * tried again. RESULT is the error number, of kmod the wait status; MODULE is
 * the line of /proc/modules, or nothing; TEXT is a line of kmod's, or one of
 * the kernel's log; ERROR is why the module cannot be taken out again.
 *
 * Before that it gives IMA the policy /ima/policy, and a file of /cases the
 * signature of that name in /ima as its extended attribute, if there are such.
 * It tells "ima ERROR" if one of them is not taken.
 */

#include "guest.h"

static char file[4 << 20], list[64 << 10], said[4096];

#include "keyrings.h"

/*
 * Runs kmod under the name that the command starts with. Its output goes into
 * said, which it ends with a zero. Returns the wait status.
 */
static long kmod(char *command)
{
	char *arguments[8], *environment[] = { 0 };
	int ends[2], status = -1, argc = 0;
	long n, got = 0, child;

	while (*command && argc < 7) {
		arguments[argc++] = command;
		while (*command && *command != ' ')
			command++;
		if (*command)
			*command++ = 0;
	}
	arguments[argc] = 0;

	call(PIPE2, (ulong)ends, 0, 0, 0, 0);
	child = call(CLONE, 17 /* SIGCHLD */, 0, 0, 0, 0);
	if (child == 0) {
		call(DUP3, ends[1], 1, 0, 0, 0);
		call(DUP3, ends[1], 2, 0, 0, 0);
		call(EXECVE, (ulong)"/bin/kmod", (ulong)arguments, (ulong)environment, 0, 0);
		call(EXIT, 127, 0, 0, 0, 0);
	}
	call(CLOSE, ends[1], 0, 0, 0, 0);
	while (got < (long)sizeof(said) - 1 &&
	       (n = call(READ, ends[0], (ulong)said + got, sizeof(said) - 1 - got, 0, 0)) > 0)
		got += n;
	said[got] = 0;
	call(CLOSE, ends[0], 0, 0, 0, 0);
	call(WAIT4, child, (ulong)&status, 0, 0, 0);
	return status;
}

/* Tells what kmod wrote, line by line. */
static void say_said(void)
{
	const char *at = said;

	while (*at) {
		long n = 0;

		while (at[n] && at[n] != '\n')
			n++;
		say_string("said ");
		say(at, n);
		say_string("\n");
		at += at[n] ? n + 1 : n;
	}
}

static void attempt(const char *index, const char *name, const char *path, ulong flags,
		    char *command)
{
	long result, n, end;

	said[0] = 0;
	if (name[0] == 'k' && name[1] == 'e') {
		result = change(command, path);
	} else if (name[0] == 'k') {
		result = -kmod(command);
	} else if (name[0] == 'f') {
		long fd = open(path, 0);

		result = call(FINIT, fd, (ulong)"", flags, 0, 0);
		call(CLOSE, fd, 0, 0, 0, 0);
	} else {
		n = slurp(path, file, sizeof(file));
		result = call(INIT, (ulong)file, n, (ulong)"", 0, 0);
	}
	say_string("try ");
	say_string(index);
	say_string(" ");
	say_string(name);
	say_string(" ");
	say_number(-result);
	say_string(" ");
	n = slurp("/proc/modules", line, sizeof(line) - 1);
	for (end = 0; end < n && line[end] != '\n'; end++)
		;
	say(line, end);
	say_string("\n");
	say_said();
	if (n > 0) {
		for (end = 0; line[end] != ' '; end++)
			;
		line[end] = 0;
		result = call(DELETE, (ulong)line, 0, 0, 0, 0);
		if (result) {
			say_string("stays ");
			say_number(-result);
			say_string("\n");
		}
	}
	say_log();
}

static void say_ima(long result)
{
	if (result == 0)
		return;
	say_string("ima ");
	say_number(-result);
	say_string("\n");
}

static void begin_ima(void)
{
	long n = slurp("/ima/policy", line, sizeof(line) - 1);

	if (n < 0)
		return;
	line[n] = 0;
	call(MOUNT, (ulong)"security", (ulong)"/sys/kernel/security", (ulong)"securityfs", 0, 0);
	say_ima(put("/sys/kernel/security/ima/policy", line));
}

/* An archive has no extended attributes, so they are made here. */
static void label(const char *path, const char *from)
{
	long n = slurp(from, line, sizeof(line));

	if (n >= 0)
		say_ima(call(SETXATTR, (ulong)path, (ulong)"security.ima", (ulong)line, n, 0));
}

#define ENFORCE "/sys/module/module/parameters/sig_enforce"

static void say_enforce(void)
{
	say(line, slurp(ENFORCE, line, 1));
}

/*
 * Each line of /cases/list is an index of three digits, a space, the flags, a
 * digit, and how to try it: f for finit_module(2) only, b for init_module(2),
 * too, k and a command line of kmod's, or what change() does with it.
 */
__attribute__((used)) static void run(void)
{
	char path[] = "/cases/000", first[] = "/cases/000", from[] = "/ima/000";
	long n, at, end;

	begin();
	/* Every refusal is to be seen. */
	put("/proc/sys/kernel/printk_ratelimit", "0");
	begin_ima();
	begin_log();

	say_string("enforce ");
	say_enforce();
	put(ENFORCE, "0");
	say_enforce();
	say_string("\n");

	n = slurp("/cases/list", list, sizeof(list) - 1);
	for (at = 0; at + 7 <= n; at = end + 1) {
		ulong flags = list[at + 4] - '0';
		char how = list[at + 5];

		for (end = at; end < n && list[end] != '\n'; end++)
			;
		list[at + 3] = list[end] = 0;
		path[7] = from[5] = list[at];
		path[8] = from[6] = list[at + 1];
		path[9] = from[7] = list[at + 2];
		label(path, from);
		if (how == 'k') {
			attempt(list + at, "kmod", path, 0, list + at + 6);
			continue;
		}
		if (how != 'f' && how != 'b') {
			attempt(list + at, "keys", path, 0, list + at + 5);
			continue;
		}
		attempt(list + at, "finit", path, flags, 0);
		if (how == 'b')
			attempt(list + at, "init", path, 0, 0);
	}
	/* Switched on at run time, it stays on, and counts for the next module. */
	say_string("late ");
	put(ENFORCE, "1");
	say_enforce();
	put(ENFORCE, "0");
	say_enforce();
	say_string("\n");
	attempt("000", "finit", first, 0, 0);
	end_well();
}
