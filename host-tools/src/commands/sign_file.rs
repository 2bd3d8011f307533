// SPDX-License-Identifier: MIT OR Apache-2.0

//! What `sign-file` takes, a program of its own.

use std::{ffi::OsString, path::PathBuf};

use super::help;

/// Signs a kernel module, as the kernel's scripts/sign-file
///
/// Takes the place of the kernel's own program, with the same options and operands, and makes the
/// same files. DKMS, for example, uses it with "sign_file=/usr/lib/modsig/sign-file" in
/// /etc/dkms/framework.conf.
///
/// It differs where that one does harm. A module that is signed already gets the new signature in
/// place of the old one, not behind it. Of a compressed module what is inside is signed. It says
/// so if it signs what is no module. The file is replaced as a whole, and keeps its mode, owner and extended
/// attributes. To sign many modules, "modsig sign" is faster.
#[derive(clap::Parser)]
#[command(
    name = "sign-file",
    version,
    override_usage = "sign-file [-dpk] <hash algo> <key> <x509> <module> [<dest>]\n       \
                      sign-file -s <raw sig> <hash algo> <x509> <module> [<dest>]",
    after_long_help = help::SIGN_FILE,
    verbatim_doc_comment
)]
pub struct Arguments {
    /// Write the signature to <module>.p7s only, leave the module
    #[arg(short = 'd')]
    pub detached: bool,
    /// Write the signature to <module>.p7s as well
    #[arg(short = 'p')]
    pub p7s: bool,
    /// Name the signer by key identifier, not by issuer and serial number
    #[arg(short = 'k')]
    pub key_id: bool,
    /// Append this signature, a PKCS#7 message that was made elsewhere
    #[arg(short = 's', value_name = "raw sig", conflicts_with_all = ["detached", "p7s", "key_id"])]
    pub raw: Option<PathBuf>,
    /// Digest algorithm, private key (PEM), its certificate (PEM or DER), module, and where the
    /// signed module goes, if not in place
    #[arg(required = true, num_args = 3..=5, value_name = "operand")]
    pub operands: Vec<OsString>,
}
