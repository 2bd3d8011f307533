// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The first program of a guest that is watched by its kernel. It works through
 * /plan, line by line, and tells through a virtio port of its own what came of
 * each, which the host judges. First "step" and the line, then what it gives:
 *
 *	put PATH VALUE		writes a value into a file
 *	show PATH		"line TEXT" for each line of a file
 *	sleep SECONDS
 *	only SYMBOL		confines injected failures to what is called by
 *				this function; "-" lifts that
 *	insert COUNT		goes round the files of /cases/list until it has
 *				made so many attempts
 *	race PROCESSES COUNT [CASE]
 *				so many attempts each, at once on all CPUs, with
 *				files by chance; meanwhile the certificate CASE
 *				is put into the secondary keyring and its key is
 *				revoked, again and again, and "line revoked
 *				NUMBER" tells how often
 *	fail finit|init CASE FLAGS
 *				inserts a file again and again, and lets the
 *				first failure point fail, then the second, until
 *				there is none left
 *	repeat COUNT CASE FLAGS	inserts a file so many times
 *
 * insert and race give "count CASE FLAGS RESULT KIND NUMBER" for each result
 * that they have seen, fail and repeat give "try N FAILED RESULT KIND" and "log
 * TEXT" for each attempt. RESULT is the error number, KIND is what was then in
 * /proc/modules: "-" nothing, "m" a module, "t" one that taints; race cannot
 * know and says "?". FAILED is 1 if the failure came to pass.
 */

#include "guest.h"

static char file[4 << 20], big[16 << 20], list[64 << 10], plan[64 << 10];

#include "keyrings.h"

static ulong number(const char *s)
{
	ulong n = 0;

	while (*s >= '0' && *s <= '9')
		n = n * 10 + *s++ - '0';
	return n;
}

static int equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static void nap(ulong milliseconds)
{
	ulong time[2] = { milliseconds / 1000, milliseconds % 1000 * 1000000 };

	call(NANOSLEEP, (ulong)time, 0, 0, 0, 0);
}

/* A file to insert, and how. */
struct sample {
	const char *index;
	ulong flags;
	char path[sizeof("/cases/000")];
};

static struct sample samples[512];
static ulong sample_count;

static struct sample sample(const char *index, const char *flags)
{
	struct sample s = { index, number(flags), "/cases/000" };

	s.path[7] = index[0];
	s.path[8] = index[1];
	s.path[9] = index[2];
	return s;
}

/* Each line of /cases/list is an index of three digits, a space, and the flags, a digit. */
static void read_list(void)
{
	long n = slurp("/cases/list", list, sizeof(list)), at;

	for (at = 0; at + 6 <= n && sample_count < 512; at += 6) {
		list[at + 3] = list[at + 5] = 0;
		samples[sample_count++] = sample(list + at, list + at + 4);
	}
}

/* Inserts a file with finit_module(2); returns 0 or a negative error number. */
static long finit(const struct sample *s)
{
	long fd = open(s->path, 0), result = call(FINIT, fd, (ulong)"", s->flags, 0, 0);

	call(CLOSE, fd, 0, 0, 0, 0);
	return result;
}

/* Says what is loaded, and unloads it. */
static char unload(void)
{
	long n = slurp("/proc/modules", line, sizeof(line)), at;
	char kind = 'm';

	if (n <= 0)
		return '-';
	for (at = 0; at < n && line[at] != '\n'; at++)
		if (line[at] == '(')
			kind = 't';
	for (at = 0; at < n && line[at] != ' '; at++)
		;
	line[at] = 0;
	call(DELETE, (ulong)line, 04000, 0, 0, 0);
	return kind;
}

/* How often an error number was seen for a sample, and with what loaded. */
struct tally {
	ulong sample, result, number;
	char kind;
};

static struct tally tallies[4096];
static ulong tally_count;

static void count(ulong sample, ulong result, char kind, ulong number)
{
	ulong n;

	for (n = 0; n < tally_count; n++) {
		struct tally *t = tallies + n;

		if (t->sample == sample && t->result == result && t->kind == kind) {
			t->number += number;
			return;
		}
	}
	if (tally_count < 4096)
		tallies[tally_count++] = (struct tally){ sample, result, number, kind };
}

static void say_tallies(void)
{
	ulong n;

	for (n = 0; n < tally_count; n++) {
		const struct tally *t = tallies + n;

		say_string("count ");
		say_string(samples[t->sample].index);
		say_string(" ");
		say_number(samples[t->sample].flags);
		say_string(" ");
		say_number(t->result);
		say_string(" ");
		say(&t->kind, 1);
		say_string(" ");
		say_number(t->number);
		say_string("\n");
	}
	tally_count = 0;
}

static void insert(ulong attempts)
{
	static ulong next;

	while (attempts--) {
		long result = finit(samples + next);

		count(next, -result, unload(), 1);
		next = (next + 1) % sample_count;
	}
	say_tallies();
}

/* One process of a race: tells its tallies through a pipe. */
static void racer(ulong self, ulong attempts, long to)
{
	ulong random = self + 1, mask = 1 << self % 4, n;

	call(AFFINITY, 0, sizeof(mask), (ulong)&mask, 0, 0);
	while (attempts--) {
		long result;

		random = random * 6364136223846793005 + 1442695040888963407;
		n = (random >> 33) % sample_count;
		result = finit(samples + n);
		if (result == 0) {
			/* Whichever it was; another racer may be quicker. */
			call(DELETE, (ulong)"test_module", 04000, 0, 0, 0);
			call(DELETE, (ulong)"test_hexdump", 04000, 0, 0, 0);
		}
		count(n, -result, '?', 1);
	}
	for (n = 0; n < tally_count; n++)
		call(WRITE, to, (ulong)(tallies + n), sizeof(tallies[n]), 0, 0);
	call(EXIT, 0, 0, 0, 0, 0);
}

/*
 * Beside a race: trusts a certificate and revokes its key, until there is a file /over. Tells how often, or a negative
 * error number, through a pipe.
 */
static void revoker(const char *certificate, long to)
{
	long times = 0, error = 0;

	while (open("/over", 0) < 0 && error == 0) {
		error = change("+", certificate);
		nap(100);
		if (error == 0)
			error = change("!", certificate);
		nap(100);
		times++;
	}
	call(WRITE, to, (ulong)(error ? &error : &times), sizeof(times), 0, 0);
	call(EXIT, 0, 0, 0, 0, 0);
}

static void race(ulong processes, ulong attempts, const char *certificate)
{
	int ends[2], other[2];
	struct tally t;
	long times = 0;
	ulong n;

	if (certificate) {
		call(PIPE2, (ulong)other, 0, 0, 0, 0);
		if (call(CLONE, 17 /* SIGCHLD */, 0, 0, 0, 0) == 0)
			revoker(certificate, other[1]);
	}
	call(PIPE2, (ulong)ends, 0, 0, 0, 0);
	for (n = 0; n < processes; n++)
		if (call(CLONE, 17 /* SIGCHLD */, 0, 0, 0, 0) == 0)
			racer(n, attempts, ends[1]);
	call(CLOSE, ends[1], 0, 0, 0, 0);
	/* Shorter than PIPE_BUF, so each comes as a whole. */
	while (call(READ, ends[0], (ulong)&t, sizeof(t), 0, 0) == sizeof(t))
		count(t.sample, t.result, t.kind, t.number);
	call(CLOSE, ends[0], 0, 0, 0, 0);
	if (certificate) {
		call(CLOSE, open("/over", 0101 /* O_CREAT | O_WRONLY */), 0, 0, 0, 0);
		call(READ, other[0], (ulong)&times, sizeof(times), 0, 0);
		say_string(times > 0 ? "line revoked " : "line cannot be revoked: ");
		say_number(times > 0 ? times : -times);
		say_string("\n");
		call(CLOSE, other[0], 0, 0, 0, 0);
		call(CLOSE, other[1], 0, 0, 0, 0);
	}
	while (call(WAIT4, -1, 0, 0, 0, 0) > 0)
		;
	say_tallies();
	/* What the last ones left. */
	unload();
	unload();
}

static void say_try(ulong n, int failed, long result)
{
	char kind = unload();

	say_string("try ");
	say_number(n);
	say_string(failed ? " 1 " : " 0 ");
	say_number(-result);
	say_string(" ");
	say(&kind, 1);
	say_string("\n");
	say_log();
}

static void fail(const char *how, const struct sample *s)
{
	long nth = open("/proc/self/fail-nth", 2), size = slurp(s->path, file, sizeof(file));
	int finit_module = equal(how, "finit"), failed;
	ulong n = 0;

	do {
		/* The kernel takes a number that starts with 0 for an octal one. */
		char digits[] = "000000", left[8];
		long fd = open(s->path, 0), result, at;
		ulong rest = ++n;

		for (at = 5; at > 0; at--, rest /= 8)
			digits[at] = '0' + rest % 8;
		call(WRITE, nth, (ulong)digits, 6, 0, 0);
		if (finit_module)
			result = call(FINIT, fd, (ulong)"", s->flags, 0, 0);
		else
			result = call(INIT, (ulong)file, size, (ulong)"", 0, 0);
		/* What is left of the count: if it is 1, this very read fails. */
		at = call(PREAD, nth, (ulong)left, sizeof(left), 0, 0);
		failed = at > 0 && left[0] == '0';
		while (call(WRITE, nth, (ulong)"0", 1, 0, 0) < 0)
			;
		call(CLOSE, fd, 0, 0, 0, 0);
		say_try(n, failed, result);
	} while (failed && n < 30000);
	call(CLOSE, nth, 0, 0, 0, 0);
}

static void repeat(ulong times, const struct sample *s)
{
	ulong n;

	for (n = 1; n <= times; n++)
		say_try(n, 0, finit(s));
}

/* Where a function of the kernel starts and ends, from /proc/kallsyms, which is sorted. */
static int find(const char *symbol, char start[19], char end[19])
{
	long n = slurp("/proc/kallsyms", big, sizeof(big) - 1), at = 0, i;
	int found = 0;

	while (at + 19 < n) {
		char *entry = big + at;

		while (at < n && big[at] != '\n')
			at++;
		big[at++] = 0;
		if (found) {
			for (i = 0; i < 16 && entry[i] == start[i + 2]; i++)
				;
			if (i < 16) {
				for (i = 0; i < 16; i++)
					end[i + 2] = entry[i];
				return 1;
			}
		} else if (equal(entry + 19, symbol)) {
			found = 1;
			for (i = 0; i < 16; i++)
				start[i + 2] = entry[i];
		}
	}
	return 0;
}

static void only(const char *symbol)
{
	char start[] = "0x0000000000000000", end[] = "0xffffffffffffffff";

	if (symbol[0] != '-' && !find(symbol, start, end)) {
		say_string("line no such symbol\n");
		return;
	}
	put("/sys/kernel/debug/failslab/require-start", start);
	put("/sys/kernel/debug/failslab/require-end", end);
	put("/sys/kernel/debug/fail_page_alloc/require-start", start);
	put("/sys/kernel/debug/fail_page_alloc/require-end", end);
	put("/sys/kernel/debug/fail_usercopy/require-start", start);
	put("/sys/kernel/debug/fail_usercopy/require-end", end);
}

static void show(const char *path)
{
	long n = slurp(path, big, sizeof(big)), at = 0, end;

	if (n < 0)
		say_string("line cannot be read\n");
	for (; at < n; at = end + 1) {
		for (end = at; end < n && big[end] != '\n'; end++)
			;
		say_string("line ");
		say(big + at, end - at);
		say_string("\n");
	}
}

static void step(char **word, int words)
{
	struct sample s;

	if (words == 3 && equal(word[0], "put")) {
		if (put(word[1], word[2]))
			say_string("line cannot be written\n");
	} else if (words == 2 && equal(word[0], "show")) {
		show(word[1]);
	} else if (words == 2 && equal(word[0], "sleep")) {
		nap(number(word[1]) * 1000);
	} else if (words == 2 && equal(word[0], "only")) {
		only(word[1]);
	} else if (words == 2 && equal(word[0], "insert")) {
		insert(number(word[1]));
	} else if (words == 3 && equal(word[0], "race")) {
		race(number(word[1]), number(word[2]), 0);
	} else if (words == 4 && equal(word[0], "race")) {
		s = sample(word[3], "0");
		race(number(word[1]), number(word[2]), s.path);
	} else if (words == 4 && equal(word[0], "fail")) {
		s = sample(word[2], word[3]);
		fail(word[1], &s);
	} else if (words == 4 && equal(word[0], "repeat")) {
		s = sample(word[2], word[3]);
		repeat(number(word[1]), &s);
	} else {
		say_string("line no such step\n");
	}
}

__attribute__((used)) static void run(void)
{
	long n, at, end;

	begin();
	call(MOUNT, (ulong)"debug", (ulong)"/sys/kernel/debug", (ulong)"debugfs", 0, 0);
	begin_log();

	read_list();
	n = slurp("/plan", plan, sizeof(plan) - 1);
	for (at = 0; at < n; at = end + 1) {
		char *word[4];
		int words = 0;
		long i;

		for (end = at; end < n && plan[end] != '\n'; end++)
			;
		say_string("step ");
		say(plan + at, end - at);
		say_string("\n");
		plan[end] = 0;
		for (i = at; i < end && words < 4; words++) {
			word[words] = plan + i;
			while (i < end && plan[i] != ' ')
				i++;
			plan[i++] = 0;
		}
		step(word, words);
	}
	end_well();
}
