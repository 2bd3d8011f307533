// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is read out of kernel images: of the harness' kernels, of a distribution's, and of ones
//! that are put together here from the kernel's own `certs/*.S`, as no configuration of the
//! harness has them.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use modsig::verify::merkle::{Root, MARK};
use modsig_tools::image::{self, Area, Evidence, Image, List, Vmlinux};
use openssl::x509::X509;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::*;

fn keys() -> &'static Path {
    static KEYS: OnceLock<PathBuf> = OnceLock::new();
    KEYS.get_or_init(|| script("build/keys", &[]))
}

/// The certificates of one of the files that the harness' kernels are built with.
fn ders(name: &str) -> Vec<Vec<u8>> {
    let pem = fs::read(keys().join(name)).unwrap();
    let all = X509::stack_from_pem(&pem).unwrap();
    all.iter().map(|one| one.to_der().unwrap()).collect()
}

fn of(image: &Image, list: List) -> Vec<Vec<u8>> {
    let all = image.certificates.iter();
    let wanted = all.filter(|certificate| certificate.list == list);
    wanted.map(|certificate| certificate.der.clone()).collect()
}

fn read_image(path: &Path) -> Image {
    image::read(path).unwrap_or_else(|error| panic!("{error:#}"))
}

fn refused(path: &Path, message: &str) {
    let error = format!("{:#}", image::read(path).unwrap_err());
    assert!(error.starts_with(path.to_str().unwrap()), "{error}");
    assert!(error.contains(message), "no {message:?} in {error:?}");
}

/// What a kernel of the harness has built in, whatever form its image has.
fn is_harness_kernel(image: &Image, series: &str) {
    let mut trusted = ders("build.pem");
    trusted.extend(ders(match series {
        "7.3" => "trusted-7.pem",
        _ => "trusted.pem",
    }));
    assert!(of(image, List::Builtin) == trusted, "{image:?}");
    assert!(of(image, List::Revoked) == ders("revoked.pem"), "{image:?}");
    assert_eq!(image.has_revocation_list, Some(true));
    // What modsig does is what the tree's C code does, and that is not in the image.
    assert_eq!(image.refuses_files, None);
    assert_eq!(of(image, List::Extra), [[0u8; 0]; 0]);
    let release = image.release.as_deref().unwrap();
    assert!(release.starts_with(&format!("{series}.")), "{release}");

    let list = fs::read_to_string(keys().join("blacklist-hashes")).unwrap();
    let mut expected: Vec<&str> = list.split('"').filter(|part| part.contains(':')).collect();
    let mut hashes: Vec<String> = image.blacklist.iter().map(hash).collect();
    expected.sort_unstable();
    hashes.sort_unstable();
    assert_eq!(hashes, expected);
}

fn hash(hash: &image::Hash) -> String {
    let (kind, digest) = match hash {
        image::Hash::Certificate(digest) => ("tbs", digest),
        image::Hash::File(digest) => ("bin", digest),
    };
    let digits: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("{kind}:{digits}")
}

/// One of the kernels that are booted by other tests, so that none is built for these alone.
fn harness_kernel(series: &str, arch: &str) -> PathBuf {
    kernel(series, arch, "permissive")
}

fn every_form_of_a_harness_kernel(series: &str, arch: &str) {
    let built = harness_kernel(series, arch);
    let vmlinux = read_image(&built.join("vmlinux"));
    assert_eq!(vmlinux.evidence, Evidence::Symbols);
    assert_eq!(vmlinux.layers, ["ELF"]);
    is_harness_kernel(&vmlinux, series);

    let boot = read_image(&built.join("kernel"));
    assert_eq!(boot.evidence, Evidence::Structure);
    match arch {
        "arm64" => assert_eq!(boot.layers, ["Image"]),
        _ => assert_eq!(boot.layers, ["bzImage", "gzip", "ELF"]),
    }
    is_harness_kernel(&boot, series);
}

#[test]
fn kernel_6_12_for_x86_64() {
    every_form_of_a_harness_kernel("6.12", "x86_64");
}

#[test]
fn kernel_6_12_for_arm64() {
    every_form_of_a_harness_kernel("6.12", "arm64");
}

#[test]
fn kernel_7_3_for_x86_64() {
    every_form_of_a_harness_kernel("7.3", "x86_64");
}

#[test]
#[ignore = "no other test needs this kernel, and it takes minutes to build"]
fn kernel_7_3_for_arm64() {
    every_form_of_a_harness_kernel("7.3", "arm64");
}

/// Packs as Kbuild does (scripts/Makefile.lib); `sized` as for the decompressors that are told the
/// size by what stands behind the data.
fn pack(content: &Path, command: &[&str], sized: bool) -> Vec<u8> {
    let output = Command::new(command[0])
        .args(&command[1..])
        .stdin(fs::File::open(content).unwrap())
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; run scripts/setup", command[0]));
    assert!(output.status.success(), "{command:?}");
    let mut packed = output.stdout;
    if sized {
        let size = fs::metadata(content).unwrap().len() as u32;
        packed.extend(size.to_le_bytes());
    }
    packed
}

const PACKERS: [(&str, &[&str]); 5] = [
    ("gzip", &["gzip", "-n", "-9"]),
    ("xz", &["xz", "--check=crc32", "--lzma2=dict=32MiB"]),
    ("zstd", &["zstd", "-3", "-c"]),
    ("lz4", &["lz4", "-l", "-9", "-", "-"]),
    ("lzma", &["lzma", "-2"]),
];

#[test]
fn an_image_may_be_compressed_as_a_whole() {
    let image = harness_kernel("6.12", "arm64").join("kernel");
    let work = tempfile::tempdir().unwrap();
    for (name, command) in PACKERS {
        let path = work.path().join(name);
        fs::write(&path, pack(&image, command, false)).unwrap();
        let read = read_image(&path);
        assert_eq!(read.layers, [name, "Image"]);
        is_harness_kernel(&read, "6.12");
    }
}

/// An EFI image that unpacks itself (drivers/firmware/efi/libstub/zboot-header.S): its head, and
/// where the code would be, the payload.
fn zboot(name: &str, packed: &[u8], size_length: usize) -> Vec<u8> {
    let mut image = vec![0; 0x1000];
    image[..8].copy_from_slice(b"MZ\0\0zimg");
    image[8..12].copy_from_slice(&0x1000u32.to_le_bytes());
    image[12..16].copy_from_slice(&((packed.len() - size_length) as u32).to_le_bytes());
    image[24..24 + name.len()].copy_from_slice(name.as_bytes());
    image[0x38..0x3c].copy_from_slice(&0x8182_23cdu32.to_le_bytes());
    image[0x3c..0x40].copy_from_slice(&0x40u32.to_le_bytes());
    image[0x40..0x44].copy_from_slice(b"PE\0\0");
    image.extend(packed);
    image.extend([0; 0x200]);
    image
}

#[test]
fn efi_images_unpack_themselves() {
    let image = harness_kernel("6.12", "arm64").join("kernel");
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("vmlinuz.efi");
    for (name, command) in PACKERS {
        // Of gzip the size is a part.
        let sized = name != "gzip";
        let packed = pack(&image, command, sized);
        fs::write(&path, zboot(name, &packed, if sized { 4 } else { 0 })).unwrap();
        let read = read_image(&path);
        assert_eq!(read.layers, ["EFI zboot", name, "Image"]);
        is_harness_kernel(&read, "6.12");
    }
    fs::write(&path, zboot("xz", &pack(&image, PACKERS[0].1, false), 0)).unwrap();
    refused(&path, "says that its content is packed with \"xz\"");
}

/// A bzImage with another payload.
fn bz_image(bz_image: &[u8], packed: &[u8]) -> Vec<u8> {
    let number = |at: usize| u32::from_le_bytes(bz_image[at..at + 4].try_into().unwrap());
    let start = (usize::from(bz_image[0x1f1]) + 1) * 512 + number(0x248) as usize;
    let end = start + number(0x24c) as usize;
    let tail = bz_image.get(end..).unwrap_or_default();
    let mut image = [&bz_image[..start], packed, tail].concat();
    image[0x24c..0x250].copy_from_slice(&(packed.len() as u32).to_le_bytes());
    image
}

#[test]
fn a_bzimage_has_any_compression() {
    let built = harness_kernel("6.12", "x86_64");
    let original = fs::read(built.join("kernel")).unwrap();
    let work = tempfile::tempdir().unwrap();
    let stripped = work.path().join("stripped");
    objcopy(&["-R", ".comment", "-S"], &built.join("vmlinux"), &stripped);
    let path = work.path().join("bzImage");
    for (name, command) in PACKERS {
        let packed = pack(&stripped, command, name != "gzip");
        fs::write(&path, bz_image(&original, &packed)).unwrap();
        let read = read_image(&path);
        assert_eq!(read.layers, ["bzImage", name, "ELF"]);
        assert_eq!(read.evidence, Evidence::Structure);
        is_harness_kernel(&read, "6.12");
    }
    for (magic, name) in [(&b"BZh91AY"[..], "bzip2"), (b"\x89LZO\0\r\n\x1a\n", "lzo")] {
        fs::write(&path, bz_image(&original, magic)).unwrap();
        refused(&path, &format!("compressed with {name}"));
    }
    fs::write(&path, bz_image(&original, b"something else")).unwrap();
    refused(&path, "packed in a way that is not known");
}

const LLVM: &str = "/usr/lib/llvm-19/bin";

fn tool(name: &str, arguments: &[&str], work: &Path) {
    let output = Command::new(format!("{LLVM}/{name}"))
        .args(arguments)
        .current_dir(work)
        .output()
        .unwrap_or_else(|error| panic!("{name}: {error}; run scripts/setup"));
    assert!(output.status.success(), "{output:?}");
}

fn objcopy(options: &[&str], from: &Path, to: &Path) {
    let files = [from.to_str().unwrap(), to.to_str().unwrap()];
    tool("llvm-objcopy", &[options, &files].concat(), Path::new("."));
}

/// What a kernel is put together from.
#[derive(Clone, Copy)]
struct Parts<'a> {
    /// The module signing key's certificate.
    key: &'a [&'a str],
    trusted: &'a [&'a str],
    /// `None`: without `CONFIG_SYSTEM_REVOCATION_LIST`.
    revoked: Option<&'a [&'a str]>,
    /// `CONFIG_SYSTEM_EXTRA_CERTIFICATE_SIZE`, if there is one.
    extra: Option<usize>,
}

const USUAL: Parts = Parts {
    key: &["rsa2048.cert.pem"],
    trusted: &["p256.cert.pem", "p384.cert.pem"],
    revoked: Some(&["revoked.cert.pem"]),
    extra: None,
};

fn ders_of(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().flat_map(|name| ders(name)).collect()
}

/// Two headers of the kernel, which its assembly includes: what is used of them.
const INIT_H: &str = "#define __INITRODATA .section \".init.rodata\",\"a\",%progbits\n";
/// What else is in an image: a flat one's head, the banner, what the kernel says, other certificates.
const REST: &str = r#"
	.section .head, "a"
#if defined(__riscv)
	.space 0x30
	.ascii "RISCV\0\0\0RSC\x05"
#else
	.space 0x38
	.ascii "ARM\x64"
#endif
	.balign 0x1000
	.section .rodata, "a"
	.asciz "Linux version %s (%s)"
	.globl linux_banner
linux_banner:
	.asciz "Linux version 6.99.0-parts (nobody@nowhere) #1"
	.asciz "6.99.0-parts SMP mod_unload "
	.asciz "Loading compiled-in X.509 certificates"
#ifdef HAS_REVOCATION_LIST
	.asciz "Loading compiled-in revocation X.509 certificates"
#endif
	.balign 256
other_start:
	.incbin "other"
other_end:
#ifdef CONFIG_64BIT
	.long other_end - other_start
	.long 1
#else
	.long 1
	.long other_end - other_start
#endif
"#;

/// Assembles and links a vmlinux, with symbols, that has these lists.
fn link(work: &Path, parts: Parts, target: Target) -> PathBuf {
    let certs = kernel_source("6.12").join("certs");
    fs::create_dir_all(work.join("linux")).unwrap();
    fs::create_dir_all(work.join("certs")).unwrap();
    fs::write(work.join("linux/export.h"), "").unwrap();
    fs::write(work.join("linux/init.h"), INIT_H).unwrap();
    fs::write(work.join("rest.S"), REST).unwrap();
    let layout = format!(
        "SECTIONS {{
            . = {:#x};
            .head : {{ *(.head) }}
            .rodata : {{ *(.rodata) }}
            .init.rodata : ALIGN(4096) {{ *(.init.rodata) }}
        }}",
        target.base()
    );
    fs::write(work.join("layout"), layout).unwrap();
    fs::write(work.join("other"), ders("untrusted.cert.pem").concat()).unwrap();
    for (name, list) in [
        ("signing_key.x509", parts.key),
        ("x509_certificate_list", parts.trusted),
        ("x509_revocation_list", parts.revoked.unwrap_or_default()),
    ] {
        fs::write(work.join("certs").join(name), ders_of(list).concat()).unwrap();
    }
    let triple = format!("--target={}", target.triple);
    let mut objects = vec![];
    let mut assemble = |source: &Path| {
        let size = parts.extra.map(|size| {
            [
                "-DCONFIG_SYSTEM_EXTRA_CERTIFICATE".to_owned(),
                format!("-DCONFIG_SYSTEM_EXTRA_CERTIFICATE_SIZE={size}"),
            ]
        });
        let object = format!("{}.o", source.file_stem().unwrap().to_str().unwrap());
        let mut arguments = vec![&*triple, "-c", "-I."];
        if target.is_64 {
            arguments.push("-DCONFIG_64BIT");
        }
        arguments.extend(size.iter().flatten().map(String::as_str));
        if parts.revoked.is_some() {
            arguments.push("-DHAS_REVOCATION_LIST");
        }
        arguments.extend([source.to_str().unwrap(), "-o", &object]);
        tool("clang", &arguments, work);
        objects.push(object);
    };
    assemble(&work.join("rest.S"));
    assemble(&certs.join("system_certificates.S"));
    if parts.revoked.is_some() {
        assemble(&certs.join("revocation_certificates.S"));
    }
    let mut arguments = vec!["-T", "layout", "-o", "vmlinux"];
    arguments.extend(objects.iter().map(String::as_str));
    tool("ld.lld", &arguments, work);
    work.join("vmlinux")
}

/// A machine, as the compiler calls it and as the tool does.
#[derive(Clone, Copy, Debug)]
struct Target {
    triple: &'static str,
    name: &'static str,
    is_64: bool,
    /// How its flat image is put into one that boots, if that is known.
    boots: Option<Boots>,
}

#[derive(Clone, Copy, Debug)]
enum Boots {
    /// As it is.
    Flat,
    /// As a program that unpacks it and does not say where it is.
    Packed(fn(&[u8]) -> Vec<u8>),
}

impl Target {
    const fn new(triple: &'static str, name: &'static str, is_64: bool) -> Self {
        Target {
            triple,
            name,
            is_64,
            boots: None,
        }
    }

    fn base(self) -> u64 {
        match self.is_64 {
            true => 0xffff_8000_8000_0000,
            false => 0xc000_8000,
        }
    }
}

const X86: Target = Target::new("x86_64-linux-gnu", "x86_64", true);
const ARM64: Target = Target {
    boots: Some(Boots::Flat),
    ..Target::new("aarch64-linux-gnu", "arm64", true)
};
const RISCV64: Target = Target {
    boots: Some(Boots::Flat),
    ..Target::new("riscv64-linux-gnu", "riscv64", true)
};
const S390X: Target = Target {
    boots: Some(Boots::Packed(s390_image)),
    ..Target::new("s390x-linux-gnu", "s390x", true)
};
const ARM: Target = Target {
    boots: Some(Boots::Packed(zimage)),
    ..Target::new("armv7-linux-gnueabihf", "32-bit ARM", false)
};
const PPC64LE: Target = Target::new("powerpc64le-linux-gnu", "ppc64le", true);
/// Of both widths and both orders of bytes, with both meanings of `.align`.
const TARGETS: [Target; 9] = [
    X86,
    ARM64,
    RISCV64,
    S390X,
    ARM,
    PPC64LE,
    Target::new("powerpc64-linux-gnu", "ppc64", true),
    Target::new("loongarch64-linux-gnu", "loongarch64", true),
    Target::new("i386-linux-gnu", "32-bit x86", false),
];

/// 32-bit ARM's zImage (arch/arm/boot/compressed/head.S) around a packed kernel.
fn zimage(packed: &[u8]) -> Vec<u8> {
    let mut image = vec![0; 0x2000];
    image[0x24..0x28].copy_from_slice(&0x016f_2818u32.to_le_bytes());
    // What looks like packed data in it, and is not.
    image[0x1000..0x1004].copy_from_slice(b"\x1f\x8b\x08\0");
    image[0x1100..0x1106].copy_from_slice(b"\xfd7zXZ\0");
    [&image, packed, &[0xab; 0x300]].concat()
}

/// s390x's bzImage (arch/s390/boot/head.S) around a packed kernel.
fn s390_image(packed: &[u8]) -> Vec<u8> {
    let mut image = vec![0; 0x13000];
    image[0x10008..0x1000e].copy_from_slice(b"S390EP");
    [&image, packed, &[0xab; 0x300]].concat()
}

/// The same kernel with its symbols, without, and flat: what each has must be the same, and is given to
/// `judge`.
fn in_every_form(parts: Parts, judge: impl Fn(&Image)) {
    for target in TARGETS {
        let work = tempfile::tempdir().unwrap();
        let vmlinux = link(work.path(), parts, target);
        in_forms_of(work.path(), &vmlinux, target, &|image| {
            assert_eq!(image.has_revocation_list, Some(parts.revoked.is_some()));
            judge(image);
        });
    }
}

fn in_forms_of(work: &Path, vmlinux: &Path, target: Target, judge: &dyn Fn(&Image)) {
    let is_right = |image: &Image| {
        assert_eq!(image.machine.name(), target.name);
        assert_eq!(image.release.as_deref(), Some("6.99.0-parts"));
        assert_eq!(
            image.vermagic.as_deref(),
            Some("6.99.0-parts SMP mod_unload ")
        );
        judge(image);
    };
    let with_symbols = read_image(vmlinux);
    assert_eq!(with_symbols.evidence, Evidence::Symbols);
    is_right(&with_symbols);
    for stripped in stripped(work, vmlinux, target) {
        let without = read_image(&stripped);
        assert_eq!(
            without.certificates, with_symbols.certificates,
            "{stripped:?} {target:?}"
        );
        is_right(&without);
    }
}

/// A vmlinux without its symbols, in the forms that boot.
fn stripped(work: &Path, vmlinux: &Path, target: Target) -> Vec<PathBuf> {
    let stripped = work.join("stripped");
    objcopy(&["-S"], vmlinux, &stripped);
    let mut all = vec![stripped];
    if let Some(boots) = target.boots {
        let flat = work.join("Image");
        objcopy(&["-O", "binary", "-S"], vmlinux, &flat);
        if let Boots::Packed(image) = boots {
            let packed = pack(&flat, PACKERS[1].1, true);
            fs::write(&flat, image(&packed)).unwrap();
        }
        all.push(flat);
    }
    all
}

#[test]
fn lists_are_told_from_other_certificates() {
    in_every_form(USUAL, |image| {
        let trusted = [USUAL.key, USUAL.trusted].concat();
        assert_eq!(of(image, List::Builtin), ders_of(&trusted));
        assert_eq!(of(image, List::Revoked), ders("revoked.cert.pem"));
    });
}

#[test]
fn each_list_may_be_empty() {
    let only_key = Parts {
        trusted: &[],
        revoked: Some(&[]),
        ..USUAL
    };
    in_every_form(only_key, |image| {
        assert_eq!(of(image, List::Builtin), ders("rsa2048.cert.pem"));
        assert_eq!(image.certificates.len(), 1);
    });
    let no_key = Parts { key: &[], ..USUAL };
    in_every_form(no_key, |image| {
        assert_eq!(of(image, List::Builtin), ders_of(USUAL.trusted));
        assert_eq!(of(image, List::Revoked), ders("revoked.cert.pem"));
    });
    let no_key_and_no_revocation = Parts {
        key: &[],
        revoked: None,
        ..USUAL
    };
    in_every_form(no_key_and_no_revocation, |image| {
        assert_eq!(of(image, List::Builtin), ders_of(USUAL.trusted));
        assert_eq!(image.certificates.len(), 2);
    });
    let nothing = Parts {
        key: &[],
        trusted: &[],
        revoked: Some(&[]),
        extra: None,
    };
    in_every_form(nothing, |image| assert_eq!(image.certificates, []));
}

#[test]
fn a_big_endian_arm64_image_is_read() {
    let work = tempfile::tempdir().unwrap();
    let vmlinux = link(work.path(), USUAL, ARM64);
    let flat = stripped(work.path(), &vmlinux, ARM64).pop().unwrap();
    let mut octets = fs::read(&flat).unwrap();
    // As of a kernel whose numbers begin with their highest byte: these are the sizes of the lists.
    octets[24] = 1;
    let image = read_image(&flat);
    let sizes: Vec<u64> = [List::Builtin, List::Revoked]
        .map(|list| of(&image, list).concat().len() as u64)
        .into();
    let first = of(&image, List::Builtin)[0].len() as u64;
    let start = octets
        .windows(8)
        .position(|part| part == sizes[0].to_le_bytes())
        .unwrap();
    for size in sizes.into_iter().chain([first]) {
        let (from, to) = (size.to_le_bytes(), size.to_be_bytes());
        let mut at = start;
        while let Some(found) = octets[at..].windows(8).position(|part| part == from) {
            at += found;
            octets[at..at + 8].copy_from_slice(&to);
        }
    }
    fs::write(&flat, &octets).unwrap();
    let swapped = read_image(&flat);
    assert_eq!(swapped.machine.name(), "big-endian arm64");
    assert_eq!(swapped.certificates, image.certificates);
}

#[test]
fn what_may_be_a_list_of_revoked_ones_is_not_trusted() {
    for (trusted, revoked) in [
        (&["p256.cert.pem"][..], &[][..]),
        (&[], &["revoked.cert.pem"]),
    ] {
        let parts = Parts {
            key: &[],
            trusted,
            revoked: Some(revoked),
            extra: None,
        };
        for target in TARGETS {
            let work = tempfile::tempdir().unwrap();
            let vmlinux = link(work.path(), parts, target);
            let image = read_image(&vmlinux);
            assert_eq!(of(&image, List::Builtin), ders_of(trusted), "{target:?}");
            assert_eq!(of(&image, List::Revoked), ders_of(revoked), "{target:?}");
            for stripped in stripped(work.path(), &vmlinux, target) {
                // What follows the list of revoked ones may show that it is not the other.
                match image::read(&stripped) {
                    Ok(image) => assert_eq!(of(&image, List::Builtin), [[0u8; 0]; 0]),
                    Err(_) => refused(&stripped, "give the vmlinux of this kernel"),
                }
            }
        }
    }
}

/// The kernel's own program that puts a certificate into a finished vmlinux.
fn insert(work: &Path, vmlinux: &Path, certificate: &str) {
    let source = kernel_source("6.12").join("scripts/insert-sys-cert.c");
    let (source, vmlinux) = (source.to_str().unwrap(), vmlinux.to_str().unwrap());
    tool("clang", &["-w", "-o", "insert-sys-cert", source], work);
    let der = ders(certificate).concat();
    fs::write(work.join("extra"), der).unwrap();
    let output = Command::new(work.join("insert-sys-cert"))
        .args(["-b", vmlinux, "-c", "extra"])
        .current_dir(work)
        .output()
        .unwrap();
    good(&output);
}

#[test]
fn the_reserved_area_holds_one_that_was_put_in_later() {
    for size in [4096, 1300, 64 << 10] {
        let parts = Parts {
            extra: Some(size),
            ..USUAL
        };
        let trusted = ders_of(&[USUAL.key, USUAL.trusted].concat());
        // One size on all machines; the others where one is put in.
        if size == 4096 {
            in_every_form(parts, |image| {
                assert_eq!(of(image, List::Builtin), trusted);
                assert_eq!(of(image, List::Extra), [[0u8; 0]; 0]);
                assert_eq!(of(image, List::Revoked), ders("revoked.cert.pem"));
            });
        }
        for target in [X86, ARM64, RISCV64, PPC64LE] {
            let work = tempfile::tempdir().unwrap();
            let vmlinux = link(work.path(), parts, target);
            insert(work.path(), &vmlinux, "p521.cert.pem");
            in_forms_of(work.path(), &vmlinux, target, &|image| {
                assert_eq!(of(image, List::Builtin), trusted);
                assert_eq!(of(image, List::Extra), ders("p521.cert.pem"));
                assert_eq!(of(image, List::Revoked), ders("revoked.cert.pem"));
            });
        }
    }
}

#[test]
fn one_is_put_in_as_by_the_kernels_own_program() {
    for size in [4096, 1301] {
        let parts = Parts {
            extra: Some(size),
            ..USUAL
        };
        for target in [X86, ARM64] {
            let work = tempfile::tempdir().unwrap();
            let theirs = link(work.path(), parts, target);
            let ours = work.path().join("ours");
            fs::copy(&theirs, &ours).unwrap();
            // Longer and shorter ones in each other's place.
            for name in ["p256.cert.pem", "rsa2048.cert.pem", "p521.cert.pem"] {
                insert(work.path(), &theirs, name);
                let area = Area::open(&ours).unwrap();
                area.write(&ders(name).concat(), false).unwrap();
                assert!(fs::read(&ours).unwrap() == fs::read(&theirs).unwrap());
            }
        }
    }
    let work = tempfile::tempdir().unwrap();
    let parts = Parts {
        extra: Some(4096),
        ..USUAL
    };
    for target in [RISCV64, S390X, ARM] {
        let vmlinux = link(work.path(), parts, target);
        let said = format!(
            "it is for {}, and modsig hashes and modsig seal are for",
            target.name
        );
        let error = format!("{:#}", Area::open(&vmlinux).unwrap_err());
        assert!(error.contains(&said), "{error}");
        let error = format!("{:#}", Vmlinux::open(&vmlinux).unwrap_err());
        assert!(error.contains(&said), "{error}");
        fs::write(work.path().join("m.ko"), MODULE).unwrap();
        for command in ["hashes", "seal"] {
            let given = [command, "--vmlinux", "vmlinux", "--modules", "m.ko"];
            fails(&modsig(&work, &given), 2, &said);
        }
    }
    let error = Area::open(&link(work.path(), USUAL, X86)).unwrap_err();
    assert!(format!("{error:#}").contains("CONFIG_SYSTEM_EXTRA_CERTIFICATE=y"));
}

/// The root over hashes is found by its section, read in any order of bytes, and written where that is known.
#[test]
fn the_root_of_hashes_is_in_a_section() {
    let root = Root {
        levels: 3,
        hash: [7; 32],
    };
    for target in [X86, ARM64, RISCV64, S390X, PPC64LE] {
        let work = tempfile::tempdir().unwrap();
        let vmlinux = link(work.path(), USUAL, target);
        let order: fn(u32) -> [u8; 4] = match target.name {
            "s390x" => u32::to_be_bytes,
            _ => u32::to_le_bytes,
        };
        let section = [&order(3)[..], &[7; 32], &order(1), &MARK].concat();
        fs::write(work.path().join("section"), section).unwrap();
        let add = ["--add-section", ".module_hashes=section"];
        let arguments = [&add[..], &["vmlinux", "with"]].concat();
        tool("llvm-objcopy", &arguments, work.path());
        let with = work.path().join("with");
        match Vmlinux::open(&with) {
            Ok(opened) => {
                assert_eq!(*opened.root(), root);
                let other = Root {
                    levels: 5,
                    hash: [9; 32],
                };
                opened.lock().unwrap().unwrap().write(&other).unwrap();
                assert_eq!(*Vmlinux::open(&with).unwrap().root(), other);
                assert!(["x86_64", "arm64"].contains(&target.name));
            }
            Err(error) => {
                let error = format!("{error:#}");
                let said = format!("it is for {}, and modsig hashes", target.name);
                assert!(error.contains(&said), "{error}");
                assert!(!["x86_64", "arm64"].contains(&target.name));
            }
        }
        assert!(
            format!("{:#}", Vmlinux::open(&vmlinux).unwrap_err()).contains(match target.name {
                "x86_64" | "arm64" => "has no section .module_hashes",
                _ => "modsig hashes and modsig seal are for",
            })
        );
        // What a kernel has in its memory.
        let script =
            ".section .rodata,\"a\"\n.incbin \"section\"\n.section .init.rodata,\"a\"\n.balign 256";
        fs::write(work.path().join("rest.S"), format!("{REST}\n{script}\n")).unwrap();
        let triple = format!("--target={}", target.triple);
        let bits = "-DCONFIG_64BIT";
        tool(
            "clang",
            &[&triple, "-c", "-I.", bits, "rest.S", "-o", "rest.o"],
            work.path(),
        );
        let objects = [
            "rest.o",
            "system_certificates.o",
            "revocation_certificates.o",
        ];
        let arguments = [&["-T", "layout", "-o", "loaded"][..], &objects].concat();
        tool("ld.lld", &arguments, work.path());
        let hashes = read_image(&work.path().join("loaded")).hashes.unwrap();
        assert_eq!(hashes.root, root);
        assert!(hashes.keys);
    }
}

#[test]
fn a_damaged_image_is_an_error_or_an_image() {
    let work = tempfile::tempdir().unwrap();
    let vmlinux = link(work.path(), USUAL, ARM64);
    let flat = stripped(work.path(), &vmlinux, ARM64).pop().unwrap();
    let x86 = tempfile::tempdir().unwrap();
    let elf = link(x86.path(), USUAL, X86);
    let mut original = fs::read(harness_kernel("6.12", "x86_64").join("kernel")).unwrap();
    // The payload first, for the image is to be small.
    original.truncate(0x8000);
    original[0x248..0x24c].fill(0);
    let mut images = vec![
        fs::read(&vmlinux).unwrap(),
        fs::read(&flat).unwrap(),
        fs::read(&elf).unwrap(),
        bz_image(&original, &pack(&elf, PACKERS[0].1, false)),
    ];
    for (name, command) in PACKERS {
        images.push(pack(&flat, command, false));
        images.push(zboot(name, &pack(&flat, command, true), 4));
    }
    survives(images);
}

/// Also with another kernel in the place of theirs: of PowerPC and MIPS an ELF file unpacks it.
#[test]
fn an_image_that_does_not_say_where_the_kernel_is_has_any_compression() {
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("image");
    let loader = |packed: &[u8]| {
        fs::write(work.path().join("piggy"), packed).unwrap();
        let source = ".section .rodata,\"a\"\n.balign 4096\n.incbin \"piggy\"";
        fs::write(work.path().join("loader.S"), source).unwrap();
        let triple = format!("--target={}", PPC64LE.triple);
        tool(
            "clang",
            &[&triple, "-c", "loader.S", "-o", "loader.o"],
            work.path(),
        );
        tool(
            "ld.lld",
            &["-e", "0", "-o", "loader", "loader.o"],
            work.path(),
        );
        fs::read(work.path().join("loader")).unwrap()
    };
    for (target, layer) in [(ARM, "zImage"), (S390X, "bzImage"), (PPC64LE, "ELF")] {
        let parts = tempfile::tempdir().unwrap();
        let vmlinux = link(parts.path(), USUAL, target);
        let flat = parts.path().join("flat");
        objcopy(&["-O", "binary", "-S"], &vmlinux, &flat);
        for (name, command) in PACKERS {
            let packed = pack(&flat, command, true);
            let image = match target.boots {
                Some(Boots::Packed(image)) => image(&packed),
                _ => loader(&packed),
            };
            fs::write(&path, image).unwrap();
            let read = read_image(&path);
            assert_eq!(read.layers, [layer, name]);
            assert_eq!(read.machine.name(), target.name);
            assert_eq!(of(&read, List::Revoked), ders("revoked.cert.pem"));
        }
        // One that is an ELF file itself; and s390x's that is not packed.
        let stripped = parts.path().join("elf");
        objcopy(&["-S"], &vmlinux, &stripped);
        let packed = pack(&stripped, PACKERS[0].1, true);
        let image = match target.boots {
            Some(Boots::Packed(image)) => image(&packed),
            _ => loader(&packed),
        };
        fs::write(&path, image).unwrap();
        assert_eq!(read_image(&path).layers, [layer, "gzip", "ELF"]);
        if layer == "bzImage" {
            fs::write(&path, s390_image(&fs::read(&flat).unwrap())).unwrap();
            let read = read_image(&path);
            assert_eq!(read.layers, [layer]);
            assert_eq!(of(&read, List::Revoked), ders("revoked.cert.pem"));
        }
    }
    for (magic, name) in [
        (&b"BZh91AY&SY"[..], "bzip2"),
        (b"\x89LZO\0\r\n\x1a\n", "lzo"),
    ] {
        fs::write(&path, zimage(magic)).unwrap();
        refused(&path, &format!("compressed with {name}"));
    }
    fs::write(&path, zimage(b"something else")).unwrap();
    refused(&path, "packed in a way that is not known");
}

/// Those of other machines.
#[test]
fn a_damaged_image_of_another_machine_is_an_error_or_an_image() {
    let mut images = vec![];
    for target in [S390X, ARM, RISCV64, PPC64LE] {
        let work = tempfile::tempdir().unwrap();
        let vmlinux = link(work.path(), USUAL, target);
        images.push(fs::read(&vmlinux).unwrap());
        let forms = stripped(work.path(), &vmlinux, target);
        images.push(fs::read(forms.last().unwrap()).unwrap());
    }
    // s390x's flat image is as large as what is in front of it.
    for image in &mut images {
        assert!(image.len() < 1 << 18, "{}", image.len());
    }
    survives(images);
}

/// None of them, cut short or with other bytes here and there, is more than an error.
fn survives(images: Vec<Vec<u8>>) {
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("damaged");
    let try_it = |octets: &[u8]| {
        // Some file systems take their time to write over a file.
        let _ = fs::remove_file(&path);
        fs::write(&path, octets).unwrap();
        match image::read(&path) {
            // A certificate may be damaged, but there are no more of them than there were.
            Ok(image) => assert!(image.certificates.len() <= 4, "{image:?}"),
            Err(error) => assert!(format!("{error:#}").contains(path.to_str().unwrap())),
        }
    };
    // Also where it is not a file, but the content of one.
    let packed = |octets: &[u8]| zstd::encode_all(octets, 1).unwrap();
    for image in images {
        let is_elf = image.starts_with(b"\x7fELF");
        for part in 0..200 {
            let cut = &image[..image.len() * part / 200];
            try_it(cut);
            if is_elf {
                try_it(&packed(cut));
            }
        }
        let mut damaged = image.clone();
        // The heads byte by byte, then here and there.
        let here_and_there = (0..200).map(|part| image.len() * part / 200);
        for at in (0..0x300)
            .chain(here_and_there)
            .filter(|&at| at < image.len())
        {
            for value in [0, 0xff, image[at] ^ 0x10] {
                damaged[at] = value;
                try_it(&damaged);
                if is_elf {
                    try_it(&packed(&damaged));
                }
            }
            damaged[at] = image[at];
        }
    }
}

#[test]
fn what_unpacks_to_more_than_any_kernel_is_refused() {
    let work = tempfile::tempdir().unwrap();
    let zeros = work.path().join("zeros");
    fs::File::create(&zeros)
        .unwrap()
        .set_len((1 << 30) + 1)
        .unwrap();
    let path = work.path().join("bomb");
    fs::write(&path, pack(&zeros, &["zstd", "-1", "-c"], false)).unwrap();
    assert!(fs::metadata(&path).unwrap().len() < 1 << 20);
    refused(&path, "which no kernel has");
    // Packed as a whole, over and over.
    let mut nested = b"something".to_vec();
    for _ in 0..7 {
        fs::write(&path, &nested).unwrap();
        nested = pack(&path, PACKERS[0].1, false);
    }
    fs::write(&path, &nested).unwrap();
    refused(&path, "packed 6 times over");
    // A file of 2 GiB that says it is an arm64 image.
    let huge = fs::File::create(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&huge, b"ARM\x64", 0x38).unwrap();
    huge.set_len(2 << 30).unwrap();
    refused(&path, "which no kernel has");
}

#[test]
fn what_is_no_image_is_refused_with_a_remedy() {
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("file");
    let with = |at: usize, magic: &[u8]| {
        let mut octets = vec![0; 0x1000];
        octets[..2].copy_from_slice(b"MZ");
        octets[at..at + magic.len()].copy_from_slice(magic);
        octets
    };
    for (content, message) in [
        (vec![], "the file is empty"),
        (
            b"#!/bin/sh\n".to_vec(),
            "not a kernel image that is understood",
        ),
        (b"BZh91AY&SY".to_vec(), "compressed with bzip2"),
        (with(0x80, b"PE\0\0"), "whose headers are damaged"),
        (
            with(0x24, b"\x18\x28\x6f\x01"),
            "32-bit ARM zImage: the kernel in it is packed in a way that is not known",
        ),
        (with(0x38, b"ARM\x64"), "nowhere does it say which Linux"),
        (
            with(0x30, b"RISCV\0\0\0"),
            "nowhere does it say which Linux",
        ),
    ] {
        fs::write(&path, content).unwrap();
        refused(&path, message);
    }
    let module = harness_kernel("6.12", "x86_64").join("modules");
    let module = fs::read_dir(module).unwrap().next().unwrap().unwrap();
    refused(&module.path(), "this is a module");
    refused(work.path(), "not a file");
    refused(&work.path().join("missing"), "cannot open");

    // The program says the same, and that it could not run.
    let output = modsig(&work, &["certs", "missing"]);
    fails(&output, 2, "modsig: missing: cannot open");
}

/// Each as its own tool makes it; and what is advised is what takes the kernel out.
#[test]
fn what_has_a_kernel_in_it_is_named_and_how_to_take_it_out() {
    let work = tempfile::tempdir().unwrap();
    let kernel = link(work.path(), USUAL, X86);
    let content = fs::read(kernel).unwrap();
    let packed = pack(&work.path().join("vmlinux"), PACKERS[0].1, false);
    fs::write(work.path().join("kernel.gz"), &packed).unwrap();
    let make = |script: &str| {
        let output = run(&work, "sh", &["-e", "-c", script]);
        assert!(
            output.status.success(),
            "{script}: {output:?}; run scripts/setup"
        );
    };
    let mkimage = "-A x86_64 -O linux -T kernel -C gzip -a 0 -e 0 -n Linux -d kernel.gz";
    let is_whole = |made: &str| assert!(read(&work, made) == content, "{made}");
    for (name, made, what, advice, taken) in [
        ("v0", "mkbootimg --kernel vmlinux -o v0", "Android boot image", "unpack_bootimg --boot_img v0 --out .", "kernel"),
        ("v3", "mkbootimg --header_version 3 --kernel vmlinux -o v3", "Android boot image", "unpack_bootimg --boot_img v3 --out .", "kernel"),
        ("uImage", &format!("mkimage {mkimage} uImage"), "U-Boot image", "dumpimage -T kernel -p 0 -o kernel uImage", "gz"),
        ("fit", &format!("mkimage -f auto {mkimage} fit"), "FIT image", "dumpimage -T flat_dt -p 0 -o kernel fit", "gz"),
        ("k.lz4", "lz4 -q vmlinux k.lz4", "packed by lz4 as files are", "lz4 -q -d k.lz4 kernel", "kernel"),
        ("p.deb", "mkdir -p p/DEBIAN p/boot && cp vmlinux p/boot/kernel && printf 'Package: p\nVersion: 1\nArchitecture: all\nMaintainer: n <n@n.nn>\nDescription: d\n' > p/DEBIAN/control && dpkg-deb -Znone -b p p.deb", "Debian package", "dpkg-deb -x p.deb . && mv boot/kernel kernel", "kernel"),
    ] {
        make(made);
        let path = work.path().join(name);
        refused(&path, what);
        // The advice, with the names of these files.
        let error = format!("{:#}", image::read(&path).unwrap_err());
        let command = advice.split(" && ").next().unwrap().replace(" -q", "");
        let command = command.replace(name, "FILE").replace(" .", " DIR");
        assert!(error.contains(&command), "no {command:?} in {error:?}");
        let _ = fs::remove_file(work.path().join("kernel"));
        make(advice);
        match taken {
            "gz" => assert!(read(&work, "kernel") == packed, "{name}"),
            made => is_whole(made),
        }
        assert_eq!(read_image(&work.path().join("kernel")).machine.name(), "x86_64");
    }
    // An initramfs, packed or not; and what there is no tool for here.
    make("echo vmlinux | cpio -o -H newc > initrd && gzip -k initrd && mksquashfs vmlinux squash -quiet");
    for (name, what) in [
        ("initrd", "an initramfs"),
        ("initrd.gz", "an initramfs"),
        ("squash", "squashfs"),
    ] {
        refused(&work.path().join(name), what);
    }
    fs::write(work.path().join("v4"), b"ANDROID!\0\0").unwrap();
    refused(&work.path().join("v4"), "Android boot image");
}

/// The stub of systemd, and a distribution's kernel.
#[test]
fn a_unified_kernel_image_has_its_kernel_read() {
    let work = tempfile::tempdir().unwrap();
    let kernel = another_debian();
    let stub = match std::env::consts::ARCH {
        "aarch64" => "aa64",
        _ => "x64",
    };
    let stub = format!("/usr/lib/systemd/boot/efi/linux{stub}.efi.stub");
    let section = format!(".linux={}", kernel.to_str().unwrap());
    let output = run(
        &work,
        "objcopy",
        &[
            "--add-section",
            ".osrel=/etc/os-release",
            "--change-section-vma",
            ".osrel=0x20000",
            "--add-section",
            &section,
            "--change-section-vma",
            ".linux=0x2000000",
            &stub,
            "uki.efi",
        ],
    );
    assert!(output.status.success(), "{output:?}; run scripts/setup");
    let (alone, unified) = (
        read_image(&kernel),
        read_image(&work.path().join("uki.efi")),
    );
    assert_eq!(unified.layers[0], "UKI");
    assert_eq!(unified.layers[1..], alone.layers);
    assert_eq!(unified.certificates, alone.certificates);
    assert_eq!(unified.vermagic, alone.vermagic);
    says(&modsig(&work, &["certs", "uki.efi"]), "(UKI, ");
    refused(
        Path::new(&stub),
        "nor does it have one in it (section .linux)",
    );

    // Cut short, and with sections that are elsewhere.
    let mut octets = read(&work, "uki.efi");
    let cut = work.path().join("cut");
    fs::write(&cut, &octets[..octets.len() / 2]).unwrap();
    refused(&cut, "the section .linux");
    let name = octets
        .windows(8)
        .position(|part| part == b".linux\0\0")
        .unwrap();
    octets[name + 20..name + 24].fill(0xff);
    fs::write(&cut, &octets).unwrap();
    refused(&cut, "the section .linux");
}

fn certs(work: &TempDir, arguments: &[&str]) -> Value {
    let output = modsig(work, &[&["certs", "--json"], arguments].concat());
    good(&output);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn certificates_are_written_and_never_replaced() {
    let work = tempfile::tempdir().unwrap();
    let image = harness_kernel("6.12", "x86_64").join("kernel");
    let image = image.to_str().unwrap();
    let listed = certs(&work, &[image, "-o", "new/out"]);
    let all = listed["certificates"].as_array().unwrap();
    let mut written = vec![];
    for certificate in all {
        let pem = read(&work, certificate["file"]["path"].as_str().unwrap());
        written.push(X509::from_pem(&pem).unwrap().to_der().unwrap());
    }
    let expected = ["build.pem", "trusted.pem", "revoked.pem"];
    assert!(written == ders_of(&expected));
    let revoked = all.last().unwrap();
    assert_eq!(revoked["list"], "revoked");
    let name = revoked["file"]["path"].as_str().unwrap();
    assert!(
        name.starts_with("new/out/revoked-modsig-test-revoked-leaf-"),
        "{name}"
    );

    // Once more: all are there already.
    certs(&work, &[image, "-o", "new/out"]);
    fs::write(work.path().join(name), "mine").unwrap();
    let output = modsig(&work, &["certs", image, "-o", "new/out"]);
    fails(&output, 2, "is there already with another content");
    assert_eq!(read(&work, name), b"mine");
}

#[test]
fn an_image_of_any_name_is_told_as_json() {
    let work = tempfile::tempdir().unwrap();
    let name = OsStr::from_bytes(b"\xff");
    let image = harness_kernel("6.12", "x86_64").join("kernel");
    fs::copy(image, work.path().join(name)).unwrap();
    let mut certs = Command::new(MODSIG);
    certs.args(["certs", "--json"]).arg(name);
    let output = certs.current_dir(work.path()).output().unwrap();
    good(&output);
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed["path"], "\u{fffd}");
    assert_eq!(listed["path_hex"], "ff");
}

#[test]
fn what_people_mind_and_the_kernel_does_not_is_said() {
    let work = tempfile::tempdir().unwrap();
    let image = harness_kernel("6.12", "x86_64").join("kernel");
    let listed = certs(&work, &[image.to_str().unwrap()]);
    let all = listed["certificates"].as_array().unwrap();
    let named = |name: &str| {
        let subject = format!("CN=modsig test {name}");
        all.iter().find(|one| one["subject"] == *subject).unwrap()
    };
    assert_eq!(named("rsa4096")["key"], "RSA, 4096 bits");
    assert_eq!(named("p384")["key"], "EC, P-384");
    assert_eq!(named("p384")["usage"][0], "digitalSignature");
    assert_eq!(named("p384")["ca"], false);
    assert_eq!(named("p384")["notes"], serde_json::json!([]));
    let x509 = X509::from_pem(&fs::read(keys().join("p384.cert.pem")).unwrap()).unwrap();
    let key_id: String = x509
        .subject_key_id()
        .unwrap()
        .as_slice()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    assert_eq!(named("p384")["subject_key_id"], *key_id);
    let ca = named("ca");
    assert_eq!(ca["ca"], true);
    assert_eq!(ca["usage"][0], "keyCertSign");
    let notes = ca["notes"].to_string();
    assert!(notes.contains("no digitalSignature"), "{notes}");
    assert!(notes.contains("a CA"), "{notes}");
    assert_eq!(named("revoked-leaf")["issuer"], "CN=modsig test ca");
    assert_eq!(listed["evidence"], "structure");
}

#[test]
fn a_certificate_that_has_expired_is_said_to_be_no_obstacle() {
    let work = tempfile::tempdir().unwrap();
    let vmlinux = link(work.path(), USUAL, X86);
    // UTCTime with years of two digits, or GeneralizedTime.
    let mut octets = fs::read(&vmlinux).unwrap();
    let end = octets
        .windows(17)
        .rposition(|part| part.starts_with(b"\x18\x0f21"))
        .unwrap();
    octets[end + 2..end + 6].copy_from_slice(b"2001");
    fs::write(&vmlinux, octets).unwrap();
    let listed = certs(&work, &["vmlinux"]);
    let all = listed["certificates"].as_array().unwrap();
    let expired: Vec<_> = all.iter().filter(|one| one["expired"] == true).collect();
    assert_eq!(expired.len(), 1, "{listed}");
    assert!(expired[0]["notes"]
        .to_string()
        .contains("the kernel does not mind"));
}

/// What kmod reads of a module.
fn modinfo(field: &str, module: &Path) -> String {
    let output = Command::new("/sbin/modinfo")
        .args(["-F", field])
        .arg(module)
        .output()
        .unwrap_or_else(|error| panic!("modinfo: {error}; run scripts/setup"));
    good(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    text.strip_suffix('\n').unwrap().to_owned()
}

/// What Debian ships: each kernel has its build's own certificate built in, and the modules of its package
/// say, by kmod, that they are signed with it and which kernel they are for.
fn debian(suite: &str, arch: &str, layers: &[&str]) -> (PathBuf, String) {
    let directory = script("get/distro-kernel", &[suite, arch]);
    let image = read_image(&directory.join("vmlinuz"));
    assert_eq!(image.layers, layers);
    let evidence = match layers {
        ["ELF"] => Evidence::Symbols,
        _ => Evidence::Structure,
    };
    assert_eq!(image.evidence, evidence);
    let name = match arch {
        "armhf" => "32-bit ARM",
        "loong64" => "loongarch64",
        "mips64el" => "64-bit MIPS",
        other => other,
    };
    assert_eq!(image.machine.name(), name);
    let [certificate] = &image.certificates[..] else {
        panic!("{image:?}");
    };
    // Debian builds them without CONFIG_SYSTEM_REVOCATION_LIST, and has a patch by which they look for files among
    // the refused hashes.
    assert_eq!(image.has_revocation_list, Some(false));
    assert_eq!(image.refuses_files, Some(true));
    let x509 = certificate.x509().unwrap();
    let release = image.release.unwrap();
    let modules = directory.join("lib/modules").join(&release);
    let mut files = walkdir::WalkDir::new(&modules).into_iter();
    let module = files.find_map(|file| {
        let path = file.unwrap().into_path();
        path.to_string_lossy().contains(".ko").then_some(path)
    });
    let module = module.unwrap_or_else(|| panic!("{modules:?}"));
    let mut subject = x509.subject_name().entries();
    let subject = subject.next().unwrap().data().to_string().unwrap();
    assert_eq!(modinfo("signer", &module), subject);
    let serial = x509.serial_number().to_bn().unwrap().to_hex_str().unwrap();
    let digits = modinfo("sig_key", &module).replace(':', "");
    assert_eq!(digits, serial.to_string());
    assert_eq!(image.vermagic, Some(modinfo("vermagic", &module)));
    (directory, release)
}

/// All modules of a package load with the package's own kernel, and those of file systems with no other.
fn all_modules_are_good((directory, release): &(PathBuf, String), least: usize, other: &Path) {
    let modules = directory.join("lib/modules").join(release);
    let verify = |image: &Path, modules: &Path| {
        let arguments = ["verify", "--json", "--kernel"];
        let output = Command::new(MODSIG)
            .args(arguments)
            .args([image, modules])
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), report)
    };
    let count = |report: &Value| report["modules"].as_array().unwrap().len();
    let (code, report) = verify(&directory.join("vmlinuz"), &modules);
    assert_eq!(code, Some(0));
    let good = count(&report);
    assert!(good > least, "{good}");
    assert_eq!(report["counts"], serde_json::json!({ "good": good }));
    let (code, report) = verify(other, &modules.join("kernel/fs"));
    assert_eq!(code, Some(1));
    let bad = count(&report);
    assert!(bad > 50, "{bad}");
    assert_eq!(report["counts"], serde_json::json!({ "bad": bad }));
}

fn other_kernel() -> PathBuf {
    harness_kernel("6.12", "arm64").join("kernel")
}

#[test]
fn debian_12_for_x86_64() {
    let debian = debian("bookworm", "x86_64", &["bzImage", "xz", "ELF"]);
    all_modules_are_good(&debian, 3000, &other_kernel());
}

#[test]
#[ignore = "nothing else needs these packages, of 43 to 112 MB"]
fn debian_12_for_arm64() {
    let debian = debian("bookworm", "arm64", &["Image"]);
    all_modules_are_good(&debian, 3000, &other_kernel());
}

#[test]
fn debian_13_for_x86_64() {
    let debian = debian("trixie", "x86_64", &["bzImage", "zstd", "ELF"]);
    all_modules_are_good(&debian, 3000, &other_kernel());
}

#[test]
#[ignore = "nothing else needs these packages, of 43 to 112 MB"]
fn debian_13_for_arm64() {
    let debian = debian("trixie", "arm64", &["Image"]);
    all_modules_are_good(&debian, 3000, &other_kernel());
}

/// A kernel for the host, of another release and signed by others.
fn another_debian() -> PathBuf {
    let arch = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    };
    script("get/distro-kernel", &["trixie", arch]).join("vmlinuz")
}

/// Numbers begin with their highest byte, and nothing says where in the image the kernel is.
#[test]
fn debian_12_for_s390x() {
    let debian = debian("bookworm", "s390x", &["bzImage", "xz"]);
    all_modules_are_good(&debian, 2000, &another_debian());
}

/// 32 bits.
#[test]
#[ignore = "nothing else needs these packages, of 43 to 112 MB"]
fn debian_12_for_armhf() {
    let debian = debian("bookworm", "armhf", &["zImage", "xz"]);
    all_modules_are_good(&debian, 3000, &another_debian());
}

#[test]
#[ignore = "nothing else needs these packages, of 43 to 112 MB"]
fn debian_12_for_ppc64le() {
    let debian = debian("bookworm", "ppc64le", &["ELF"]);
    all_modules_are_good(&debian, 3000, &another_debian());
}

/// The kernel is in an ELF file that unpacks it, and its assembler makes the list longer than what is in it.
#[test]
#[ignore = "nothing else needs these packages, of 43 to 112 MB"]
fn debian_12_for_mips64el() {
    let debian = debian("bookworm", "mips64el", &["ELF", "xz"]);
    all_modules_are_good(&debian, 2500, &another_debian());
}

#[test]
#[ignore = "nothing else needs these packages, of 43 to 112 MB"]
fn debian_13_for_riscv64() {
    let debian = debian("trixie", "riscv64", &["Image"]);
    all_modules_are_good(&debian, 3000, &another_debian());
}

/// Of the suite that is to become Debian 14, the first one that has it.
#[test]
#[ignore = "nothing else needs these packages, of 43 to 112 MB"]
fn debian_14_for_loongarch64() {
    let debian = debian("forky", "loong64", &["EFI zboot", "zstd", "Image"]);
    all_modules_are_good(&debian, 2500, &another_debian());
}

#[test]
fn modules_are_verified_against_what_is_built_in() {
    let work = tempfile::tempdir().unwrap();
    let image = harness_kernel("6.12", "x86_64").join("kernel");
    let image = image.to_str().unwrap();
    let sign = |name: &str| {
        fs::write(work.path().join("m.ko"), MODULE).unwrap();
        let [key, cert] = ["key", "cert"].map(|part| keys().join(format!("{name}.{part}.pem")));
        let (key, cert) = (key.to_str().unwrap(), cert.to_str().unwrap());
        good(&modsig(
            &work,
            &["sign", "--key", key, "--cert", cert, "m.ko"],
        ));
    };
    let verify = |more: &[&str]| {
        let arguments = [
            &["verify", "--any-release", "--kernel", image, "m.ko"],
            more,
        ]
        .concat();
        let output = modsig(&work, &arguments);
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        (output.status.code(), text)
    };
    for (name, code, said) in [
        ("p256", 0, "good"),
        ("untrusted", 1, "signer's key is in no trusted keyring"),
        ("revoked", 1, "signer's key is revoked"),
        ("revoked-leaf", 1, "signer's key is revoked"),
    ] {
        sign(name);
        let (status, text) = verify(&[]);
        assert!(
            status == Some(code) && text.contains(said),
            "{name}: {text}"
        );
    }
    fs::copy(keys().join("blacklisted.ko"), work.path().join("m.ko")).unwrap();
    let (status, text) = verify(&[]);
    assert!(
        status == Some(1) && text.contains("hash is blacklisted"),
        "{text}"
    );

    // Certificates count on top.
    sign("untrusted");
    let cert = keys().join("untrusted.cert.pem");
    assert_eq!(verify(&["--cert", cert.to_str().unwrap()]).0, Some(0));

    let output = modsig(&work, &["verify", "m.ko"]);
    fails(&output, 2, "--cert");
    let output = modsig(&work, &["verify", "--kernel", "missing", "m.ko"]);
    fails(&output, 2, "missing: cannot open");
}

/// A certificate of no bytes from every aligned place on, each list running into the next.
#[test]
fn an_image_full_of_beginnings_is_read_in_time() {
    let work = set_up("p256");
    let mut content = [0x30, 0x82, 0, 0].repeat(4 << 20);
    content.extend(b"\0Linux version 6.99.0 (nobody@nowhere) #1\0");
    fs::write(work.path().join("area"), &content).unwrap();
    let script = "
        .section .rodata,\"a\"
        .balign 4096
        .incbin \"area\"";
    fs::write(work.path().join("image.S"), script).unwrap();
    good(&run(&work, "cc", &["-c", "-o", "image.o", "image.S"]));
    let link = [
        "-static",
        "-nostdlib",
        "-Wl,-e,0",
        "-o",
        "vmlinux",
        "image.o",
    ];
    good(&run(&work, "cc", &link));
    good(&run(&work, "strip", &["vmlinux"]));
    // Each walked to its end, these 16 MiB took six minutes.
    let limited = "ulimit -t 30; exec \"$@\"";
    let certs = ["-c", limited, "sh", MODSIG, "certs", "vmlinux"];
    says(&run(&work, "sh", &certs), "0 built in");
}

#[test]
fn what_is_no_kernel_is_said_to_be_none() {
    let work = set_up("p256");
    let cannot = "/bin/true: not a kernel: nowhere does it say which Linux it is";
    fails(&modsig(&work, &["certs", "/bin/true"]), 2, cannot);
    let verify = ["verify", "--kernel", "/bin/true", "m.ko"];
    fails(&modsig(&work, &verify), 2, cannot);
}

#[test]
fn an_image_without_certificates_is_said_to_be_one() {
    let work = set_up("p256");
    let parts = Parts {
        key: &[],
        trusted: &[],
        revoked: None,
        extra: None,
    };
    let vmlinux = link(work.path(), parts, X86);
    stripped(work.path(), &vmlinux, X86);
    good(&modsig(&work, &SIGN));
    let output = modsig(&work, &["verify", "--kernel", "stripped", "m.ko"]);
    fails(&output, 1, "no certificates found in it");
    let output = modsig(&work, &["certs", "stripped"]);
    good(&output);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("0 built in"), "{text}");
    assert!(text.contains("CONFIG_SYSTEM_TRUSTED_KEYRING=n"), "{text}");
}
