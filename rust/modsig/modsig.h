/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What modsig needs of C: included by rust/bindings/bindings_helper.h, and by
 * nothing else.
 */

#ifdef CONFIG_MODULE_SIG_RUST
#include <crypto/hash.h>
#ifdef CONFIG_MODULE_SIG_RUST_KEYS
#include <crypto/public_key.h>
#include <keys/asymmetric-type.h>
#endif
#include <keys/system_keyring.h>
#include <linux/errno.h>
#include <linux/key.h>
#include <linux/oid_registry.h>
#include <linux/printk.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/verification.h>
#include <uapi/linux/module.h>
#include "../internal.h"
#include "../../../certs/modsig.h"
#endif
