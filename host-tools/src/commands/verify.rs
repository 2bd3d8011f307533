// SPDX-License-Identifier: MIT OR Apache-2.0

use std::{
    collections::HashMap,
    path::PathBuf,
    process::ExitCode,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
};

use anyhow::{anyhow, bail, ensure, Context, Result};
use modsig::verify::{
    trailer::{self, Kind},
    Error, Flags,
};
use modsig_tools::{
    certificate::shown,
    files::{self, Found, Links, Missing},
    image::{self, Evidence},
    initramfs::Initramfs,
    keys,
    loader::{Loadable, Loader},
    machine::Machine,
    module::Module,
    platform::{no_verdict, outcome, Host, Mode},
    scene::Scene,
    signer::strip,
};
use serde::Serialize;

use crate::cli::{
    output::{Count, Signer},
    report::{self, Done, Modules},
};

#[derive(clap::Args)]
#[command(mut_arg("paths", |paths| paths.required_unless_present_any(["files_from", "initrd", "running", "next"])))]
pub(crate) struct Arguments {
    /// Trusted certificates (PEM, any number in a file, or DER); may be repeated
    #[arg(long, value_name = "FILE")]
    cert: Vec<PathBuf>,
    /// Check against this machine's running kernel, its keys and its mode [default: all its modules]
    #[arg(long, conflicts_with_all = ["kernel", "next", "any_release", "platform_cert"])]
    running: bool,
    /// Check against an installed kernel (the newest if none is named) as it would be after a reboot
    /// [default: all its modules]
    #[arg(long, value_name = "RELEASE", num_args = 0..=1, require_equals = true,
          conflicts_with_all = ["kernel", "any_release", "platform_cert"])]
    next: Option<Option<String>>,
    /// With --running or --next: where the machine's files are (/proc, /sys, /boot, /lib/modules)
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Check against this kernel image, with what is built into it (vmlinux, bzImage, Image, EFI zboot, UKI)
    #[arg(long, value_name = "IMAGE")]
    kernel: Option<PathBuf>,
    /// Check the modules in this initramfs, or in that of a unified kernel image (UKI); may be repeated
    /// [default with --running and --next: the initramfs of that kernel, too, if no modules are named]
    #[arg(long, value_name = "FILE")]
    initrd: Vec<PathBuf>,
    /// Certificates of the .platform keyring (UEFI db), consulted last
    #[arg(long, value_name = "FILE")]
    platform_cert: Vec<PathBuf>,
    /// Revoked certificates
    #[arg(long, value_name = "FILE")]
    revoked_cert: Vec<PathBuf>,
    /// Do not count an unsigned module as bad
    #[arg(long)]
    allow_unsigned: bool,
    /// Fail for what a kernel in this mode would not load [default: whatever has no good signature; with
    /// --running and --next: the machine's own mode]
    #[arg(long, value_enum)]
    mode: Option<Strictness>,
    /// Check the signature only, not which kernel a module is built for
    #[arg(long, requires = "kernel")]
    any_release: bool,
    #[command(flatten)]
    pub(super) modules: Modules,
}

/// How strict a kernel is, on the command line.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Strictness {
    /// Lets unsigned modules in, tainted
    Permissive,
    /// CONFIG_MODULE_SIG_FORCE, or module.sig_enforce=1
    Enforcing,
    /// lockdown=integrity, as with Secure Boot
    Lockdown,
}

impl From<Strictness> for Mode {
    fn from(strictness: Strictness) -> Self {
        match strictness {
            Strictness::Permissive => Mode::Permissive,
            Strictness::Enforcing => Mode::Enforcing,
            Strictness::Lockdown => Mode::Lockdown,
        }
    }
}

/// What modules are held against.
struct Judge {
    host: Host,
    loader: Option<Loader>,
    /// Whether the kernel takes signatures for a release, if that is known; else the answer is about one that
    /// does.
    takes_releases: Option<bool>,
    /// What counts is that they load in these; else, if there are none, that their signature is good.
    modes: Vec<Mode>,
    allow_unsigned: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut host = Host::default();
    let (mut loader, mut modes, mut takes_releases) = (None, vec![], None);
    let mut paths = vec![];
    let (mut initrds, mut unread) = (vec![], None);
    for (at, path) in arguments.initrd.iter().enumerate() {
        if !arguments.initrd[..at].contains(path) {
            initrds.push(Initramfs::open(path)?);
        }
    }
    if arguments.running || arguments.next.is_some() {
        let machine = Machine::new(&arguments.root);
        let scene = match &arguments.next {
            None => Scene::here(&machine)?,
            Some(release) => Scene::next(&machine, release.as_deref())?,
        };
        for line in &scene.unknown {
            arguments.modules.remark(&format!("not known: {line}"));
        }
        paths.push(machine.modules(&scene.installed));
        if arguments.modules.is_default() && initrds.is_empty() {
            let path = machine.initramfs(&scene.installed);
            let found = path.map(|path| initramfs(path, &arguments.modules));
            match found.transpose() {
                Ok(found) => initrds.extend(found.flatten()),
                Err(error) => unread = Some(error),
            }
        }
        takes_releases = scene.takes_releases;
        (host, loader, modes) = (scene.host, Some(scene.loader), scene.modes);
    } else {
        ensure!(
            arguments.kernel.is_some() || !arguments.cert.is_empty(),
            "say who is trusted: --running or --next of this machine, --kernel IMAGE, or --cert FILE"
        );
    }
    if let Some(mode) = arguments.mode {
        modes = vec![mode.into()];
    }
    if let Some(path) = &arguments.kernel {
        let image = image::read(path)?;
        takes_releases = image.takes_releases;
        loader = Some(image.loader()).filter(|_| !arguments.any_release);
        let named = || path.display().to_string();
        if image.evidence == Evidence::Nothing && image.accepts_keys() {
            let none = "no certificates found in it; modsig certs says what that may mean";
            report::complain(&anyhow!(none).context(named()));
        }
        // The kernel, too, says so and goes on without.
        for error in image.equip(&mut host) {
            report::complain(&error.context(named()));
        }
    }
    for path in &arguments.cert {
        for certificate in keys::certificates(path)? {
            host.trust(&certificate)?;
        }
    }
    for path in &arguments.platform_cert {
        for certificate in keys::certificates(path)? {
            host.trust_platform(&certificate)?;
        }
    }
    for path in &arguments.revoked_cert {
        for certificate in keys::certificates(path)? {
            host.revoke(&certificate)?;
        }
    }
    if takes_releases.is_none() {
        host.accept_releases();
    }
    let judge = Judge {
        host,
        loader,
        takes_releases,
        modes,
        allow_unsigned: arguments.allow_unsigned,
    };
    // Without --running and --next no others are meant if none are named.
    let mut modules = arguments.modules.find_or(paths, Links::Follow)?;
    modules.extend(unread.map(Err));
    let mut inside = HashMap::new();
    for initrd in &mut initrds {
        if initrd.modules.is_empty() && initrd.broken.is_none() {
            let path = initrd.path().display();
            arguments
                .modules
                .remark(&format!("{path}: no modules in it"));
        }
        let broken = initrd.broken.take().map(|error| Missing {
            path: initrd.path().to_path_buf(),
            error,
        });
        let contents = Arc::new(initrd.contents()?);
        for (number, path) in initrd.names().into_iter().enumerate() {
            let mut found = Found::file(&path);
            found.given = false;
            modules.push(Ok(found));
            inside.insert(path, (contents.clone(), number));
        }
        modules.extend(broken.map(Err));
    }
    let stale = AtomicBool::new(false);
    let code = arguments
        .modules
        .each_alone(modules, |buffer, Found { path, .. }| {
            let named = || path.display().to_string();
            let place = inside.get(path);
            match place {
                Some((contents, number)) => contents.read(*number, buffer).with_context(named)?,
                None => drop(files::read_into(path, buffer)?),
            }
            let opened = Module::open(buffer).with_context(named)?;
            let done = verify(&judge, &opened).with_context(named)?;
            if place.is_some() && !done.good {
                stale.store(true, Ordering::Relaxed);
            }
            Ok(done)
        })?;
    if stale.into_inner() {
        report::say(COPIES);
    }
    Ok(code)
}

/// What those ask who have signed their modules.
const COPIES: &str = "an initramfs has copies of modules, made when it was made: once those in /lib/modules are good, make it again \
     (update-initramfs -u -k RELEASE, dracut --force --kver RELEASE, or mkinitcpio -P)";

/// The initramfs of a kernel of this machine; nothing, and a warning, if this user may not read it.
fn initramfs(path: PathBuf, modules: &Modules) -> Result<Option<Initramfs>, Missing> {
    let named = path.display();
    match Initramfs::read(&path) {
        Ok(initramfs) => {
            modules.remark(&format!("{named}: checked, too"));
            Ok(Some(initramfs))
        }
        Err(error) if is_forbidden(&error) => {
            modules.warn(&format!("{named}: not checked: {error:#}"));
            Ok(None)
        }
        Err(error) => Err(Missing { path, error }),
    }
}

fn is_forbidden(error: &anyhow::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.any(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

/// What JSON has of a module.
#[derive(Serialize)]
struct Verified {
    /// The signature is good, and nothing else keeps the module from loading.
    good: bool,
    /// Why not.
    reason: Option<String>,
    signer: Option<Signer>,
    /// It is good for its proof, not for a signature.
    by_hash: bool,
    /// It has a signature for all modules of its release.
    of_release: bool,
    /// What becomes of it in each mode: "loads", "loads, taints", or the error's name.
    permissive: &'static str,
    enforcing: &'static str,
    lockdown: &'static str,
}

fn verify(judge: &Judge, opened: &Module<'_>) -> Result<Done> {
    let checked = judge.host.check(&opened.file, Flags::default());
    // The file may be good or bad.
    if let Some(reason) = no_verdict(&checked.result) {
        bail!(reason);
    }
    ensure!(
        opened.misplaced == 0,
        "signed after it was packed, so that nobody looks for the signature, and some unpackers \
         refuse the file; sign it again with modsig, which signs what is inside"
    );
    let [permissive, enforcing, lockdown] =
        [Mode::Permissive, Mode::Enforcing, Mode::Lockdown].map(|mode| outcome(&checked, mode));
    // The loader looks at the rest of a module once its signature is good enough.
    let unloadable = match Loadable::read(strip(&opened.file).0) {
        Ok(module) => judge
            .loader
            .as_ref()
            .and_then(|loader| loader.refuses(&module)),
        Err(error) => Some(format!("{error:#}")),
    };
    let or_not = |outcome: &'static str| match &unloadable {
        Some(_) if outcome.starts_with("loads") => "ENOEXEC",
        _ => outcome,
    };
    let [permissive, enforcing, lockdown] = [permissive, enforcing, lockdown].map(or_not);
    let signer = checked.signer.as_ref().map(shown);
    let mut reason = checked.result.err().map(|error| error.to_string());
    if let Some(unloadable) = &unloadable {
        let signature = reason.map(|reason| format!("; {reason}"));
        reason = Some(format!("{unloadable}{}", signature.unwrap_or_default()));
    }
    let by_hash = checked.result.is_ok() && checked.signer.is_none();
    let of_release = trailer::split(&opened.file).is_ok_and(|split| split.kind == Kind::Release);
    let mut text = match &reason {
        Some(reason) => reason.clone(),
        None if by_hash => "good, by its hash".to_owned(),
        None if of_release && judge.takes_releases.is_none() => {
            "good, with its release: for kernels with CONFIG_MODULE_SIG_RUST_RELEASE".to_owned()
        }
        None if of_release => "good, with its release".to_owned(),
        None => "good".to_owned(),
    };
    if let Some(signer) = &signer {
        text += &format!("; signer {signer}");
    }
    if reason.is_some() {
        text += &format!(
            "\n  permissive: {permissive}; enforcing: {enforcing}; locked down: {lockdown}"
        );
    }
    let facts = Verified {
        good: reason.is_none(),
        reason,
        signer: checked.signer.as_ref().map(Signer::new),
        by_hash,
        of_release,
        permissive,
        enforcing,
        lockdown,
    };
    let outcome_in = |mode: &Mode| match mode {
        Mode::Permissive => permissive,
        Mode::Enforcing => enforcing,
        Mode::Lockdown => lockdown,
    };
    let all_load = |modes: &[Mode]| {
        modes
            .iter()
            .all(|mode| outcome_in(mode).starts_with("loads"))
    };
    Ok(match checked.result {
        _ if unloadable.is_some() => Done::bad(text, &facts),
        Err(_) if !judge.modes.is_empty() => match all_load(&judge.modes) {
            true => Done::good(Count::Taints, text, &facts),
            false => Done::bad(text, &facts),
        },
        Ok(()) => Done::good(Count::Good, text, &facts),
        Err(Error::Unsigned) if judge.allow_unsigned => Done::good(Count::Unsigned, text, &facts),
        Err(Error::Unsigned) => Done {
            count: Count::Unsigned,
            ..Done::bad(text, &facts)
        },
        Err(_) => Done::bad(text, &facts),
    })
}
