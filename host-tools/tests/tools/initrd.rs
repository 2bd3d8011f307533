// SPDX-License-Identifier: MIT OR Apache-2.0

//! Modules in an initramfs: as cpio, bsdcpio and the packers make it, and as lsinitramfs lists it; and in what
//! nobody but an attacker makes.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use modsig_tools::initramfs::Initramfs;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::*;

/// Runs a script of the shell in the directory.
fn sh(work: &TempDir, script: &str) -> String {
    let output = run(work, "bash", &["-e", "-o", "pipefail", "-c", script]);
    assert!(
        output.status.success(),
        "{script}: {output:?}; run scripts/setup"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A tree as an initramfs has it, with modules that are signed, packed or not, and one that is not signed.
fn tree() -> TempDir {
    let work = set_up("p256");
    good(&modsig(&work, &SIGN));
    fs::write(work.path().join("unsigned.ko"), MODULE).unwrap();
    sh(
        &work,
        "mkdir -p main/usr/lib/modules/6.99/kernel early/kernel/x86/microcode
        cd main/usr/lib/modules/6.99/kernel
        cp ../../../../../../m.ko a.ko
        cp ../../../../../../unsigned.ko unsigned.ko
        gzip -c a.ko > g.ko.gz; xz --check=crc32 -c a.ko > x.ko.xz; zstd -q -c a.ko > z.ko.zst
        ln -s a.ko link.ko; mkdir directory.ko; head -c 100000 /dev/urandom > other.bin
        cd ../../../../../..
        echo microcode > early/kernel/x86/microcode/AuthenticAMD.bin
        (cd early && find . | cpio -o -H newc --quiet) > early.cpio
        (cd main && find . | LC_ALL=C sort | cpio -o -H newc --quiet) > main.cpio",
    );
    work
}

const ALL: [&str; 5] = ["a.ko", "g.ko.gz", "unsigned.ko", "x.ko.xz", "z.ko.zst"];

/// What is said of each module, by name, and how it ends.
fn verify(work: &TempDir, arguments: &[&str]) -> (Option<i32>, Vec<(String, String)>) {
    let arguments = [&["verify", "--json", "--cert", "c.pem"], arguments].concat();
    let output = modsig(work, &arguments);
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let modules = said["modules"].as_array().unwrap().iter();
    let of = |module: &Value| {
        let verdict = match (&module["error"], &module["reason"]) {
            (Value::String(error), _) => format!("failed: {error}"),
            (_, Value::String(reason)) => reason.clone(),
            _ => "good".to_owned(),
        };
        (module["path"].as_str().unwrap().to_owned(), verdict)
    };
    (output.status.code(), modules.map(of).collect())
}

/// All of the tree's modules are found in this file, so many times over.
fn has_all(work: &TempDir, file: &str, times: usize) {
    let (code, said) = verify(work, &["--initrd", file]);
    assert_eq!(code, Some(1));
    let mut expected = vec![];
    for time in 1..=times {
        for name in ALL {
            let again = match time {
                1 => String::new(),
                time => format!(" (number {time} of that name)"),
            };
            let verdict = match name {
                "unsigned.ko" => "not signed",
                _ => "good",
            };
            expected.push((
                format!("{file}:usr/lib/modules/6.99/kernel/{name}{again}"),
                verdict.to_owned(),
            ));
        }
    }
    assert_eq!(said, expected, "{file}");
}

/// What Debian's own program lists: names of modules that are files, or links to them.
fn listed(work: &TempDir, file: &str) -> Vec<String> {
    let all = sh(work, &format!("lsinitramfs -l {file}"));
    let files = all.lines().filter(|line| line.starts_with('-'));
    let names = files.map(|line| line.split_whitespace().last().unwrap().to_owned());
    let mut modules: Vec<_> = names.filter(|name| name.contains(".ko")).collect();
    modules.sort();
    modules
}

#[test]
fn each_packing_is_read_and_what_is_in_front_of_it() {
    let work = tree();
    let packers = [
        ("gz", "gzip -nk"),
        ("xz", "xz --check=crc32 -k"),
        ("zst", "zstd -q -k"),
        ("lzma", "lzma -k"),
        ("lz4", "lz4 -l -q -m"),
    ];
    for (ending, packer) in packers {
        sh(
            &work,
            &format!(
                "{packer} main.cpio
                cat early.cpio <(head -c 1536 /dev/zero) main.cpio.{ending} > initrd.{ending}"
            ),
        );
        has_all(&work, &format!("main.cpio.{ending}"), 1);
        let file = format!("initrd.{ending}");
        has_all(&work, &file, 1);
        // What that lists are the same.
        let names: Vec<String> = ALL
            .iter()
            .map(|name| format!("usr/lib/modules/6.99/kernel/{name}"))
            .collect();
        assert_eq!(listed(&work, &file), names, "{ending}");
    }
    has_all(&work, "main.cpio", 1);
    // One behind the other, each as it is or packed, with zeros between them or not.
    sh(
        &work,
        "cat main.cpio.gz main.cpio.zst main.cpio.lz4 <(head -c 512 /dev/zero) main.cpio.xz > four
        (cd main && find . | LC_ALL=C sort | bsdcpio -o -H newc --quiet) > bsd.cpio
        (cd main && find . | LC_ALL=C sort | cpio -o -H crc --quiet) > crc.cpio
        cat early.cpio main.cpio <(head -c 64 /dev/zero) bsd.cpio crc.cpio | zstd -q > together.zst",
    );
    has_all(&work, "four", 4);
    has_all(&work, "together.zst", 3);
    has_all(&work, "bsd.cpio", 1);
    has_all(&work, "crc.cpio", 1);
    // Several at once, and modules of their own.
    let (code, said) = verify(
        &work,
        &[
            "--initrd",
            "main.cpio",
            "--initrd",
            "four",
            "--jobs",
            "7",
            "m.ko",
        ],
    );
    assert_eq!(code, Some(1));
    assert_eq!(said.len(), 1 + 5 + 20);
    let bad = said.iter().filter(|(_, verdict)| verdict != "good").count();
    assert_eq!(bad, 5, "{said:?}");
    let only_good = ["--initrd", "main.cpio", "--allow-unsigned"];
    assert_eq!(verify(&work, &only_good).0, Some(0));
}

/// Signed, but what boots is what was copied before.
#[test]
fn an_initramfs_has_the_module_as_it_was_when_that_was_made() {
    let work = set_up("p256");
    let make = "mkdir -p i/lib && cp m.ko i/lib/ && (cd i && find . | cpio -o -H newc --quiet | zstd -q) > initrd.img";
    sh(&work, make);
    good(&modsig(&work, &SIGN));
    let verify = [
        "verify",
        "--cert",
        "c.pem",
        "--initrd",
        "initrd.img",
        "m.ko",
    ];
    let output = modsig(&work, &verify);
    fails(&output, 1, "make it again (update-initramfs -u -k RELEASE");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("m.ko: good"), "{said}");
    assert!(said.contains("initrd.img:lib/m.ko: not signed"), "{said}");
    assert!(said.contains("1 good, 1 unsigned"), "{said}");
    sh(&work, make);
    let output = modsig(&work, &verify);
    says(&output, "2 good");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// With the stub of systemd and its sections, made by binutils.
#[test]
fn a_unified_kernel_image_has_its_initramfs_read() {
    let work = tree();
    let stub = match std::env::consts::ARCH {
        "aarch64" => "aa64",
        _ => "x64",
    };
    sh(
        &work,
        &format!(
            "zstd -q main.cpio
            objcopy --add-section .initrd=main.cpio.zst --change-section-vma .initrd=0x3000000 \
                /usr/lib/systemd/boot/efi/linux{stub}.efi.stub uki.efi
            cp /usr/lib/systemd/boot/efi/linux{stub}.efi.stub none.efi"
        ),
    );
    has_all(&work, "uki.efi", 1);
    let none = modsig(
        &work,
        &["verify", "--cert", "c.pem", "--initrd", "none.efi"],
    );
    fails(
        &none,
        2,
        "none.efi: an EFI program that has no initramfs in it",
    );
}

#[test]
fn the_content_of_hard_links_is_with_the_last_of_them() {
    let work = tree();
    sh(
        &work,
        "mkdir l && cp m.ko l/a.ko && ln l/a.ko l/b.ko && ln l/a.ko l/z.txt
        cp unsigned.ko l/n.ko && ln l/n.ko l/o.ko
        cd l && printf 'a.ko\\nb.ko\\nn.ko\\no.ko\\nz.txt\\n' | cpio -o -H newc --quiet > ../links.cpio",
    );
    let (code, said) = verify(&work, &["--initrd", "links.cpio"]);
    assert_eq!(code, Some(1));
    let expected = [
        ("links.cpio:o.ko", "not signed"),
        ("links.cpio:b.ko", "good"),
    ];
    let said: Vec<_> = said.iter().map(|(name, what)| (&**name, &**what)).collect();
    assert_eq!(said, expected);
}

/// The kernel's own archive format, as small as it can be.
fn entry(magic: &str, name: &[u8], claims: (u32, u32), content: &[u8], sum: u32) -> Vec<u8> {
    let (size, name_size) = claims;
    let mut out = format!(
        "{magic}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{size:08x}{:08x}{:08x}{:08x}{:08x}{name_size:08x}{sum:08x}",
        1, 0o100_644, 0, 0, 1, 0, 0, 0, 0, 0
    )
    .into_bytes();
    out.extend(name);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(content);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    let claims = (content.len() as u32, name.len() as u32 + 1);
    entry("070701", format!("{name}\0").as_bytes(), claims, content, 0)
}

#[test]
fn what_is_damaged_or_none_is_said_to_be() {
    let work = set_up("p256");
    good(&modsig(&work, &SIGN));
    let module = read(&work, "m.ko");
    let first = file("lib/first.ko", &module);
    let trailer = file("TRAILER!!!", &[]);
    let long = format!("{}\0", "n".repeat(5000));
    // Packed without an end, and something behind it that has one.
    let mut open = flate2::write::GzEncoder::new(trailer.clone(), flate2::Compression::fast());
    std::io::Write::write_all(&mut open, &first).unwrap();
    let open = [open.finish().unwrap(), first.clone(), trailer.clone()].concat();
    // Behind one that can be read: that is checked, and the rest is an error of the file.
    for (rest, message) in [
        (vec![], "cut short"),
        (open, "cut short"),
        (first[..200].to_vec(), "cut short"),
        (first[..30].to_vec(), "cut short"),
        (
            entry("070701", b"x.ko\0", (u32::MAX, 5), b"abcd", 0),
            "cut short",
        ),
        (
            entry("070701", b"x.ko\0", (4, 0xffff_ff00), b"abcd", 0),
            "a name of 4294967040 bytes",
        ),
        (
            entry("070701", b"", (4, 0), b"abcd", 0),
            "a name of 0 bytes",
        ),
        (
            entry("070701", long.as_bytes(), (4, 5001), b"abcd", 0),
            "a name of 5001 bytes",
        ),
        (
            entry("070701", b"x.koX", (4, 5), b"abcd", 0),
            "does not end",
        ),
        (
            entry("070702", b"x.ko\0", (4, 5), b"abcd", 1),
            "checksum of a file in it does not match",
        ),
        (
            entry("07070g", b"x.ko\0", (4, 5), b"abcd", 0),
            "something that is none",
        ),
        (
            entry("070701", b"x.ko\0", (4, 5), b"abcd", 0).replace_digit(),
            "something that is none",
        ),
        (
            [&trailer[..], b"junk"].concat(),
            "nor packed in a way that is known",
        ),
        (
            [&trailer[..], b"BZh91AY&SY"].concat(),
            "packed with bzip2, which is not understood",
        ),
        ([&trailer[..], b"\x1f\x8b\x08\0junk"].concat(), "cut short"),
    ] {
        fs::write(work.path().join("i"), [&first[..], &rest].concat()).unwrap();
        let (code, said) = verify(&work, &["--initrd", "i"]);
        assert_eq!(code, Some(1));
        assert_eq!(said[0], ("i:lib/first.ko".to_owned(), "good".to_owned()));
        let (name, verdict) = said.last().unwrap();
        assert_eq!(name, "i");
        assert!(
            verdict.starts_with("failed: i: ") && verdict.contains(message),
            "no {message:?} in {verdict:?}"
        );
    }
    // None at all.
    for (content, message) in [
        (&b""[..], "i: the file is empty"),
        (b"#!/bin/sh\n", "i: neither an archive of cpio"),
        (b"0 is not 1", "i: it is cut short"),
        (&[b'0'; 200], "i: neither an archive of cpio"),
        (
            b"070707",
            "as no kernel takes it; make it with cpio -H newc",
        ),
        (
            b"\x04\x22\x4d\x18aaaa",
            "packed with lz4 in the form for files",
        ),
        (&module, "i: neither an archive of cpio"),
        (b"MZ", "no initramfs in it"),
    ] {
        fs::write(work.path().join("i"), content).unwrap();
        fails(
            &modsig(&work, &["verify", "--cert", "c.pem", "--initrd", "i"]),
            2,
            message,
        );
    }
    let missing = ["verify", "--cert", "c.pem", "--initrd"];
    fails(
        &modsig(&work, &[&missing[..], &["none"]].concat()),
        2,
        "none: cannot open",
    );
    sh(&work, "mkfifo pipe");
    fails(
        &modsig(&work, &[&missing[..], &["pipe"]].concat()),
        2,
        "pipe: not a file",
    );
    fails(
        &modsig(&work, &[&missing[..], &["."]].concat()),
        2,
        ".: not a file",
    );
    // Without modules, which is no success: nothing was checked.
    fs::write(
        work.path().join("i"),
        [file("init", b"x"), trailer].concat(),
    )
    .unwrap();
    fails(
        &modsig(&work, &[&missing[..], &["i"]].concat()),
        1,
        "i: no modules in it",
    );
}

trait ReplaceDigit {
    fn replace_digit(self) -> Self;
}

impl ReplaceDigit for Vec<u8> {
    /// What a parser of numbers may take and is no digit.
    fn replace_digit(mut self) -> Self {
        self[54] = b'+';
        self
    }
}

/// What an attacker has made costs no more memory and time than this.
fn costs_little(work: &TempDir, name: &str, message: &str) {
    let limited = "ulimit -v 1000000; ulimit -t 120; exec \"$@\"";
    let arguments = [
        "-c", limited, "sh", MODSIG, "verify", "--cert", "c.pem", "--initrd", name,
    ];
    let output = run(work, "sh", &arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(message), "{name}: {output:?}");
    assert!(matches!(output.status.code(), Some(1 | 2)), "{output:?}");
    assert!(!output.stdout.contains(&0x1b), "{output:?}");
}

/// Names and contents cannot do anything to a terminal, memory or time.
#[test]
fn an_attackers_initramfs_costs_little() {
    let work = set_up("p256");
    // More modules than any kernel has.
    let mut many = zstd::Encoder::new(vec![], 1).unwrap();
    std::io::Write::write_all(&mut many, &file("lib/\x1b[2Jfirst.ko", MODULE)).unwrap();
    for _ in 0..140_000 {
        std::io::Write::write_all(&mut many, &file("lib/first.ko", b"x")).unwrap();
    }
    fs::write(work.path().join("many"), many.finish().unwrap()).unwrap();
    costs_little(&work, "many", "more than 131072 modules");
    // One that says that it has much more than is there.
    let claims = entry("070701", b"x.ko\0", (900 << 20, 5), &[0; 4096], 0);
    fs::write(work.path().join("claims"), claims).unwrap();
    costs_little(&work, "claims", "cut short");
}

/// Zeros without end, as they are and packed.
#[test]
#[ignore = "reads more than 8 GiB"]
fn an_initramfs_of_zeros_costs_little() {
    let work = set_up("p256");
    let first = file("lib/\x1b[2Jfirst.ko", MODULE);
    let trailer = file("TRAILER!!!", &[]);
    let zeros = (4u64 << 30) + (64 << 20);
    let sparse = fs::File::create(work.path().join("sparse")).unwrap();
    sparse
        .write_all_at(&[&first[..], &trailer].concat(), 0)
        .unwrap();
    sparse.set_len(zeros).unwrap();
    let mut bomb = zstd::Encoder::new(vec![], 1).unwrap();
    std::io::Write::write_all(&mut bomb, &[&first[..], &trailer].concat()).unwrap();
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(0), zeros),
        &mut bomb,
    )
    .unwrap();
    fs::write(work.path().join("bomb"), bomb.finish().unwrap()).unwrap();
    for name in ["sparse", "bomb"] {
        costs_little(&work, name, "more than 4 GiB, which no initramfs has");
    }
}

#[test]
fn a_damaged_initramfs_is_an_error_or_an_initramfs() {
    let work = tree();
    sh(
        &work,
        "gzip -nk main.cpio; xz --check=crc32 -k main.cpio; zstd -q -k main.cpio; lz4 -l -q main.cpio main.cpio.lz4",
    );
    let path = work.path().join("damaged");
    let try_it = |octets: &[u8]| {
        let _ = fs::remove_file(&path);
        fs::write(&path, octets).unwrap();
        match Initramfs::open(&path) {
            Ok(initramfs) => {
                assert!(initramfs.modules.len() <= 6, "{initramfs:?}");
                let contents = initramfs.contents().unwrap();
                let mut buffer = vec![];
                for number in 0..initramfs.modules.len() {
                    // The second time it is the same, up to where it is damaged.
                    let last = number + 1 == initramfs.modules.len();
                    let read = contents.read(number, &mut buffer);
                    assert!(read.is_ok() || (last && initramfs.broken.is_some()));
                }
            }
            Err(error) => assert!(format!("{error:#}").contains(path.to_str().unwrap())),
        }
    };
    for name in [
        "main.cpio",
        "main.cpio.gz",
        "main.cpio.xz",
        "main.cpio.zst",
        "main.cpio.lz4",
    ] {
        let image = read(&work, name);
        for part in 0..100 {
            try_it(&image[..image.len() * part / 100]);
        }
        let mut damaged = image.clone();
        let here_and_there = (0..200).map(|part| image.len() * part / 200);
        for at in (0..300).chain(here_and_there) {
            for value in [0, 0xff, image[at] ^ 1] {
                damaged[at] = value;
                try_it(&damaged);
            }
            damaged[at] = image[at];
        }
    }
}

/// What Debian ships, as `modsig verify --next` finds it.
#[test]
fn the_initramfs_of_the_next_kernel_is_checked_too() {
    let work = TempDir::new().unwrap();
    let arch = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    };
    let debian = script("get/distro-kernel", &["trixie", arch]);
    let release = fs::read_dir(debian.join("lib/modules")).unwrap();
    let release = release.last().unwrap().unwrap().file_name();
    let release = release.to_str().unwrap();
    let official: PathBuf = debian
        .join("lib/modules")
        .join(release)
        .join("kernel/crypto");
    let official = fs::read_dir(official)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with(".ko.xz"))
        .unwrap();
    let root = work.path().join("root");
    for (path, content) in [
        ("proc/sys/kernel/osrelease", "6.0.0\n"),
        ("proc/keys", ""),
        ("sys/kernel/security/lockdown", "[none] integrity\n"),
        ("sys/module/module/parameters/sig_enforce", "Y\n"),
    ] {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), content).unwrap();
    }
    let modules = root.join("lib/modules").join(release).join("kernel");
    fs::create_dir_all(&modules).unwrap();
    fs::create_dir_all(root.join("boot")).unwrap();
    fs::copy(
        debian.join("vmlinuz"),
        root.join(format!("boot/vmlinuz-{release}")),
    )
    .unwrap();
    fs::copy(&official, modules.join("official.ko.xz")).unwrap();
    let make = |content: &Path| {
        let content = content.to_str().unwrap();
        sh(
            &work,
            &format!(
                "rm -rf i; mkdir -p i/lib; cp {content} i/lib/
                (cd i && find . | cpio -o -H newc --quiet | gzip) > root/boot/initrd.img-{release}"
            ),
        );
    };
    let verify = |more: &[&str]| {
        let arguments = [&["verify", "--next", "--root", "root"], more].concat();
        modsig(&work, &arguments)
    };
    make(&official);
    let output = verify(&[]);
    says(&output, "2 good");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let checked = format!("root/boot/initrd.img-{release}: checked, too");
    assert!(said.contains(&checked), "{said}");
    // One that is not signed, and a file that is none.
    fs::write(work.path().join("m.ko"), MODULE).unwrap();
    make(&work.path().join("m.ko"));
    let output = verify(&[]);
    fails(&output, 1, "make it again (update-initramfs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let path = format!("root/boot/initrd.img-{release}:lib/m.ko: ");
    assert!(said.contains(&path), "{said}");
    assert!(said.contains("1 bad, 1 good"), "{said}");
    // Only what is named.
    let named = format!("root/lib/modules/{release}/kernel/official.ko.xz");
    let output = verify(&[&named]);
    says(&output, "1 good");
    fs::write(root.join(format!("boot/initrd.img-{release}")), "none").unwrap();
    let output = verify(&[]);
    fails(
        &output,
        1,
        &format!("root/boot/initrd.img-{release}: neither an archive of cpio"),
    );
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("1 failed, 1 good"), "{said}");
}
