// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The C verifier: a library that `scripts/tools/differ` builds, and both sides' way to keyrings and
//! cryptography. All `unsafe` of this program.

use std::{
    ffi::{c_char, c_int, c_uint, c_void, CStr, CString},
    marker::PhantomData,
    path::Path,
    ptr, slice,
};

use modsig::verify::{
    merkle, Blacklist, Digest, DigestAlgorithm, Hashes, KeyId, Keyring, Lookup, Platform,
    PlatformError, PublicKey, Signature, Signed, Tree, Verification,
};

use crate::{
    pkcs7_fields,
    world::{self, World},
    x509_fields,
};

const ENOKEY: c_int = -126;
const EKEYREJECTED: c_int = -129;
const ENOENT: c_int = -2;
const ENOPKG: c_int = -65;

/// `struct bytes` of glue.c.
#[repr(C)]
struct Octets<'a> {
    data: *const u8,
    len: usize,
    of: PhantomData<&'a [u8]>,
}

impl<'a> Octets<'a> {
    const NONE: Self = Octets {
        data: ptr::null(),
        len: 0,
        of: PhantomData,
    };

    fn new(octets: &'a [u8]) -> Self {
        Octets {
            data: octets.as_ptr(),
            len: octets.len(),
            of: PhantomData,
        }
    }
}

/// `struct differ_signature` of glue.c.
#[repr(C)]
struct CSignature<'a> {
    algorithm: *const c_char,
    hash: *const c_char,
    encoding: *const c_char,
    value: Octets<'a>,
    message: Octets<'a>,
}

/// `struct differ_ops` of glue.c.
#[repr(C)]
struct Ops {
    digest_size: unsafe extern "C" fn(*const World, *const c_char) -> c_int,
    digest: unsafe extern "C" fn(*const World, *const c_char, *const u8, usize, *mut u8),
    signature: unsafe extern "C" fn(*const World, *const c_char) -> c_int,
    key: unsafe extern "C" fn(*const World, *const c_char, *const u8, usize) -> c_int,
    verify: unsafe extern "C" fn(
        *const World,
        *const c_char,
        *const u8,
        usize,
        *const u8,
        usize,
        *const u8,
        usize,
    ) -> c_int,
}

static OPS: Ops = Ops {
    digest_size,
    digest,
    signature,
    key,
    verify,
};

/// The world and the name that C has given back.
///
/// # Safety
///
/// `world` is that of [`Session::new`], which outlives the call; `name` is a C string.
unsafe fn given<'a>(world: *const World, name: *const c_char) -> (&'a World, &'a str) {
    // SAFETY: as the caller promises.
    let (world, name) = unsafe { (&*world, CStr::from_ptr(name)) };
    (world, name.to_str().expect("names are ASCII"))
}

/// Bytes that C has.
///
/// # Safety
///
/// There are `len` bytes at `data`, unless `len` is 0.
unsafe fn octets<'a>(data: *const u8, len: usize) -> &'a [u8] {
    match len {
        0 => &[],
        // SAFETY: as the caller promises.
        _ => unsafe { slice::from_raw_parts(data, len) },
    }
}

unsafe extern "C" fn digest_size(world: *const World, name: *const c_char) -> c_int {
    // SAFETY: C gives back what it was given, and a name.
    let (world, name) = unsafe { given(world, name) };
    world.digest_size(name)
}

unsafe extern "C" fn digest(
    world: *const World,
    name: *const c_char,
    data: *const u8,
    len: usize,
    out: *mut u8,
) {
    // SAFETY: as above; C has `len` bytes at `data`.
    let ((world, name), data) = unsafe { (given(world, name), octets(data, len)) };
    let size = usize::try_from(world.digest_size(name)).unwrap_or(32);
    let digest = world::digest(name, data, size);
    // SAFETY: C has room for a digest of this name at `out`.
    unsafe { ptr::copy_nonoverlapping(digest.as_ptr(), out, digest.len()) };
}

unsafe extern "C" fn signature(world: *const World, name: *const c_char) -> c_int {
    // SAFETY: as above.
    let (world, name) = unsafe { given(world, name) };
    world.signature(name)
}

unsafe extern "C" fn key(
    world: *const World,
    name: *const c_char,
    key: *const u8,
    len: usize,
) -> c_int {
    // SAFETY: as above.
    let ((world, _), key) = unsafe { (given(world, name), octets(key, len)) };
    world.key(key)
}

unsafe extern "C" fn verify(
    world: *const World,
    name: *const c_char,
    key: *const u8,
    key_len: usize,
    value: *const u8,
    value_len: usize,
    digest: *const u8,
    digest_len: usize,
) -> c_int {
    // SAFETY: as above.
    let (world, name) = unsafe { given(world, name) };
    // SAFETY: as above, thrice.
    let (key, value, digest) = unsafe {
        (
            octets(key, key_len),
            octets(value, value_len),
            octets(digest, digest_len),
        )
    };
    world.verify(name, key, value, digest)
}

/// A `struct key` of C.
type CKey = c_void;

/// `struct differ_functions` of glue.c.
#[repr(C)]
struct Functions {
    world: unsafe extern "C" fn(*const Ops, *const World),
    add_key: unsafe extern "C" fn(c_uint, *const [Octets<'_>; 2], *const c_char, *const Octets<'_>),
    add_hash: unsafe extern "C" fn(*const Octets<'_>, c_int),
    check: unsafe extern "C" fn(*mut u8, usize, c_int, *mut usize, *mut bool, *mut c_int) -> c_int,
    find_key: unsafe extern "C" fn(c_uint, *const [Octets<'_>; 2]) -> *mut CKey,
    verify: unsafe extern "C" fn(*const CKey, *const CSignature<'_>) -> c_int,
    verify_with: unsafe extern "C" fn(
        *const c_char,
        *const Octets<'_>,
        *const Octets<'_>,
        *const CSignature<'_>,
    ) -> c_int,
    is_blacklisted: unsafe extern "C" fn(*const Octets<'_>, c_int) -> c_int,
    certificate: unsafe extern "C" fn(*const Parser, *const u8, usize, *mut *mut c_char) -> c_int,
    time: unsafe extern "C" fn(*const Parser, u8, *const u8, usize, *mut i64) -> c_int,
    free: unsafe extern "C" fn(*mut c_void),
    message: unsafe extern "C" fn(*const Parser, *const u8, usize, *mut *mut c_char) -> c_int,
}

/// `struct differ_parser` of certificate.c.
#[repr(C)]
struct Parser {
    parse: unsafe extern "C" fn(*const u8, usize, bool, *mut x509_fields::Fields) -> u32,
    decode_time: unsafe extern "C" fn(u8, *const u8, usize, *mut i64) -> u32,
    message: unsafe extern "C" fn(*const u8, usize, bool, *mut pkcs7_fields::MessageFields) -> u32,
    certificate: unsafe extern "C" fn(*mut x509_fields::Bytes, *mut x509_fields::Bytes) -> bool,
    signer: unsafe extern "C" fn(
        *mut x509_fields::Bytes,
        *const pkcs7_fields::MessageFields,
        bool,
        *mut pkcs7_fields::SignerFields,
    ) -> u32,
}

static PARSER: Parser = Parser {
    parse: x509_fields::x509_rust_parse,
    decode_time: x509_fields::x509_rust_decode_time,
    message: pkcs7_fields::pkcs7_rust_parse,
    certificate: pkcs7_fields::pkcs7_rust_certificate,
    signer: pkcs7_fields::pkcs7_rust_signer,
};

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An X.509 certificate.
    Certificate,
    /// A PKCS#7 message.
    Message,
}

/// Who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// The parser in C.
    C,
    /// The one in Rust.
    Rust,
}

impl Reads {
    fn parser(self) -> *const Parser {
        match self {
            Reads::C => ptr::null(),
            Reads::Rust => &PARSER,
        }
    }
}

/// A C verifier.
pub struct Library(&'static Functions);

extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
}

impl Library {
    /// Loads one, for good.
    pub fn load(path: &Path) -> Result<Self, String> {
        const RTLD_NOW: c_int = 2;
        let name = CString::new(path.to_string_lossy().as_bytes()).map_err(|e| e.to_string())?;
        let failed = || {
            // SAFETY: has no preconditions; called only after a failure, so it is a C string.
            let error = unsafe { CStr::from_ptr(dlerror()) };
            error.to_string_lossy().into_owned()
        };
        // SAFETY: the path is a C string; what the library does when it is loaded is to set up its
        // keyrings.
        let library = unsafe { dlopen(name.as_ptr(), RTLD_NOW) };
        if library.is_null() {
            return Err(failed());
        }
        // SAFETY: both are valid.
        let functions = unsafe { dlsym(library, c"differ_functions".as_ptr()) };
        // SAFETY: it is null, or a table of that type, which stays, as the library does.
        let functions = unsafe { functions.cast::<Functions>().as_ref() };
        functions.map(Library).ok_or_else(failed)
    }
}

const CERTIFICATE: c_int = 1;
const FILE: c_int = 2;

/// What C makes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What `module_sig_check()` returns.
    pub result: c_int,
    /// Whether the kernel is not tainted by it.
    pub sig_ok: bool,
    /// The error number behind it, also where it is let in.
    pub reason: c_int,
    /// What is left of the file.
    pub module_len: usize,
}

/// A C verifier in a world.
pub struct Session<'a> {
    library: &'a Library,
    world: &'a World,
    /// The library has one world at a time, and is not made for threads.
    only: PhantomData<*const ()>,
}

impl<'a> Session<'a> {
    /// Puts a library into a world; takes it out of the one that it was in.
    pub fn new(library: &'a mut Library, world: &'a World) -> Self {
        let library = &*library;
        // SAFETY: both outlive the session, which has borrowed them, and nothing of the library is
        // called in another way.
        unsafe { (library.0.world)(&OPS, world) };
        for key in &world.keys {
            let second = key.key_id.as_deref().map_or(Octets::NONE, Octets::new);
            // SAFETY: all that is pointed to is there during the call; C copies it, but for the
            // name, which stays.
            unsafe {
                (library.0.add_key)(
                    key.ring as c_uint,
                    &[Octets::new(&key.id), second],
                    key.algorithm.c_name().as_ptr(),
                    &Octets::new(&key.octets),
                );
            }
        }
        for (digests, kind) in [(&world.certificates, CERTIFICATE), (&world.files, FILE)] {
            for digest in digests {
                // SAFETY: as above.
                unsafe { (library.0.add_hash)(&Octets::new(digest), kind) };
            }
        }
        Session {
            library,
            world,
            only: PhantomData,
        }
    }

    /// Has a certificate or message read: all that the kernel knows of it then, as text, or an error number.
    pub fn read(&self, what: What, by: Reads, input: &[u8]) -> Result<Vec<u8>, c_int> {
        // As in check().
        let copy = input.to_vec().into_boxed_slice();
        let read = match what {
            What::Certificate => self.library.0.certificate,
            What::Message => self.library.0.message,
        };
        let mut text = ptr::null_mut();
        // SAFETY: all pointers are valid during the call.
        let result = unsafe { read(by.parser(), copy.as_ptr(), copy.len(), &mut text) };
        if result != 0 {
            return Err(result);
        }
        // SAFETY: without an error C has made a string, which is used by nobody else.
        let said = unsafe { CStr::from_ptr(text) }.to_bytes().to_vec();
        // SAFETY: it came from this allocator, and is not used any more.
        unsafe { (self.library.0.free)(text.cast()) };
        Ok(said)
    }

    /// Has the content of a time read, or says the error number.
    pub fn time(&self, by: Reads, tag: u8, content: &[u8]) -> Result<i64, c_int> {
        let copy = content.to_vec().into_boxed_slice();
        let mut time = 0;
        // SAFETY: all pointers are valid during the call.
        let result = unsafe {
            (self.library.0.time)(by.parser(), tag, copy.as_ptr(), copy.len(), &mut time)
        };
        match result {
            0 => Ok(time),
            error => Err(error),
        }
    }

    /// Asks C about a file.
    pub fn check(&self, file: &[u8]) -> Answer {
        let (mut module_len, mut sig_ok, mut reason) = (0, false, 0);
        // In memory of its own, so that what reads behind its end can be seen by a tool.
        let mut file = file.to_vec().into_boxed_slice();
        // SAFETY: all pointers are valid during the call.
        let result = unsafe {
            (self.library.0.check)(
                file.as_mut_ptr(),
                file.len(),
                self.world.flags.into(),
                &mut module_len,
                &mut sig_ok,
                &mut reason,
            )
        };
        Answer {
            result,
            sig_ok,
            reason,
            module_len,
        }
    }
}

/// Gives a signature to C, as rust/modsig/sys/keys/signature.rs does.
fn ask_c(signature: &Signature<'_>, check: impl FnOnce(*const CSignature<'_>) -> c_int) -> c_int {
    let attributes;
    let (hash, message) = match signature.signed {
        Signed::Digest { algorithm, octets } => (algorithm.c_name(), octets),
        Signed::Data(data) => (c"none", data),
        Signed::Attributes {
            algorithm,
            after_tag,
        } => {
            attributes = [&[0x31], after_tag].concat();
            (algorithm.c_name(), &attributes[..])
        }
    };
    if signature.value.len() > world::MAX_SIGNATURE {
        return EKEYREJECTED;
    }
    check(&CSignature {
        algorithm: signature.key.c_name().as_ptr(),
        hash: hash.as_ptr(),
        encoding: signature.key.c_encoding().as_ptr(),
        value: Octets::new(signature.value),
        message: Octets::new(message),
    })
}

impl Hashes for Session<'_> {
    type Hash = DigestAlgorithm;

    fn root(&self) -> Option<merkle::Root> {
        None
    }

    fn tree(&self) -> Tree {
        self.world.series().tree
    }

    fn hash(&self, algorithm: DigestAlgorithm) -> Result<Option<Self::Hash>, PlatformError> {
        let is_there = self.world.digest_size(algorithm.name()) >= 0;
        Ok(is_there.then_some(algorithm))
    }

    fn digest(
        &self,
        hash: &Self::Hash,
        parts: &[&[u8]],
        digest: &mut Digest,
    ) -> Result<(), PlatformError> {
        let octets = world::digest(hash.name(), &parts.concat(), hash.size());
        digest.buffer()[..octets.len()].copy_from_slice(&octets);
        Ok(())
    }

    fn is_blacklisted(&self, what: Blacklist, digest: &Digest) -> Result<bool, PlatformError> {
        let kind = match what {
            Blacklist::Certificate => CERTIFICATE,
            Blacklist::File => FILE,
        };
        // SAFETY: the digest is there during the call.
        match unsafe { (self.library.0.is_blacklisted)(&Octets::new(digest.as_bytes()), kind) } {
            EKEYREJECTED => Ok(true),
            0 => Ok(false),
            error => Err(PlatformError(error)),
        }
    }
}

impl Platform for Session<'_> {
    type Key = *mut CKey;

    fn find_key(
        &self,
        keyring: Keyring,
        first: Option<KeyId<'_>>,
        second: Option<KeyId<'_>>,
    ) -> Result<Lookup<Self::Key>, PlatformError> {
        let keyring = match keyring {
            // From which a link leads to the builtin one.
            Keyring::Trusted => world::Ring::Secondary,
            Keyring::Platform => world::Ring::Platform,
            Keyring::Revoked => world::Ring::Revoked,
        };
        let [first, second] = [first, second].map(|id| id.map(|KeyId(a, b)| [a, b].concat()));
        let [first, second] =
            [&first, &second].map(|id| id.as_deref().map_or(Octets::NONE, Octets::new));
        // SAFETY: the identifiers are there during the call, and one of them is one.
        let key = unsafe { (self.library.0.find_key)(keyring as c_uint, &[first, second]) };
        match key as isize {
            error @ -4095..=-1 => match error as c_int {
                ENOKEY => Ok(Lookup::Unknown),
                EKEYREJECTED => Ok(Lookup::Mismatch),
                error => Err(PlatformError(error)),
            },
            _ => Ok(Lookup::Found(key)),
        }
    }

    fn verify(
        &self,
        key: &Self::Key,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        let answer = ask_c(signature, |signature| {
            // SAFETY: the key was found in this world; the signature is there during the call.
            unsafe { (self.library.0.verify)(*key, signature) }
        });
        Ok(match answer {
            0 => Verification::Good,
            ENOENT | ENOPKG => Verification::Unsupported,
            other => Verification::Bad(other),
        })
    }

    fn verify_with(
        &self,
        key: &PublicKey<'_>,
        signature: &Signature<'_>,
    ) -> Result<Verification, PlatformError> {
        let answer = ask_c(signature, |signature| {
            // SAFETY: all that is pointed to is there during the call.
            unsafe {
                (self.library.0.verify_with)(
                    key.algorithm.c_name().as_ptr(),
                    &Octets::new(key.octets),
                    &Octets::new(key.parameters),
                    signature,
                )
            }
        });
        Ok(match answer {
            0 => Verification::Good,
            ENOPKG => Verification::Unsupported,
            other => Verification::Bad(other),
        })
    }
}
