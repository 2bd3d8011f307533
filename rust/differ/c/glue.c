// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The rest of the kernel, as far as its C verifier calls it: keyrings are lists, and what crypto
 * says is for the program to say (struct differ_ops).  At the end is what the program calls.
 */
#include <crypto/public_key.h>
#include <keys/asymmetric-subtype.h>
#include <keys/asymmetric-type.h>
#include <keys/system_keyring.h>
#include <linux/module_signature.h>

struct differ_ops {
	/* Bytes of a digest, or a negative error number.  */
	int (*digest_size)(void *world, const char *name);
	void (*digest)(void *world, const char *name, const u8 *data, size_t len, u8 *out);
	/* Each 0 or a negative error number: whether there is the algorithm, whether it takes the
	 * key, whether the key made the signature.  */
	int (*signature)(void *world, const char *name);
	int (*key)(void *world, const char *name, const u8 *key, size_t len);
	int (*verify)(void *world, const char *name, const u8 *key, size_t key_len,
		      const u8 *value, size_t value_len, const u8 *digest, size_t digest_len);
};

static const struct differ_ops *ops;
static void *world;

void differ_bug(const char *what)
{
	fprintf(stderr, "the C verifier: %s\n", what);
	abort();
}

/* lib/hexdump.c, kernel/time/time.c.  */

char *bin2hex(char *to, const void *from, size_t count)
{
	const u8 *octets = from;

	for (; count; count--, octets++) {
		*to++ = "0123456789abcdef"[*octets >> 4];
		*to++ = "0123456789abcdef"[*octets & 15];
	}
	return to;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex2bin(u8 *to, const char *from, size_t count)
{
	for (; count; count--, from += 2) {
		int high = hex_digit(from[0]), low = high < 0 ? -1 : hex_digit(from[1]);

		if (low < 0)
			return -EINVAL;
		*to++ = high << 4 | low;
	}
	return 0;
}

time64_t mktime64(unsigned int year, unsigned int mon, unsigned int day,
		  unsigned int hour, unsigned int min, unsigned int sec)
{
	time64_t days = 0;
	unsigned int y, m;
	static const unsigned char lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

#define IS_LEAP(y) ((y) % 4 == 0 && ((y) % 100 != 0 || (y) % 400 == 0))
	for (y = 1970; y < year; y++)
		days += IS_LEAP(y) ? 366 : 365;
	for (m = 1; m < mon; m++)
		days += lengths[m - 1] + (m == 2 && IS_LEAP(year));
	return ((days + day - 1) * 24 + hour) * 3600 + min * 60 + sec;
}

/* crypto/.  */

struct crypto_shash { char *name; int size; };

struct crypto_shash *crypto_alloc_shash(const char *name, u32 type, u32 mask)
{
	int size = ops->digest_size(world, name);
	struct crypto_shash *tfm;

	if (size < 0)
		return ERR_PTR(size);
	tfm = malloc(sizeof(*tfm));
	tfm->name = strdup(name);
	tfm->size = size;
	return tfm;
}

void crypto_free_shash(struct crypto_shash *tfm)
{
	free(tfm->name);
	free(tfm);
}

unsigned int crypto_shash_digestsize(struct crypto_shash *tfm)
{
	return tfm->size;
}

int crypto_shash_digest(struct shash_desc *desc, const u8 *data, unsigned int len, u8 *out)
{
	u8 digest[64];

	/* The kernel lets the two overlap.  */
	ops->digest(world, desc->tfm->name, data, len, digest);
	memcpy(out, digest, desc->tfm->size);
	return 0;
}

/* All that the verifier digests in parts are a few bytes and then the rest: kept until then.  */
static u8 early[64];
static size_t early_len;

int crypto_shash_init(struct shash_desc *desc)
{
	early_len = 0;
	return 0;
}

int crypto_shash_update(struct shash_desc *desc, const u8 *data, unsigned int len)
{
	BUG_ON(len > sizeof(early) - early_len);
	memcpy(early + early_len, data, len);
	early_len += len;
	return 0;
}

int crypto_shash_finup(struct shash_desc *desc, const u8 *data, unsigned int len, u8 *out)
{
	u8 *all = malloc(early_len + len + 1);
	int ret;

	memcpy(all, early, early_len);
	memcpy(all + early_len, data, len);
	ret = crypto_shash_digest(desc, all, early_len + len, out);
	free(all);
	early_len = 0;
	return ret;
}

void sha256(const u8 *data, size_t len, u8 out[SHA256_DIGEST_SIZE])
{
	ops->digest(world, "sha256", data, len, out);
}

struct crypto_sig { char *name; u8 *key; size_t len; };

struct crypto_sig *crypto_alloc_sig(const char *name, u32 type, u32 mask)
{
	int ret = ops->signature(world, name);
	struct crypto_sig *tfm;

	if (ret < 0)
		return ERR_PTR(ret);
	tfm = calloc(1, sizeof(*tfm));
	tfm->name = strdup(name);
	return tfm;
}

void crypto_free_sig(struct crypto_sig *tfm)
{
	free(tfm->name);
	free(tfm->key);
	free(tfm);
}

int crypto_sig_set_pubkey(struct crypto_sig *tfm, const void *key, unsigned int len)
{
	free(tfm->key);
	tfm->key = kmemdup(key, len, GFP_KERNEL);
	tfm->len = len;
	return ops->key(world, tfm->name, tfm->key, len);
}

int crypto_sig_verify(struct crypto_sig *tfm, const void *sig, unsigned int sig_len,
		      const void *digest, unsigned int digest_len)
{
	return ops->verify(world, tfm->name, tfm->key, tfm->len, sig, sig_len, digest, digest_len);
}

/* What decides on keys that are added to a keyring, which nobody does here.  */
#define NEVER(name) \
	int name(struct key *keyring, const struct key_type *type, \
		 const union key_payload *payload, struct key *key) { differ_bug(#name); }
NEVER(restrict_link_by_signature)
NEVER(restrict_link_by_digsig)
NEVER(restrict_link_by_key_or_keyring)
NEVER(restrict_link_by_key_or_keyring_chain)
int x509_load_certificate_list(const u8 list[], const unsigned long size, const struct key *keyring)
{
	BUG_ON(size);
	return 0;
}

/* security/keys/.  */

struct key_type key_type_keyring = { .name = "keyring" };
static struct key_type *blacklist_type;
/* Also what certs/ makes out of files, which here are empty.  */
const u8 system_certificate_list[1], revocation_certificate_list[1];
const unsigned long system_certificate_list_size, module_cert_size, revocation_certificate_list_size;
const char *const blacklist_hashes[] = { NULL };

static struct { const char *name; struct key key; } keyrings[] = {
	{ ".builtin_trusted_keys" }, { ".secondary_trusted_keys" }, { ".platform" }, { ".blacklist" },
};

struct key *differ_keyring(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keyrings); i++)
		if (strcmp(keyrings[i].name, name) == 0)
			return &keyrings[i].key;
	differ_bug(name);
}

int register_key_type(struct key_type *type)
{
	if (strcmp(type->name, "blacklist") == 0)
		blacklist_type = type;
	return 0;
}

void unregister_key_type(struct key_type *type)
{
}

int generic_key_instantiate(struct key *key, struct key_preparsed_payload *prep)
{
	differ_bug(__func__);
}

struct key *key_lookup(key_serial_t id)
{
	return ERR_PTR(-ENOKEY);
}

int key_link(struct key *keyring, struct key *key)
{
	keyring->link = key;
	return 0;
}

/* At the end, so that the first one that was added is the first one that is found.  */
static void add(struct key *keyring, struct key *key)
{
	struct key **last = &keyring->first;

	while (*last)
		last = &(*last)->next;
	*last = key;
}

struct key *differ_key(struct key *keyring, const char *type, const char *description)
{
	struct key *key = calloc(1, sizeof(*key));

	BUG_ON(strcmp(type, "blacklist") != 0 || blacklist_type->vet_description(description));
	key->type = blacklist_type;
	key->description = strdup(description);
	add(keyring, key);
	return key;
}

static bool same_description(const struct key *key, const struct key_match_data *match)
{
	return key->description && strcmp(key->description, match->raw_data) == 0;
}

key_ref_t keyring_search(key_ref_t keyring, struct key_type *type, const char *description,
			 bool recurse)
{
	struct key_match_data match = { .cmp = same_description, .raw_data = description };
	key_ref_t found = ERR_PTR(-EAGAIN);
	struct key *in, *key;

	if (type->match_preparse) {
		int ret = type->match_preparse(&match);

		if (ret < 0)
			return ERR_PTR(ret);
	}
	for (in = keyring; in && IS_ERR(found); in = recurse ? in->link : NULL)
		for (key = in->first; key && IS_ERR(found); key = key->next)
			if (key->type == type && match.cmp(key, &match))
				found = key;
	if (type->match_free)
		type->match_free(&match);
	return found;
}

int security_locked_down(int what)
{
	return 0;
}

/* What the program calls.  */

struct octets { const u8 *data; size_t len; };

static void set_world(const struct differ_ops *new_ops, void *new_world)
{
	size_t i;

	ops = new_ops;
	world = new_world;
	for (i = 0; i < ARRAY_SIZE(keyrings); i++) {
		struct key *keyring = &keyrings[i].key, *key;

		while ((key = keyring->first)) {
			keyring->first = key->next;
			if (key->type->destroy)
				key->type->destroy(key);
			free(key->description);
			free(key);
		}
	}
	set_platform_trusted_keys(differ_keyring(".platform"));
}

static struct asymmetric_key_id *make_id(const struct octets *id)
{
	return id->data ? asymmetric_key_generate_id(id->data, id->len, "", 0) : NULL;
}

/* `id` are the two identifiers of a key; the second one may be null.  */
static void add_key(unsigned int keyring, const struct octets id[2], const char *algorithm,
		    const struct octets *public_key)
{
	struct key *key = calloc(1, sizeof(*key));
	struct asymmetric_key_ids *ids = calloc(1, sizeof(*ids));
	struct public_key *pub = calloc(1, sizeof(*pub));

	ids->id[0] = make_id(&id[0]);
	ids->id[1] = make_id(&id[1]);
	pub->key = kmemdup(public_key->data, public_key->len, GFP_KERNEL);
	pub->keylen = public_key->len;
	pub->params = kmemdup(NULL, 0, GFP_KERNEL);
	pub->pkey_algo = algorithm;
	key->type = &key_type_asymmetric;
	key->payload.data[asym_subtype] = &public_key_subtype;
	key->payload.data[asym_key_ids] = ids;
	key->payload.data[asym_crypto] = pub;
	add(&keyrings[keyring].key, key);
}

static void add_hash(const struct octets *hash, int type)
{
	if (mark_hash_blacklisted(hash->data, hash->len, type) < 0)
		differ_bug(__func__);
}

/* What module_sig_check() answers, and the error number behind a module that it lets in.  */
static int check(void *file, size_t len, int flags, size_t *module_len, bool *sig_ok, int *reason)
{
	struct load_info info = { .hdr = file, .len = len };
	int ret = module_sig_check(&info, flags);

	*module_len = info.len;
	*sig_ok = info.sig_ok;
	*reason = ret;
	if (ret == 0 && !info.sig_ok) {
		struct load_info again = { .hdr = file, .len = len - 28 };

		*reason = info.len == len ? -ENODATA : mod_verify_sig(file, &again);
	}
	return ret;
}

struct differ_signature {
	const char *algorithm, *hash, *encoding;
	struct octets value, message;
};

static void fill(struct public_key_signature *sig, const struct differ_signature *from)
{
	*sig = (struct public_key_signature){
		.s = (u8 *)from->value.data,
		.s_size = from->value.len,
		.pkey_algo = from->algorithm,
		.hash_algo = from->hash,
		.encoding = from->encoding,
#ifdef DIFFER_SIGNATURE_M
		.m = (u8 *)from->message.data,
		.m_size = from->message.len,
#else
		.digest = (u8 *)from->message.data,
		.digest_size = from->message.len,
#endif
	};
}

/* As find_asymmetric_key(): an error number is the pointer.  */
static struct key *find_key(unsigned int keyring, const struct octets id[2])
{
	struct asymmetric_key_id *first = make_id(&id[0]), *second = make_id(&id[1]);
	struct key *key = find_asymmetric_key(&keyrings[keyring].key, first, second, NULL, false);

	kfree(first);
	kfree(second);
	return key;
}

static int verify(const struct key *key, const struct differ_signature *signature)
{
	struct public_key_signature sig;

	fill(&sig, signature);
	return verify_signature(key, &sig);
}

static int verify_with(const char *algorithm, const struct octets *key,
		       const struct octets *parameters, const struct differ_signature *signature)
{
	struct public_key_signature sig;
	struct public_key pub = {
		.key = (void *)key->data,
		.keylen = key->len,
		.params = (void *)parameters->data,
		.paramlen = parameters->len,
		.pkey_algo = algorithm,
	};

	fill(&sig, signature);
	return public_key_verify_signature(&pub, &sig);
}

static int is_blacklisted(const struct octets *hash, int type)
{
	return is_hash_blacklisted(hash->data, hash->len, type);
}

/* parsers.c.  */
struct differ_parser;
int differ_certificate(const struct differ_parser *rust, const void *data, size_t size, char **text);
int differ_message(const struct differ_parser *rust, const void *data, size_t size, char **text);
int differ_time(const struct differ_parser *rust, u8 tag, const void *data, size_t size, s64 *time);

/* In the order of `Functions` in src/c.rs.  */
__attribute__((visibility("default"))) const struct differ_functions {
	void (*world)(const struct differ_ops *, void *);
	void (*add_key)(unsigned int, const struct octets [2], const char *, const struct octets *);
	void (*add_hash)(const struct octets *, int);
	int (*check)(void *, size_t, int, size_t *, bool *, int *);
	struct key *(*find_key)(unsigned int, const struct octets [2]);
	int (*verify)(const struct key *, const struct differ_signature *);
	int (*verify_with)(const char *, const struct octets *, const struct octets *,
			   const struct differ_signature *);
	int (*is_blacklisted)(const struct octets *, int);
	int (*certificate)(const struct differ_parser *, const void *, size_t, char **);
	int (*time)(const struct differ_parser *, u8, const void *, size_t, s64 *);
	void (*free)(void *);
	int (*message)(const struct differ_parser *, const void *, size_t, char **);
} differ_functions = {
	set_world, add_key, add_hash, check, find_key, verify, verify_with, is_blacklisted,
	differ_certificate, differ_time, free,
	differ_message,
};
