// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the module loader reads of a module, whatever its signature: whether it is one at all
//! (`elf_validity_cache_copy()` of kernel/module/main.c), and which kernel it is for
//! (`check_modinfo()`). All that is refused here is refused with ENOEXEC.

use anyhow::{anyhow, bail, ensure, Context, Result};
use object::{
    elf::{self, FileHeader32, FileHeader64},
    pod,
    read::elf::{FileHeader, SectionHeader},
    Endianness, SectionIndex,
};

/// A module that a loader would go on with.
#[derive(Clone, Copy, Debug)]
pub struct Loadable<'a> {
    machine: Machine,
    info: &'a [u8],
    has_versions: bool,
}

/// What a module or a kernel runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `e_machine` of its ELF files.
    pub number: u16,
    /// Whether addresses have 64 bits.
    pub is_64: bool,
    /// Whether numbers begin with their highest byte.
    pub is_big_endian: bool,
}

impl Machine {
    /// As the kernel's Makefile names it.
    pub fn name(self) -> String {
        let name = match (self.number, self.is_64) {
            (elf::EM_X86_64, _) => "x86_64",
            (elf::EM_AARCH64, _) if self.is_big_endian => "big-endian arm64",
            (elf::EM_AARCH64, _) => "arm64",
            (elf::EM_386, _) => "32-bit x86",
            (elf::EM_ARM, _) if self.is_big_endian => "big-endian 32-bit ARM",
            (elf::EM_ARM, _) => "32-bit ARM",
            (elf::EM_RISCV, true) => "riscv64",
            (elf::EM_RISCV, false) => "riscv32",
            (elf::EM_PPC64, _) if self.is_big_endian => "ppc64",
            (elf::EM_PPC64, _) => "ppc64le",
            (elf::EM_PPC, _) => "32-bit PowerPC",
            (elf::EM_S390, true) => "s390x",
            (elf::EM_S390, false) => "31-bit s390",
            (elf::EM_LOONGARCH, true) => "loongarch64",
            (elf::EM_LOONGARCH, false) => "loongarch32",
            (elf::EM_MIPS, true) => "64-bit MIPS",
            (elf::EM_MIPS, false) => "32-bit MIPS",
            (elf::EM_SPARCV9, _) => "sparc64",
            (elf::EM_SPARC | elf::EM_SPARC32PLUS, _) => "32-bit SPARC",
            (elf::EM_PARISC, _) => "PA-RISC",
            (elf::EM_68K, _) => "m68k",
            (elf::EM_ALPHA, _) => "Alpha",
            (elf::EM_IA_64, _) => "Itanium",
            (elf::EM_SH, _) => "SuperH",
            (elf::EM_XTENSA, _) => "Xtensa",
            (elf::EM_ARC_COMPACT | elf::EM_ARC_COMPACT2, _) => "ARC",
            (elf::EM_CSKY, _) => "C-SKY",
            (elf::EM_OPENRISC, _) => "OpenRISC",
            (elf::EM_MICROBLAZE, _) => "MicroBlaze",
            (elf::EM_ALTERA_NIOS2, _) => "Nios II",
            (other, _) => return format!("machine {other} (e_machine)"),
        };
        name.to_owned()
    }
}

/// The section that is the module's own structure.
const THIS_MODULE: &[u8] = b".gnu.linkonce.this_module";

impl<'a> Loadable<'a> {
    /// Reads a module without its signature.
    ///
    /// # Errors
    ///
    /// If no loader would go on with it.
    pub fn read(file: &'a [u8]) -> Result<Self> {
        ensure!(!file.is_empty(), "the file is empty");
        ensure!(
            file.starts_with(&elf::ELFMAG),
            "not a kernel module (not an ELF file)"
        );
        let read = || match file.get(4) {
            // Kernels for these look at the machine, not at the class.
            _ if matches!(file.get(18..20), Some([62 | 183, 0])) => {
                Self::of::<FileHeader64<Endianness>>(file)
            }
            Some(&elf::ELFCLASS32) => Self::of::<FileHeader32<Endianness>>(file),
            Some(&elf::ELFCLASS64) => Self::of::<FileHeader64<Endianness>>(file),
            _ => bail!("its ELF header is damaged"),
        };
        read().context("not a kernel module, or damaged")
    }

    /// As `elf_validity_cache_copy()` and what it calls.
    fn of<H: FileHeader<Endian = Endianness>>(file: &'a [u8]) -> Result<Self> {
        let damaged = |what: &'static str| move |_| anyhow!("its {what} is not whole");
        let (header, _) =
            pod::from_bytes::<H>(file).map_err(|()| anyhow!("its ELF header is not whole"))?;
        let endian = header.endian().unwrap_or(Endianness::Little);
        ensure!(
            header.e_type(endian) == elf::ET_REL,
            "it is linked already, as a program or library is"
        );
        ensure!(
            header.e_shnum(endian) != 0,
            "its table of sections is missing"
        );
        let sections = header
            .sections(endian, file)
            .map_err(damaged("table of sections"))?;
        let zero = sections.iter().next();
        let zero = zero.context("its table of sections is missing")?;
        ensure!(
            zero.sh_type(endian) == elf::SHT_NULL
                && zero.sh_size(endian).into() == 0
                && zero.sh_addr(endian).into() == 0,
            "its table of sections is damaged: the first one is not empty"
        );
        // The table that a section is linked to; one of strings.
        let strings = |index: usize| {
            let table = sections.section(SectionIndex(index)).ok();
            table.filter(|table| index != 0 && table.sh_type(endian) == elf::SHT_STRTAB)
        };
        let names = strings(header.e_shstrndx(endian).into());
        let names = names.context("its list of names is missing")?;
        let names_size: u64 = names.sh_size(endian).into();
        let names = names.data(endian, file).map_err(damaged("list of names"))?;
        ensure!(names.last() == Some(&0), "its list of names is not whole");
        let (mut info, mut infos, mut modules, mut symbols) = (None, 0, 0, 0);
        let mut has_versions = false;
        for section in sections.iter() {
            let kind = section.sh_type(endian);
            if kind == elf::SHT_NULL {
                continue;
            }
            ensure!(
                u64::from(section.sh_name(endian)) < names_size,
                "its list of names is not whole"
            );
            let content = section.data(endian, file).map_err(damaged("content"))?;
            let name = sections.section_name(endian, section);
            match name.map_err(damaged("list of names"))? {
                b".modinfo" => {
                    info = Some(content);
                    infos += 1;
                }
                b"__versions" => has_versions = true,
                THIS_MODULE => {
                    let flags: u64 = section.sh_flags(endian).into();
                    ensure!(
                        kind != elf::SHT_NOBITS && flags & u64::from(elf::SHF_ALLOC) != 0,
                        "its own structure (.gnu.linkonce.this_module) is damaged"
                    );
                    modules += 1;
                }
                _ => {}
            }
            if kind == elf::SHT_SYMTAB {
                symbols += 1;
                let link = usize::try_from(section.sh_link(endian))?;
                strings(link).context("the names of its symbols are missing")?;
            }
        }
        ensure!(
            infos <= 1,
            "it says twice what it is for (.modinfo): it was linked from several modules"
        );
        ensure!(
            modules == 1,
            "it is an object file without a module in it (.gnu.linkonce.this_module)"
        );
        ensure!(
            symbols == 1,
            "its symbols are missing: it was stripped of all"
        );
        Ok(Loadable {
            machine: Machine {
                number: header.e_machine(endian),
                is_64: header.is_type_64(),
                is_big_endian: endian == Endianness::Big,
            },
            info: info.unwrap_or_default(),
            has_versions,
        })
    }

    /// What it runs on.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// The first value that it has in .modinfo for a name, as `get_modinfo()`.
    fn field(&self, name: &str) -> Option<&'a str> {
        let mut fields = self.info.split(|&byte| byte == 0);
        let value = fields.find_map(|field| {
            let rest = field.strip_prefix(name.as_bytes())?;
            rest.strip_prefix(b"=")
        })?;
        std::str::from_utf8(value).ok()
    }

    /// What it says that it is built for: release and configuration of a kernel.
    pub fn vermagic(&self) -> Option<&'a str> {
        self.field("vermagic")
    }

    /// The name that the kernel knows it by once it is loaded; modules of before Linux 4.16 do not say it.
    pub fn name(&self) -> Option<&'a str> {
        self.field("name").filter(|name| is_name(name))
    }

    /// The modules whose symbols it uses, by name.
    pub fn depends(&self) -> impl Iterator<Item = &'a str> {
        let names = self.field("depends").unwrap_or_default();
        names.split(',').filter(|name| is_name(name))
    }

    /// The release that it says it is built for.
    pub fn release(&self) -> Option<&'a str> {
        self.vermagic()?.split(' ').next()
    }
}

/// Whether a module may be called so. Whoever has made the file may have written anything, and it is shown in
/// commands and looked up in /sys.
fn is_name(name: &str) -> bool {
    let is_of_it = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    !name.is_empty() && name.bytes().all(is_of_it)
}

/// A kernel, as far as its loader compares modules with it.
#[derive(Clone, Debug, Default)]
pub struct Loader {
    /// What it runs on.
    pub machine: Option<Machine>,
    /// Its release.
    pub release: Option<String>,
    /// What its own modules say that they are built for.
    pub vermagic: Option<String>,
}

impl Loader {
    /// What may be wrong with a module that is not refused at once: it is of another release, and what tells
    /// is checksums of the symbols that it uses, which are not looked at here.
    pub fn doubts(&self, module: &Loadable<'_>) -> Option<String> {
        let (built_for, release) = (module.release()?, self.release.as_deref()?);
        (built_for != release).then(|| {
            format!(
                "it is built for Linux {built_for}, and this is Linux {release}: it goes by the checksums of symbols (CONFIG_MODVERSIONS), and does not load if one that the module uses is another (ENOEXEC or EINVAL)"
            )
        })
    }

    /// Why this kernel's loader refuses a module, if it does.
    pub fn refuses(&self, module: &Loadable<'_>) -> Option<String> {
        let own = module.machine();
        if let Some(machine) = self.machine.filter(|machine| *machine != own) {
            let (own, kernels) = (own.name(), machine.name());
            return Some(format!("it is for {own}, and the kernel is for {kernels}"));
        }
        let Some(vermagic) = module.vermagic() else {
            return Some("it does not say which kernel it is for (no vermagic)".to_owned());
        };
        let other = |kernels: &str| match module.release() {
            Some(own) if Some(own) != kernels.split(' ').next() => {
                let kernels = kernels.split(' ').next().unwrap_or_default();
                format!("it is built for Linux {own}, and this is Linux {kernels}")
            }
            _ => format!(
                "it is built for Linux {} with other options: this is {}",
                vermagic.trim_end(),
                kernels.trim_end()
            ),
        };
        let Some(kernels) = &self.vermagic else {
            let release = self.release.as_deref()?;
            return (module.release() != Some(release)).then(|| other(release));
        };
        // same_magic() of kernel/module/version.c.
        let has_versions =
            module.has_versions && kernels.split(' ').any(|word| word == "modversions");
        let compared = |magic: &'_ str| match (has_versions, magic.find(' ')) {
            (true, Some(at)) => magic[at..].to_owned(),
            _ => magic.to_owned(),
        };
        (compared(vermagic) != compared(kernels)).then(|| other(kernels))
    }
}
