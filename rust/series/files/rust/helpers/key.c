// SPDX-License-Identifier: GPL-2.0

#include <keys/system_keyring.h>
#include <linux/key.h>

__rust_helper struct key *rust_helper_key_get(struct key *key)
{
	return key_get(key);
}

__rust_helper int rust_helper_is_hash_blacklisted(const u8 *hash,
						  size_t hash_len,
						  enum blacklist_hash_type type)
{
	return is_hash_blacklisted(hash, hash_len, type);
}

__rust_helper struct key *
rust_helper_find_revoked_key(const struct asymmetric_key_id *id_0,
			     const struct asymmetric_key_id *id_1)
{
	return find_revoked_key(id_0, id_1);
}
