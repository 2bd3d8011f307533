// SPDX-License-Identifier: MIT OR Apache-2.0

//! The area for one more certificate at the end of the list of trusted ones
//! (`CONFIG_SYSTEM_EXTRA_CERTIFICATE`, `certs/system_certificates.S`): writing one into a vmlinux, as
//! the kernel's `scripts/insert-sys-cert` does.

use std::path::Path;

use anyhow::{ensure, Context, Result};

use super::{
    check_piece,
    elf::Linked,
    lists,
    patch::{is_for, Patch},
    Source,
};

/// A vmlinux that a certificate can be written into.
#[derive(Debug)]
pub struct Area {
    patch: Patch,
    /// Where the area is in the file.
    at: u64,
    size: u64,
    /// Where `system_extra_cert_used` is, of 4 bytes.
    used_at: u64,
    /// Where `system_certificate_list_size` is, of 8 bytes.
    list_size_at: u64,
    /// Bytes of the list in front of the area.
    before: u64,
    ecdsa: Vec<&'static str>,
}

impl Area {
    /// Opens it for writing.
    ///
    /// # Errors
    ///
    /// If it is not a vmlinux that has such an area, or if what is in it does not fit together. They
    /// name the file.
    pub fn open(path: &Path) -> Result<Self> {
        Self::try_open(path).with_context(|| path.display().to_string())
    }

    fn try_open(path: &Path) -> Result<Self> {
        let patch = Patch::open(path, "certificate")?;
        let file = &patch.file;
        let linked = Linked::read(file)?.context(
            "it was stripped, and nothing but its symbols says where the area for the certificate is; give the vmlinux that was built",
        )?;
        is_for(linked.machine())?;
        ensure!(
            linked.symbol("linux_banner").is_some(),
            "not a kernel, by its symbols; give the vmlinux that was built"
        );
        let area = linked.symbol("system_extra_cert").context(
            "it has no area for another certificate; build it with CONFIG_SYSTEM_EXTRA_CERTIFICATE=y",
        )?;
        let found = || {
            let list = linked.symbol("system_certificate_list")?;
            let before = area.address.checked_sub(list.address)?;
            let list_at = linked.place(list, before)?;
            let at = linked.place(area, area.size)?;
            let used_at = linked.place(linked.symbol("system_extra_cert_used")?, 4)?;
            let list_size = linked.symbol("system_certificate_list_size")?;
            let list_size_at = linked.place(list_size, 8)?;
            // One behind the other.
            let is_so = list_at + before == at
                && area.size > 0
                && at + area.size <= used_at
                && used_at + 4 <= list_size_at;
            is_so.then_some((list_at, before, at, used_at, list_size_at))
        };
        let (list_at, before, at, used_at, list_size_at) = found().context(DAMAGED)?;
        check_piece(file.size()?, at, area.size)?;
        let number = |at, size| -> Result<u64> {
            let mut octets = file.piece(at, size)?;
            octets.resize(8, 0);
            Ok(u64::from_le_bytes(octets[..].try_into()?))
        };
        let (used, list_size) = (number(used_at, 4)?, number(list_size_at, 8)?);
        // The kernel goes by the second one. It may be without the area although that is used, if
        // what is done here was interrupted.
        ensure!(
            used <= area.size && (list_size == before || list_size == before + used),
            DAMAGED
        );
        ensure!(
            lists::split(&file.piece(list_at, before)?).1.is_empty(),
            "a kernel cannot read all of its list of certificates, and would not come to the last; see what CONFIG_SYSTEM_TRUSTED_KEYS names, and build it again"
        );
        let curves = ["p256", "p384", "p521"].into_iter();
        let has = |curve: &&str| linked.symbol(&format!("ecdsa_nist_{curve}")).is_some();
        Ok(Area {
            patch,
            at,
            size: area.size,
            used_at,
            list_size_at,
            before,
            ecdsa: curves.filter(has).collect(),
        })
    }

    /// The curves of which this kernel knows ECDSA without a module.
    pub fn ecdsa(&self) -> &[&'static str] {
        &self.ecdsa
    }

    /// Fails if this certificate cannot be put there.
    pub fn check(&self, certificate: &[u8]) -> Result<()> {
        let (octets, size) = (certificate.len(), self.size);
        ensure!(
            octets as u64 <= size,
            "{}: its area has {size} bytes, and the certificate {octets}; take a smaller key (--algorithm), or build it with CONFIG_SYSTEM_EXTRA_CERTIFICATE_SIZE={} or more",
            self.patch.path.display(),
            // One more or less, the next key's may have.
            (octets + 16).next_multiple_of(256)
        );
        ensure!(
            lists::split(certificate).0 == [certificate],
            "a certificate of {octets} bytes, which kernels cannot read from a list"
        );
        Ok(())
    }

    /// Writes the certificate into it, in place, and over the one that may be there.
    ///
    /// When that is interrupted, the kernel trusts neither: its list ends in front of the area
    /// until all of the new one is there. `sync`: also if the power fails.
    pub fn write(&self, certificate: &[u8], sync: bool) -> Result<()> {
        self.check(certificate)?;
        let mut content = certificate.to_vec();
        content.resize(usize::try_from(self.size)?, 0);
        let write = || {
            let list_size = |used| (self.before + u64::from(used)).to_le_bytes().to_vec();
            let used = u32::try_from(certificate.len())?;
            let parts = [
                (&list_size(0)[..], self.list_size_at),
                (&0u32.to_le_bytes(), self.used_at),
                (&content, self.at),
                (&used.to_le_bytes(), self.used_at),
                (&list_size(used), self.list_size_at),
            ];
            self.patch.write(&parts, sync)
        };
        write().with_context(|| {
            format!(
                "{}: cannot write the certificate into it; do it again",
                self.patch.path.display()
            )
        })
    }
}

const DAMAGED: &str = "its symbols, the size fields behind the area for the certificate, and its list of certificates disagree; build it again";
