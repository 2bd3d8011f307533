// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keys and certificates, in files and on tokens.

use std::{
    fmt::{self, Display},
    fs,
    path::Path,
};

use anyhow::{bail, ensure, Context, Result};
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
    certificate::{key_algorithm, CertificateIds},
    ml_dsa,
    passphrase::Passphrase,
    secret,
    store::{self, Token, TokenKey},
};

pub use crate::passphrase::PIN_VARIABLE;

/// A private key to sign with.
pub struct SigningKey {
    kind: Kind,
    warnings: Vec<String>,
}

enum Kind {
    Here(PKey<Private>),
    OnToken(TokenKey),
}

impl From<PKey<Private>> for SigningKey {
    fn from(key: PKey<Private>) -> Self {
        SigningKey {
            kind: Kind::Here(key),
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
            Kind::OnToken(key) => key.id(),
        }
    }

    /// Whether it is on a token.
    pub fn is_on_token(&self) -> bool {
        matches!(self.kind, Kind::OnToken(_))
    }

    /// Whether a public key is this one's, as far as can be told without signing.
    pub fn is_public_part(&self, public: &PKeyRef<Public>) -> bool {
        match &self.kind {
            Kind::Here(key) => public.public_eq(key),
            Kind::OnToken(_) => false,
        }
    }

    /// What a person should know of it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Signs a digest that this algorithm has made.
    pub fn sign_digest(&self, algorithm: &MdRef, digest: &[u8]) -> Result<Vec<u8>> {
        let id = self.id();
        Ok(match &self.kind {
            Kind::Here(key) => sign(&mut *PkeyCtx::new(key)?, id, algorithm, digest)?,
            Kind::OnToken(key) => key
                .with(|context| sign(context, id, algorithm, digest))
                .map_err(|errors| {
                    let reason = errors.errors().last().and_then(|error| error.reason());
                    let reason = reason.unwrap_or("it gives no reason; if the key wants its PIN for each signature (CKA_ALWAYS_AUTHENTICATE), put pkcs11-module-cache-pins = cache into openssl.cnf");
                    anyhow::anyhow!("the token does not sign: {reason}")
                })?,
        })
    }

    /// Signs content itself, as ML-DSA does.
    pub fn sign_content(&self, content: &[u8]) -> Result<Vec<u8>> {
        match &self.kind {
            Kind::Here(key) => {
                Ok(sign::Signer::new_without_digest(key)?.sign_oneshot_to_vec(content)?)
            }
            Kind::OnToken(_) => bail!("a key on a token signs digests only"),
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

/// The URI (RFC 7512) that is given in place of a file, if it is one.
fn uri(path: &Path) -> Option<&str> {
    path.to_str().filter(|name| name.starts_with("pkcs11:"))
}

/// The name of a key or certificate as it may be shown: a PIN in a URI is left out.
pub fn shown(path: &Path) -> impl Display {
    store::shown(&path.to_string_lossy())
}

/// Reads a private key from a file: PEM or DER, PKCS#8 or traditional, encrypted or not. The
/// passphrase comes from `passphrase_file` (its first line), from [`PIN_VARIABLE`], or from the
/// terminal.
pub fn private_key(path: &Path, passphrase_file: Option<&Path>) -> Result<PKey<Private>> {
    read_private_key(path, &Passphrase::new(passphrase_file))
}

fn read_private_key(path: &Path, passphrase: &Passphrase) -> Result<PKey<Private>> {
    let name = path.display().to_string();
    let octets = fs::read(path).with_context(|| format!("{name}: cannot read the key"))?;
    let octets = Zeroizing::new(octets);
    let mut asked = None;
    // OpenSSL may ask again for a key that has two forms; the answer is the same.
    let mut answer = |buffer: &mut [u8]| {
        let given = passphrase.get("Passphrase", &name, "the key is encrypted");
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
        PKey::private_key_from_pem_callback(&octets, &mut answer)
    } else {
        // This one first: it takes nothing but encrypted ones, and the other would ask by itself.
        PKey::private_key_from_pkcs8_callback(&octets, &mut answer)
            .or_else(|errors| PKey::private_key_from_der(&octets).map_err(|_| errors))
    };
    match (key, asked) {
        (Ok(key), _) => Ok(key),
        (Err(_), Some(Err(error))) => Err(error),
        (Err(errors), Some(Ok(_))) if is_unsupported(&errors) => bail!(
            "{name}: encrypted in a way that this OpenSSL does not do: old ciphers are in its legacy provider, others need the default one, which openssl.cnf may leave out; convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc -provider legacy -provider default -in {name} -out NEW"
        ),
        (Err(_), Some(Ok(_))) => {
            bail!("{name}: the passphrase is wrong, or the key is damaged")
        }
        (Err(_), None) => bail!(
            "{name}: not a private key in PEM or DER that {} knows; convert it with openssl pkey",
            version::version()
        ),
    }
}

/// Gets a private key and its certificate, each from a file or, by a URI `pkcs11:…`, from a token,
/// after it has seen that OpenSSL knows that kind of key. The passphrase or PIN is taken as
/// [`private_key`] does, once for both.
pub fn pair(
    key: &Path,
    certificate: &Path,
    passphrase_file: Option<&Path>,
) -> Result<(SigningKey, X509)> {
    secret::hide()?;
    let passphrase = Passphrase::new(passphrase_file);
    let mut token = match (uri(key), uri(certificate)) {
        (None, None) => None,
        _ => Some(Token::open().with_context(|| shown(key).to_string())?),
    };
    let name = shown(certificate);
    let certificate = match (uri(certificate), &token) {
        (Some(uri), Some(token)) => only(token.certificates(uri, &passphrase)?)
            .with_context(|| format!("{name}: several certificates match; name one with id="))?,
        _ => self::certificate(certificate)?,
    };
    let info = CertificateIds::new(&certificate)
        .with_context(|| name.to_string())?
        .public_key_info;
    if let Some(algorithm) = key_algorithm(&info).filter(|algorithm| algorithm.is_ml_dsa()) {
        ensure!(
            ml_dsa::is_available(algorithm),
            "{name}: it is for an {} key, and {}",
            algorithm.name(),
            ml_dsa::missing()
        );
        ensure!(
            uri(key).is_none(),
            "{}: an {} key would have to see each module; keys on tokens sign digests, with RSA or EC",
            shown(key),
            algorithm.name()
        );
    }
    let mut key = match (uri(key), token.take()) {
        (Some(uri), Some(token)) => SigningKey {
            kind: Kind::OnToken(token.private_key(uri, &passphrase)?),
            warnings: vec![],
        },
        _ => read_private_key(key, &passphrase)?.into(),
    };
    key.warnings.extend(passphrase.warning());
    Ok((key, certificate))
}

/// Whether OpenSSL has not the cipher, or what makes the cipher's key of the passphrase.
fn is_unsupported(errors: &ErrorStack) -> bool {
    let mut reasons = errors.errors().iter().filter_map(Error::reason);
    reasons.any(|reason| reason.contains("unsupported") || reason.contains("unknown cipher"))
}

fn only<T>(mut several: Vec<T>) -> Option<T> {
    let last = several.pop();
    last.filter(|_| several.is_empty())
}

/// Reads the first certificate of a file (PEM or DER), or the one that a URI stands for.
pub fn certificate(path: &Path) -> Result<X509> {
    let first = certificates(path)?.into_iter().next();
    first.with_context(|| format!("{}: no certificate in it", shown(path)))
}

/// Reads all certificates of a file (PEM, or one in DER), or those that a URI stands for; at least
/// one.
pub fn certificates(path: &Path) -> Result<Vec<X509>> {
    let name = shown(path);
    if let Some(uri) = uri(path) {
        let token = Token::open().with_context(|| name.to_string())?;
        return token.certificates(uri, &Passphrase::default());
    }
    let octets = fs::read(path).with_context(|| format!("{name}: cannot read the certificate"))?;
    if let Ok(certificate) = X509::from_der(&octets) {
        return Ok(vec![certificate]);
    }
    match X509::stack_from_pem(&octets) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => bail!(
            "{name}: not a certificate in PEM or DER; give the one that was made with the key"
        ),
    }
}
