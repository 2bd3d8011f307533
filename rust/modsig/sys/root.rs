// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The root of the tree of module hashes, which is written into the finished vmlinux: its section
//! is all that `modsig hashes` knows of the kernel.

use crate::verify::merkle;

/// What is in the section `.module_hashes`.
#[cfg(CONFIG_MODULE_SIG_RUST_HASHES)]
#[repr(C)]
struct ModuleHashes {
    /// Levels of the tree, in the byte order of the machine.
    levels: u32,
    root: [u8; merkle::HASH_SIZE],
    /// Whether modules are let in for a key's sake too.
    keys: u32,
    mark: [u8; 16],
}

#[cfg(CONFIG_MODULE_SIG_RUST_HASHES)]
#[link_section = ".module_hashes"]
#[used]
static MODULE_HASHES: ModuleHashes = ModuleHashes {
    levels: 0,
    root: [0; merkle::HASH_SIZE],
    keys: cfg!(CONFIG_MODULE_SIG_RUST_KEYS) as u32,
    mark: merkle::MARK,
};

/// The root, if this kernel knows modules by their hashes.
pub(super) fn get() -> Option<merkle::Root> {
    #[cfg(CONFIG_MODULE_SIG_RUST_HASHES)]
    {
        // SAFETY: points to a static, which is read only. It was changed after this was compiled,
        // so the compiler must not go by what it sees above.
        let ModuleHashes { levels, root, .. } =
            unsafe { core::ptr::addr_of!(MODULE_HASHES).read_volatile() };
        Some(merkle::Root { levels, hash: root })
    }
    #[cfg(not(CONFIG_MODULE_SIG_RUST_HASHES))]
    None
}
