// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keys and certificates on tokens, through OpenSSL's PKCS#11 provider.
//!
//! With `secret` the only file with `unsafe`: the openssl crate has no functions for OpenSSL's
//! stores (OSSL_STORE, OpenSSL 3.0 and later), nor for what belongs to a library context of one's
//! own.

use std::{
    ffi::{c_char, c_int, c_void, CString},
    marker::PhantomData,
    mem,
    path::Path,
    ptr::{self, NonNull},
    slice,
};

use anyhow::{bail, ensure, Context, Result};
use foreign_types::ForeignType;
use openssl::{
    error::ErrorStack,
    lib_ctx::LibCtx,
    pkey::{Id, PKey, Private},
    pkey_ctx::{PkeyCtx, PkeyCtxRef},
    provider::Provider,
    x509::X509,
};
use openssl_sys as ffi;

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

/// OSSL_STORE_INFO_PKEY and OSSL_STORE_INFO_CERT (openssl/store.h).
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
    fn OSSL_LIB_CTX_load_config(context: *mut ffi::OSSL_LIB_CTX, file: *const c_char) -> c_int;
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

/// An open OSSL_STORE_CTX, and the method that it asks for a PIN with.
struct Store<'a> {
    store: NonNull<StoreCtx>,
    method: NonNull<UiMethod>,
    /// What both hold pointers into.
    borrowed: PhantomData<(&'a Token, &'a mut GivePin<'a>)>,
}

impl<'a> Store<'a> {
    fn open(
        token: &'a Token,
        uri: &str,
        kind: c_int,
        give: &'a mut GivePin<'a>,
    ) -> Result<Self, ErrorStack> {
        // One with a NUL byte in it names nothing.
        let uri = CString::new(uri).unwrap_or_default();
        // SAFETY: The function has the type of a `pem_password_cb`.
        let method = unsafe { UI_UTIL_wrap_read_pem_callback(Some(give_pin), 0) };
        let method = NonNull::new(method).ok_or_else(ErrorStack::get)?;
        // SAFETY: Context, method and `give` live as long as the store does: `Store` borrows or
        // owns them. OpenSSL copies the address. Null stands for "none".
        let store = unsafe {
            OSSL_STORE_open_ex(
                uri.as_ptr(),
                token.context.as_ptr(),
                ptr::null(),
                method.as_ptr(),
                ptr::from_mut(give).cast(),
                ptr::null(),
                ptr::null(),
                ptr::null_mut(),
            )
        };
        let Some(store) = NonNull::new(store) else {
            let errors = ErrorStack::get();
            // SAFETY: It was made above, and nothing else has it.
            unsafe { UI_destroy_method(method.as_ptr()) };
            return Err(errors);
        };
        let opened = Store {
            store,
            method,
            borrowed: PhantomData,
        };
        // SAFETY: The store is open and nothing was loaded from it.
        unsafe { OSSL_STORE_expect(store.as_ptr(), kind) };
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
        // SAFETY: The store is open, and not used after this; nor is the method, which only the
        // store had.
        unsafe {
            OSSL_STORE_close(self.store.as_ptr());
            UI_destroy_method(self.method.as_ptr());
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

/// The tokens that OpenSSL's PKCS#11 provider reaches.
///
/// The provider is loaded into a library context of its own. In the one that all else uses, modules
/// that use OpenSSL themselves (SoftHSM) would be handed back to the provider and wait for
/// themselves; and this one is gone, sessions closed, before the program ends, where such modules
/// crash.
pub struct Token {
    // In the order in which they must go: the providers, then the context.
    _providers: [Provider; 2],
    context: LibCtx,
}

impl Token {
    /// Loads the provider, with what OpenSSL's configuration file says of it.
    pub fn open() -> Result<Self> {
        openssl::init();
        let context = LibCtx::new()?;
        // SAFETY: The context is there; null stands for the usual file. It need not exist, and
        // OpenSSL itself goes on without one that it cannot read.
        unsafe { OSSL_LIB_CTX_load_config(context.as_ptr(), ptr::null()) };
        let _ = ErrorStack::get();
        let pkcs11 = provider(&context).map_err(|errors| {
            anyhow::anyhow!(
                "OpenSSL's provider for PKCS#11 cannot be loaded ({}); install the package \
                 pkcs11-provider (in Debian from 13 on), or set OPENSSL_MODULES to the directory \
                 that holds pkcs11.so",
                causes(&errors)
            )
        })?;
        no_other_prompt();
        let default = Provider::load(Some(&context), "default")?;
        Ok(Token {
            _providers: [pkcs11, default],
            context,
        })
    }

    /// The certificates that a URI stands for; at least one.
    pub fn certificates(&self, uri: &str, passphrase: &Passphrase) -> Result<Vec<X509>> {
        let name = shown(uri);
        let mut ask = Ask::new(&name, passphrase);
        let found = self.load(uri, INFO_CERT, &mut |buffer| ask.answer(buffer), |info| {
            // Encoded and decoded, so that it does not belong to the context, which it may outlive.
            let der = info.certificate()?.to_der().ok()?;
            X509::from_der(&der).ok()
        })?;
        // A token that has it says so without a PIN.
        ensure!(
            !found.is_empty(),
            "{name}: no certificate like this on any token; pkcs11-tool --list-objects tells what \
             is there; write one with pkcs11-tool --write-object FILE --type cert, or give the \
             certificate as a file"
        );
        Ok(found)
    }

    /// The private key that a URI stands for.
    ///
    /// Each token that the URI fits is given the PIN once: many lock themselves after three wrong
    /// ones, so a URI should name the token where there are several.
    pub fn private_key(self, uri: &str, passphrase: &Passphrase) -> Result<TokenKey> {
        let name = shown(uri);
        let mut ask = Ask::new(&name, passphrase);
        let mut found = self.load(uri, INFO_PKEY, &mut |buffer| ask.answer(buffer), Info::key)?;
        let Ask { asked, error, .. } = ask;
        if let Some(error) = error {
            return Err(error);
        }
        match (found.pop(), found.len()) {
            (Some(key), 0) => return Ok(TokenKey { key, token: self }),
            (Some(_), others) => bail!(
                "{name}: {} private keys match; name one with object= or id=",
                others + 1
            ),
            (None, _) => (),
        }
        // Neither a wrong PIN nor a missing key leaves an error. Who is not logged in is asked.
        let mut logged_out = false;
        let others = self.load(
            &any_key(uri),
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

    /// What a URI stands for.
    fn load<T>(
        &self,
        uri: &str,
        kind: c_int,
        mut give: GivePin<'_>,
        take: impl Fn(&Info) -> Option<T>,
    ) -> Result<Vec<T>> {
        // `give` is for one lifetime of `Store`.
        let mut give: GivePin<'_> = &mut give;
        let mut found = vec![];
        {
            let mut store = Store::open(self, uri, kind, &mut give).map_err(|errors| {
                anyhow::anyhow!(
                    "{}: cannot reach any token ({}); set PKCS11_PROVIDER_MODULE to the PKCS#11 \
                     module of your token (SoftHSM has /usr/lib/softhsm/libsofthsm2.so), or \
                     pkcs11-module-path in openssl.cnf, and see that the module works: pkcs11-tool \
                     --module FILE --list-slots",
                    shown(uri),
                    causes(&errors)
                )
            })?;
            while let Some(info) = store.next() {
                found.extend(take(&info));
            }
        }
        let _ = ErrorStack::get();
        Ok(found)
    }
}

/// Loads the provider from where OpenSSL looks, or from where the system has it: an OpenSSL that is
/// built into the program looks elsewhere.
fn provider(context: &LibCtx) -> Result<Provider, ErrorStack> {
    let first = Provider::load(Some(context), "pkcs11");
    if first.is_ok() || std::env::var_os("OPENSSL_MODULES").is_some() {
        return first;
    }
    let multiarch = format!("/usr/lib/{}-linux-gnu/ossl-modules", std::env::consts::ARCH);
    for directory in [
        &multiarch[..],
        "/usr/lib64/ossl-modules",
        "/usr/lib/ossl-modules",
    ] {
        if Path::new(directory).join("pkcs11.so").exists() {
            Provider::set_default_search_path(Some(context), directory)?;
            return Provider::load(Some(context), "pkcs11");
        }
    }
    first
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
    asked: bool,
    error: Option<anyhow::Error>,
}

impl<'a> Ask<'a> {
    fn new(name: &'a str, passphrase: &'a Passphrase) -> Self {
        Ask {
            name,
            passphrase,
            asked: false,
            error: None,
        }
    }

    fn answer(&mut self, buffer: &mut [u8]) -> Option<usize> {
        self.asked = true;
        let given = self
            .passphrase
            .get("PIN", self.name, "the token wants a PIN");
        let copied = given.and_then(|pin| {
            let target = buffer
                .get_mut(..pin.len())
                .with_context(|| format!("{}: the PIN is longer than a token takes", self.name))?;
            target.copy_from_slice(pin);
            Ok(pin.len())
        });
        copied.map_err(|error| self.error = Some(error)).ok()
    }
}

/// A private key on a token, which never leaves it.
pub struct TokenKey {
    // In the order in which they must go.
    key: PKey<Private>,
    token: Token,
}

impl TokenKey {
    /// What kind of key it is.
    pub fn id(&self) -> Id {
        self.key.id()
    }

    /// Does something with the key, on the token.
    pub fn with<R>(
        &self,
        work: impl FnOnce(&mut PkeyCtxRef<Private>) -> Result<R, ErrorStack>,
    ) -> Result<R, ErrorStack> {
        // By its name: otherwise OpenSSL tries each time whether it can have the key itself.
        let provider = c"provider=pkcs11";
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
            library == "pkcs11" || library.starts_with("DSO")
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
