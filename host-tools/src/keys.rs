// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keys and certificates, in files and on tokens.

use std::{
    fmt::{self, Display},
    fs,
    io::{self, Read},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{bail, ensure, Context, Result};
use modsig::verify::DigestAlgorithm;
use openssl::{
    error::{Error, ErrorStack},
    md::MdRef,
    pkey::{HasPrivate, Id, PKey, PKeyRef, Private, Public},
    pkey_ctx::{PkeyCtx, PkeyCtxRef},
    rsa::Padding,
    sign, version,
    x509::X509,
};
use zeroize::Zeroizing;

use crate::{
    aws_lc,
    certificate::{key_algorithm, CertificateIds},
    library::{self, Library},
    ml_dsa,
    passphrase::Passphrase,
    pkcs12::{self, is_pkcs12, Pkcs12},
    secret,
    store::{self, Device, Token, TokenKey, Uri},
};

pub use crate::passphrase::PIN_VARIABLE;

/// A private key to sign with.
pub struct SigningKey {
    kind: Kind,
    /// The same once more, if OpenSSL does not sign.
    aws_lc: Option<aws_lc::Key>,
    warnings: Vec<String>,
}

enum Kind {
    Here(PKey<Private>),
    OnToken {
        key: TokenKey,
        /// How often in a row it has not signed.
        failed: AtomicUsize,
    },
}

/// So often in a row a token may fail before nothing more is tried with it.
const FAILURES: usize = 3;

/// A token that was there has failed again and again, as one does that was pulled out.
#[derive(Clone, Copy, Debug)]
pub struct TokenGone;

impl Display for TokenGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the token has failed {FAILURES} times in a row")
    }
}

impl std::error::Error for TokenGone {}

impl From<PKey<Private>> for SigningKey {
    fn from(key: PKey<Private>) -> Self {
        SigningKey {
            kind: Kind::Here(key),
            aws_lc: None,
            warnings: vec![],
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.is_on_token() {
            "token"
        } else {
            "memory"
        };
        write!(f, "SigningKey({:?} in {place})", self.id())
    }
}

impl SigningKey {
    /// What kind of key it is.
    pub fn id(&self) -> Id {
        match &self.kind {
            Kind::Here(key) => key.id(),
            Kind::OnToken { key, .. } => key.id(),
        }
    }

    /// Whether it is on a token.
    pub fn is_on_token(&self) -> bool {
        matches!(self.kind, Kind::OnToken { .. })
    }

    /// Whether it is on a token that does one thing at a time, whatever is asked of it.
    pub fn is_single(&self) -> bool {
        matches!(&self.kind, Kind::OnToken { key, .. } if key.device() != Device::Pkcs11)
    }

    /// Whether a public key is this one's, as far as can be told without signing.
    pub fn is_public_part(&self, public: &PKeyRef<Public>) -> bool {
        match &self.kind {
            Kind::Here(key) => public.public_eq(key),
            Kind::OnToken { .. } => false,
        }
    }

    /// What a person should know of it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Has this library make the signatures, about so many and over digests of this kind only, if the key is
    /// in memory.
    ///
    /// # Errors
    ///
    /// If it was asked for and cannot.
    pub fn by(mut self, library: Library, digest: DigestAlgorithm, count: usize) -> Result<Self> {
        self.aws_lc = match &self.kind {
            Kind::Here(key) => library.key(key, digest, count)?,
            Kind::OnToken { .. } => {
                ensure!(
                    library == Library::Auto,
                    "the token itself signs; leave --library out"
                );
                None
            }
        };
        Ok(self)
    }

    /// What signs, for people.
    pub fn signed_by(&self) -> String {
        match &self.kind {
            Kind::Here(_) => library::describe(self.aws_lc.is_some()),
            Kind::OnToken { .. } => "the token signs".to_owned(),
        }
    }

    /// Signs a digest that this algorithm has made.
    ///
    /// # Errors
    ///
    /// [`TokenGone`] if a token has failed too often.
    pub fn sign_digest(&self, algorithm: &MdRef, digest: &[u8]) -> Result<Vec<u8>> {
        if let Some(key) = &self.aws_lc {
            return key.sign(digest);
        }
        let id = self.id();
        Ok(match &self.kind {
            Kind::Here(key) => sign(&mut *PkeyCtx::new(key)?, id, algorithm, digest)?,
            Kind::OnToken { key, failed } => {
                ensure!(failed.load(Ordering::Relaxed) < FAILURES, TokenGone);
                let signed = key.with(|context| sign(context, id, algorithm, digest));
                match signed {
                    Ok(signature) => {
                        failed.store(0, Ordering::Relaxed);
                        signature
                    }
                    Err(error) if failed.fetch_add(1, Ordering::Relaxed) + 1 < FAILURES => {
                        return Err(error)
                    }
                    Err(error) => return Err(error.context(TokenGone)),
                }
            }
        })
    }

    /// Signs content itself, as ML-DSA does.
    pub fn sign_content(&self, content: &[u8]) -> Result<Vec<u8>> {
        match &self.kind {
            Kind::Here(key) => {
                Ok(sign::Signer::new_without_digest(key)?.sign_oneshot_to_vec(content)?)
            }
            Kind::OnToken { .. } => bail!("a key on a token signs digests only"),
        }
    }
}

fn sign<T: HasPrivate>(
    context: &mut PkeyCtxRef<T>,
    id: Id,
    algorithm: &MdRef,
    digest: &[u8],
) -> Result<Vec<u8>, ErrorStack> {
    context.sign_init()?;
    if id == Id::RSA {
        context.set_rsa_padding(Padding::PKCS1)?;
    }
    context.set_signature_md(algorithm)?;
    let mut signature = vec![];
    context.sign_to_vec(digest, &mut signature)?;
    Ok(signature)
}

/// The URI that is given in place of a file, if it is one.
fn uri(path: &Path) -> Option<Uri> {
    path.to_str().and_then(Uri::new)
}

/// The file that a name stands for, which may be a `file:` URI (RFC 8089; as OpenSSL takes it, without
/// percent-encoding).
fn plain(path: &Path) -> &Path {
    let Some(rest) = path.to_str().and_then(|name| name.strip_prefix("file:")) else {
        return path;
    };
    let local = rest
        .strip_prefix("//")
        .map(|rest| rest.strip_prefix("localhost").unwrap_or(rest));
    Path::new(local.filter(|local| local.starts_with('/')).unwrap_or(rest))
}

/// The name of a key or certificate as it may be shown: a PIN in a URI is left out.
pub fn shown(path: &Path) -> impl Display {
    store::shown(&path.to_string_lossy())
}

/// Reads a private key from a file: PEM or DER, PKCS#8 or traditional, encrypted or not, or PKCS#12. The
/// passphrase comes from `passphrase_file` (its first line), from [`PIN_VARIABLE`], or from the
/// terminal.
pub fn private_key(path: &Path, passphrase_file: Option<&Path>) -> Result<PKey<Private>> {
    let passphrase = Passphrase::new(passphrase_file);
    match File::open(path, &passphrase)? {
        File::Pkcs12(contents) => key_of(&path.display().to_string(), contents.key),
        File::Tpm(_) => bail!("{}: a key in a TPM, which cannot be had", path.display()),
        File::Bytes(bytes) => read_private_key(&path.display().to_string(), &bytes, &passphrase),
    }
}

/// A file for a key.
enum File {
    /// PEM or DER.
    Bytes(Zeroizing<Vec<u8>>),
    /// One that a TPM has to load.
    Tpm(Zeroizing<Vec<u8>>),
    Pkcs12(Pkcs12),
}

impl File {
    fn open(path: &Path, passphrase: &Passphrase) -> Result<Self> {
        let name = path.display().to_string();
        let bytes =
            read_secret(plain(path)).with_context(|| format!("{name}: cannot read the key"))?;
        if is_pkcs12(&bytes) {
            return Ok(File::Pkcs12(pkcs12::read(&name, &bytes, passphrase)?));
        }
        Ok(match is_tss2(&bytes) {
            true => File::Tpm(bytes),
            false => File::Bytes(bytes),
        })
    }
}

/// Reads a file, or what comes through a pipe, into memory that does not grow: what grows leaves copies behind.
fn read_secret(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    /// More than any key has.
    const LARGEST: usize = 1 << 20;
    let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST + 1));
    let file = fs::File::open(path)?;
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > LARGEST {
        return Err(io::Error::other("it is larger than any key"));
    }
    Ok(bytes)
}

/// Whether a file is a TPMKey ("ASN.1 Specification for TPM 2.0 Key Files"): by its label in PEM, and by the
/// identifier that it begins with in DER.
fn is_tss2(file: &[u8]) -> bool {
    const LABEL: &[u8] = b"-----BEGIN TSS2 PRIVATE KEY-----";
    const LOADABLE: &[u8] = &[0x06, 0x06, 0x67, 0x81, 0x05, 0x0a, 0x01, 0x03];
    let start = file.get(..16).unwrap_or(file);
    file.windows(LABEL.len()).any(|window| window == LABEL)
        || start.starts_with(&[0x30])
            && start
                .windows(LOADABLE.len())
                .any(|window| window == LOADABLE)
}

fn key_of<T>(name: &str, key: Option<T>) -> Result<T> {
    key.with_context(|| format!("{name}: a PKCS#12 file without a private key"))
}

fn read_private_key(name: &str, octets: &[u8], passphrase: &Passphrase) -> Result<PKey<Private>> {
    let mut asked = None;
    // OpenSSL may ask again for a key that has two forms; the answer is the same.
    let mut answer = |buffer: &mut [u8]| {
        let given = passphrase.get("Passphrase", name, "the key is encrypted");
        let copied = given.and_then(|secret| {
            let target = buffer
                .get_mut(..secret.len())
                .with_context(|| format!("{name}: the passphrase is too long"))?;
            target.copy_from_slice(secret);
            Ok(secret.len())
        });
        let length = copied.as_ref().map_or(0, |length| *length);
        asked = Some(copied);
        Ok(length)
    };
    let key = if octets.windows(11).any(|window| window == b"-----BEGIN ") {
        PKey::private_key_from_pem_callback(octets, &mut answer)
    } else {
        // This one first: it takes nothing but encrypted ones, and the other would ask by itself.
        PKey::private_key_from_pkcs8_callback(octets, &mut answer)
            .or_else(|errors| PKey::private_key_from_der(octets).map_err(|_| errors))
    };
    match (key, asked) {
        (Ok(key), _) => Ok(key),
        (Err(_), Some(Err(error))) => Err(error),
        (Err(errors), Some(Ok(_))) if is_unsupported(&errors) => {
            let (contents, errors) = store::contents(name, octets, passphrase)?;
            match only(contents.keys) {
                Some(key) => Ok(key),
                None if !contents.legacy && is_unsupported(&errors) => bail!(
                    "{name}: encrypted with an old cipher, which OpenSSL has in its legacy provider only, and that is not there: install openssl-provider-legacy (Debian 13), or convert the key where it is: openssl pkcs8 -topk8 -v2 aes-256-cbc -provider legacy -provider default -in {name} -out NEW"
                ),
                None => bail!("{name}: the passphrase is wrong, or the key is damaged"),
            }
        }
        (Err(_), Some(Ok(_))) => {
            bail!("{name}: the passphrase is wrong, or the key is damaged")
        }
        (Err(_), None) => bail!(
            "{name}: not a private key in PEM or DER that {} knows; convert it with openssl pkey",
            version::version()
        ),
    }
}

/// Gets a private key and its certificate, each from a file or, by a URI (`pkcs11:…`, `handle:…`), from a
/// token or TPM, after it has seen that OpenSSL knows that kind of key. Both may be in one, of that name. The
/// passphrase or PIN is taken as [`private_key`] does, once for both.
pub fn pair(
    key: &Path,
    certificate: &Path,
    passphrase_file: Option<&Path>,
) -> Result<(SigningKey, X509)> {
    pair_with(key, certificate, &Passphrase::new(passphrase_file))
}

/// The same with a passphrase that may be needed again.
pub fn pair_with(
    key: &Path,
    certificate: &Path,
    passphrase: &Passphrase,
) -> Result<(SigningKey, X509)> {
    secret::hide()?;
    let (shown_key, name) = (shown(key).to_string(), shown(certificate).to_string());
    let source = match uri(key) {
        Some(uri) => {
            let token = Token::open(uri.device).with_context(|| shown_key.clone())?;
            Source::Token(uri, token)
        }
        None => Source::File(File::open(key, passphrase)?),
    };
    let certificate = source.certificate(key == certificate, certificate, passphrase)?;
    let info = CertificateIds::new(&certificate)
        .with_context(|| name.clone())?
        .public_key_info;
    if let Some(algorithm) = key_algorithm(&info).filter(|algorithm| algorithm.is_ml_dsa()) {
        ensure!(
            ml_dsa::is_available(algorithm),
            "{name}: it is for an {} key, and {}",
            algorithm.name(),
            ml_dsa::missing()
        );
        ensure!(
            matches!(source, Source::File(File::Bytes(_) | File::Pkcs12(_))),
            "{shown_key}: an {} key would have to see each module; keys on tokens sign digests, with RSA or EC",
            algorithm.name()
        );
    }
    let on_token = |key| SigningKey {
        kind: Kind::OnToken {
            key,
            failed: AtomicUsize::new(0),
        },
        aws_lc: None,
        warnings: vec![],
    };
    let mut key = match source {
        Source::Token(uri, token) => on_token(token.private_key(&uri, passphrase)?),
        Source::File(File::Tpm(bytes)) => {
            let token = Token::open(Device::Tpm).with_context(|| shown_key.clone())?;
            on_token(token.private_key_in(&shown_key, &bytes, passphrase)?)
        }
        Source::File(File::Pkcs12(contents)) => key_of(&shown_key, contents.key)?.into(),
        Source::File(File::Bytes(bytes)) => {
            read_private_key(&shown_key, &bytes, passphrase)?.into()
        }
    };
    key.warnings.extend(passphrase.warning());
    Ok((key, certificate))
}

/// What a key comes from.
enum Source {
    Token(Uri, Token),
    File(File),
}

impl Source {
    /// The key's certificate, from a name that may be the key's own.
    fn certificate(&self, own: bool, path: &Path, passphrase: &Passphrase) -> Result<X509> {
        let name = shown(path);
        let several = || format!("{name}: several certificates match; name one with id=");
        match (self, uri(path)) {
            (Source::Token(key, token), Some(uri)) if key.device == uri.device => {
                only(token.certificates(&uri, passphrase)?).with_context(several)
            }
            (_, Some(uri)) => {
                let token = Token::open(uri.device).with_context(|| name.to_string())?;
                only(token.certificates(&uri, passphrase)?).with_context(several)
            }
            (Source::File(File::Pkcs12(contents)), None) if own => {
                let first = contents.certificates.first().cloned();
                first.with_context(|| {
                    format!("{name}: a PKCS#12 file without a certificate; give that with --cert")
                })
            }
            (Source::File(File::Bytes(bytes) | File::Tpm(bytes)), None) if own => {
                let first = X509::stack_from_pem(bytes)
                    .ok()
                    .and_then(|all| all.into_iter().next());
                let _ = ErrorStack::get();
                first.with_context(|| {
                    format!("{name}: not a certificate, nor is there one beside the key; give the one that was made with the key")
                })
            }
            (_, None) => {
                let first = certificates_with(path, passphrase)?.into_iter().next();
                first.with_context(|| format!("{name}: no certificate in it"))
            }
        }
    }
}

/// Whether OpenSSL has not the cipher, or what makes the cipher's key of the passphrase.
pub(crate) fn is_unsupported(errors: &ErrorStack) -> bool {
    let mut reasons = errors.errors().iter().filter_map(Error::reason);
    reasons.any(|reason| reason.contains("unsupported") || reason.contains("unknown cipher"))
}

fn only<T>(mut several: Vec<T>) -> Option<T> {
    let last = several.pop();
    last.filter(|_| several.is_empty())
}

/// Reads the first certificate of a file (PEM, DER, PKCS#12), or the one that a URI stands for.
pub fn certificate(path: &Path) -> Result<X509> {
    let first = certificates(path)?.into_iter().next();
    first.with_context(|| format!("{}: no certificate in it", shown(path)))
}

/// Reads all certificates of a file (PEM, PKCS#12, or one in DER), or those that a URI stands for; at least
/// one.
pub fn certificates(path: &Path) -> Result<Vec<X509>> {
    certificates_with(path, &Passphrase::default())
}

/// The same with a passphrase, which PKCS#12 has for certificates as well.
pub fn certificates_with(path: &Path, passphrase: &Passphrase) -> Result<Vec<X509>> {
    let name = shown(path);
    if let Some(uri) = uri(path) {
        let token = Token::open(uri.device).with_context(|| name.to_string())?;
        return token.certificates(&uri, passphrase);
    }
    let octets =
        fs::read(plain(path)).with_context(|| format!("{name}: cannot read the certificate"))?;
    if let Ok(certificate) = X509::from_der(&octets) {
        return Ok(vec![certificate]);
    }
    if is_pkcs12(&octets) {
        // There is a key in it.
        let octets = Zeroizing::new(octets);
        secret::hide()?;
        let contents = pkcs12::read(&name.to_string(), &octets, passphrase)?;
        ensure!(
            !contents.certificates.is_empty(),
            "{name}: a PKCS#12 file without a certificate"
        );
        return Ok(contents.certificates);
    }
    match X509::stack_from_pem(&octets) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => bail!(
            "{name}: not a certificate in PEM or DER, nor PKCS#12; give the one that was made with the key"
        ),
    }
}
