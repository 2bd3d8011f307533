// SPDX-License-Identifier: GPL-2.0
/*
 * First program of the guest that measures. It gives each file of /cases to
 * finit_module(2) ten times and tells the smallest count of instructions
 * through the virtio port:
 *
 *	cost INDEX LOG RESULT COUNT
 *	log TEXT
 *
 * LOG is 1 if the kernel was left to log a line on each refusal, and 0 if it
 * was told not to; RESULT is the error number; TEXT is a line of the kernel's
 * log.
 */

typedef unsigned long ulong;

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, CLOSE = 3, LSEEK = 8, MOUNT = 165, REBOOT = 169,
       OPENAT = 257, FINIT = 313 };

static long call(long n, ulong a, ulong b, ulong c, ulong d, ulong e)
{
	register ulong r10 __asm__("r10") = d;
	register ulong r8 __asm__("r8") = e;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return ret;
}

/* Under QEMU's -icount shift=0 one tick is one instruction. */
static ulong now(void)
{
	ulong low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return high << 32 | low;
}
#elif defined(__aarch64__)
enum { MOUNT = 40, OPENAT = 56, CLOSE = 57, LSEEK = 62, READ = 63, WRITE = 64,
       REBOOT = 142, FINIT = 273 };

static long call(long n, ulong a, ulong b, ulong c, ulong d, ulong e)
{
	register ulong x8 __asm__("x8") = n;
	register ulong x0 __asm__("x0") = a;
	register ulong x1 __asm__("x1") = b;
	register ulong x2 __asm__("x2") = c;
	register ulong x3 __asm__("x3") = d;
	register ulong x4 __asm__("x4") = e;

	__asm__ volatile("svc 0" : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}

/* One tick is one instruction if the counter is told to run with 1 GHz (cntfrq). */
static ulong now(void)
{
	ulong ticks;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
}
#endif

static char list[64 << 10], line[4096];
static long out, kmsg;

static ulong length(const char *s)
{
	ulong n = 0;

	while (s[n])
		n++;
	return n;
}

static void say(const char *s, ulong n)
{
	while (n) {
		long done = call(WRITE, out, (ulong)s, n, 0, 0);

		if (done <= 0)
			return;
		s += done;
		n -= done;
	}
}

static void say_string(const char *s)
{
	say(s, length(s));
}

static void say_number(ulong n)
{
	char digits[20];
	int at = sizeof(digits);

	do {
		digits[--at] = '0' + n % 10;
		n /= 10;
	} while (n);
	say(digits + at, sizeof(digits) - at);
}

static long open(const char *path, int flags)
{
	return call(OPENAT, -100, (ulong)path, flags, 0, 0);
}

/* Reads up to size octets of a file; returns how many. */
static long slurp(const char *path, char *buffer, long size)
{
	long fd = open(path, 0), got = 0, n;

	if (fd < 0)
		return fd;
	while (got < size &&
	       (n = call(READ, fd, (ulong)buffer + got, size - got, 0, 0)) > 0)
		got += n;
	call(CLOSE, fd, 0, 0, 0, 0);
	return got;
}

static void put(const char *path, const char *value)
{
	long fd = open(path, 1);

	if (fd >= 0) {
		call(WRITE, fd, (ulong)value, length(value), 0, 0);
		call(CLOSE, fd, 0, 0, 0, 0);
	}
}

/* Tells all that the kernel has logged since last time: the text behind the first ';'. */
static void say_log(void)
{
	long n;

	while ((n = call(READ, kmsg, (ulong)line, sizeof(line), 0, 0)) > 0) {
		long start = 0, end;

		while (start < n && line[start++] != ';')
			;
		for (end = start; end < n && line[end] != '\n'; end++)
			;
		say_string("log ");
		say(line + start, end - start);
		say_string("\n");
	}
}

#define ATTEMPTS 10

/* Reports the smallest count: interrupts and cold caches only ever add to it. */
static void measure(const char *entry, const char *path)
{
	ulong best = ~0UL;
	long result = 0;
	int i;

	for (i = 0; i < ATTEMPTS; i++) {
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
 * kernel may log a line on each refusal, else 0.
 */
__attribute__((used)) static void run(void)
{
	char path[] = "/cases/000";
	long n, at;

	call(MOUNT, (ulong)"proc", (ulong)"/proc", (ulong)"proc", 0, 0);
	call(MOUNT, (ulong)"dev", (ulong)"/dev", (ulong)"devtmpfs", 0, 0);
	out = open("/dev/vport0p1", 2);
	kmsg = open("/dev/kmsg", 04000);
	call(LSEEK, kmsg, 0, 2, 0, 0);
	/* No line at all per interval; an interval of 0 means no limit. */
	put("/proc/sys/kernel/printk_ratelimit_burst", "0");

	n = slurp("/cases/list", list, sizeof(list));
	for (at = 0; at + 6 <= n; at += 6) {
		put("/proc/sys/kernel/printk_ratelimit", list[at + 4] == '1' ? "0" : "5");
		list[at + 5] = 0;
		path[7] = list[at];
		path[8] = list[at + 1];
		path[9] = list[at + 2];
		measure(list + at, path);
	}
	say_string("done\n");
	call(REBOOT, 0xfee1dead, 672274793, 0x1234567, 0, 0);
	for (;;)
		;
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\tand $-16, %rsp\n\tcall run\n");
#else
__asm__(".globl _start\n_start:\n\tbl run\n");
#endif
