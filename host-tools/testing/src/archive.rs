// SPDX-License-Identifier: MIT OR Apache-2.0

//! A guest's files, in an initramfs.

use std::{io::Write, path::Path};

use anyhow::{Context, Result};

/// A cpio archive ("newc", Documentation/driver-api/early-userspace/buffer-format.rst).
#[derive(Clone, Default)]
pub struct Archive {
    octets: Vec<u8>,
    count: u32,
}

const FILE: u32 = 0o100_755;
const DIRECTORY: u32 = 0o040_755;
const SYMLINK: u32 = 0o120_777;

impl Archive {
    /// Adds a file.
    pub fn file(&mut self, name: &str, content: &[u8]) {
        self.entry(name, FILE, content);
    }

    /// Adds a directory.
    pub fn directory(&mut self, name: &str) {
        self.entry(name, DIRECTORY, &[]);
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, name: &str, target: &str) {
        self.entry(name, SYMLINK, target.as_bytes());
    }

    /// Adds what is below a directory, with `prefix` in front of the names.
    pub fn tree(&mut self, root: &Path, prefix: &str) -> Result<()> {
        for entry in walkdir::WalkDir::new(root).min_depth(1).sort_by_file_name() {
            let entry = entry?;
            let name = Path::new(prefix).join(entry.path().strip_prefix(root)?);
            let name = name.to_str().context("a file name that is not UTF-8")?;
            if entry.path_is_symlink() {
                let target = std::fs::read_link(entry.path())?;
                self.symlink(name, target.to_str().context("a link that is not UTF-8")?);
            } else if entry.path().is_dir() {
                self.directory(name);
            } else {
                self.file(name, &std::fs::read(entry.path())?);
            }
        }
        Ok(())
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.count += 1;
        let size = u32::try_from(content.len()).expect("test files are small");
        let name_size = name.len() as u32 + 1;
        let fields = [self.count, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.octets.extend_from_slice(b"070701");
        for field in fields {
            write!(self.octets, "{field:08X}").expect("memory can be written");
        }
        self.octets.extend_from_slice(name.as_bytes());
        self.octets.push(0);
        self.pad();
        self.octets.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.octets.resize(self.octets.len().next_multiple_of(4), 0);
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.octets
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn archives_are_what_cpio_reads() {
        let mut archive = Archive::default();
        archive.directory("dir");
        archive.file("dir/a", b"abc");
        let work = tempfile::tempdir().unwrap();
        let tree = work.path().join("tree");
        std::fs::create_dir_all(tree.join("sub")).unwrap();
        std::fs::write(tree.join("sub/b"), b"b").unwrap();
        std::os::unix::fs::symlink("b", tree.join("sub/c")).unwrap();
        archive.directory("x");
        archive.tree(&tree, "x").unwrap();
        archive.symlink("link", "dir/a");
        let path = work.path().join("archive");
        std::fs::write(&path, archive.finish()).unwrap();
        let output = Command::new("cpio")
            .args(["-i", "--quiet", "-F"])
            .arg(&path)
            .current_dir(work.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(std::fs::read(work.path().join("dir/a")).unwrap(), b"abc");
        assert_eq!(std::fs::read(work.path().join("x/sub/b")).unwrap(), b"b");
        assert_eq!(std::fs::read(work.path().join("link")).unwrap(), b"abc");
        let link = std::fs::read_link(work.path().join("x/sub/c")).unwrap();
        assert_eq!(link, Path::new("b"));
    }
}
