// SPDX-License-Identifier: MIT OR Apache-2.0

//! Boots: which kernel, in which mode, and what it is given.

use modsig_tools::platform::Mode;

use super::kernels::{
    C, C_INTEGRITY, DEBUG, FORCE, HASHES, IMAGE, IMAGE_NO_ROOT, INTEGRITY, KEYLESS, PERMISSIVE,
};
use crate::corpus::cases::Table;

/// All modes, in the order in which tables name them.
pub const MODES: [Mode; 3] = [Mode::Permissive, Mode::Enforcing, Mode::Lockdown];

/// What a mode is called.
pub fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Permissive => "permissive",
        Mode::Enforcing => "enforcing",
        Mode::Lockdown => "lockdown",
    }
}

/// What the command line of a kernel has that is to be in this mode.
pub fn append(mode: Mode) -> &'static str {
    match mode {
        Mode::Permissive => "",
        Mode::Enforcing => "module.sig_enforce=1",
        Mode::Lockdown => "lockdown=integrity",
    }
}

/// One boot.
#[derive(Clone, Copy, Debug)]
pub struct Boot {
    /// What it is called.
    pub name: &'static str,
    /// The flavour of kernel.
    pub flavour: &'static str,
    /// Which of its images: [`IMAGE`] or [`IMAGE_NO_ROOT`].
    pub image: &'static str,
    /// The cases that are tried.
    pub table: Table,
    /// What it makes of modules nobody has vouched for.
    pub mode: Mode,
}

impl Boot {
    /// What is added to the kernel's command line.
    pub fn append(&self) -> &'static str {
        match self.flavour {
            // Built so.
            FORCE => "",
            _ => append(self.mode),
        }
    }

    /// Whether its kernel knows signatures for releases (`CONFIG_MODULE_SIG_RUST_RELEASE`).
    pub fn knows_releases(&self) -> bool {
        [FORCE, HASHES, DEBUG].contains(&self.flavour)
    }
}

const SIGNATURES: Boot = Boot {
    name: PERMISSIVE,
    flavour: PERMISSIVE,
    image: IMAGE,
    table: Table::Signatures,
    mode: Mode::Permissive,
};
const BY_HASHES: Boot = Boot {
    name: "hashes-permissive",
    flavour: HASHES,
    table: Table::Hashes,
    ..SIGNATURES
};
const RELEASES: Boot = Boot {
    name: "releases-permissive",
    table: Table::Releases,
    ..BY_HASHES
};
/// A kernel that does not know them.
const OLDER: Boot = Boot {
    name: "older-permissive",
    table: Table::Releases,
    ..SIGNATURES
};
const C_OLDER: Boot = Boot {
    name: "c-older-permissive",
    table: Table::Releases,
    ..UNMODIFIED
};
const KEYLESS_PERMISSIVE: Boot = Boot {
    name: "hashes-only-permissive",
    flavour: KEYLESS,
    ..BY_HASHES
};
const UNMODIFIED: Boot = Boot {
    name: "c-permissive",
    flavour: C,
    ..SIGNATURES
};
const PLATFORM: Boot = Boot {
    name: "platform-permissive",
    flavour: INTEGRITY,
    table: Table::Platform,
    ..SIGNATURES
};
const C_PLATFORM: Boot = Boot {
    name: "c-platform-permissive",
    flavour: C_INTEGRITY,
    ..PLATFORM
};
const IMA: Boot = Boot {
    name: "ima-permissive",
    table: Table::Ima,
    ..PLATFORM
};
const C_IMA: Boot = Boot {
    name: "c-ima-permissive",
    table: Table::Ima,
    ..C_PLATFORM
};

/// The same kernel in another mode.
const fn in_mode(mode: Mode, name: &'static str, boot: Boot) -> Boot {
    Boot { name, mode, ..boot }
}

/// The boots of kernels with modsig.
pub const RUST: [Boot; 19] = [
    SIGNATURES,
    in_mode(Mode::Enforcing, "sig_enforce", SIGNATURES),
    in_mode(Mode::Lockdown, "lockdown", SIGNATURES),
    Boot {
        name: FORCE,
        flavour: FORCE,
        mode: Mode::Enforcing,
        ..SIGNATURES
    },
    BY_HASHES,
    in_mode(Mode::Enforcing, "hashes-sig_enforce", BY_HASHES),
    in_mode(Mode::Lockdown, "hashes-lockdown", BY_HASHES),
    // For signatures nothing has changed.
    Boot {
        name: "hashes-signatures",
        table: Table::Signatures,
        ..BY_HASHES
    },
    RELEASES,
    in_mode(Mode::Enforcing, "releases-sig_enforce", RELEASES),
    in_mode(Mode::Lockdown, "releases-lockdown", RELEASES),
    Boot {
        name: "releases-force",
        flavour: FORCE,
        mode: Mode::Enforcing,
        ..RELEASES
    },
    OLDER,
    in_mode(Mode::Enforcing, "older-sig_enforce", OLDER),
    in_mode(Mode::Lockdown, "older-lockdown", OLDER),
    KEYLESS_PERMISSIVE,
    in_mode(
        Mode::Enforcing,
        "hashes-only-sig_enforce",
        KEYLESS_PERMISSIVE,
    ),
    in_mode(Mode::Lockdown, "hashes-only-lockdown", KEYLESS_PERMISSIVE),
    Boot {
        name: "hashes-only-no-root",
        image: IMAGE_NO_ROOT,
        ..KEYLESS_PERMISSIVE
    },
];

/// The boots of the unmodified kernel.
pub const UNMODIFIED_C: [Boot; 6] = [
    UNMODIFIED,
    in_mode(Mode::Enforcing, "c-sig_enforce", UNMODIFIED),
    in_mode(Mode::Lockdown, "c-lockdown", UNMODIFIED),
    C_OLDER,
    in_mode(Mode::Enforcing, "c-older-sig_enforce", C_OLDER),
    in_mode(Mode::Lockdown, "c-older-lockdown", C_OLDER),
];

/// The boots in which keys of the firmware or IMA decide as well, of the unmodified kernel and of
/// the one with modsig.
pub const WITH_INTEGRITY: [Boot; 12] = [
    C_PLATFORM,
    in_mode(Mode::Enforcing, "c-platform-sig_enforce", C_PLATFORM),
    in_mode(Mode::Lockdown, "c-platform-lockdown", C_PLATFORM),
    PLATFORM,
    in_mode(Mode::Enforcing, "platform-sig_enforce", PLATFORM),
    in_mode(Mode::Lockdown, "platform-lockdown", PLATFORM),
    C_IMA,
    in_mode(Mode::Enforcing, "c-ima-sig_enforce", C_IMA),
    in_mode(Mode::Lockdown, "c-ima-lockdown", C_IMA),
    IMA,
    in_mode(Mode::Enforcing, "ima-sig_enforce", IMA),
    in_mode(Mode::Lockdown, "ima-lockdown", IMA),
];
