// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is read out of kernel images: of the harness' kernels, of a distribution's, and of ones
//! that are put together here from the kernel's own `certs/*.S`, as no configuration of the
//! harness has them.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use common::*;
use modsig_tools::image::{self, Area, Evidence, Image, List};
use openssl::x509::X509;
use serde_json::Value;
use tempfile::TempDir;

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
        "7.3" => "trusted-7.3.pem",
        _ => "trusted.pem",
    }));
    assert!(of(image, List::Builtin) == trusted, "{image:?}");
    assert!(of(image, List::Revoked) == ders("revoked.pem"), "{image:?}");
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
/// What else is in an image: arm64's head, the banner, what the kernel says, other certificates.
const REST: &str = r#"
	.section .head, "a"
	.space 0x38
	.ascii "ARM\x64"
	.space 0x1000 - 0x3c
	.section .rodata, "a"
	.asciz "Linux version %s (%s)"
	.globl linux_banner
linux_banner:
	.asciz "Linux version 6.99.0-parts (nobody@nowhere) #1"
	.asciz "Loading compiled-in X.509 certificates"
#ifdef HAS_REVOCATION_LIST
	.asciz "Loading compiled-in revocation X.509 certificates"
#endif
	.balign 256
other_start:
	.incbin "other"
other_end:
	.long other_end - other_start
	.long 1
"#;
const LAYOUT: &str = "SECTIONS {
	. = 0xffff800080000000;
	.head : { *(.head) }
	.rodata : { *(.rodata) }
	.init.rodata : ALIGN(4096) { *(.init.rodata) }
}";

/// Assembles and links a vmlinux, with symbols, that has these lists.
fn link(work: &Path, parts: Parts, target: &str) -> PathBuf {
    let certs = kernel_source("6.12").join("certs");
    fs::create_dir_all(work.join("linux")).unwrap();
    fs::create_dir_all(work.join("certs")).unwrap();
    fs::write(work.join("linux/export.h"), "").unwrap();
    fs::write(work.join("linux/init.h"), INIT_H).unwrap();
    fs::write(work.join("rest.S"), REST).unwrap();
    fs::write(work.join("layout"), LAYOUT).unwrap();
    fs::write(work.join("other"), ders("untrusted.cert.pem").concat()).unwrap();
    for (name, list) in [
        ("signing_key.x509", parts.key),
        ("x509_certificate_list", parts.trusted),
        ("x509_revocation_list", parts.revoked.unwrap_or_default()),
    ] {
        fs::write(work.join("certs").join(name), ders_of(list).concat()).unwrap();
    }
    let target = format!("--target={target}");
    let mut objects = vec![];
    let mut assemble = |source: &Path| {
        let size = parts.extra.map(|size| {
            [
                "-DCONFIG_SYSTEM_EXTRA_CERTIFICATE".to_owned(),
                format!("-DCONFIG_SYSTEM_EXTRA_CERTIFICATE_SIZE={size}"),
            ]
        });
        let object = format!("{}.o", source.file_stem().unwrap().to_str().unwrap());
        let mut arguments = vec![&*target, "-c", "-I.", "-DCONFIG_64BIT"];
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

const X86: &str = "x86_64-linux-gnu";
const ARM64: &str = "aarch64-linux-gnu";

/// The same kernel with its symbols, without, and (arm64) flat: what each has must be the same, and
/// is given to `judge`.
fn in_every_form(parts: Parts, judge: impl Fn(&Image)) {
    for target in [X86, ARM64] {
        let work = tempfile::tempdir().unwrap();
        let vmlinux = link(work.path(), parts, target);
        in_forms_of(work.path(), &vmlinux, target, &judge);
    }
}

fn in_forms_of(work: &Path, vmlinux: &Path, target: &str, judge: &dyn Fn(&Image)) {
    let with_symbols = read_image(vmlinux);
    assert_eq!(with_symbols.evidence, Evidence::Symbols);
    assert_eq!(with_symbols.release.as_deref(), Some("6.99.0-parts"));
    judge(&with_symbols);
    for stripped in stripped(work, vmlinux, target) {
        let without = read_image(&stripped);
        assert_eq!(
            without.certificates, with_symbols.certificates,
            "{stripped:?}"
        );
        judge(&without);
    }
}

/// A vmlinux without its symbols, in the forms that boot.
fn stripped(work: &Path, vmlinux: &Path, target: &str) -> Vec<PathBuf> {
    let stripped = work.join("stripped");
    objcopy(&["-S"], vmlinux, &stripped);
    let mut all = vec![stripped];
    if target == ARM64 {
        let flat = work.join("Image");
        objcopy(&["-O", "binary", "-S"], vmlinux, &flat);
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
        for target in [X86, ARM64] {
            let work = tempfile::tempdir().unwrap();
            let vmlinux = link(work.path(), parts, target);
            let image = read_image(&vmlinux);
            assert_eq!(of(&image, List::Builtin), ders_of(trusted));
            assert_eq!(of(&image, List::Revoked), ders_of(revoked));
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
        in_every_form(parts, |image| {
            assert_eq!(of(image, List::Builtin), trusted);
            assert_eq!(of(image, List::Extra), [[0u8; 0]; 0]);
            assert_eq!(of(image, List::Revoked), ders("revoked.cert.pem"));
        });
        for target in [X86, ARM64] {
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
    let error = Area::open(&link(work.path(), USUAL, X86)).unwrap_err();
    assert!(format!("{error:#}").contains("CONFIG_SYSTEM_EXTRA_CERTIFICATE=y"));
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
    for _ in 0..6 {
        fs::write(&path, &nested).unwrap();
        nested = pack(&path, PACKERS[0].1, false);
    }
    fs::write(&path, &nested).unwrap();
    refused(&path, "packed 5 times over");
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
    let mut big_endian = with(0x38, b"ARM\x64");
    big_endian[24] = 1;
    let mut for_arm = fs::read(harness_kernel("6.12", "arm64").join("vmlinux")).unwrap();
    for_arm[18] = 40;
    for (content, message) in [
        (vec![], "the file is empty"),
        (
            b"#!/bin/sh\n".to_vec(),
            "not a kernel image that is understood",
        ),
        (b"BZh91AY&SY".to_vec(), "compressed with bzip2"),
        (
            with(0x80, b"PE\0\0"),
            "objcopy -O binary --only-section=.linux",
        ),
        (with(0x30, b"RISCV\0\0\0"), "for RISC-V"),
        (big_endian, "big-endian arm64"),
        (for_arm, "another machine (e_machine 40"),
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
        let pem = read(&work, certificate["file"].as_str().unwrap());
        written.push(X509::from_pem(&pem).unwrap().to_der().unwrap());
    }
    let expected = ["build.pem", "trusted.pem", "revoked.pem"];
    assert!(written == ders_of(&expected));
    let revoked = all.last().unwrap();
    assert_eq!(revoked["list"], "revoked");
    let name = revoked["file"].as_str().unwrap();
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

/// What Debian ships: each kernel has its build's own certificate built in.
fn debian(suite: &str, arch: &str, layers: &[&str]) -> (PathBuf, String) {
    let directory = script("get/distro-kernel", &[suite, arch]);
    let image = read_image(&directory.join("vmlinuz"));
    assert_eq!(image.layers, layers);
    assert_eq!(image.evidence, Evidence::Structure);
    let [certificate] = &image.certificates[..] else {
        panic!("{image:?}");
    };
    let name = certificate.x509().unwrap();
    let name = name
        .subject_name()
        .entries()
        .next()
        .unwrap()
        .data()
        .to_string()
        .unwrap();
    assert_eq!(name, "Build time autogenerated kernel key");
    let release = image.release.unwrap();
    let modules = directory.join("lib/modules").join(&release);
    assert!(modules.is_dir(), "{modules:?}");
    (directory, release)
}

/// All modules of a package load with the package's own kernel, and with no other.
fn all_modules_are_good((directory, release): (PathBuf, String), other: &Path) {
    let modules = directory.join("lib/modules").join(release);
    let verify = |image: &Path| {
        let arguments = ["verify", "--json", "--kernel"];
        let output = Command::new(MODSIG)
            .args(arguments)
            .args([image, &modules])
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), report)
    };
    let (code, report) = verify(&directory.join("vmlinuz"));
    assert_eq!(code, Some(0));
    let count = report["modules"].as_array().unwrap().len();
    assert!(count > 3000, "{count}");
    assert_eq!(report["counts"], serde_json::json!({ "good": count }));
    let (code, report) = verify(other);
    assert_eq!(code, Some(1));
    assert_eq!(report["counts"], serde_json::json!({ "bad": count }));
}

fn other_kernel() -> PathBuf {
    harness_kernel("6.12", "arm64").join("kernel")
}

#[test]
fn debian_12_for_x86_64() {
    let debian = debian("bookworm", "x86_64", &["bzImage", "xz", "ELF"]);
    all_modules_are_good(debian, &other_kernel());
}

#[test]
fn debian_12_for_arm64() {
    let debian = debian("bookworm", "arm64", &["Image"]);
    all_modules_are_good(debian, &other_kernel());
}

#[test]
fn debian_13_for_x86_64() {
    let debian = debian("trixie", "x86_64", &["bzImage", "zstd", "ELF"]);
    all_modules_are_good(debian, &other_kernel());
}

#[test]
fn debian_13_for_arm64() {
    let debian = debian("trixie", "arm64", &["Image"]);
    all_modules_are_good(debian, &other_kernel());
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
    let certs = ["30", MODSIG, "certs", "vmlinux"];
    says(&run(&work, "timeout", &certs), "0 built in");
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
