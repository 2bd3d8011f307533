// SPDX-License-Identifier: GPL-2.0
/* Part of system_keyring.c, which includes it: the keyrings are static there. */

#include "modsig.h"

#ifdef CONFIG_MODULE_SIG_RUST
/**
 * module_trusted_keyring - The keyring that VERIFY_USE_SECONDARY_KEYRING names
 *
 * Returns the secondary keyring, which links to the builtin one, or the builtin
 * one if there is no other.
 */
struct key *module_trusted_keyring(void)
{
#ifdef CONFIG_SECONDARY_TRUSTED_KEYRING
	return secondary_trusted_keys;
#else
	return builtin_trusted_keys;
#endif
}

/**
 * module_platform_keyring - The keyring that VERIFY_USE_PLATFORM_KEYRING names
 *
 * Returns NULL if there is none.
 */
struct key *module_platform_keyring(void)
{
#ifdef CONFIG_INTEGRITY_PLATFORM_KEYRING
	return platform_trusted_keys;
#else
	return NULL;
#endif
}
#endif /* CONFIG_MODULE_SIG_RUST */
