// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signing with a key that is made for this once and is never on a disk.
//!
//! A process of its own has it, and nothing else: [`sign`] starts this program again, which comes
//! to [`serve`]. Its memory is small enough to be locked by anybody; whoever reads modules does not
//! have the key; and it is gone, with all that memory, before a module is written.
//!
//! Both talk over two pipes, in frames: 4 bytes that say how many follow (little-endian), and
//! those. The process is sent digests, as many as it likes in a frame, one behind the other, and sends
//! frames whose first byte says what they are: a message for each digest, in their order.

use std::{
    ffi::OsString,
    io::{self, ErrorKind, Read, Write},
    num::NonZero,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitCode, Stdio},
    thread,
};

use anyhow::{anyhow, bail, ensure, Context, Error, Result};
use modsig::verify::DigestAlgorithm;
use openssl::x509::X509;
use rustix::process::{set_parent_process_death_signal, Signal};

use crate::{
    certificate::SignerIdForm,
    digest::digest_by_name,
    keys::SigningKey,
    library::Library,
    new_key::{certificate, Algorithm},
    parallel, platform, secret,
    signer::Signer,
};

/// The common name in the certificates of such keys.
pub const COMMON_NAME: &str = "modsig seal";

/// The argument that makes the program such a process.
const ARGUMENT: &str = "one-time-key";

/// Days that the certificate says it is valid. The kernel does not look at it.
const DAYS: u32 = 36500;

/// What a frame from the process is: what signs, in words, a certificate (DER), a message, a remark, an
/// error.
const SIGNED_BY: u8 = b's';
const CERTIFICATE: u8 = b'c';
const MESSAGE: u8 = b'm';
const REMARK: u8 = b'r';
const ERROR: u8 = b'e';

/// Bytes of the largest frame.
const LARGEST: u32 = 1 << 16;

/// Digests that are signed at a time: their messages have to have room in locked memory.
const AT_ONCE: usize = 256;

/// Bytes of a thread's stack, which counts as locked whole.
const STACK: usize = 128 << 10;

fn send(to: &mut impl Write, kind: &[u8], content: &[u8]) -> io::Result<()> {
    let length = (kind.len() + content.len()) as u32;
    to.write_all(&[&length.to_le_bytes(), kind, content].concat())?;
    to.flush()
}

/// The next frame; `None` if there is none any more.
fn receive(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    // Nothing at all is an end, a part is not.
    match from.read(&mut length[..1])? {
        0 => return Ok(None),
        _ => from.read_exact(&mut length[1..])?,
    }
    let length = u32::from_le_bytes(length);
    if length > LARGEST {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut content = vec![0; length as usize];
    from.read_exact(&mut content)?;
    Ok(Some(content))
}

/// What was signed with such a key.
#[derive(Debug)]
pub struct Signed {
    /// The certificate that tells it.
    pub certificate: X509,
    /// The messages over the digests, in their order.
    pub messages: Vec<Vec<u8>>,
    /// What has signed, for people.
    pub signed_by: String,
    /// What a person should know.
    pub remarks: Vec<String>,
}

/// Makes a key, signs these digests with it, by so many threads if there is room for them, and lets it
/// go.
///
/// # Errors
///
/// If there is no such process, or if it ends too early. There is no key then, either.
pub fn sign(
    algorithm: Algorithm,
    digest: DigestAlgorithm,
    library: Library,
    jobs: NonZero<usize>,
    digests: &[Vec<u8>],
) -> Result<Signed> {
    let numbers = [jobs.get(), digests.len()].map(|number| number.to_string());
    let child = Command::new("/proc/self/exe")
        .arg0("modsig")
        .args([ARGUMENT, &algorithm.name(), digest.name(), &library.name()])
        .args(numbers)
        // Else the C library would have 128 MiB for each thread, of which as much counts as locked.
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the process that has the key (is there a /proc?)")?;
    let mut process = Process { child };
    let (mut remarks, mut signed_by) = (vec![], String::new());
    let certificate = loop {
        match process.receive()? {
            (SIGNED_BY, text) => signed_by = String::from_utf8_lossy(&text).into_owned(),
            (CERTIFICATE, der) => break X509::from_der(&der).context(NONSENSE)?,
            (REMARK, text) => remarks.push(String::from_utf8_lossy(&text).into_owned()),
            _ => bail!(NONSENSE),
        }
    };
    let mut messages = vec![];
    for digests in digests.chunks(AT_ONCE) {
        process.send(&digests.concat())?;
        for _ in digests {
            match process.receive()? {
                (MESSAGE, message) => messages.push(message),
                _ => bail!(NONSENSE),
            }
        }
    }
    process.end()?;
    Ok(Signed {
        certificate,
        messages,
        signed_by,
        remarks,
    })
}

const NONSENSE: &str = "the process that has the key answers what nobody has asked";

/// The process, as who started it sees it. If it is not needed any more, it is ended.
struct Process {
    child: Child,
}

impl Process {
    fn send(&mut self, digests: &[u8]) -> Result<()> {
        let sent = match &mut self.child.stdin {
            Some(to) => send(to, &[], digests),
            None => Err(ErrorKind::BrokenPipe.into()),
        };
        match sent {
            // What it has to say about that comes now.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// What it sends next.
    fn receive(&mut self) -> Result<(u8, Vec<u8>)> {
        let from = self.child.stdout.as_mut().context("is not there")?;
        let mut frame = match receive(from) {
            Ok(Some(frame)) if !frame.is_empty() => frame,
            Ok(Some(_)) => bail!(NONSENSE),
            Ok(None) => return Err(self.ended()),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(self.ended()),
            Err(error) => return Err(error).context("the process that has the key is not heard"),
        };
        let content = frame.split_off(1);
        match frame[0] {
            ERROR => Err(anyhow!("{}", String::from_utf8_lossy(&content))),
            kind => Ok((kind, content)),
        }
    }

    /// How it has ended, when it should not have.
    fn ended(&mut self) -> Error {
        match self.child.wait() {
            Ok(status) => anyhow!(
                "the process that has the key has ended ({status}), and the key is gone; do it again"
            ),
            Err(error) => error.into(),
        }
    }

    /// Lets it end, and waits for that.
    fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let mut rest = vec![];
        if let Some(from) = &mut self.child.stdout {
            from.read_to_end(&mut rest)?;
        }
        let status = self.child.wait()?;
        ensure!(
            status.success() && rest.is_empty(),
            "the process that has the key has not ended as it should ({status})"
        );
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both do nothing if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether these are the arguments of such a process: if so, it is one, until its input ends.
pub fn serve(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if arguments.nth(1)? != ARGUMENT {
        return None;
    }
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let arguments: Vec<String> = arguments.map_while(|one| one.into_string().ok()).collect();
    match answer(&arguments, &mut input, &mut output) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => {
            // Who does not hear it knows that this has ended.
            let _ = send(&mut output, &[ERROR], format!("{error:#}").as_bytes());
            Some(ExitCode::FAILURE)
        }
    }
}

fn answer(arguments: &[String], input: &mut impl Read, output: &mut impl Write) -> Result<()> {
    const OTHERS: &str = "only modsig seal starts this";
    let [algorithm, digest, library, jobs, count] = arguments else {
        bail!(OTHERS);
    };
    platform::ready()?;
    let digest = digest_by_name(digest)?;
    let algorithm = Algorithm::by_name(algorithm).context("an unknown kind of key")?;
    let library = Library::by_name(library).context(OTHERS)?;
    let jobs = jobs.parse().context(OTHERS)?;
    let count = count.parse().context(OTHERS)?;
    // Without who has started it, it has nothing to do.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // What that needs for itself need not be locked.
    openssl::init();
    if let Some(remark) = secret::keep()? {
        send(output, &[REMARK], remark.as_bytes())?;
    }
    let key = algorithm.key()?;
    let certificate = certificate(algorithm, &key, COMMON_NAME, DAYS, false)?;
    let key = SigningKey::from(key).by(library, digest, count)?;
    send(output, &[SIGNED_BY], key.signed_by().as_bytes())?;
    let signer = Signer::new(key, &certificate, digest, SignerIdForm::IssuerAndSerial)?;
    send(output, &[CERTIFICATE], &certificate.to_der()?)?;
    let thread = || secret::has_room(STACK).then(|| thread::Builder::new().stack_size(STACK));
    while let Some(digests) = receive(input)? {
        let digests: Vec<&[u8]> = digests.chunks(digest.size()).collect();
        let messages = parallel::map_on(&digests, jobs, thread, |_, digest| {
            signer.message_over(digest)
        });
        for message in messages {
            send(output, &[MESSAGE], &message?)?;
        }
    }
    Ok(())
}
