// SPDX-License-Identifier: MIT OR Apache-2.0

//! Compressed modules: `.ko.gz`, `.ko.xz` and `.ko.zst`.
//!
//! They are packed as Kbuild packs them (scripts/Makefile.modinst), so that the kernel's own
//! decompressor (kernel/module/decompress.c) takes them as well as kmod does.

use std::{
    io::{self, Read, Write},
    ops::RangeInclusive,
};

use anyhow::{ensure, Context, Result};
use flate2::{bufread::GzDecoder, read::MultiGzDecoder, GzBuilder};
use liblzma::{
    read::XzDecoder,
    stream::{Check, Filters, LzmaOptions, Stream, CONCATENATED},
    write::XzEncoder,
};

use crate::memory;

/// Bytes that a module may have unpacked. None is nearly that large: more is an attack on the
/// memory of whoever unpacks it.
pub const LARGEST: u64 = 1 << 30;

/// Bytes that unpacking xz may need beside that: enough for `xz -9`, whose dictionary is the largest
/// that any of xz's own levels has.
const XZ_MEMORY: u64 = 128 << 20;

/// How a module file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `gzip`
    Gzip,
    /// `xz`
    Xz,
    /// `zstd`
    Zstd,
}

impl Compression {
    /// All of them.
    pub const ALL: [Compression; 3] = [Compression::Gzip, Compression::Xz, Compression::Zstd];

    /// Tells from the first bytes, as kmod does, not from the name.
    pub fn of(file: &[u8]) -> Option<Self> {
        let magic = |compression: &Compression| match compression {
            Compression::Gzip => &b"\x1f\x8b"[..],
            Compression::Xz => b"\xfd7zXZ\0",
            Compression::Zstd => b"\x28\xb5\x2f\xfd",
        };
        Compression::ALL
            .into_iter()
            .find(|compression| file.starts_with(magic(compression)))
    }

    /// The name of the program.
    pub fn name(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Xz => "xz",
            Compression::Zstd => "zstd",
        }
    }

    /// What a module's name ends with.
    pub fn extension(self) -> &'static str {
        match self {
            Compression::Gzip => "gz",
            Compression::Xz => "xz",
            Compression::Zstd => "zst",
        }
    }

    /// Unpacks a whole file.
    ///
    /// # Errors
    ///
    /// If it is damaged or cut short, or has more than [`LARGEST`] bytes unpacked.
    pub fn unpack(self, file: &[u8]) -> Result<Vec<u8>> {
        self.read(file)
            .with_context(|| format!("not {} data from start to end", self.name()))
    }

    fn read(self, file: &[u8]) -> Result<Vec<u8>> {
        match self {
            Compression::Gzip => read_all(MultiGzDecoder::new(file)),
            Compression::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
                read_all(XzDecoder::new_stream(file, stream))
            }
            Compression::Zstd => read_all(zstd::Decoder::with_buffer(file)?),
        }
    }

    /// Unpacks a file as the kernel does (kernel/module/decompress.c): the first part of it, whatever stands
    /// behind that.
    ///
    /// # Errors
    ///
    /// If the kernel would not unpack it.
    pub fn unpack_as_kernel(self, file: &[u8]) -> Result<Vec<u8>> {
        match self {
            Compression::Gzip => read_all(GzDecoder::new(file)),
            Compression::Xz => {
                // The second byte of the stream's flags (section 2.1.1.2 of the .xz format).
                const NONE_OR_CRC32: [u8; 2] = [0, 1];
                let check = file.get(7);
                ensure!(
                    check.is_some_and(|check| NONE_OR_CRC32.contains(check)),
                    "kernels know no check of xz but CRC-32"
                );
                let stream = Stream::new_stream_decoder(XZ_MEMORY, 0)?;
                read_all(XzDecoder::new_stream(file, stream))
            }
            Compression::Zstd => read_all(zstd::Decoder::with_buffer(file)?.single_frame()),
        }
    }

    /// The levels that its program has.
    fn levels(self) -> RangeInclusive<u32> {
        match self {
            Compression::Gzip | Compression::Xz => 0..=9,
            Compression::Zstd => 1..=19,
        }
    }

    /// Packs a file, as Kbuild does, unless another level is wanted.
    ///
    /// # Errors
    ///
    /// If there is no such level, or no memory for it.
    pub fn pack(self, file: &[u8], level: Option<u32>) -> Result<Vec<u8>> {
        let levels = self.levels();
        ensure!(
            level.is_none_or(|level| levels.contains(&level)),
            "{} has levels {} to {}; give another --level",
            self.name(),
            levels.start(),
            levels.end()
        );
        Ok(match self {
            // gzip -n: neither name nor time, so that the same module gives the same file.
            Compression::Gzip => {
                const UNIX: u8 = 3;
                let mut packer = GzBuilder::new()
                    .operating_system(UNIX)
                    .write(vec![], flate2::Compression::new(level.unwrap_or(6)));
                packer.write_all(file)?;
                packer.finish()?
            }
            // xz --check=crc32 --lzma2=dict=1MiB: the kernel knows no other check.
            Compression::Xz => {
                let mut options = LzmaOptions::new_preset(level.unwrap_or(6))?;
                options.dict_size(1 << 20);
                let mut filters = Filters::new();
                filters.lzma2(&options);
                let stream = Stream::new_stream_encoder(&filters, Check::Crc32)?;
                let mut packer = XzEncoder::new_stream(vec![], stream);
                packer.write_all(file)?;
                packer.finish()?
            }
            Compression::Zstd => {
                let mut packer = zstd::Encoder::new(vec![], level.unwrap_or(3) as i32)?;
                packer.include_checksum(true)?;
                packer.set_pledged_src_size(Some(file.len() as u64))?;
                packer.write_all(file)?;
                packer.finish()?
            }
        })
    }
}

fn read_all(mut reader: impl Read) -> Result<Vec<u8>> {
    let mut out = vec![];
    let small = memory::SMALL as u64;
    io::copy(&mut (&mut reader).take(small + 1), &mut out)?;
    if out.len() as u64 > small {
        memory::reserve(out.len());
        io::copy(&mut reader.take(LARGEST - small), &mut out)?;
    }
    ensure!(
        out.len() as u64 <= LARGEST,
        "more than {} MiB unpacked, which no module has",
        LARGEST >> 20
    );
    Ok(out)
}
