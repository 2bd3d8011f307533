// SPDX-License-Identifier: GPL-2.0

#ifdef CONFIG_MODULE_SIG_RUST

#include <crypto/hash.h>
#include <linux/key.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/string.h>

/* Trees from before it call a helper like any other function. */
#ifndef __rust_helper
#define __rust_helper
#endif

/*
 * Which of these are inline in C depends on the tree. Where a function is not,
 * Rust calls the function, and its helper is not used.
 */
__rust_helper unsigned int
rust_helper_crypto_shash_descsize(struct crypto_shash *tfm)
{
	return crypto_shash_descsize(tfm);
}

__rust_helper unsigned int
rust_helper_crypto_shash_statesize(struct crypto_shash *tfm)
{
	return crypto_shash_statesize(tfm);
}

__rust_helper void rust_helper_crypto_free_shash(struct crypto_shash *tfm)
{
	crypto_free_shash(tfm);
}

__rust_helper int rust_helper_crypto_shash_init(struct shash_desc *desc)
{
	return crypto_shash_init(desc);
}

__rust_helper int
rust_helper_crypto_shash_update(struct shash_desc *desc, const u8 *data,
				unsigned int len)
{
	return crypto_shash_update(desc, data, len);
}

/*
 * Whether to log that a module has no good signature: as often as all others
 * may log together, which the administrator has set, and whatever they do.
 */
bool rust_helper_modsig_may_log(void)
{
	static DEFINE_RATELIMIT_STATE(limit, DEFAULT_RATELIMIT_INTERVAL,
				      DEFAULT_RATELIMIT_BURST);

#ifdef CONFIG_PRINTK
	limit.interval = printk_ratelimit_state.interval;
	limit.burst = printk_ratelimit_state.burst;
#endif
	return ___ratelimit(&limit, "module_sig_check");
}

#ifdef CONFIG_MODULE_SIG_RUST_RELEASE
__rust_helper struct key *rust_helper_key_get(struct key *key)
{
	return key_get(key);
}

__rust_helper void *rust_helper_kmemdup(const void *src, size_t len, gfp_t gfp)
{
	return kmemdup(src, len, gfp);
}

/* Around what sys/keys/memo.rs remembers. */
static DEFINE_MUTEX(modsig_memo);

void rust_helper_modsig_memo_lock(void)
{
	mutex_lock(&modsig_memo);
}

void rust_helper_modsig_memo_unlock(void)
{
	mutex_unlock(&modsig_memo);
}
#endif /* CONFIG_MODULE_SIG_RUST_RELEASE */

#endif /* CONFIG_MODULE_SIG_RUST */
