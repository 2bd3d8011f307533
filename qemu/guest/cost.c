// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * First program of the guest that measures. It gives each file of /cases to
 * finit_module(2) ten times and tells the smallest count of instructions
 * through the virtio port:
 *
 *	cost INDEX LOG RESULT COUNT
 *	log TEXT
 *
 * LOG is 1 if the kernel was left to log a line on each refusal, and 0 if it
 * was told not to, or 2 if it was, and the file was given once only; RESULT is the error number; TEXT is a line of the kernel's
 * log.
 */

#include "guest.h"

#if defined(__x86_64__)
/* Under QEMU's -icount shift=0 one tick is one instruction. */
static ulong now(void)
{
	ulong low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return high << 32 | low;
}
#elif defined(__aarch64__)
/* One tick is one instruction if the counter is told to run with 1 GHz (cntfrq). */
static ulong now(void)
{
	ulong ticks;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
}
#endif

static char list[64 << 10];

#define ATTEMPTS 10

/* Reports the smallest count: interrupts and cold caches only ever add to it. */
static void measure(const char *entry, const char *path, int attempts)
{
	ulong best = ~0UL;
	long result = 0;
	int i;

	for (i = 0; i < attempts; i++) {
		long fd = open(path, 0);
		ulong start = now(), count;

		result = call(FINIT, fd, (ulong)"", 0, 0, 0);
		count = now() - start;
		if (count < best)
			best = count;
		call(CLOSE, fd, 0, 0, 0, 0);
	}
	say_string("cost ");
	say_string(entry);
	say_string(" ");
	say_number(-result);
	say_string(" ");
	say_number(best);
	say_string("\n");
	say_log();
}

/*
 * Each line of /cases/list is an index of three digits, a space, and 1 if the
 * kernel may log a line on each refusal, else 0, or 2 for one attempt only.
 */
__attribute__((used)) static void run(void)
{
	char path[] = "/cases/000";
	long n, at;

	begin();
	begin_log();
	/* No line at all per interval; an interval of 0 means no limit. */
	put("/proc/sys/kernel/printk_ratelimit_burst", "0");

	n = slurp("/cases/list", list, sizeof(list));
	for (at = 0; at + 6 <= n; at += 6) {
		put("/proc/sys/kernel/printk_ratelimit", list[at + 4] == '1' ? "0" : "5");
		list[at + 5] = 0;
		path[7] = list[at];
		path[8] = list[at + 1];
		path[9] = list[at + 2];
		measure(list + at, path, list[at + 4] == '2' ? 1 : ATTEMPTS);
	}
	end_well();
}
