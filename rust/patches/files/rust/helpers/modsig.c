// SPDX-License-Identifier: GPL-2.0

#ifdef CONFIG_MODULE_SIG_RUST

#include <crypto/hash.h>
#include <linux/ratelimit.h>

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

#endif /* CONFIG_MODULE_SIG_RUST */
