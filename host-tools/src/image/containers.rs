// SPDX-License-Identifier: MIT OR Apache-2.0

//! Files in which a kernel is shipped or loaded, and others that are taken for one: each is told by how it begins,
//! with the command that takes the kernel out.

/// What a file is that begins like this, and what to do, if it is one of those.
pub(super) fn told(head: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 12] = [
        (
            b"ANDROID!",
            "an Android boot image; take the kernel out of it and give that: unpack_bootimg --boot_img FILE --out DIR leaves it in DIR/kernel",
        ),
        (
            b"VNDRBOOT",
            "an Android vendor_boot image, which has no kernel in it: that is in boot.img",
        ),
        (
            b"\xd0\x0d\xfe\xed",
            "a device tree, or a FIT image (fitImage, image.fit); if dumpimage -l FILE lists a kernel in it, take that out and give it: dumpimage -T flat_dt -p 0 -o kernel FILE, with the number of the kernel for 0",
        ),
        (
            b"\x27\x05\x19\x56",
            "a U-Boot image (uImage); take the kernel out of it and give that: dumpimage -T kernel -p 0 -o kernel FILE",
        ),
        (
            b"\x04\x22\x4d\x18",
            "packed by lz4 as files are; images of kernels are packed by lz4 -l. Unpack it and give what is in it: lz4 -d FILE kernel",
        ),
        (
            b"!<arch>\ndebian-binary",
            "a Debian package; unpack it (dpkg-deb -x FILE DIR), and give the kernel in DIR/boot or DIR/usr/lib/modules",
        ),
        (
            b"\xed\xab\xee\xdb",
            "an RPM package; unpack it (rpm2cpio FILE | cpio -idm), and give the kernel in boot or lib/modules",
        ),
        (b"070701", INITRAMFS),
        (b"070702", INITRAMFS),
        (b"070707", INITRAMFS),
        (b"\xc7\x71", INITRAMFS),
        (
            b"hsqs",
            "a file system (squashfs), not a kernel; mount it, and give the kernel in it",
        ),
    ];
    let mut known = KNOWN.iter();
    known.find_map(|(magic, what)| head.starts_with(magic).then_some(*what))
}

const INITRAMFS: &str = "an initramfs (initrd.img), not a kernel; give the kernel's image, and this one to modsig verify --initrd";
