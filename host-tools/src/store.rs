// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keys and certificates that OpenSSL's providers know by a URI: on tokens (PKCS#11), in a TPM, and
//! wherever else one that openssl.cnf activates has them. Also what such a provider makes of a file.
//!
//! With `secret` the only file with `unsafe`: the openssl crate has no functions for OpenSSL's
//! stores (OSSL_STORE, OpenSSL 3.0 and later), nor for what belongs to a library context of one's
//! own.

use std::{
    env,
    ffi::{c_char, c_int, c_long, c_ulong, c_void, CStr, CString},
    marker::PhantomData,
    mem,
    path::Path,
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{anyhow, bail, ensure, Context, Error, Result};
use foreign_types::ForeignType;
use openssl::{
    error::ErrorStack,
    lib_ctx::{LibCtx, LibCtxRef},
    pkey::{Id, PKey, Private},
    pkey_ctx::{PkeyCtx, PkeyCtxRef},
    provider::Provider,
    x509::X509,
};
use openssl_sys as ffi;
use zeroize::Zeroizing;

use crate::passphrase::Passphrase;

/// What OpenSSL calls OSSL_STORE_CTX, OSSL_STORE_INFO and UI_METHOD; only pointers to them are used.
#[repr(C)]
struct StoreCtx {
    _private: [u8; 0],
}
#[repr(C)]
struct StoreInfo {
    _private: [u8; 0],
}
#[repr(C)]
struct UiMethod {
    _private: [u8; 0],
}

/// OSSL_STORE_INFO_PKEY and OSSL_STORE_INFO_CERT (openssl/store.h); 0 for whatever there is.
const INFO_ANY: c_int = 0;
const INFO_PKEY: c_int = 4;
const INFO_CERT: c_int = 5;

// As in openssl/store.h, openssl/ui.h, openssl/crypto.h and openssl/evp.h, the same from 3.0 on.
extern "C" {
    fn OSSL_STORE_open_ex(
        uri: *const c_char,
        context: *mut ffi::OSSL_LIB_CTX,
        properties: *const c_char,
        ui_method: *const UiMethod,
        ui_data: *mut c_void,
        parameters: *const c_void,
        post_process: *const c_void,
        post_process_data: *mut c_void,
    ) -> *mut StoreCtx;
    fn OSSL_STORE_attach(
        bio: *mut ffi::BIO,
        scheme: *const c_char,
        context: *mut ffi::OSSL_LIB_CTX,
        properties: *const c_char,
        ui_method: *const UiMethod,
        ui_data: *mut c_void,
        parameters: *const c_void,
        post_process: *const c_void,
        post_process_data: *mut c_void,
    ) -> *mut StoreCtx;
    fn OSSL_STORE_expect(store: *mut StoreCtx, expected_type: c_int) -> c_int;
    fn OSSL_STORE_load(store: *mut StoreCtx) -> *mut StoreInfo;
    fn OSSL_STORE_eof(store: *mut StoreCtx) -> c_int;
    fn OSSL_STORE_error(store: *mut StoreCtx) -> c_int;
    fn OSSL_STORE_close(store: *mut StoreCtx) -> c_int;
    fn OSSL_STORE_INFO_get_type(info: *const StoreInfo) -> c_int;
    fn OSSL_STORE_INFO_get1_PKEY(info: *const StoreInfo) -> *mut ffi::EVP_PKEY;
    fn OSSL_STORE_INFO_get1_CERT(info: *const StoreInfo) -> *mut ffi::X509;
    fn OSSL_STORE_INFO_free(info: *mut StoreInfo);
    fn UI_UTIL_wrap_read_pem_callback(
        callback: ffi::pem_password_cb,
        rwflag: c_int,
    ) -> *mut UiMethod;
    fn UI_destroy_method(method: *mut UiMethod);
    fn NCONF_new_ex(context: *mut ffi::OSSL_LIB_CTX, method: *const c_void) -> *mut ffi::CONF;
    fn NCONF_load_bio(conf: *mut ffi::CONF, bio: *mut ffi::BIO, line: *mut c_long) -> c_int;
    fn CONF_modules_load(conf: *const ffi::CONF, program: *const c_char, flags: c_ulong) -> c_int;
    fn OSSL_LIB_CTX_load_config(context: *mut ffi::OSSL_LIB_CTX, file: *const c_char) -> c_int;
    fn EVP_default_properties_is_fips_enabled(context: *mut ffi::OSSL_LIB_CTX) -> c_int;
    fn EVP_set_default_properties(
        context: *mut ffi::OSSL_LIB_CTX,
        properties: *const c_char,
    ) -> c_int;
    fn EVP_PKEY_get0_provider(key: *const ffi::EVP_PKEY) -> *const ffi::OSSL_PROVIDER;
    fn OSSL_PROVIDER_get0_name(provider: *const ffi::OSSL_PROVIDER) -> *const c_char;
    fn EVP_PKEY_CTX_new_from_pkey(
        context: *mut ffi::OSSL_LIB_CTX,
        key: *mut ffi::EVP_PKEY,
        properties: *const c_char,
    ) -> *mut ffi::EVP_PKEY_CTX;
}

/// Puts a PIN into a buffer and says how long it is; `None` if there is none to give.
type GivePin<'a> = &'a mut dyn FnMut(&mut [u8]) -> Option<usize>;

/// OpenSSL asks for a PIN: a `pem_password_cb`. `data` is a [`GivePin`].
extern "C" fn give_pin(buffer: *mut c_char, size: c_int, _: c_int, data: *mut c_void) -> c_int {
    let size = usize::try_from(size).unwrap_or(0);
    // SAFETY: The buffer is OpenSSL's, of this size, and nobody else's as long as this function
    // runs. It is filled before it is looked at.
    let buffer = unsafe {
        ptr::write_bytes(buffer, 0, size);
        slice::from_raw_parts_mut(buffer.cast::<u8>(), size)
    };
    // SAFETY: `Store::open` has made this pointer from a `GivePin` that is borrowed for as long as
    // the store lives, and that nobody uses meanwhile. OpenSSL asks in the thread that loads.
    let give = unsafe { &mut *data.cast::<GivePin<'_>>() };
    give(buffer)
        .and_then(|length| c_int::try_from(length).ok())
        .unwrap_or(-1)
}

/// What a store is opened on.
#[derive(Clone, Copy)]
enum Source<'a> {
    Uri(&'a str),
    /// What a file holds.
    Bytes(&'a [u8]),
}

/// An open OSSL_STORE_CTX, and the method that it asks for a PIN with.
struct Store<'a> {
    store: NonNull<StoreCtx>,
    method: NonNull<UiMethod>,
    /// What it reads from, if that is memory.
    bio: Option<NonNull<ffi::BIO>>,
    /// What they hold pointers into.
    borrowed: PhantomData<(&'a Token, &'a [u8], &'a mut GivePin<'a>)>,
}

impl<'a> Store<'a> {
    fn open(
        token: &'a Token,
        source: Source<'a>,
        kind: c_int,
        give: &'a mut GivePin<'a>,
    ) -> Result<Self, ErrorStack> {
        // SAFETY: The function has the type of a `pem_password_cb`.
        let method = unsafe { UI_UTIL_wrap_read_pem_callback(Some(give_pin), 0) };
        let method = NonNull::new(method).ok_or_else(ErrorStack::get)?;
        let data: *mut c_void = ptr::from_mut(give).cast();
        let mut bio = None;
        // SAFETY: Context, method, bytes and `give` live as long as the store does: `Store` borrows
        // or owns them. OpenSSL copies the URI. Null stands for "none".
        let store = unsafe {
            let (context, method) = (token.context.as_ptr(), method.as_ptr());
            let none = ptr::null();
            match source {
                Source::Uri(uri) => {
                    // One with a NUL byte in it names nothing.
                    let uri = CString::new(uri).unwrap_or_default();
                    let uri = uri.as_ptr();
                    let unused = ptr::null_mut();
                    OSSL_STORE_open_ex(
                        uri,
                        context,
                        none,
                        method,
                        data,
                        none.cast(),
                        none.cast(),
                        unused,
                    )
                }
                Source::Bytes(bytes) => {
                    let length = c_int::try_from(bytes.len()).unwrap_or(c_int::MAX);
                    bio = NonNull::new(ffi::BIO_new_mem_buf(bytes.as_ptr().cast(), length));
                    let bio = bio.map_or(ptr::null_mut(), NonNull::as_ptr);
                    let (scheme, unused) = (c"file".as_ptr(), ptr::null_mut());
                    OSSL_STORE_attach(
                        bio,
                        scheme,
                        context,
                        none,
                        method,
                        data,
                        none.cast(),
                        none.cast(),
                        unused,
                    )
                }
            }
        };
        let Some(store) = NonNull::new(store) else {
            let errors = ErrorStack::get();
            // SAFETY: They were made above, and nothing else has them. To free null does nothing.
            unsafe {
                UI_destroy_method(method.as_ptr());
                ffi::BIO_free_all(bio.map_or(ptr::null_mut(), NonNull::as_ptr));
            }
            return Err(errors);
        };
        let opened = Store {
            store,
            method,
            bio,
            borrowed: PhantomData,
        };
        if kind != INFO_ANY {
            // SAFETY: The store is open and nothing was loaded from it.
            unsafe { OSSL_STORE_expect(store.as_ptr(), kind) };
        }
        Ok(opened)
    }

    /// The next object; `None` at the end, or if nothing more can be had.
    fn next(&mut self) -> Option<Info> {
        let store = self.store.as_ptr();
        loop {
            // SAFETY: The store is open.
            let info = NonNull::new(unsafe { OSSL_STORE_load(store) });
            if let Some(info) = info {
                return Some(Info(info));
            }
            // SAFETY: The store is open. What is not wanted is passed over with an empty result
            // that is neither the end nor an error.
            if unsafe { OSSL_STORE_eof(store) != 0 || OSSL_STORE_error(store) != 0 } {
                return None;
            }
        }
    }
}

impl Drop for Store<'_> {
    fn drop(&mut self) {
        // SAFETY: The store is open, and not used after this; nor are the method and what it read
        // from, which only the store had.
        unsafe {
            OSSL_STORE_close(self.store.as_ptr());
            UI_destroy_method(self.method.as_ptr());
            ffi::BIO_free_all(self.bio.map_or(ptr::null_mut(), NonNull::as_ptr));
        }
    }
}

/// An OSSL_STORE_INFO: an object out of a store.
struct Info(NonNull<StoreInfo>);

impl Info {
    fn key(&self) -> Option<PKey<Private>> {
        let info = self.0.as_ptr();
        // SAFETY: The object is there until it is dropped. If it is a private key, what comes is
        // a reference to it of its own, which the PKey gives back.
        unsafe {
            (OSSL_STORE_INFO_get_type(info) == INFO_PKEY)
                .then(|| OSSL_STORE_INFO_get1_PKEY(info))
                .filter(|key| !key.is_null())
                .map(|key| PKey::from_ptr(key))
        }
    }

    fn certificate(&self) -> Option<X509> {
        let info = self.0.as_ptr();
        // SAFETY: The object is there until it is dropped. If it is a certificate, what comes is
        // a reference to it of its own, which the X509 gives back.
        unsafe {
            (OSSL_STORE_INFO_get_type(info) == INFO_CERT)
                .then(|| OSSL_STORE_INFO_get1_CERT(info))
                .filter(|certificate| !certificate.is_null())
                .map(|certificate| X509::from_ptr(certificate))
        }
    }
}

impl Drop for Info {
    fn drop(&mut self) {
        // SAFETY: It came from OSSL_STORE_load and is not used after this.
        unsafe { OSSL_STORE_INFO_free(self.0.as_ptr()) }
    }
}

/// Forgets which providers openssl.cnf prefers (default_properties), but for those that are approved for FIPS:
/// with `?provider=tpm2`, as other programs need it for a key in a TPM, the TPM would have to make, use and verify
/// all keys. Keys that are somewhere are used by their own provider here.
pub fn forget_preferences() {
    openssl::init();
    // SAFETY: Null stands for the context that everything uses; the text is copied.
    unsafe {
        if EVP_default_properties_is_fips_enabled(ptr::null_mut()) == 0 {
            EVP_set_default_properties(ptr::null_mut(), c"".as_ptr());
        }
    }
    let _ = ErrorStack::get();
}

/// What a URI leads to, and so which of OpenSSL's providers knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// Tokens with a PKCS#11 module: `pkcs11:` (RFC 7512).
    Pkcs11,
    /// The TPM: `handle:` (of a persistent object, in hexadecimal), `object:` (a file that tpm2-tools
    /// has written), and files "TSS2 PRIVATE KEY".
    Tpm,
    /// Something that a provider knows which openssl.cnf activates.
    Other,
}

/// A URI that is given in place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// What it leads to.
    pub device: Device,
    /// The scheme in small letters, as providers want it, and all that comes behind.
    text: String,
}

impl Uri {
    /// Takes what is a URI, but for `file:`. What is the name of a file as well is that, except with the
    /// schemes that are known here.
    pub fn new(name: &str) -> Option<Self> {
        let (scheme, rest) = name.split_once(':')?;
        // RFC 3986 section 3.1.
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|other| other.is_ascii_alphanumeric() || "+-.".contains(other));
        let scheme = scheme.to_ascii_lowercase();
        let device = match &scheme[..] {
            "pkcs11" => Device::Pkcs11,
            "handle" | "object" => Device::Tpm,
            "file" => return None,
            _ if is_scheme && !Path::new(name).exists() => Device::Other,
            _ => return None,
        };
        let text = format!("{scheme}:{rest}");
        Some(Uri { device, text })
    }
}

/// What a provider reaches: tokens, a TPM.
///
/// The provider is loaded into a library context of its own. In the one that all else uses, modules
/// that use OpenSSL themselves (SoftHSM) would be handed back to the provider and wait for
/// themselves; and this one is gone, sessions closed, before the program ends, where such modules
/// crash.
pub struct Token {
    // In the order in which they must go: the providers, then the context.
    _providers: Vec<Provider>,
    context: LibCtx,
    device: Device,
}

impl Token {
    /// Loads the provider for it, with what OpenSSL's configuration file says of it.
    pub fn open(device: Device) -> Result<Self> {
        let context = configured()?;
        let mut providers = vec![];
        match device {
            Device::Pkcs11 => {
                configure(&context, KEEP_PIN);
                providers.push(provider(Some(&context), "pkcs11").map_err(|errors| {
                anyhow!(
                    "OpenSSL's provider for PKCS#11 cannot be loaded ({}); install the package \
                     pkcs11-provider (in Debian from 13 on), or set OPENSSL_MODULES to the directory \
                     that holds pkcs11.so",
                    causes(&errors)
                )
            })?);
            }
            Device::Tpm => {
                // The provider's libraries say by themselves what they report as an error as well.
                if env::var_os("TSS2_LOG").is_none() {
                    env::set_var("TSS2_LOG", "all+NONE");
                }
                providers.push(provider(Some(&context), "tpm2").map_err(|errors| no_tpm(&errors))?);
            }
            Device::Other => (),
        }
        no_other_prompt();
        providers.push(Provider::load(Some(&context), "default")?);
        Ok(Token {
            _providers: providers,
            context,
            device,
        })
    }

    /// What it reaches.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The certificates that a URI stands for; at least one.
    pub fn certificates(&self, uri: &Uri, passphrase: &Passphrase) -> Result<Vec<X509>> {
        let name = shown(&uri.text);
        let mut ask = Ask::new(&name, passphrase, self.device);
        let source = Source::Uri(&uri.text);
        let take = |info: &Info| own(&info.certificate()?);
        let (found, errors) =
            self.load(source, INFO_CERT, &mut |buffer| ask.answer(buffer), take)?;
        // A token that has it says so without a PIN.
        ensure!(
            !found.is_empty(),
            match self.device {
                Device::Pkcs11 => format!(
                    "{name}: no certificate like this on any token; pkcs11-tool --list-objects tells \
                     what is there; write one with pkcs11-tool --write-object FILE --type cert, or \
                     give the certificate as a file"
                ),
                _ => format!(
                    "{name}: no certificate there ({}); give the certificate as a file",
                    causes(&errors)
                ),
            }
        );
        Ok(found)
    }

    /// The private key that a URI stands for.
    ///
    /// Each token that the URI fits is given the PIN once: many lock themselves after three wrong
    /// ones, so a URI should name the token where there are several.
    pub fn private_key(self, uri: &Uri, passphrase: &Passphrase) -> Result<TokenKey> {
        let name = shown(&uri.text);
        let (source, uri) = (Source::Uri(&uri.text), &uri.text[..]);
        if self.device != Device::Pkcs11 {
            return self.only_key(&name, source, passphrase);
        }
        let mut ask = Ask::new(&name, passphrase, self.device);
        let (mut found, _) = self.load(
            source,
            INFO_PKEY,
            &mut |buffer| ask.answer(buffer),
            Info::key,
        )?;
        let Ask { asked, error, .. } = ask;
        if let Some(error) = error {
            return Err(error);
        }
        match (found.pop(), found.len()) {
            (Some(key), 0) => return Ok(TokenKey::new(key, self)),
            (Some(_), others) => bail!(
                "{name}: {} private keys match; name one with object= or id=",
                others + 1
            ),
            (None, _) => (),
        }
        // Neither a wrong PIN nor a missing key leaves an error. Who is not logged in is asked.
        let mut logged_out = false;
        let (others, _) = self.load(
            Source::Uri(&any_key(uri)),
            INFO_PKEY,
            &mut |_| {
                logged_out = true;
                None
            },
            Info::key,
        )?;
        let has_pin = asked || uri != name || uri.contains("pin-source=");
        if logged_out && has_pin {
            bail!(
                "{name}: the token has refused the PIN; it was given once only, for a token may \
                 lock itself after three wrong ones"
            );
        }
        if others.is_empty() && !asked {
            bail!(
                "{name}: no such token, or no private key on it; pkcs11-tool --list-token-slots \
                 tells which there are; is the module of this token the one in \
                 PKCS11_PROVIDER_MODULE, or in openssl.cnf as pkcs11-module-path?"
            );
        }
        bail!(
            "{name}: the token has no private key like this, but {} other(s); \
             pkcs11-tool --login --list-objects tells which",
            others.len()
        )
    }

    /// The private key in a file that only the provider can read.
    pub fn private_key_in(
        self,
        name: &str,
        file: &[u8],
        passphrase: &Passphrase,
    ) -> Result<TokenKey> {
        self.only_key(name, Source::Bytes(file), passphrase)
    }

    fn only_key(self, name: &str, source: Source<'_>, passphrase: &Passphrase) -> Result<TokenKey> {
        let mut ask = Ask::new(name, passphrase, self.device);
        let found = self.load(
            source,
            INFO_PKEY,
            &mut |buffer| ask.answer(buffer),
            Info::key,
        );
        if let Some(error) = ask.error {
            return Err(error);
        }
        let (mut found, errors) = found?;
        match (found.pop(), found.len(), self.device) {
            (Some(key), 0, _) => Ok(TokenKey::new(key, self)),
            (Some(_), others, _) => bail!("{name}: {} private keys match", others + 1),
            (None, _, Device::Tpm) => bail!(
                "{name}: the TPM has no such key, or did not load it ({}); a key that was made for \
                 another TPM, or before this one was cleared, cannot be loaded; tpm2_getcap \
                 handles-persistent tells which there are",
                causes(&errors)
            ),
            (None, ..) => bail!("{name}: no private key there ({})", causes(&errors)),
        }
    }

    /// What a URI stands for, or a file holds, and what OpenSSL has said on the way.
    fn load<T>(
        &self,
        source: Source<'_>,
        kind: c_int,
        mut give: GivePin<'_>,
        take: impl Fn(&Info) -> Option<T>,
    ) -> Result<(Vec<T>, ErrorStack)> {
        // `give` is for one lifetime of `Store`.
        let mut give: GivePin<'_> = &mut give;
        let mut found = vec![];
        {
            let store = Store::open(self, source, kind, &mut give);
            let mut store = store.map_err(|errors| self.closed(source, &errors))?;
            while let Some(info) = store.next() {
                found.extend(take(&info));
            }
        }
        Ok((found, ErrorStack::get()))
    }

    /// What is said if nothing can be reached.
    fn closed(&self, source: Source<'_>, errors: &ErrorStack) -> Error {
        let name = match source {
            Source::Uri(uri) => shown(uri),
            Source::Bytes(_) => "the file".to_owned(),
        };
        let causes = causes(errors);
        match self.device {
            Device::Pkcs11 => anyhow!(
                "{name}: cannot reach any token ({causes}); set PKCS11_PROVIDER_MODULE to the PKCS#11 \
                 module of your token (SoftHSM has /usr/lib/softhsm/libsofthsm2.so), or \
                 pkcs11-module-path in openssl.cnf, and see that the module works: pkcs11-tool \
                 --module FILE --list-slots"
            ),
            Device::Tpm => anyhow!(
                "{name}: cannot be opened in the TPM ({causes}); a persistent key is named by its \
                 handle (handle:0x81000001, with ?pass behind it if it has a password), one that \
                 tpm2-tools has written as object:FILE"
            ),
            Device::Other => anyhow!(
                "{name}: no file of this name, and no provider that openssl.cnf activates knows such \
                 URIs; known here without it are pkcs11:, handle:, object: (TPM) and file:"
            ),
        }
    }
}

/// The private keys and certificates that a file holds.
pub struct Contents {
    /// Keys.
    pub keys: Vec<PKey<Private>>,
    /// Certificates, in the order of the file.
    pub certificates: Vec<X509>,
    /// Whether ciphers of old could be read.
    pub legacy: bool,
}

/// Reads all that a file holds, also what is encrypted with ciphers of old, if OpenSSL's legacy provider is there.
///
/// # Errors
///
/// If no passphrase is to be had, though one is wanted. What else OpenSSL has said comes with the contents, of
/// which there may be none.
pub fn contents(
    name: &str,
    file: &[u8],
    passphrase: &Passphrase,
) -> Result<(Contents, ErrorStack)> {
    // Not as openssl.cnf says, which may leave out what is needed.
    let context = LibCtx::new()?;
    let mut providers = vec![Provider::load(Some(&context), "default")?];
    providers.extend(provider(Some(&context), "legacy").ok());
    // OpenSSL decrypts PKCS#12 in the context that all else uses, whatever it is told.
    let legacy = provider(None, "legacy").ok();
    let _ = ErrorStack::get();
    let token = Token {
        _providers: providers,
        context,
        device: Device::Other,
    };
    let mut ask = Ask::new(name, passphrase, Device::Other);
    let mut give = |buffer: &mut [u8]| ask.answer(buffer);
    let take = |info: &Info| Some((info.key(), info.certificate()));
    let (found, errors) = token.load(Source::Bytes(file), INFO_ANY, &mut give, take)?;
    if let Some(error) = ask.error {
        return Err(error);
    }
    let mut contents = Contents {
        keys: vec![],
        certificates: vec![],
        legacy: legacy.is_some(),
    };
    for (key, certificate) in found {
        if let Some(key) = key {
            // Neither do these belong to the context.
            let der = Zeroizing::new(key.private_key_to_pkcs8()?);
            contents.keys.push(PKey::private_key_from_der(&der)?);
        }
        contents
            .certificates
            .extend(certificate.as_ref().and_then(own));
    }
    Ok((contents, errors))
}

/// A library context with what OpenSSL's configuration file says.
fn configured() -> Result<LibCtx> {
    openssl::init();
    let context = LibCtx::new()?;
    // SAFETY: The context is there; null stands for the usual file. It need not exist, and
    // OpenSSL itself goes on without one that it cannot read.
    unsafe { OSSL_LIB_CTX_load_config(context.as_ptr(), ptr::null()) };
    let _ = ErrorStack::get();
    Ok(context)
}

/// Has the provider keep the PIN, as long as it is there: some keys want it for each signature
/// (CKA_ALWAYS_AUTHENTICATE, PKCS #11 v2.40 section 4.9). What openssl.cnf says of the provider counts more.
const KEEP_PIN: &str = "\
openssl_conf = init
[init]
providers = providers
[providers]
pkcs11 = pkcs11
[pkcs11]
pkcs11-module-cache-pins = cache
";

/// Adds to the configuration of a context. Where that does not work, all is as it was.
fn configure(context: &LibCtx, text: &str) {
    let length = c_int::try_from(text.len()).unwrap_or(0);
    // SAFETY: Text and context live longer than what is made here, all of which goes before the end.
    // Null stands for the usual kind of file, for no line that is wanted, and for no program. What is
    // freed may be null.
    unsafe {
        let conf = NCONF_new_ex(context.as_ptr(), ptr::null());
        let bio = ffi::BIO_new_mem_buf(text.as_ptr().cast(), length);
        if !conf.is_null() && !bio.is_null() && NCONF_load_bio(conf, bio, ptr::null_mut()) > 0 {
            CONF_modules_load(conf, ptr::null(), 0);
        }
        ffi::BIO_free_all(bio);
        ffi::NCONF_free(conf);
    }
    let _ = ErrorStack::get();
}

/// Encodes and decodes it, so that it does not belong to a context, which it may outlive.
fn own(certificate: &X509) -> Option<X509> {
    X509::from_der(&certificate.to_der().ok()?).ok()
}

/// Loads the provider from where OpenSSL looks, or from where the system has it: an OpenSSL that is
/// built into the program looks elsewhere.
fn provider(context: Option<&LibCtxRef>, name: &str) -> Result<Provider, ErrorStack> {
    // Does not take the place of the default one, which is there unless another is.
    let load = || Provider::try_load(context, name, true);
    let first = load();
    if first.is_ok() || env::var_os("OPENSSL_MODULES").is_some() {
        return first;
    }
    let multiarch = format!("/usr/lib/{}-linux-gnu/ossl-modules", env::consts::ARCH);
    for directory in [
        &multiarch[..],
        "/usr/lib64/ossl-modules",
        "/usr/lib/ossl-modules",
    ] {
        if Path::new(directory).join(format!("{name}.so")).exists() {
            Provider::set_default_search_path(context, directory)?;
            return load();
        }
    }
    first
}

/// What is said where the provider for TPMs cannot be loaded: it is not there, or it finds no TPM.
fn no_tpm(errors: &ErrorStack) -> Error {
    let causes = causes(errors);
    let is_library = |error: &openssl::error::Error| {
        error
            .library()
            .is_some_and(|library| library.starts_with("DSO"))
    };
    match errors.errors().iter().any(is_library) {
        true => anyhow!(
            "a key in a TPM, and OpenSSL's provider for TPMs cannot be loaded ({causes}); install the \
             package tpm2-openssl, or set OPENSSL_MODULES to the directory that holds tpm2.so"
        ),
        false => anyhow!(
            "a key in a TPM, and the TPM cannot be reached; see that tpm2_getcap properties-fixed \
             reaches it, as this user (group tss), or name another one in TPM2OPENSSL_TCTI \
             (device:/dev/tpmrm0, swtpm:port=2321)"
        ),
    }
}

/// Takes from the provider's OpenSSL, which is not the program's if that has one built in, the means
/// to ask on the terminal: where it was given no PIN, the provider would ask by itself, or take the
/// next line of standard input for one.
fn no_other_prompt() {
    for library in [c"libcrypto.so.3", c"libcrypto.so.4"] {
        // SAFETY: The library is only looked for: it was loaded with the provider, or it is not
        // there. The functions have had these types as long as OpenSSL has had them. What UI_null
        // returns is never freed.
        unsafe {
            let loaded = libc::dlopen(library.as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_LAZY);
            if loaded.is_null() {
                continue;
            }
            let null = libc::dlsym(loaded, c"UI_null".as_ptr());
            let set = libc::dlsym(loaded, c"UI_set_default_method".as_ptr());
            if !null.is_null() && !set.is_null() {
                let null: extern "C" fn() -> *const UiMethod = mem::transmute(null);
                let set: extern "C" fn(*const UiMethod) = mem::transmute(set);
                set(null());
            }
            libc::dlclose(loaded);
        }
    }
}

/// Gives a passphrase as PIN.
struct Ask<'a> {
    name: &'a str,
    passphrase: &'a Passphrase,
    /// What it is called there, and what is wrong without.
    noun: &'static str,
    lacking: &'static str,
    asked: bool,
    error: Option<Error>,
}

impl<'a> Ask<'a> {
    fn new(name: &'a str, passphrase: &'a Passphrase, device: Device) -> Self {
        let (noun, lacking) = match device {
            Device::Pkcs11 => ("PIN", "the token wants a PIN"),
            Device::Tpm => ("Password", "the TPM wants the key's password"),
            Device::Other => ("Passphrase", "it is encrypted"),
        };
        Ask {
            name,
            passphrase,
            noun,
            lacking,
            asked: false,
            error: None,
        }
    }

    fn answer(&mut self, buffer: &mut [u8]) -> Option<usize> {
        self.asked = true;
        let given = self.passphrase.get(self.noun, self.name, self.lacking);
        let copied = given.and_then(|secret| {
            let target = buffer.get_mut(..secret.len()).with_context(|| {
                let noun = self.noun.replace("Pass", "pass");
                format!("{}: the {noun} is longer than a token takes", self.name)
            })?;
            target.copy_from_slice(secret);
            Ok(secret.len())
        });
        copied.map_err(|error| self.error = Some(error)).ok()
    }
}

/// What is said if a token does not sign, not even for a trial, and does not say why.
const NO_REASON: &str = "it gives no reason; if the key wants its PIN for each signature (CKA_ALWAYS_AUTHENTICATE), give the PIN in KBUILD_SIGN_PIN or --passphrase-file, not in the URI; and if openssl.cnf has a section for the provider, add pkcs11-module-cache-pins = cache there";

/// A private key on a token, which never leaves it.
pub struct TokenKey {
    // In the order in which they must go.
    key: PKey<Private>,
    token: Token,
    /// Whether it has done something already.
    worked: AtomicBool,
}

impl TokenKey {
    fn new(key: PKey<Private>, token: Token) -> Self {
        TokenKey {
            key,
            token,
            worked: AtomicBool::new(false),
        }
    }

    /// What kind of key it is.
    pub fn id(&self) -> Id {
        self.key.id()
    }

    /// What it is in.
    pub fn device(&self) -> Device {
        self.token.device
    }

    /// Whose key it is, as a preference: a provider's name need not be what it calls its algorithms by.
    fn provider(&self) -> CString {
        // SAFETY: The key is there, and its provider as long; the name is the provider's, and copied.
        let name = unsafe {
            let provider = EVP_PKEY_get0_provider(self.key.as_ptr());
            if provider.is_null() {
                return CString::default();
            }
            CStr::from_ptr(OSSL_PROVIDER_get0_name(provider))
        };
        CString::new([b"?provider=", name.to_bytes()].concat()).unwrap_or_default()
    }

    /// Does something with the key, on the token.
    ///
    /// # Errors
    ///
    /// What the token, or its provider, gives as the reason, and what may be done.
    pub fn with<R>(
        &self,
        work: impl FnOnce(&mut PkeyCtxRef<Private>) -> Result<R, ErrorStack>,
    ) -> Result<R> {
        let result = self.do_with(work);
        if result.is_ok() {
            self.worked.store(true, Ordering::Relaxed);
        }
        result.map_err(|errors| self.refused(&errors))
    }

    fn refused(&self, errors: &ErrorStack) -> Error {
        let reason = causes(errors);
        let has = |part| reason.contains(part);
        match self.token.device {
            Device::Pkcs11 => {
                let last = errors.errors().last().and_then(|error| error.reason());
                let none = match self.worked.load(Ordering::Relaxed) {
                    true => "it gives no reason",
                    false => NO_REASON,
                };
                let reason = last.unwrap_or(none);
                anyhow!("the token does not sign: {reason}")
            }
            Device::Tpm if has("lockout") => anyhow!(
                "the TPM does not sign: {reason}: it was given too many wrong passwords; wait, or tpm2_dictionarylockout --clear-lockout"
            ),
            Device::Tpm if has("authorization") => anyhow!(
                "the TPM does not sign: {reason}: the password is wrong, or was not given: with handle: and object: it is needed only with ?pass at the end of the URI"
            ),
            Device::Tpm => anyhow!(
                "the TPM does not sign: {reason}; the TPM, or this key, may be for another digest: most have SHA-256 (--hash sha256)"
            ),
            Device::Other => anyhow!("the key's provider does not sign: {reason}"),
        }
    }

    fn do_with<R>(
        &self,
        work: impl FnOnce(&mut PkeyCtxRef<Private>) -> Result<R, ErrorStack>,
    ) -> Result<R, ErrorStack> {
        // By its name: otherwise OpenSSL tries each time whether it can have the key itself, and signs with
        // what it gets of it, without the private part.
        let provider = match self.token.device {
            Device::Pkcs11 => c"provider=pkcs11".to_owned(),
            Device::Tpm => c"provider=tpm2".to_owned(),
            Device::Other => self.provider(),
        };
        // SAFETY: Both outlive the context that is made, which does not leave this function. It is
        // a new one, which the PkeyCtx frees.
        let mut context = unsafe {
            let raw = EVP_PKEY_CTX_new_from_pkey(
                self.token.context.as_ptr(),
                self.key.as_ptr(),
                provider.as_ptr(),
            );
            if raw.is_null() {
                return Err(ErrorStack::get());
            }
            PkeyCtx::from_ptr(raw)
        };
        work(&mut context)
    }
}

/// A URI as it may be shown: without the PIN that may be in it.
pub fn shown(uri: &str) -> String {
    let (mut out, mut rest) = (String::new(), uri);
    while let Some((before, behind)) = rest.split_once("pin-value=") {
        out += before;
        out += "pin-value=...";
        let end = behind.find(['&', ';', ' ', ')']).unwrap_or(behind.len());
        rest = &behind[end..];
    }
    out + rest
}

/// The URI of all private keys on the tokens of this URI, without a PIN.
fn any_key(uri: &str) -> String {
    let path = uri.split('?').next().unwrap_or(uri);
    let kept = path
        .trim_start_matches("pkcs11:")
        .split(';')
        .filter(|attribute| {
            let name = attribute.split('=').next().unwrap_or_default();
            !["", "object", "id", "type"].contains(&name)
        });
    let attributes: Vec<_> = kept.chain(["type=private"]).collect();
    format!("pkcs11:{}", attributes.join(";"))
}

/// What the provider, or the loader of it, has to say; other parts of OpenSSL only tell that they
/// know nothing of such URIs.
fn causes(errors: &ErrorStack) -> String {
    let mut texts: Vec<String> = errors
        .errors()
        .iter()
        .filter(|error| {
            let library = error.library().unwrap_or_default();
            matches!(library, "pkcs11" | "tpm2") || library.starts_with("DSO")
        })
        .map(|error| match (error.data(), error.reason()) {
            (Some(data), _) => shown(data),
            (None, reason) => reason.unwrap_or("no reason").to_owned(),
        })
        .collect();
    texts.dedup();
    match &texts[..] {
        [] => "OpenSSL gives no reason".to_owned(),
        some => some.join("; "),
    }
}
