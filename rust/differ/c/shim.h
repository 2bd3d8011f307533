/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the kernel's C verifier takes from the rest of the kernel, for a program in user space.
 * scripts/tools/differ includes it in front of each source file, and puts an empty header in the
 * place of each kernel header that is not used as it is.
 */
#ifndef DIFFER_SHIM_H
#define DIFFER_SHIM_H

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef s64 time64_t;
typedef unsigned int gfp_t;
typedef struct { s64 counter; } atomic64_t;

/* The configuration: Debian's, as far as the verifier looks at it.  */
#define CONFIG_KEYS 1
#define CONFIG_ASYMMETRIC_KEY_TYPE 1
#define CONFIG_ASYMMETRIC_PUBLIC_KEY_SUBTYPE 1
#define CONFIG_SYSTEM_TRUSTED_KEYRING 1
#define CONFIG_SECONDARY_TRUSTED_KEYRING 1
#define CONFIG_INTEGRITY_PLATFORM_KEYRING 1
#define CONFIG_SYSTEM_BLACKLIST_KEYRING 1
#define CONFIG_SYSTEM_REVOCATION_LIST 1
#define CONFIG_SYSTEM_DATA_VERIFICATION 1
#define CONFIG_MODULE_SIG 1
/* 1 for an option that is defined as 1, 0 for one that is not defined.  */
#define DIFFER_1 0,
#define DIFFER_SECOND(a, b, ...) b
#define DIFFER_IS(x) DIFFER_SECOND(x 1, 0, 0)
#define DIFFER_JOIN(x) DIFFER_IS(DIFFER_##x)
#define IS_ENABLED(x) DIFFER_JOIN(x)
#define IS_REACHABLE(x) IS_ENABLED(x)

/* Compiler, linker, module.  Newer headers of user space have a __counted_by as well.  */
#undef __counted_by
#define __init
#define __exit
#define __initconst
#define __randomize_layout
#define __rcu
#define __user
#define fallthrough __attribute__((fallthrough))
#define __maybe_unused __attribute__((unused))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define __counted_by(x)
#define noinline __attribute__((noinline))
#define EXPORT_SYMBOL(x)
#define EXPORT_SYMBOL_GPL(x)
#define MODULE_DESCRIPTION(x)
#define MODULE_AUTHOR(x)
#define MODULE_LICENSE(x)
#define MODULE_PARM_DESC(x, y)
#define THIS_MODULE NULL
struct module;
#define __module_get(x) ((void)(x))
#define module_put(x) ((void)(x))
/* Each runs when the library is loaded, in the order of priorities: keyrings before all else.  */
#define DIFFER_CALL(fn, priority) \
	__attribute__((constructor(priority))) static void differ_call_##fn(void) { fn(); }
#define module_init(fn) DIFFER_CALL(fn, 200)
#define module_exit(fn) __attribute__((used)) static void (*differ_exit_##fn)(void) = fn;
#define device_initcall(fn) DIFFER_CALL(fn, 300)
#define late_initcall(fn) DIFFER_CALL(fn, 400)
#define module_param(name, type, perm)

/* Messages: none.  The compiler still sees their arguments.  */
static inline void differ_print(const char *format, ...) { (void)format; }
#define printk(...) differ_print(__VA_ARGS__)
#define pr_err printk
#define pr_warn printk
#define pr_warn_once printk
#define pr_notice printk
#define pr_notice_once printk
#define pr_debug(...) ((void)0)
#define pr_devel(...) ((void)0)

_Noreturn void differ_bug(const char *what);
#define panic(...) differ_bug("panic")
#define BUG() differ_bug("BUG")
#define BUG_ON(x) do { if (x) differ_bug("BUG_ON: " #x); } while (0)
#define BUILD_BUG_ON(x) _Static_assert(!(x), #x)
#define WARN_ON(x) ({ bool differ_x = (x); if (differ_x) differ_bug("WARN_ON: " #x); differ_x; })
#define WARN_ON_ONCE WARN_ON
#define might_sleep() ((void)0)

/* Arithmetic and memory.  */
#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))
#define BITS_PER_BYTE 8
#define PAGE_SIZE 4096UL
#define GFP_KERNEL 0
#define check_add_overflow(a, b, d) __builtin_add_overflow(a, b, d)
#define umax(a, b) ({ u64 differ_a = (a), differ_b = (b); differ_a > differ_b ? differ_a : differ_b; })
#define static_assert _Static_assert
#define be32_to_cpu(x) __builtin_bswap32(x)
#define kmalloc(size, gfp) malloc(size)
#define kzalloc(size, gfp) calloc(1, size)
#define kmalloc_obj(x) ((typeof(x) *)malloc(sizeof(x)))
#define kzalloc_obj(x) ((typeof(x) *)calloc(1, sizeof(x)))
#define kfree_sensitive kfree
static inline void kfree(const void *p) { free((void *)p); }
/* As the kernel's, never null for no bytes, nor does it read them.  */
static inline void *kmemdup(const void *from, size_t size, gfp_t gfp)
{
	void *to = malloc(size + !size);

	return to && size ? memcpy(to, from, size) : to;
}
static inline char *kstrndup(const char *s, size_t max, gfp_t gfp) { return strndup(s, max); }
static inline int kstrtos32(const char *s, unsigned int base, s32 *to) { return -EINVAL; }
static inline ssize_t strscpy(char *to, const char *from, size_t size)
{
	size_t len = strlen(from);

	if (len >= size)
		return -E2BIG;
	memcpy(to, from, len + 1);
	return len;
}
char *bin2hex(char *to, const void *from, size_t count);
int hex2bin(u8 *to, const char *from, size_t count);
/* Only for callers that want a digest.  */
enum hash_algo { HASH_ALGO__LAST };
static const char *const hash_algo_name[1] __attribute__((unused));
static inline int match_string(const char *const *list, size_t n, const char *s) { return -EINVAL; }
#define test_bit(bit, word) (*(word) >> (bit) & 1)
static inline bool __test_and_set_bit(int bit, unsigned long *word)
{
	bool was = test_bit(bit, word);

	*word |= 1UL << bit;
	return was;
}
time64_t mktime64(unsigned int year, unsigned int mon, unsigned int day,
		  unsigned int hour, unsigned int min, unsigned int sec);

/* linux/err.h, linux/cleanup.h.  */
#define MAX_ERRNO 4095
#define IS_ERR(p) ((unsigned long)(p) >= (unsigned long)-MAX_ERRNO)
#define ERR_PTR(e) ((void *)(long)(e))
#define PTR_ERR(p) ((long)(p))
#define ERR_CAST(p) ((void *)(p))
#define ENOTSUPP 524
#define DEFINE_FREE(name, type, body) \
	static inline void differ_free_##name(void *p) { type _T = *(type *)p; body; }
#define __free(name) __attribute__((cleanup(differ_free_##name)))
#define return_ptr(p) do { typeof(p) differ_p = (p); (p) = NULL; return differ_p; } while (0)
DEFINE_FREE(kfree, void *, if (!IS_ERR(_T)) kfree(_T))

/* linux/list.h, linux/rwsem.h.  */
struct list_head { struct list_head *next, *prev; };
#define LIST_HEAD(name) struct list_head name = { &(name), &(name) }
static inline void list_add_tail(struct list_head *new, struct list_head *head)
{
	new->prev = head->prev;
	new->next = head;
	head->prev->next = new;
	head->prev = new;
}
static inline void list_del(struct list_head *entry)
{
	entry->next->prev = entry->prev;
	entry->prev->next = entry->next;
}
#define list_entry(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
#define list_for_each_entry(p, head, member) \
	for (p = list_entry((head)->next, typeof(*p), member); &p->member != (head); \
	     p = list_entry(p->member.next, typeof(*p), member))
#define DECLARE_RWSEM(name) __attribute__((unused)) int name
#define down_read(x) ((void)0)
#define down_write(x) ((void)0)
#define up_read(x) ((void)0)
#define up_write(x) ((void)0)
struct lock_class_key { int none; };
struct seq_file;
#define seq_puts(m, s) ((void)(m))
#define seq_putc(m, c) ((void)(m))
#define seq_printf(m, ...) ((void)(m))

/* linux/key.h.  */
typedef s32 key_serial_t;
typedef u32 key_perm_t;
typedef struct key *key_ref_t;
struct key_type;
struct key_preparsed_payload;
union key_payload { void *data[4]; };
typedef int (*key_restrict_link_func_t)(struct key *, const struct key_type *,
					const union key_payload *, struct key *);
struct key_restriction {
	key_restrict_link_func_t check;
	struct key *key;
	struct key_type *keytype;
};
struct key {
	const struct key_type *type;
	char *description;
	union key_payload payload;
	unsigned long flags;
	key_perm_t perm;
	/* In what it is; the first in it, if it is a keyring; the keyring that it has a link to.  */
	struct key *next, *first, *link;
};
#define KEY_FLAG_BUILTIN 0
#define key_serial(key) 0
#define key_put(key) ((void)(key))
#define key_ref_put(key) ((void)(key))
#define make_key_ref(key, possessed) (key)
#define key_ref_to_ptr(ref) (ref)
#define current_cred() NULL
#define GLOBAL_ROOT_UID 0
#define GLOBAL_ROOT_GID 0
#define KEY_ALLOC_NOT_IN_QUOTA 0
#define KEY_ALLOC_BUILT_IN 0
#define KEY_ALLOC_BYPASS_RESTRICTION 0
#define KEY_ALLOC_SET_KEEP 0
#define KEY_POS_VIEW 0
#define KEY_POS_READ 0
#define KEY_POS_SEARCH 0
#define KEY_POS_WRITE 0
#define KEY_POS_SETATTR 0
#define KEY_POS_ALL 0
#define KEY_USR_VIEW 0
#define KEY_USR_READ 0
#define KEY_USR_SEARCH 0
#define KEY_USR_WRITE 0
#define restrict_link_reject NULL
struct key *differ_keyring(const char *name);
#define keyring_alloc(name, uid, gid, cred, perm, flags, restriction, dest) \
	((void)(restriction), differ_keyring(name))
int key_link(struct key *keyring, struct key *key);
key_ref_t keyring_search(key_ref_t keyring, struct key_type *type, const char *description,
			 bool recurse);
struct key *key_lookup(key_serial_t id);
struct key *differ_key(struct key *keyring, const char *type, const char *description);
#define key_create(keyring, type, description, payload, len, perm, flags) \
	differ_key(keyring, type, description)
#define key_create_or_update(keyring, type, description, payload, len, perm, flags) \
	((key_ref_t)ERR_PTR(-EOPNOTSUPP))

/* crypto/hash.h, crypto/sig.h, crypto/akcipher.h: answered by the program.  */
struct crypto_shash;
struct shash_desc { struct crypto_shash *tfm; };
struct crypto_shash *crypto_alloc_shash(const char *name, u32 type, u32 mask);
void crypto_free_shash(struct crypto_shash *tfm);
unsigned int crypto_shash_digestsize(struct crypto_shash *tfm);
int crypto_shash_digest(struct shash_desc *desc, const u8 *data, unsigned int len, u8 *out);
int crypto_shash_init(struct shash_desc *desc);
int crypto_shash_update(struct shash_desc *desc, const u8 *data, unsigned int len);
int crypto_shash_finup(struct shash_desc *desc, const u8 *data, unsigned int len, u8 *out);
#define crypto_shash_descsize(tfm) 0
#define SHA256_DIGEST_SIZE 32
void sha256(const u8 *data, size_t len, u8 out[SHA256_DIGEST_SIZE]);

#define CRYPTO_MAX_ALG_NAME 128
struct crypto_sig;
struct crypto_sig *crypto_alloc_sig(const char *name, u32 type, u32 mask);
void crypto_free_sig(struct crypto_sig *tfm);
int crypto_sig_set_pubkey(struct crypto_sig *tfm, const void *key, unsigned int len);
int crypto_sig_verify(struct crypto_sig *tfm, const void *sig, unsigned int sig_len,
		      const void *digest, unsigned int digest_len);
/* What only keys with a private half are asked for.  */
#define crypto_sig_set_privkey(tfm, key, len) (-EOPNOTSUPP)
#define crypto_sig_sign(tfm, in, in_len, out, out_len) (-EOPNOTSUPP)
#define crypto_sig_maxsize(tfm) 0
#define crypto_sig_keysize(tfm) 0
#define crypto_sig_digestsize(tfm) 0
struct crypto_akcipher;
#define crypto_alloc_akcipher(name, type, mask) ((struct crypto_akcipher *)ERR_PTR(-ENOENT))
#define crypto_free_akcipher(tfm) ((void)(tfm))
#define crypto_akcipher_set_pub_key(tfm, key, len) (-EOPNOTSUPP)
#define crypto_akcipher_set_priv_key(tfm, key, len) (-EOPNOTSUPP)
#define crypto_akcipher_maxsize(tfm) 0
#define crypto_akcipher_sync_encrypt(tfm, in, in_len, out, out_len) (-EOPNOTSUPP)
#define crypto_akcipher_sync_decrypt(tfm, in, in_len, out, out_len) (-EOPNOTSUPP)

/* kernel/module/internal.h, linux/security.h.  */
struct load_info {
	void *hdr;
	unsigned long len;
	bool sig_ok;
};
int mod_verify_sig(const void *mod, struct load_info *info);
int module_sig_check(struct load_info *info, int flags);
#define LOCKDOWN_MODULE_SIGNATURE 0
int security_locked_down(int what);

#endif
