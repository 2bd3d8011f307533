/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What modsig needs of the system's keyrings and of the blacklist.
 *
 * The keyrings are static. The C verifier reaches them through functions that
 * take its own parse of a PKCS#7 message, which modsig does not make.
 */
#ifndef _CERTS_MODSIG_H
#define _CERTS_MODSIG_H

#include <linux/types.h>

struct key;

#ifdef CONFIG_MODULE_SIG_RUST
struct key *module_trusted_keyring(void);
struct key *module_platform_keyring(void);
struct key *module_revocation_keyring(void);
void module_blacklist_note(const char *description);
bool module_blacklist_has_files(void);
#else
static inline void module_blacklist_note(const char *description)
{
}
#endif

#endif /* _CERTS_MODSIG_H */
