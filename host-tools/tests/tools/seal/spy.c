// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Looks into the process that has the key: preloaded into modsig, it tells the test what OpenSSL
 * has made a key of, and stops the process so that the test can look at its memory.
 *
 * SPY is the directory that it writes to. At each stop there is a file of that name: "made" once
 * there is a key, "signed" after the first signature by OpenSSL or that of the number SPY_SIGNED, "sent"
 * with SPY_SENT after so many frames for which there had to be a key, "ended" when the process is about to
 * end. It has the process' number and what the process may do. In "numbers" is what must not be found: a
 * line of hexadecimal digits for each number. With SPY_SWAPS, /proc/swaps is that file. With
 * SPY_WRITES, a process is killed in the middle of its pwrite(2) of this number. With SPY_SPOILS,
 * something stands behind what that file has after each pwrite(2) to another.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#define PROBE (1 << 18)

static int made, signatures, messages;

static void die(const char *what)
{
	perror(what);
	_exit(99);
}

static void *next(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (!found)
		die(name);
	return found;
}

/* A file in SPY takes its name when it is whole. */
static int begin(void)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/new", getenv("SPY"));
	return open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
}

static void end(int file, const char *name)
{
	char from[512], to[512];

	close(file);
	snprintf(from, sizeof(from), "%s/new", getenv("SPY"));
	snprintf(to, sizeof(to), "%s/%s", getenv("SPY"), name);
	if (rename(from, to))
		die(to);
}

/* Nothing of it stays here, not even on the stack. */
static void tell(int file, const BIGNUM *number)
{
	static unsigned char octets[1024];
	static char digits[2 * sizeof(octets) + 1];
	int size = BN_bn2bin(number, octets), at;

	for (at = 0; at < size; at++) {
		digits[2 * at] = "0123456789abcdef"[octets[at] >> 4];
		digits[2 * at + 1] = "0123456789abcdef"[octets[at] & 15];
	}
	digits[2 * size] = '\n';
	if (write(file, digits, 2 * size + 1) != 2 * size + 1)
		die("numbers");
	explicit_bzero(octets, sizeof(octets));
	explicit_bzero(digits, sizeof(digits));
}

static void stop(const char *name)
{
	int dumpable = prctl(PR_GET_DUMPABLE);
	struct rlimit core;
	void *probe;
	int file;

	/* Memory that is got now. */
	probe = mmap(NULL, PROBE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (probe == MAP_FAILED || getrlimit(RLIMIT_CORE, &core))
		die("stop");
	/* Else nobody but root could look. */
	if (!getenv("SPY_AS_IS"))
		prctl(PR_SET_DUMPABLE, 1);
	file = begin();
	dprintf(file, "%d %d %d %llu %llu %llx\n", getpid(), getppid(), dumpable,
		(unsigned long long)core.rlim_cur, (unsigned long long)core.rlim_max,
		(unsigned long long)probe);
	end(file, name);
	raise(SIGSTOP);
	if (!getenv("SPY_AS_IS"))
		prctl(PR_SET_DUMPABLE, dumpable);
	munmap(probe, PROBE);
}

int EC_KEY_generate_key(EC_KEY *key)
{
	int (*generate)(EC_KEY *) = next("EC_KEY_generate_key");
	int result = generate(key), file;

	if (result != 1 || !getenv("SPY"))
		return result;
	file = begin();
	tell(file, EC_KEY_get0_private_key(key));
	end(file, "numbers");
	made = 1;
	stop("made");
	return result;
}

int RSA_generate_key_ex(RSA *key, int bits, BIGNUM *e, BN_GENCB *callback)
{
	int (*generate)(RSA *, int, BIGNUM *, BN_GENCB *) = next("RSA_generate_key_ex");
	int result = generate(key, bits, e, callback), file;

	if (result != 1 || !getenv("SPY"))
		return result;
	file = begin();
	tell(file, RSA_get0_d(key));
	tell(file, RSA_get0_p(key));
	tell(file, RSA_get0_q(key));
	tell(file, RSA_get0_dmp1(key));
	tell(file, RSA_get0_dmq1(key));
	tell(file, RSA_get0_iqmp(key));
	end(file, "numbers");
	made = 1;
	stop("made");
	return result;
}

int EVP_PKEY_sign(EVP_PKEY_CTX *context, unsigned char *signature, size_t *size,
		  const unsigned char *digest, size_t digest_size)
{
	int (*sign)(EVP_PKEY_CTX *, unsigned char *, size_t *, const unsigned char *, size_t) =
		next("EVP_PKEY_sign");
	int result = sign(context, signature, size, digest, digest_size);

	if (made && signature) {
		const char *wanted = getenv("SPY_SIGNED");

		/* By any of several threads. */
		if (__atomic_add_fetch(&signatures, 1, __ATOMIC_SEQ_CST) == (wanted ? atoi(wanted) : 1))
			stop("signed");
	}
	return result;
}

ssize_t write(int file, const void *bytes, size_t size)
{
	ssize_t (*write_next)(int, const void *, size_t) = next("write");
	ssize_t result = write_next(file, bytes, size);
	const char *wanted = getenv("SPY_SENT");

	if (made && file == STDOUT_FILENO && wanted && ++messages == atoi(wanted))
		stop("sent");
	return result;
}

int open64(const char *path, int flags, ...)
{
	int (*open_next)(const char *, int, ...) = next("open64");
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	if (getenv("SPY_SWAPS") && !strcmp(path, "/proc/swaps"))
		path = getenv("SPY_SWAPS");
	return open_next(path, flags, mode);
}

ssize_t pwrite64(int file, const void *octets, size_t size, off64_t at)
{
	ssize_t (*write_next)(int, const void *, size_t, off64_t) = next("pwrite64");
	static int writes;

	if (getenv("SPY_SPOILS")) {
		int spoilt = open(getenv("SPY_SPOILS"), O_WRONLY | O_APPEND);

		if (write(spoilt, "?", 1) != 1)
			die("spoil");
		close(spoilt);
	}
	if (getenv("SPY_WRITES") && ++writes == atoi(getenv("SPY_WRITES"))) {
		/* Nothing cuts a number in two. */
		write_next(file, octets, size > 8 ? size / 2 : 0, at);
		raise(SIGKILL);
	}
	return write_next(file, octets, size, at);
}

__attribute__((destructor)) static void last(void)
{
	if (made)
		stop("ended");
}
