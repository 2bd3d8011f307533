// SPDX-License-Identifier: MIT OR Apache-2.0

//! What stands around a message, how the file is given to the kernel, and files that were altered: classes 19 to 21.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use anyhow::{ensure, Context, Result};
use modsig::verify::trailer::MARKER;
use modsig_tools::message::trailer;

use crate::corpus::compare::{craft::Message, kitchen::Kitchen, Corpus};

/// Class 19.
pub(super) fn trailers(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let message = kitchen.good()?.encode();
    let module = kitchen.content.len();
    let info = trailer(message.len() as u32);
    let mut edited = |name: String, at: usize, octets: &[u8]| {
        let mut info = info.clone();
        info.splice(at..at + octets.len(), octets.iter().copied());
        out.tail(format!("class 19: {name}"), [&message[..], &info].concat());
    };
    let length = message.len() as u32;
    let all = module as u32 + length;
    for value in [
        0,
        1,
        length - 1,
        length + 1,
        module as u32,
        all - 1,
        all,
        all + 1,
        all + 12,
        all + 40,
        0x7fff_ffff,
        0x8000_0000,
        u32::MAX - 40,
        u32::MAX - 11,
        u32::MAX,
    ] {
        let name = format!("length {value} where it is {length} of {all}");
        edited(name, 8, &value.to_be_bytes());
    }
    edited(
        "length with its bytes the other way round".into(),
        8,
        &length.to_le_bytes(),
    );
    for id_type in 0..=255 {
        edited(format!("type {id_type}"), 2, &[id_type]);
    }
    for at in [0, 1, 3, 4, 5, 6, 7] {
        for value in [1, 0x80, 0xff] {
            edited(format!("byte {at} of the trailer {value}"), at, &[value]);
        }
        let name = format!("byte {at} of the trailer 1, type 1");
        let mut octets = [0, 0, 1, 0, 0, 0, 0, 0];
        octets[at] = 1;
        edited(name, 0, &octets);
    }
    for (at, octet) in info.iter().enumerate().skip(12) {
        edited(
            format!("byte {} of the marker flipped", at - 12),
            at,
            &[octet ^ 1],
        );
    }
    let whole = [&message[..], &info].concat();
    for more in [&[0][..], b"\n", MARKER] {
        let name = format!("class 19: {} bytes behind the marker", more.len());
        out.tail(name, [&whole[..], more].concat());
    }
    let twice = [&whole[..], &whole].concat();
    out.tail("class 19: message and trailer twice", twice);
    out.tail("class 19: unsigned", vec![]);
    out.tail("class 19: only a marker appended", MARKER.to_vec());
    out.tail("class 19: only a trailer appended", trailer(0));
    out.tail("class 19: only a trailer appended, length 1", trailer(1));
    let file = [&kitchen.content[..], &whole].concat();
    for length in [0, 1, 2, 27, 28, 29, 39, 40, 41, 42, 64, 100] {
        let name = format!("class 19: the last {length} bytes of the file alone");
        out.file(name, file[file.len() - length..].to_vec());
        let name = format!("class 19: a trailer that claims all of {length} bytes");
        let claimed = [vec![0x30; length], trailer(length as u32)].concat();
        out.file(name, claimed);
    }
    out.file(
        "class 19: 40 bytes of marker and zeros",
        [&[0; 12][..], MARKER].concat(),
    );
    let signed = |content: &[u8]| -> Result<Vec<u8>> {
        let message = Message::new(&[kitchen.id("rsa2048").signs(content)?]).encode();
        Ok([content, &message, &trailer(message.len() as u32)].concat())
    };
    out.file("class 19: nothing, well signed", signed(&[])?);
    out.file("class 19: one byte, well signed", signed(&[0x7f])?);
    out.file(
        "class 19: a text, well signed",
        signed(b"modsig: this is not ELF")?,
    );
    out.file(
        "class 19: signed twice, the inner one counts for nothing",
        signed(&file)?,
    );
    let huge = [message.clone(), vec![0; 70_000]].concat();
    out.message("class 19: a message of more than 65535 bytes", &huge)?;
    let exact = |size: usize| [message.clone(), vec![0; size - message.len()]].concat();
    out.message("class 19: a message of 65535 bytes", &exact(65_535))?;
    out.message("class 19: a message of 65536 bytes", &exact(65_536))?;
    Ok(())
}

/// Class 20.
pub(super) fn flags(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let good = kitchen.good()?.encode();
    let unknown = Message::new(&[kitchen.signs("untrusted")?]).encode();
    let wrong = Message::new(&[kitchen.signs_wrongly("rsa2048")?]).encode();
    let revoked = Message::new(&[kitchen.signs("revoked")?]).encode();
    // 8 and above are no flags of any kernel.
    for flags in [0, 1, 2, 3, 8, 9, 16, 128, 255] {
        let mut with = |name: &str, message: Option<&[u8]>| -> Result<()> {
            let name = format!("class 20: flags {flags}, {name}");
            match message {
                Some(message) => out.message(name, message)?,
                None => out.tail(name, vec![]),
            }
            .flags = flags;
            Ok(())
        };
        with("unsigned", None)?;
        with("good", Some(&good))?;
        with("unknown signer", Some(&unknown))?;
        with("wrong signature", Some(&wrong))?;
        with("revoked signer", Some(&revoked))?;
        with("empty message", Some(&[]))?;
        with("nonsense", Some(&[0x30]))?;
    }
    Ok(())
}

/// Compresses as `make modules_install` does.
fn gzip(octets: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new("gzip")
        .args(["-n", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("gzip: cannot start; install it")?;
    let mut stdin = child.stdin.take().context("no pipe")?;
    let octets = octets.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&octets));
    let output = child.wait_with_output()?;
    writer.join().ok().context("gzip went away")??;
    ensure!(output.status.success(), "gzip failed");
    Ok(output.stdout)
}

/// Class 21.
pub(super) fn compressed(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let signed = |message: &[u8]| {
        let trailer = trailer(message.len() as u32);
        [&kitchen.content[..], message, &trailer].concat()
    };
    let good = kitchen.good()?.encode();
    let file = signed(&good);
    let mut flipped = file.clone();
    flipped[kitchen.content.len() / 2] ^= 1;
    let unknown = signed(&Message::new(&[kitchen.signs("untrusted")?]).encode());
    let mut bits = file.clone();
    let last = bits.len() - 41;
    bits[last] ^= 1;
    for (name, file) in [
        ("unsigned", kitchen.content.clone()),
        ("good", file.clone()),
        ("content flipped", flipped),
        ("signature flipped", bits),
        ("unknown signer", unknown),
        ("cut in the signature", file[..file.len() - 100].to_vec()),
        ("nothing", vec![]),
    ] {
        for flags in [4, 5, 6, 0] {
            let packed = gzip(&file)?;
            let case = out.file(
                format!("class 21: compressed, flags {flags}, {name}"),
                packed,
            );
            case.flags = flags;
            case.unpacked = (flags & 4 != 0).then(|| file.clone());
        }
    }
    let packed = gzip(&file)?;
    let mut tampered = |name: &str, octets: Vec<u8>| {
        let case = out.file(format!("class 21: compressed and then {name}"), octets);
        case.flags = 4;
        // The loader gives up before it comes to the signature, or sees the same file.
        case.unpacked = Some(file.clone());
    };
    for at in [
        0,
        1,
        2,
        3,
        8,
        10,
        40,
        packed.len() / 2,
        packed.len() - 8,
        packed.len() - 1,
    ] {
        let mut octets = packed.clone();
        octets[at] ^= 1;
        tampered(&format!("flipped at {at}"), octets);
    }
    for length in [
        0,
        1,
        10,
        18,
        packed.len() / 2,
        packed.len() - 8,
        packed.len() - 1,
    ] {
        tampered(&format!("cut to {length}"), packed[..length].to_vec());
    }
    tampered("a byte appended", [&packed[..], &[0]].concat());
    let outside = [&packed[..], &good, &trailer(good.len() as u32)].concat();
    tampered("signed again outside", outside);
    tampered("not compressed at all", file.clone());
    Ok(())
}

/// A bit in every byte of a good signature and its trailer, and in some of the content.
pub(super) fn flipped(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    for who in ["rsa2048", "p256"] {
        let message = Message::new(&[kitchen.signs(who)?]).encode();
        let tail = [&message[..], &trailer(message.len() as u32)].concat();
        for at in 0..tail.len() {
            let mut tail = tail.clone();
            tail[at] ^= 1 << (at % 8);
            out.tail(
                format!("flipped bit: {who}, byte {at} of the signature"),
                tail,
            );
        }
        let steps = 80;
        for step in 0..steps {
            let at = step * (kitchen.content.len() - 1) / (steps - 1);
            let octet = kitchen.content[at] ^ 1 << (step % 8);
            let case = out.message(
                format!("flipped bit: {who}, byte {at} of the content"),
                &message,
            )?;
            case.edits = vec![(at, octet)];
        }
        for keep in [
            0,
            1,
            63,
            64,
            kitchen.content.len() / 2,
            kitchen.content.len() - 1,
        ] {
            let case = out.message(format!("content of {who} cut to {keep}"), &message)?;
            case.keep = Some(keep);
        }
    }
    Ok(())
}
