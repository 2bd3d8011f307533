// SPDX-License-Identifier: MIT OR Apache-2.0

//! The subcommands, one file each; what they have in common is in `cli`. From what is said here come the help, the manual pages and the
//! shells' completions (`examples/manpages.rs`).

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use modsig_tools::platform;

use crate::cli::{help, output, report};

mod attach;
mod certs;
mod hashes;
mod inspect;
mod keygen;
mod seal;
mod sign;
pub mod sign_file;
mod strip;
mod verify;
mod why;

/// Signs, verifies, inspects and strips Linux kernel modules
///
/// The Linux kernel can be told to load only modules that were signed with a key that it trusts.
/// modsig makes such signatures, for one module or for all of a distribution at once, and says
/// beforehand what a kernel will do with a module: it decides with the very code that the kernel
/// has, where modsig is built into it.
///
/// Wherever modules are given, directories are searched for *.ko, *.ko.gz, *.ko.xz and *.ko.zst.
#[derive(clap::Parser)]
#[command(name = "modsig", version, after_long_help = help::MODSIG, verbatim_doc_comment)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The subcommands by what they are for, as the help has them: administrators come first.
const GROUPS: [(&str, &[&str]); 3] = [
    ("Check modules", &["why", "verify", "inspect", "certs"]),
    ("Sign modules", &["sign", "attach", "strip", "keygen"]),
    ("Build kernels", &["hashes", "seal"]),
];

impl Arguments {
    /// Reads the arguments of this program; ends it if they are wrong, or if help is wanted.
    pub fn read() -> Self {
        let matches = Self::command().help_template(template()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// What the help of `modsig` is made by: clap's own has no groups.
fn template() -> String {
    let command = Arguments::command();
    let mut groups = String::new();
    for (title, names) in GROUPS {
        groups += &format!("{title}:\n");
        for name in names {
            let about = command
                .find_subcommand(name)
                .and_then(|one| one.get_about())
                .map(ToString::to_string);
            groups += &format!("  {name:<9}{}\n", about.unwrap_or_default());
        }
        groups.push('\n');
    }
    format!("{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}Options:\n{{options}}{{after-help}}")
}

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Sign modules
    ///
    /// Signs each module, in place. A signature that is there already is replaced. What is
    /// compressed is unpacked, signed and packed as Kbuild packs it. Key and certificate are read
    /// once, and looked at before the first module is touched.
    ///
    /// Whatever happens, each file is either as it was or completely signed: the new file is
    /// written without a name and takes the old one's name once it is on the disk. Mode, owner and
    /// extended attributes are kept. Symbolic links below a directory are left alone; other hard
    /// links to a file keep the old content.
    #[command(after_long_help = help::SIGN, verbatim_doc_comment)]
    Sign(sign::Arguments),
    /// Check whether a kernel would load these modules
    ///
    /// Checks each module with the kernel's own code against the keys of this machine, of a kernel
    /// image, or of certificates that are given, and says why one is not good, which errno the kernel
    /// would give, and in which mode.
    ///
    /// The modes: "permissive" is a kernel that lets unsigned modules in and is tainted by them,
    /// "enforcing" one with CONFIG_MODULE_SIG_FORCE or module.sig_enforce=1, "locked down" one with
    /// lockdown=integrity, as with Secure Boot.
    #[command(after_long_help = help::VERIFY, verbatim_doc_comment)]
    Verify(verify::Arguments),
    /// Show a module's signature: signer, algorithm, size
    ///
    /// Shows what is appended to each module. Nothing is judged.
    #[command(after_long_help = help::INSPECT, verbatim_doc_comment)]
    Inspect(inspect::Arguments),
    /// Take signatures off modules
    ///
    /// Leaves the module as it was before it was signed, byte for byte (a compressed one: the
    /// module that is in it). Files are replaced as by "modsig sign".
    #[command(after_long_help = help::STRIP, verbatim_doc_comment)]
    Strip(strip::Arguments),
    /// Append signatures that were made elsewhere, after checking them
    ///
    /// Takes the signature of each module from MODULE.p7s, and appends it only if this certificate's
    /// key made it over this very module. Nothing is accepted unverified.
    #[command(after_long_help = help::ATTACH, verbatim_doc_comment)]
    Attach(attach::Arguments),
    /// Bind a kernel to the modules of its build by their hashes, without any key
    ///
    /// Makes a Merkle tree over the modules of a build, writes its root into vmlinux, and appends to
    /// each module the proof that it is in the tree. A kernel with CONFIG_MODULE_SIG_RUST_HASHES
    /// lets exactly these modules in. Kbuild calls this before it makes a boot image of vmlinux.
    ///
    /// Only what has changed since the last time is read again: what is known of the modules is
    /// kept beside vmlinux, in modules.hashes. If one module cannot be taken, nothing is written.
    #[command(after_long_help = help::HASHES, verbatim_doc_comment)]
    Hashes(hashes::Arguments),
    /// Sign a build with a one-time key that is destroyed afterwards
    ///
    /// Makes a key, signs all modules with it, and writes its certificate into vmlinux, which must
    /// have been built with CONFIG_SYSTEM_EXTRA_CERTIFICATE=y. The kernel then takes these modules,
    /// and nobody can make others for this certificate: the key is in the memory of one process
    /// only, which is locked, and is gone before the first module is written.
    ///
    /// A signature from an earlier seal is replaced, and so is the certificate. Give all modules at
    /// once, those in the build tree and those installed from it, for the next seal makes another
    /// key. If one of them cannot be taken, nothing is written: each must be a module for this very
    /// kernel, and may be signed otherwise, or have a proof of "modsig hashes", only with --replace.
    ///
    /// Boot images are made of vmlinux afterwards. At the end all is read back, and each module is
    /// checked as the kernel does. If that was interrupted, seal again.
    #[command(after_long_help = help::SEAL, verbatim_doc_comment)]
    Seal(seal::Arguments),
    /// List the certificates that are built into a kernel image
    ///
    /// Unpacks the image, and lists the certificates of the builtin trusted keyring, those that are
    /// revoked, and the hashes that are refused. It need not be of this machine.
    #[command(after_long_help = help::CERTS, verbatim_doc_comment)]
    Certs(certs::Arguments),
    /// Explain why a module does not load, and what to do
    ///
    /// Says whether it loads, in plain words why not, and which command helps. A name stands for the
    /// module that modprobe would load, with those that it needs; a file for itself, as with insmod.
    /// Reads the kernel's keyrings, lockdown, sig_enforce, modules_disabled and module_blacklist,
    /// IMA's policy, LoadPin, modprobe.d, and the machine owner's keys, as far as it may.
    #[command(after_long_help = help::WHY, verbatim_doc_comment)]
    Why(why::Arguments),
    /// Make a key and its certificate
    ///
    /// Makes what Kbuild makes of its certs/x509.genkey: a self-signed certificate that is for
    /// signatures only, not for other certificates.
    #[command(after_long_help = help::KEYGEN, verbatim_doc_comment)]
    Keygen(keygen::Arguments),
}

impl Command {
    /// Whether its results are wanted as JSON.
    fn is_json(&self) -> bool {
        match self {
            Command::Sign(arguments) => arguments.modules.is_json(),
            Command::Verify(arguments) => arguments.modules.is_json(),
            Command::Inspect(arguments) => arguments.modules.is_json(),
            Command::Strip(arguments) => arguments.modules.is_json(),
            Command::Attach(arguments) => arguments.modules.is_json(),
            Command::Hashes(arguments) => arguments.how.is_json(),
            Command::Seal(arguments) => arguments.how.is_json(),
            Command::Certs(arguments) => arguments.json,
            Command::Why(arguments) => arguments.json,
            Command::Keygen(_) => false,
        }
    }
}

/// Exit status of a command that did nothing, as clap's of wrong arguments. Some bad modules are 1.
const COULD_NOT_RUN: u8 = 2;

/// Does what was asked for.
pub fn run(arguments: Arguments) -> ExitCode {
    use Command::*;
    let is_json = arguments.command.is_json();
    let ready = match arguments.command {
        // They only read and copy.
        Inspect(_) | Strip(_) => Ok(()),
        Sign(_) | Verify(_) | Attach(_) | Hashes(_) | Seal(_) | Certs(_) | Why(_) | Keygen(_) => {
            platform::ready()
        }
    };
    let result = ready.and_then(|()| match arguments.command {
        Sign(arguments) => sign::run(&arguments),
        Verify(arguments) => verify::run(&arguments),
        Inspect(arguments) => inspect::run(&arguments),
        Strip(arguments) => strip::run(&arguments),
        Attach(arguments) => attach::run(&arguments),
        Hashes(arguments) => hashes::run(&arguments),
        Seal(arguments) => seal::run(&arguments),
        Certs(arguments) => certs::run(&arguments),
        Why(arguments) => why::run(&arguments),
        Keygen(arguments) => keygen::run(&arguments),
    });
    result.unwrap_or_else(|error| {
        report::complain(&error);
        if is_json {
            let error = format!("{error:#}");
            // Who cannot hear that either is told by the exit status.
            let _ = output::print(&output::Failure { error });
        }
        ExitCode::from(COULD_NOT_RUN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subcommand_is_in_one_group() {
        let command = Arguments::command();
        let mut all: Vec<_> = command
            .get_subcommands()
            .map(clap::Command::get_name)
            .collect();
        let mut grouped: Vec<_> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        all.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, all);
    }
}
