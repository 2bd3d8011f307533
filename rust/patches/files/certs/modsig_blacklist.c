// SPDX-License-Identifier: GPL-2.0
/* Part of blacklist.c, which includes it: the keyring is static there. */

#ifdef CONFIG_MODULE_SIG_RUST
/* Whether the list was ever given the hash of a file. */
static bool has_files;

/**
 * module_blacklist_note - A key is about to be put on the list
 * @description: What it is called
 *
 * Called before anybody can find the key.
 */
void module_blacklist_note(const char *description)
{
	if (strncmp(description, "bin:", 4) == 0)
		WRITE_ONCE(has_files, true);
}

/**
 * module_blacklist_has_files - Whether a file can be on the list
 *
 * Most machines have no hash of a file on it: then none need be digested.
 */
bool module_blacklist_has_files(void)
{
	return READ_ONCE(has_files);
}

#ifdef CONFIG_SYSTEM_REVOCATION_LIST
/**
 * module_revocation_keyring - The keyring that holds the revoked keys
 */
struct key *module_revocation_keyring(void)
{
	return blacklist_keyring;
}
#endif
#endif /* CONFIG_MODULE_SIG_RUST */
