// SPDX-License-Identifier: MIT OR Apache-2.0

//! Compressed modules, held against the programs that Kbuild packs them with.

use std::fs;

use modsig::verify::trailer;
use modsig_tools::compression::Compression;
use tempfile::TempDir;

use crate::common::*;

/// Each with the arguments that Kbuild gives it.
const PACKERS: [(Compression, &[&str]); 3] = [
    (Compression::Gzip, &["gzip", "-n", "-f"]),
    (
        Compression::Xz,
        &["xz", "--check=crc32", "--lzma2=dict=1MiB", "-f"],
    ),
    (Compression::Zstd, &["zstd", "--rm", "-f", "-q"]),
];

/// A key and `m.ko`, packed by the real program; the name that it has then.
fn packed(command: &[&str], compression: Compression) -> (TempDir, String) {
    let work = set_up("p256");
    fs::write(work.path().join("m.ko"), large()).unwrap();
    good(&run(
        &work,
        command[0],
        &[&command[1..], &["m.ko"]].concat(),
    ));
    (work, format!("m.ko.{}", compression.extension()))
}

fn large() -> Vec<u8> {
    let pattern = (0..300_000u32).flat_map(|n| (n / 7).to_le_bytes());
    MODULE.iter().copied().chain(pattern).collect()
}

fn unpack(work: &TempDir, compression: Compression, name: &str) -> Vec<u8> {
    let output = run(work, compression.name(), &["-d", "-c", name]);
    good(&output);
    output.stdout
}

fn sign(name: &str) -> [&str; 6] {
    ["sign", "--key", "k.pem", "--cert", "c.pem", name]
}

#[test]
fn the_signature_goes_inside() {
    for (compression, command) in PACKERS {
        let (work, name) = packed(command, compression);
        let before = read(&work, &name);
        good(&modsig(&work, &sign(&name)));
        assert_eq!(Compression::of(&read(&work, &name)), Some(compression));
        let inside = unpack(&work, compression, &name);
        let split = trailer::split(&inside).unwrap();
        assert!(split.content == large(), "{compression:?}");
        good(&modsig(&work, &["verify", "--cert", "c.pem", &name]));
        let inspected = modsig(&work, &["inspect", &name]);
        let text = String::from_utf8_lossy(&inspected.stdout);
        assert!(text.contains(compression.name()), "{text}");

        let again = modsig(&work, &sign(&name));
        assert!(String::from_utf8_lossy(&again.stdout).contains("its old signature replaced"));
        assert!(trailer::split(split.content).is_err(), "signed twice");
        good(&modsig(&work, &["strip", &name]));
        assert!(unpack(&work, compression, &name) == large());
        // What the same module gives is the same file; xz and zstd may be of another release.
        if compression == Compression::Gzip {
            assert_eq!(read(&work, &name)[..10], before[..10], "gzip header");
        }
        no_left_overs(work.path());
    }
}

#[test]
fn sign_file_signs_what_is_inside() {
    for (compression, command) in PACKERS {
        let (work, name) = packed(command, compression);
        let arguments = ["sha256", "k.pem", "c.pem", &name];
        good(&run(&work, SIGN_FILE, &arguments));
        let inside = unpack(&work, compression, &name);
        assert!(trailer::split(&inside).unwrap().content == large());
    }
}

/// The kernel's xz knows only CRC-32, and needs memory as large as the dictionary.
#[test]
fn xz_files_are_such_as_the_kernel_unpacks() {
    let (work, name) = packed(PACKERS[1].1, Compression::Xz);
    good(&modsig(&work, &sign(&name)));
    let list = run(&work, "xz", &["--list", "--verbose", "--verbose", &name]);
    good(&list);
    let text = String::from_utf8(list.stdout).unwrap();
    assert!(text.contains("CRC32"), "{text}");
    assert!(text.contains("--lzma2=dict=1MiB"), "{text}");
}

/// As today's signers leave them: a signature behind the packed data.
#[test]
fn a_module_that_was_signed_after_packing_is_found_and_mended() {
    for (compression, command) in PACKERS {
        let (work, name) = packed(command, compression);
        let mut file = read(&work, &name);
        good(&modsig(
            &work,
            &[&sign(&name)[..], &["--detached"]].concat(),
        ));
        let message = read(&work, &format!("{name}.p7s"));
        assert_eq!(read(&work, &name), file, "--detached leaves the module");
        file.extend(&message);
        file.extend(modsig_tools::module::trailer(&message).unwrap());
        fs::write(work.path().join(&name), &file).unwrap();

        let verify = ["verify", "--cert", "c.pem", &name];
        fails(&modsig(&work, &verify), 1, "signed after it was packed");
        good(&modsig(&work, &sign(&name)));
        good(&modsig(&work, &verify));
        assert!(trailer::split(&read(&work, &name)).is_err());
    }
}

#[test]
fn damaged_files_are_errors_and_stay() {
    for (compression, command) in PACKERS {
        let (work, name) = packed(command, compression);
        let whole = read(&work, &name);
        let cut = whole[..whole.len() - 9].to_vec();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 0x40;
        let nothing_but_magic = whole[..6].to_vec();
        let garbage = [&whole[..], b"and more"].concat();
        for file in [cut, flipped, nothing_but_magic, garbage] {
            fs::write(work.path().join(&name), &file).unwrap();
            let message = format!("{name}: cannot be unpacked");
            fails(&modsig(&work, &sign(&name)), 1, &message);
            fails(&modsig(&work, &["strip", &name]), 1, &message);
            let verify = ["verify", "--cert", "c.pem", &name];
            fails(&modsig(&work, &verify), 1, &message);
            assert!(read(&work, &name) == file, "{compression:?}");
        }
    }
}

/// Each has less than one module may have, and all together more than there is memory for.
#[test]
fn several_large_files_do_not_fill_the_memory_at_once() {
    let work = set_up("p256");
    let pack =
        "head -c 600M /dev/zero | zstd -q -1 > tree/1.ko.zst; cd tree; truncate -s 1200M 4.ko
        for n in 2 3; do cp 1.ko.zst $n.ko.zst; done";
    fs::create_dir(work.path().join("tree")).unwrap();
    good(&run(&work, "sh", &["-c", pack]));
    let limited = "ulimit -v 2900000; exec \"$@\"";
    let verify = ["verify", "--jobs", "4", "--cert", "c.pem", "tree"];
    let command = [&["-c", limited, "sh", MODSIG][..], &verify].concat();
    let output = run(&work, "sh", &command);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.lines().last(), Some("4 bad"), "{output:?}");
}

/// A file of xz says in a few bytes how much memory unpacking takes.
#[test]
fn a_huge_dictionary_is_refused() {
    let work = set_up("p256");
    let pack = ["-k", "--check=crc32", "--lzma2=dict=1536MiB", "m.ko"];
    good(&run(&work, "xz", &pack));
    let command = [
        &["-c", "ulimit -v 1000000; exec \"$@\"", "sh", MODSIG][..],
        &sign("m.ko.xz"),
    ]
    .concat();
    fails(
        &run(&work, "sh", &command),
        1,
        "m.ko.xz: cannot be unpacked",
    );
    // The largest that xz itself takes without being asked for more.
    good(&run(
        &work,
        "xz",
        &["-k", "-f", "-9", "--check=crc32", "m.ko"],
    ));
    good(&modsig(&work, &sign("m.ko.xz")));
}

/// 4 GiB of zeros are a few hundred KiB packed.
#[test]
fn a_bomb_does_not_fill_the_memory() {
    let work = set_up("p256");
    let pack = "head -c 1200M /dev/zero | zstd -q -1 > bomb.ko.zst";
    good(&run(&work, "sh", &["-c", pack]));
    // Less than it has unpacked, and enough for what is allowed.
    let limited = "ulimit -v 2900000; exec \"$@\"";
    let command = [&["-c", limited, "sh", MODSIG][..], &sign("bomb.ko.zst")].concat();
    fails(
        &run(&work, "sh", &command),
        1,
        "bomb.ko.zst: cannot be unpacked; install or build it again: not zstd data from start to end: more than 1024 MiB",
    );
}
