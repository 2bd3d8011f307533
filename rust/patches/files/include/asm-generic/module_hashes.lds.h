/* SPDX-License-Identifier: GPL-2.0 */

/* The root over the modules' hashes, written after the link. */
#ifdef CONFIG_MODULE_SIG_RUST_HASHES
#define MODULE_HASHES							\
	.module_hashes    : AT(ADDR(.module_hashes) - LOAD_OFFSET) {	\
		KEEP(*(.module_hashes))					\
	}
#else
#define MODULE_HASHES
#endif
