// SPDX-License-Identifier: MIT OR Apache-2.0

//! What keeps a module from being loaded, whatever its signature.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use anyhow::Result;
use modsig::verify::trailer;
use modsig_tools::{
    compression::Compression,
    loader::Loadable,
    machine::{module_name, Ima, Machine, Unpacker},
    module::Module,
    platform::Mode,
    scene::{Running, Scene},
    signer::strip,
};

use rustix::{buffer::spare_capacity, fs::getxattr};

use super::{shell, sign_with_own};

/// Which module is asked about.
pub(super) struct Asked<'a> {
    pub(super) path: &'a Path,
    /// As for modprobe, which loads what it needs as well.
    pub(super) is_by_name: bool,
    /// What that is, as far as it is not loaded.
    pub(super) needed: &'a [PathBuf],
}

/// Something that keeps a module from being loaded.
pub(super) struct Obstacle {
    /// The name of the error number; none if it is not known whether it is one.
    pub(super) error: Option<&'static str>,
    /// For the first line.
    pub(super) reason: String,
    /// In more words.
    pub(super) cause: String,
    pub(super) remedies: Vec<String>,
    /// Another file has to take its place, so that its signature is of no interest.
    pub(super) is_final: bool,
}

impl Obstacle {
    fn new(
        error: impl Into<Option<&'static str>>,
        reason: impl Into<String>,
        cause: impl Into<String>,
    ) -> Self {
        Obstacle {
            error: error.into(),
            reason: reason.into(),
            cause: cause.into(),
            remedies: vec![],
            is_final: false,
        }
    }

    fn advise(mut self, remedy: impl Into<String>) -> Self {
        self.remedies.push(remedy.into());
        self
    }

    /// This file never loads.
    fn for_good(mut self) -> Self {
        self.is_final = true;
        self
    }
}

/// All of them, in the order in which a kernel comes by them.
#[derive(Default)]
pub(super) struct Obstacles {
    pub(super) before_signature: Vec<Obstacle>,
    pub(super) after_signature: Vec<Obstacle>,
    /// What is none by itself, but the reason of others.
    pub(super) asides: Vec<Obstacle>,
}

impl Obstacles {
    /// Looks for them.
    pub(super) fn find(
        mut self,
        asked: &Asked<'_>,
        file: &[u8],
        opened: &Module<'_>,
        machine: &Machine,
        scene: &Scene,
    ) -> Self {
        let all = &mut self;
        if let Some(running) = &scene.running {
            let before = [
                running.is_closed.then(closed),
                file.is_empty().then(|| empty(asked.path, scene)),
                running.pins.then(pinned),
                ima(asked.path, file, opened, running, scene),
            ];
            let before = before.into_iter().flatten().collect();
            // The program that unpacks it comes first.
            all.before_signature.append(&mut { before });
        }
        let mut known = all.before_signature.iter().chain(&all.after_signature);
        if known.any(|obstacle| obstacle.is_final) {
            return self;
        }
        match Loadable::read(strip(&opened.file).0) {
            Ok(module) => all.of_module(asked, &module, machine, scene),
            Err(error) => {
                let reason = format!("{error:#}");
                let cause = "the loader cannot read it, whatever its signature: it is no kernel module, or was cut short or damaged";
                let damaged = Obstacle::new("ENOEXEC", reason, cause);
                let damaged = damaged.advise(scene.reinstall(asked.path)).for_good();
                all.after_signature.push(damaged);
            }
        }
        self
    }

    /// What there is of a module that can be read (`early_mod_check()` of kernel/module/main.c, and on).
    fn of_module(
        &mut self,
        asked: &Asked<'_>,
        module: &Loadable<'_>,
        machine: &Machine,
        scene: &Scene,
    ) {
        let file_name = module_name(&asked.path.to_string_lossy());
        let name = module.name().unwrap_or(&file_name);
        let running = scene.running.as_ref();
        let forbidden = running.filter(|running| running.forbidden.contains(name));
        self.after_signature.extend(forbidden.map(|_| {
            Obstacle::new(
                "EPERM",
                format!("module_blacklist= forbids {name}"),
                format!("the kernel's command line (/proc/cmdline) has {name} in module_blacklist="),
            )
            .advise("take it out of the boot loader's configuration (grep -r module_blacklist /etc/default/grub* /boot/loader), then: reboot")
        }));
        self.after_signature.extend(built_for(module, scene));
        let Some(running) = running else {
            return;
        };
        if running.loaded.contains(name) {
            if !asked.is_by_name {
                let loaded = Obstacle::new(
                    "EEXIST",
                    format!("a module {name} is loaded already"),
                    format!(
                        "a module of the name {name} is loaded, of this file or of another one"
                    ),
                );
                self.after_signature
                    .push(loaded.advise(format!("take that one out first: rmmod {name}")));
            }
        } else if machine.has_built_in(name) {
            let built_in = Obstacle::new(
                "EINVAL",
                format!("{name} is built into the kernel"),
                format!("the kernel has {name} built in (/sys/module/{name}), and takes no module of that name"),
            );
            self.after_signature
                .push(built_in.advise(format!("do without it; what it is: modinfo {name}")));
        }
        let command = asked
            .is_by_name
            .then(|| machine.install_command(&file_name))
            .flatten();
        self.after_signature.extend(command.map(|(file, command)| {
            let cause = format!(
                "{} has modprobe run a command in place of loading it: {command}",
                file.display()
            );
            Obstacle::new(
                None,
                "modprobe runs a command in place of loading it",
                cause,
            )
            .advise(format!(
                "load it all the same: modprobe --ignore-install {file_name}"
            ))
            .advise(format!(
                "take that line out: sed -i '/install *{file_name}/d' {}",
                shell(&file.display())
            ))
        }));
        let is_there = |wanted: &str| {
            let mut needed = asked
                .needed
                .iter()
                .map(|path| module_name(&path.to_string_lossy()));
            running.loaded.contains(wanted)
                || machine.is_built_in(&scene.installed, wanted)
                || needed.any(|name| name == wanted)
        };
        for wanted in module
            .depends()
            .map(module_name)
            .filter(|wanted| !is_there(wanted))
        {
            let reason = format!("it needs {wanted}, which is not loaded");
            self.after_signature.push(match asked.is_by_name {
                true => Obstacle::new(
                    "ENOENT",
                    reason,
                    format!("it uses symbols of the module {wanted}, which is not installed for this kernel"),
                )
                .advise(format!("install {wanted} for Linux {}, then: depmod", scene.installed)),
                false => Obstacle::new(
                    "ENOENT",
                    reason,
                    format!("it uses symbols of the module {wanted}; insmod does not load that one, modprobe does"),
                )
                .advise(format!("load that one first: modprobe {wanted}")),
            });
        }
    }
}

fn closed() -> Obstacle {
    Obstacle::new(
        "EPERM",
        "modules_disabled is set",
        "kernel.modules_disabled is 1: no module loads any more until the machine is booted again",
    )
    .advise("find out what sets it (grep -rs modules_disabled /etc), then: reboot")
}

/// `kernel_read_file()` wants at least one byte.
fn empty(path: &Path, scene: &Scene) -> Obstacle {
    let cause = "the file is empty, as after a full disk or a loss of power";
    let empty = Obstacle::new("EINVAL", "the file is empty", cause);
    empty.advise(scene.reinstall(path)).for_good()
}

fn pinned() -> Obstacle {
    Obstacle::new(
        None,
        "LoadPin is on",
        "LoadPin (kernel.loadpin.enforce is 1) takes modules only from the file system that the first one came from",
    )
    .advise("put the module on that file system, unpacked; which one it is: dmesg | grep LoadPin")
}

/// What IMA makes of the file as it is on the disk: it sees no file of what kmod has unpacked
/// (`ima_load_data()` of security/integrity/ima/ima_main.c).
fn ima(
    path: &Path,
    file: &[u8],
    opened: &Module<'_>,
    running: &Running,
    scene: &Scene,
) -> Option<Obstacle> {
    /// `EVM_IMA_XATTR_DIGSIG`
    const SIGNATURE: u8 = 3;
    // Who unpacks it, if it is packed and somebody does.
    let by = opened.compression.map(|packed| running.unpacker(packed));
    let is_by_kmod = by == Some(Some(Unpacker::Kmod));
    let has_label = || {
        let mut label = Vec::with_capacity(1 << 16);
        let read = getxattr(path, c"security.ima", spare_capacity(&mut label));
        read.is_ok() && label.first() == Some(&SIGNATURE)
    };
    let has_message = || trailer::split(file).is_ok_and(|split| split.kind == trailer::Kind::Pkcs7);
    let refuses = match running.ima {
        Ima::LetsPass => return None,
        _ if is_by_kmod && scene.modes == [Mode::Enforcing] => return None,
        Ima::Appraises { .. } if is_by_kmod => true,
        Ima::Appraises { .. } if by == Some(None) => false,
        Ima::Appraises { modsig } => !(has_label() || modsig && has_message()),
        Ima::Unclear => false,
    };
    let sign = format!(
        "sign the file for IMA: evmctl ima_sign --key KEY {}",
        shell(&path.display())
    );
    Some(
        match refuses {
            true => Obstacle::new(
                "EACCES",
                "it has no signature for IMA",
                "IMA wants a signature of its own for each module (appraise func=MODULE_CHECK): in security.ima, or where its policy says modsig, at the end of the file",
            ),
            false => Obstacle::new(
                None,
                "IMA may refuse it",
                "IMA may want a signature for each module (appraise func=MODULE_CHECK) by a key in the keyring .ima; whether it takes this file's is not known here",
            ),
        }
        .advise(sign),
    )
}

/// What the kernel gets of a packed file, and what is odd about that.
pub(super) fn unpacked<'a>(
    path: &Path,
    file: &'a [u8],
    opened: Result<Module<'a>>,
    scene: &Scene,
) -> Result<(Module<'a>, Obstacles)> {
    let mut odd = Obstacles::default();
    let packed = Compression::of(file);
    let unpacker =
        packed.and_then(|packed| Some((packed, scene.running.as_ref()?.unpacker(packed)?)));
    let name = path.display().to_string();
    match unpacker {
        Some((packed, Unpacker::Nobody)) => {
            let packed = packed.name();
            let reason = format!("insmod and modprobe cannot unpack {packed} here");
            let cause = format!("insmod and modprobe of this machine were built without {packed} (kmod --version), and give the kernel the file as it is");
            let raw = Obstacle::new("ENOEXEC", reason, cause).for_good();
            let unpack = format!("unpack it: {packed} -d {}; then: depmod", shell(&name));
            odd.after_signature.push(raw.advise(unpack));
            let module = Module {
                compression: None,
                misplaced: 0,
                file: Cow::Borrowed(file),
            };
            Ok((module, odd))
        }
        Some((packed, Unpacker::Kernel)) => {
            let again = format!(
                "pack it again: {} -d {} && {}",
                packed.name(),
                shell(&name),
                match packed {
                    Compression::Gzip => "gzip -n",
                    Compression::Xz => "xz --check=crc32 --lzma2=dict=1MiB",
                    Compression::Zstd => "zstd --rm",
                }
            );
            let again = format!("{again} {}", shell(&path.with_extension("").display()));
            let seen = match packed.unpack_as_kernel(file) {
                Ok(seen) => seen,
                Err(error) => {
                    let reason = format!("the kernel cannot unpack it: {error:#}");
                    let cause =
                        "kmod leaves it to the kernel to unpack the file, and the kernel cannot";
                    let not = Obstacle::new("EINVAL", reason, cause).for_good();
                    odd.before_signature.push(not.advise(again));
                    return Ok((opened?, odd));
                }
            };
            let is_all = opened.is_ok_and(|opened| opened.file == seen);
            if !is_all {
                let reason = "the kernel sees only a part of it";
                let cause = format!("kmod leaves it to the kernel to unpack the file, and that takes only the first part of what {} packed", packed.name());
                odd.asides
                    .push(Obstacle::new(None, reason, cause).advise(again));
            }
            let module = Module {
                compression: Some(packed),
                misplaced: 0,
                file: Cow::Owned(seen),
            };
            Ok((module, odd))
        }
        Some((Compression::Xz | Compression::Zstd, Unpacker::Kmod)) => {
            let opened = opened?;
            if opened.misplaced > 0 {
                let cause = "it was signed after it was packed, and insmod and modprobe refuse a packed file with something behind it";
                let behind = Obstacle::new("EINVAL", "it was signed after it was packed", cause);
                odd.before_signature
                    .push(behind.advise(sign_with_own(path)).for_good());
            }
            Ok((opened, odd))
        }
        _ => Ok((opened?, odd)),
    }
}

/// What the module says of the kernel that it is for.
fn built_for(module: &Loadable<'_>, scene: &Scene) -> Option<Obstacle> {
    let release = scene.loader.release.as_deref().unwrap_or("RELEASE");
    let build = format!("build or install it for this kernel: make -C /lib/modules/{release}/build M=$PWD; with DKMS: dkms autoinstall -k {release}");
    let obstacle = if module.vermagic().is_none() {
        Obstacle::new(
            None,
            "it does not say which kernel it is for",
            "it does not say which kernel it is for (vermagic): only kernels with CONFIG_MODULE_FORCE_LOAD take it, and it taints them",
        )
    } else if let Some(reason) = scene.loader.refuses(module) {
        let cause =
            "it was built for another kernel: the loader refuses it, whatever its signature";
        Obstacle::new("ENOEXEC", reason, cause).for_good()
    } else {
        let doubt = scene.loader.doubts(module)?;
        Obstacle::new(None, "it is built for another release", doubt)
    };
    Some(obstacle.advise(build))
}
