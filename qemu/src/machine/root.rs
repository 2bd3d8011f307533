// SPDX-License-Identifier: MIT OR Apache-2.0

//! Kernel images with another root of module hashes, so that a kernel that was built once takes
//! whatever files are to be measured.

use std::{fs, io::Write, ops::Range, process::Command};

use anyhow::{ensure, Context, Result};
use modsig::verify::merkle::{Root, HASH_SIZE, MARK};

/// Where a bzImage says how large its parts are (Documentation/arch/x86/boot.rst).
const SETUP_SECTORS: usize = 0x1f1;
const MAGIC: Range<usize> = 0x202..0x206;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

/// The image (a bzImage packed by gzip, or a flat one) with this root. `None` if it does not fit
/// into it packed: with another root it may.
pub fn with_root(image: &[u8], root: &Root) -> Result<Option<Vec<u8>>> {
    let mut image = image.to_vec();
    if image.get(MAGIC) != Some(b"HdrS") {
        write(&mut image, root)?;
        return Ok(Some(image));
    }
    let field = |at: usize| -> Result<usize> {
        let octets = image
            .get(at..at + 4)
            .context("a bzImage that was cut off")?;
        Ok(u32::from_le_bytes(octets.try_into()?) as usize)
    };
    let start = (usize::from(image[SETUP_SECTORS]) + 1) * 512 + field(PAYLOAD_OFFSET)?;
    let length = field(PAYLOAD_LENGTH)?;
    let payload = image.get_mut(start..start + length);
    let payload = payload.context("a bzImage that was cut off")?;
    let mut kernel = gzip("-d", payload)?;
    write(&mut kernel, root)?;
    // As Kbuild does it. The kernel reads as far as the packed data says; how much that is unpacked
    // it was told when it was linked, and that is as it was.
    let packed = gzip("-9", &kernel)?;
    if packed.len() > length {
        return Ok(None);
    }
    payload.fill(0);
    payload[..packed.len()].copy_from_slice(&packed);
    Ok(Some(image))
}

/// Writes the root in front of its mark.
fn write(kernel: &mut [u8], root: &Root) -> Result<()> {
    let mut marks = kernel.windows(MARK.len()).enumerate();
    let is_mark = |&(_, octets): &(usize, &[u8])| octets == MARK;
    let at = marks.find(is_mark).context("a kernel without a root")?.0;
    ensure!(
        !marks.any(|other| is_mark(&other)),
        "a kernel with several roots"
    );
    // A word between root and mark says whether keys count too.
    let start = at.checked_sub(4 + HASH_SIZE + 4);
    let place = &mut kernel[start.context("a kernel without a root")?..];
    place[..4].copy_from_slice(&root.levels.to_le_bytes());
    place[4..4 + HASH_SIZE].copy_from_slice(&root.hash);
    Ok(())
}

/// What gzip makes of these bytes.
fn gzip(option: &str, octets: &[u8]) -> Result<Vec<u8>> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(octets)?;
    let output = Command::new("gzip")
        .args(["-n", "-c", option])
        .stdin(fs::File::open(file.path())?)
        .output()
        .context("gzip")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "gzip {option}: {said}");
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Root = Root {
        levels: 13,
        hash: [7; HASH_SIZE],
    };

    fn kernel(root: &Root, marks: usize) -> Vec<u8> {
        let section = [
            &root.levels.to_le_bytes(),
            &root.hash[..],
            &[1, 0, 0, 0],
            &MARK,
        ]
        .concat();
        [&[9; 1000][..], &section.repeat(marks), &[8; 1000]].concat()
    }

    fn bz_image(kernel: &[u8], room: usize) -> Vec<u8> {
        let mut payload = gzip("-9", kernel).unwrap();
        payload.resize(payload.len() + room, 0);
        let mut image = vec![0; 1024 + 16];
        image[SETUP_SECTORS] = 1;
        image[MAGIC].copy_from_slice(b"HdrS");
        image[PAYLOAD_OFFSET] = 16;
        image[PAYLOAD_LENGTH..][..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        [&image, &payload[..], b"behind"].concat()
    }

    #[test]
    fn nothing_but_the_root_is_changed() {
        let old = kernel(&Root::default(), 1);
        let new = kernel(&ROOT, 1);
        assert!(with_root(&old, &ROOT).unwrap().unwrap() == new);
        assert!(with_root(&kernel(&ROOT, 0), &ROOT).is_err());
        assert!(with_root(&kernel(&ROOT, 2), &ROOT).is_err());

        let image = with_root(&bz_image(&old, 50), &ROOT).unwrap().unwrap();
        let wanted = bz_image(&old, 50);
        assert_eq!(image.len(), wanted.len());
        assert!(image[..1040] == wanted[..1040] && image.ends_with(b"behind"));
        assert!(gzip("-d", &image[1040..image.len() - 6]).unwrap() == new);
        assert!(with_root(&wanted[..1040], &ROOT).is_err());
    }

    #[test]
    fn a_root_that_does_not_fit_is_told() {
        let mut hash = [0; HASH_SIZE];
        (0..).zip(&mut hash).for_each(|(at, octet)| *octet = at);
        let root = Root { levels: 13, hash };
        let old = kernel(&Root::default(), 1);
        assert!(with_root(&bz_image(&old, 0), &root).unwrap().is_none());
    }
}
