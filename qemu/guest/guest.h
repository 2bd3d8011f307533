/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the guest's programs share: system calls, files, and a virtio port of its
 * own to tell what came of them, where no kernel message can get in between.
 * Freestanding: two architectures without two C libraries.
 */

typedef unsigned long ulong;

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, CLOSE = 3, LSEEK = 8, PREAD = 17, NANOSLEEP = 35,
       CLONE = 56, EXECVE = 59, EXIT = 60, WAIT4 = 61, MOUNT = 165,
       REBOOT = 169, INIT = 175, DELETE = 176, SETXATTR = 188, AFFINITY = 203,
       ADD_KEY = 248, KEYCTL = 250, OPENAT = 257, DUP3 = 292, PIPE2 = 293, FINIT = 313 };

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
#elif defined(__aarch64__)
enum { SETXATTR = 5, DUP3 = 24, MOUNT = 40, OPENAT = 56, CLOSE = 57,
       PIPE2 = 59, LSEEK = 62, READ = 63, WRITE = 64, PREAD = 67, EXIT = 93,
       NANOSLEEP = 101, INIT = 105, DELETE = 106, AFFINITY = 122, REBOOT = 142,
       ADD_KEY = 217, KEYCTL = 219, CLONE = 220, EXECVE = 221, WAIT4 = 260, FINIT = 273 };

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
#endif

static long out, kmsg;
static char line[4096];

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
	return call(OPENAT, -100, (ulong)path, flags, 0600, 0);
}

/* Reads up to size bytes of a file; returns how many. */
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

/* Writes into a file; returns 0 or a negative error number. */
static inline long put(const char *path, const char *value)
{
	long fd = open(path, 1), n = fd;

	if (fd >= 0) {
		n = call(WRITE, fd, (ulong)value, length(value), 0, 0);
		call(CLOSE, fd, 0, 0, 0, 0);
	}
	return n < 0 ? n : 0;
}

/* From here on, what the kernel logs is to be told. */
static inline void begin_log(void)
{
	kmsg = open("/dev/kmsg", 04000);
	call(LSEEK, kmsg, 0, 2, 0, 0);
}

/* Tells all that the kernel has logged since last time: the text behind the first ';'. */
static inline void say_log(void)
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

/* What each program starts with: what is mounted, and the port. */
static void begin(void)
{
	call(MOUNT, (ulong)"proc", (ulong)"/proc", (ulong)"proc", 0, 0);
	call(MOUNT, (ulong)"dev", (ulong)"/dev", (ulong)"devtmpfs", 0, 0);
	call(MOUNT, (ulong)"sys", (ulong)"/sys", (ulong)"sysfs", 0, 0);
	out = open("/dev/vport0p1", 2);
}

/* Says that all was gone through, and powers off. */
static void end_well(void)
{
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
