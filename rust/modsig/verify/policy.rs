// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What is done with a module, once it is known what its signature is worth
//! (`module_sig_check()` of `kernel/module/signing.c`).

use super::error::Class;

/// What to do with a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Load it.
    Accept,
    /// Ask the security modules whether the kernel is locked down (`LOCKDOWN_MODULE_SIGNATURE`);
    /// if it is not, load it and taint the kernel.
    AskLockdown,
    /// Refuse it with EKEYREJECTED: only signed modules may load.
    Refuse,
    /// Refuse it with the error number of its class.
    Fail(Class),
}

/// Decides on a module; `enforced` says that only validly signed modules may load.
///
/// ENODATA, ENOPKG and ENOKEY: nobody vouches for the module. A permissive kernel loads it and is
/// tainted. Every other error refuses it.
pub fn decide(result: Result<(), Class>, enforced: bool) -> Decision {
    match result {
        Ok(()) => Decision::Accept,
        Err(Class::NoData | Class::NoPackage | Class::NoKey) if enforced => Decision::Refuse,
        Err(Class::NoData | Class::NoPackage | Class::NoKey) => Decision::AskLockdown,
        Err(class) => Decision::Fail(class),
    }
}
