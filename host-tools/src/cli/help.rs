// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is said at the end of each command's `--help`, and is sections of its manual page.
//!
//! A line that is not indented begins a section. Lines indented by 2 are text, or a word and, after
//! two spaces, what it means; lines indented by more go on with that. Lines indented by 4 in
//! "Examples" are commands, which `tests/tools/help.rs` runs one after the other, in a directory that
//! has what they name: key.pem, cert.pem, locked.pem (the same key, encrypted), passphrase, vendor.pem, revoked.pem, module.ko, list, and
//! modules below modules/, all unsigned; vmlinuz, and official.ko, signed with a key that it trusts;
//! vmlinux, modules.order and lib/ of a build with CONFIG_MODULE_SIG_RUST_HASHES; build/ with
//! vmlinux and modules.order of one with CONFIG_SYSTEM_EXTRA_CERTIFICATE, and its modules below
//! root/lib/modules; machine/ with what a machine has of which vmlinuz is the kernel.

pub(crate) const MODSIG: &str = "\
Exit status:
  0  success
  1  some modules failed, see the messages; all others were processed
  2  wrong arguments or input; nothing was done

Environment:
  KBUILD_SIGN_PIN  passphrase of the key or PIN of the token, as for the kernel's own build

Examples:
  A key, all modules signed with it, and a look whether a kernel that trusts it takes them:
    modsig keygen --algorithm p384 --key signing.pem --cert signing.crt
    modsig sign --key signing.pem --cert signing.crt modules
    modsig verify --cert signing.crt modules";

pub(crate) const SIGN: &str = "\
Exit status:
  0  all modules are signed
  1  some modules failed, each has a line that says why; all others are signed. After an
     interrupt, or if the token has gone, it says how many are left
  2  no module was touched: wrong arguments, or a key that cannot be used

Environment:
  KBUILD_SIGN_PIN  passphrase of the key or PIN of the token, where there is no
                   --passphrase-file
  PKCS11_PROVIDER_MODULE  the token's PKCS#11 module, for OpenSSL's provider
  TPM2OPENSSL_TCTI  the TPM, for OpenSSL's provider, if it is not the machine's

Files:
  MODULE.p7s  the signature alone, with --detached or --from-manifest
  FILE.leaves  with --release and --manifest FILE: what attach --release needs beside FILE
  .modsig-*  left over by a kill; remove it

Examples:
  All modules below a directory:
    modsig sign --key key.pem --cert cert.pem modules
  Those that are in a list, and one more, with four threads:
    modsig sign --key key.pem --cert cert.pem --jobs 4 --files-from list module.ko
  After an incremental build, only what was built anew:
    modsig sign --key key.pem --cert cert.pem --only-missing modules
  With a key on a token, whose PIN is asked for once:
    modsig sign --key 'pkcs11:token=farm;object=key' --cert cert.pem modules
  Digests for a signing service, and the signatures that come back:
    modsig sign --manifest digests modules
    modsig sign --from-manifest digests --key key.pem --cert cert.pem --dest-dir signatures
    modsig attach --cert cert.pem --signatures signatures modules
  Signed copies in another directory, with an encrypted key:
    modsig sign --key locked.pem --passphrase-file passphrase --cert cert.pem \\
        --dest-dir signed modules
  One signature for all modules, for kernels with CONFIG_MODULE_SIG_RUST_RELEASE; and the same with a
  signing service, which gets one line:
    modsig sign --release --key key.pem --cert cert.pem modules
    modsig sign --release --manifest release modules
    modsig sign --from-manifest release --key key.pem --cert cert.pem --dest-dir signatures
    modsig attach --cert cert.pem --release release --signatures signatures modules
  With the certificates of those who vouch for the key, for kernels that trust the first of them:
    modsig sign --key key.pem --cert cert.pem --chain vendor.pem module.ko
  The names of those that could not be signed:
    modsig sign --json --key key.pem --cert cert.pem modules > report.json
    jq -r '.modules[] | select(.error) | .path' report.json";

pub(crate) const VERIFY: &str = "\
Exit status:
  0  all modules would load
  1  some would not, or could not be checked
  2  no module was checked

Examples:
  Would a kernel with this certificate load all of them?
    modsig sign --key key.pem --cert cert.pem module.ko
    modsig verify --cert cert.pem module.ko
  A kernel that also asks the firmware's keys, and has a list of revoked ones:
    modsig verify --cert cert.pem --platform-cert vendor.pem --revoked-cert revoked.pem \\
        module.ko
  A kernel image, with all that is built into it, and whether the module is for that kernel:
    modsig verify --kernel vmlinuz official.ko
  The copies of modules that an initramfs has, which are as old as it is:
    modsig verify --kernel vmlinuz --initrd initrd.img
  A kernel that lets unsigned modules in:
    modsig verify --cert cert.pem --allow-unsigned modules
  All modules of the kernel that this machine boots next, here of one that was copied:
    modsig verify --next --root machine
  How many would be refused, and with what:
    modsig sign --key key.pem --cert cert.pem modules
    modsig verify --json --cert cert.pem modules |
        jq -r '.modules[].enforcing' | sort | uniq -c";

pub(crate) const INSPECT: &str = "\
Exit status:
  0  all modules have a signature that can be read
  1  some have not
  2  none was looked at

Examples:
  Who signed it?
    modsig sign --key key.pem --cert cert.pem module.ko
    modsig inspect module.ko
  Each signer in a tree, once:
    modsig sign --key key.pem --cert cert.pem modules
    modsig inspect --json modules | jq -r '.modules[].signers[].id' | sort -u";

pub(crate) const STRIP: &str = "\
Exit status:
  0  no module has a signature any more
  1  some modules failed, each has a line that says why
  2  no module was touched

Files:
  .modsig-*  left over by a kill; remove it

Examples:
  The module as it was before it was signed:
    cp module.ko before.ko
    modsig sign --key key.pem --cert cert.pem module.ko
    modsig strip module.ko
    cmp module.ko before.ko
  All modules below a directory:
    modsig strip modules";

pub(crate) const ATTACH: &str = "\
Exit status:
  0  all modules are signed
  1  some are not, each with a line that says why, and is as it was
  2  no module was touched

Files:
  MODULE.p7s  the signature of MODULE, a PKCS#7 message in DER
  MODULE.sig  with --raw: the bare signature value
  FILE.p7s, FILE.sig  the same with --release FILE, one for all modules
  FILE.leaves  with --release FILE: made with FILE, and not sent away

Examples:
  A signature that was made elsewhere:
    modsig sign --key key.pem --cert cert.pem --detached module.ko
    modsig attach --cert cert.pem module.ko
    modsig verify --cert cert.pem module.ko
  A bare value, as a key management service returns it:
    modsig strip module.ko
    openssl dgst -sha512 -sign key.pem -out module.ko.sig module.ko
    modsig attach --raw --cert cert.pem module.ko";

pub(crate) const HASHES: &str = "\
Exit status:
  0  the kernel accepts all these modules
  1  some modules could not be written, so the kernel was not changed; run it again. With --check:
     the kernel rejects some. With --attach-to: some have no proof
  2  nothing was done

Files:
  modules.hashes  beside vmlinux: which module has which hash; may be removed
  .modsig-*  left over by a kill; remove it

Examples:
  After a build, before the boot image is made:
    modsig hashes --modules modules.order --vmlinux vmlinux
  Does this kernel take these modules?
    modsig hashes --check --modules modules.order --vmlinux vmlinux
  Modules that were stripped as they were installed:
    modsig hashes --modules modules.order --vmlinux vmlinux --stripped-by 'strip --strip-debug'
    mkdir installed
    cp -r lib installed
    find installed -name '*.ko' -exec strip --strip-debug {} +
    modsig hashes --modules modules.order --vmlinux vmlinux --attach-to installed";

pub(crate) const SEAL: &str = "\
Exit status:
  0  all modules are signed, and the kernel accepts them
  1  some modules could not be written, or the kernel does not accept some of them; seal again
  2  nothing was done

Files:
  .modsig-*  left over by a kill; remove it

Examples:
  After a build, before the boot image is made:
    modsig seal --modules build/modules.order --vmlinux build/vmlinux
  With one signature for all modules, if the kernel has CONFIG_MODULE_SIG_RUST_RELEASE:
    modsig seal --release --modules build/modules.order --vmlinux build/vmlinux
  All that there is of this build, and signatures that \"make modules_install\" has made give way:
    modsig seal --modules build/modules.order --modules root/lib/modules --replace \\
        --vmlinux build/vmlinux
  What the kernel trusts now, and what it takes:
    modsig certs build/vmlinux
    modsig verify --kernel build/vmlinux root/lib/modules";

pub(crate) const CERTS: &str = "\
Exit status:
  0  the image was read
  2  it could not be read

Examples:
  Whose modules does this kernel take?
    modsig certs vmlinuz
  The certificates as files, for other programs:
    modsig certs --output certificates vmlinuz
    ls certificates";

pub(crate) const WHY: &str = "\
Exit status:
  0  the module would load
  1  it would not, or may not: not in every mode that the kernel may be in, or it
     depends on what is not known here
  2  that could not be found out

Output:
  MODULE: loads on ..., WILL NOT LOAD on ..., or MAY NOT LOAD on ..., and why;
  then Cause, in more words, and Fix: what helps, the likeliest first. Unknown is
  what could not be read, and what was assumed therefore.

Examples:
  On this machine a name is enough, as for modprobe: modsig why e1000e
  With a kernel that is not running yet:
    modsig why --kernel vmlinuz official.ko
  With a kernel that trusts this certificate:
    modsig sign --key key.pem --cert cert.pem module.ko
    modsig why --cert cert.pem module.ko";

pub(crate) const KEYGEN: &str = "\
Exit status:
  0  key and certificate are there
  2  they are not

Environment:
  KBUILD_SIGN_PIN  with --encrypt: the passphrase, where there is no --passphrase-file

Examples:
  For a build farm: quick to sign with, and every kernel with ECDSA knows it:
    modsig keygen --algorithm p384 --key signing.pem --cert signing.crt --cn 'Example build farm'
  Encrypted, with the passphrase that sign takes with --passphrase-file as well:
    modsig keygen --encrypt --passphrase-file passphrase --key secret.pem --cert secret.crt
    modsig sign --key secret.pem --passphrase-file passphrase --cert secret.crt module.ko
  Where Kbuild looks for it (CONFIG_MODULE_SIG_KEY), in place of the one that is there:
    modsig keygen --force --key key.pem --cert cert.pem
    cat key.pem cert.pem > signing_key.pem";

pub(crate) const SIGN_FILE: &str = "\
Exit status:
  0  the module is signed
  1  it is not, and is as it was
  2  wrong arguments

Environment:
  KBUILD_SIGN_PIN  passphrase of the key or PIN of the token
  PKCS11_PROVIDER_MODULE  the token's PKCS#11 module, for OpenSSL's provider

Files:
  <module>.p7s  the signature alone, with -d or -p

Examples:
  In place:
    sign-file sha512 key.pem cert.pem module.ko
  Into another file, with the signature by itself as well:
    sign-file -p sha256 key.pem cert.pem module.ko signed.ko
  A signature that was made elsewhere:
    sign-file -s module.ko.p7s sha256 cert.pem module.ko
  For kernels with CONFIG_MODULE_SIG_RUST_RELEASE:
    sign-file --release sha512 key.pem cert.pem module.ko";
