// SPDX-License-Identifier: MIT OR Apache-2.0

//! lz4 as the kernel takes it (lib/decompress_unlz4.c), made by `lz4 -l`: a magic number, then blocks with their
//! sizes in front.

use std::io::{BufRead, Error, ErrorKind, Read, Result};

/// What it begins with.
pub const MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];

/// What a block has unpacked; the last one has less. Nothing else marks the end.
const BLOCK: usize = 8 << 20;
/// What a block has packed, at most: of what cannot be packed it is more than it was.
const PACKED: usize = BLOCK + BLOCK / 255 + 16;

/// Unpacks it. Reads no further than to the end of the last block, unless that is as long as the others.
pub struct Lz4<R> {
    input: R,
    block: Vec<u8>,
    given: usize,
    is_over: bool,
}

impl<R: BufRead> Lz4<R> {
    /// Of what begins with [`MAGIC`].
    pub fn new(input: R) -> Self {
        Lz4 {
            input,
            block: vec![],
            given: 0,
            is_over: false,
        }
    }

    /// What is behind it.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// Reads as many bytes, or as there are.
    fn piece(&mut self, size: usize) -> Result<Vec<u8>> {
        let mut piece = vec![];
        (&mut self.input)
            .take(size as u64)
            .read_to_end(&mut piece)?;
        Ok(piece)
    }

    fn next_block(&mut self) -> Result<()> {
        let is_first = self.block.is_empty();
        let mut head = self.piece(4)?;
        if is_first {
            if head != MAGIC {
                return Err(ErrorKind::InvalidData.into());
            }
            head = self.piece(4)?;
        }
        // What is left behind blocks of full length are no more than the bytes of the size that Kbuild appends.
        let size = <[u8; 4]>::try_from(&head[..]).map_or(0, u32::from_le_bytes) as usize;
        let is_end = head.len() < 4 || size == 0 || self.input.fill_buf()?.is_empty();
        if is_end && !is_first {
            self.block.clear();
            self.is_over = true;
            return Ok(());
        }
        if size > PACKED {
            return Err(ErrorKind::InvalidData.into());
        }
        let packed = self.piece(size)?;
        if packed.len() < size || size == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.block = lz4_flex::block::decompress(&packed, BLOCK)
            .map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
        self.is_over = self.block.len() < BLOCK;
        Ok(())
    }
}

impl<R: BufRead> Read for Lz4<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.given == self.block.len() && !self.is_over {
            self.next_block()?;
            self.given = 0;
        }
        let count = buffer.len().min(self.block.len() - self.given);
        buffer[..count].copy_from_slice(&self.block[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}
