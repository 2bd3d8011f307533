// SPDX-License-Identifier: MIT OR Apache-2.0

//! The passphrase of a key, or the PIN of a token: where it comes from, asked for once, wiped.

use std::{
    cell::OnceCell,
    env,
    fs::{self, File},
    io::{self, IsTerminal, Read, Write},
    os::{
        fd::AsFd,
        unix::{ffi::OsStringExt, fs::PermissionsExt},
    },
    path::{Path, PathBuf},
};

use anyhow::{bail, ensure, Context, Result};
use nix::{
    errno::Errno,
    poll::{poll, PollFd, PollFlags, PollTimeout},
    sys::{
        signal::{raise, SigSet, SigmaskHow, Signal},
        signalfd::{SfdFlags, SignalFd},
        termios::{
            tcgetattr, tcsetattr, LocalFlags, SetArg, SpecialCharacterIndices as Character, Termios,
        },
    },
};
use zeroize::Zeroizing;

/// The environment variable that the kernel's tools take a passphrase from.
pub const PIN_VARIABLE: &str = "KBUILD_SIGN_PIN";

/// More than OpenSSL takes.
const LONGEST: usize = 1024;

/// A passphrase that nobody is asked for before it is needed, nor twice.
#[derive(Default)]
pub struct Passphrase {
    file: Option<PathBuf>,
    known: OnceCell<Zeroizing<Vec<u8>>>,
}

impl Passphrase {
    /// The first line of a file; without one, what is in [`PIN_VARIABLE`], or what is typed on the
    /// terminal.
    pub fn new(file: Option<&Path>) -> Self {
        Passphrase {
            file: file.map(Path::to_path_buf),
            known: OnceCell::new(),
        }
    }

    /// Gets it: `noun` is what it is called, `name` what it is for, `lacking` what is wrong without.
    pub fn get(&self, noun: &str, name: &str, lacking: &str) -> Result<&[u8]> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        let secret = match (&self.file, env::var_os(PIN_VARIABLE)) {
            (Some(file), _) => first_line(file)?,
            (None, Some(value)) if !value.is_empty() => Zeroizing::new(value.into_vec()),
            (None, _) => match typed(&format!("{noun} for {name}: "))? {
                Some(secret) => secret,
                None => bail!(
                    "{name}: {lacking}; give its {} with --passphrase-file or in {PIN_VARIABLE}, \
                     or sign on a terminal",
                    noun.replace("Pass", "pass")
                ),
            },
        };
        ensure!(
            !secret.is_empty(),
            "{name}: the {} that was given is empty",
            noun.replace("Pass", "pass")
        );
        Ok(self.known.get_or_init(|| secret))
    }

    /// Gets one for something new, called `name`: as [`Self::get`], but what is typed is typed twice.
    pub fn choose(&self, name: &str) -> Result<&[u8]> {
        let is_given =
            self.file.is_some() || env::var_os(PIN_VARIABLE).is_some_and(|value| !value.is_empty());
        let first = self.get("Passphrase", name, "it is to be encrypted")?;
        if !is_given {
            let again = typed("Again, to be sure: ")?;
            ensure!(
                again.is_some_and(|again| *again == first),
                "{name}: the two passphrases differ; nothing was written"
            );
        }
        Ok(first)
    }

    /// What is to be said of where it came from.
    pub fn warning(&self) -> Option<String> {
        let file = self.file.as_ref().filter(|_| self.known.get().is_some())?;
        let metadata = fs::metadata(file).ok()?;
        let open = metadata.is_file() && metadata.permissions().mode() & 0o077 != 0;
        open.then(|| {
            format!(
                "{}: others than its owner may read the passphrase; chmod 600 it",
                file.display()
            )
        })
    }
}

fn first_line(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let cannot = || format!("{}: cannot read the passphrase", path.display());
    let mut octets = Zeroizing::new(Vec::with_capacity(LONGEST));
    File::open(path)
        .and_then(|file| file.take(LONGEST as u64).read_to_end(&mut octets))
        .with_context(cannot)?;
    if let Some(end) = octets.iter().position(|octet| b"\r\n".contains(octet)) {
        octets.truncate(end);
    }
    ensure!(
        !octets.is_empty(),
        "{}: its first line is empty",
        path.display()
    );
    Ok(octets)
}

/// The terminal, set back to what it was when this goes.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    /// Shows nothing that is typed, and hands out each key, those for signals as well: a signal
    /// would leave the terminal like this.
    fn new(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        let typed = LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG;
        quiet.local_flags.remove(typed);
        quiet.control_chars[Character::VMIN as usize] = 1;
        quiet.control_chars[Character::VTIME as usize] = 0;
        tcsetattr(terminal, SetArg::TCSAFLUSH, &quiet)?;
        Ok(Quiet { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.before);
        let _ = self.terminal.write_all(b"\n");
    }
}

/// Signals that would end or stop the program, kept back until this goes.
struct Held {
    waiting: SignalFd,
    before: SigSet,
}

impl Held {
    fn new() -> nix::Result<Self> {
        let signals: SigSet = [
            Signal::SIGHUP,
            Signal::SIGINT,
            Signal::SIGQUIT,
            Signal::SIGTERM,
            Signal::SIGTSTP,
        ]
        .into_iter()
        .collect();
        let waiting = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?;
        let before = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        Ok(Held { waiting, before })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // What waits does now what it would have done.
        let _ = self.before.thread_set_mask();
    }
}

/// Asks on the terminal; `None` where nobody is to be asked.
fn typed(prompt: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
    if !io::stdin().is_terminal() && !io::stderr().is_terminal() {
        return Ok(None);
    }
    // Standard input may be a list of files.
    let Ok(terminal) = File::options().read(true).write(true).open("/dev/tty") else {
        return Ok(None);
    };
    loop {
        match ask(&terminal, prompt)? {
            Answer::Typed(secret) => return Ok(Some(secret)),
            // Whoever is still there was stopped, and goes on, or does not care for the signal.
            Answer::Signal => (),
            Answer::Suspend => raise(Signal::SIGTSTP)?,
        }
    }
}

enum Answer {
    Typed(Zeroizing<Vec<u8>>),
    /// A signal waits.
    Signal,
    /// Ctrl-Z.
    Suspend,
}

/// Asks once. The terminal is as it was before a signal does anything.
fn ask(mut terminal: &File, prompt: &str) -> Result<Answer> {
    // Goes last.
    let held = Held::new()?;
    let _quiet = Quiet::new(terminal).context("cannot ask on the terminal")?;
    terminal.write_all(prompt.as_bytes())?;
    // As large as it may get: what grows leaves copies behind.
    let mut secret = Zeroizing::new(Vec::with_capacity(LONGEST));
    loop {
        let mut sources = [
            PollFd::new(held.waiting.as_fd(), PollFlags::POLLIN),
            PollFd::new(terminal.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut sources, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            result => result?,
        };
        if sources[0].any() == Some(true) {
            return Ok(Answer::Signal);
        }
        let mut octet = Zeroizing::new([0]);
        let read = terminal.read(&mut *octet)?;
        match octet[0] {
            b'\r' | b'\n' => return Ok(Answer::Typed(secret)),
            _ if read == 0 => bail!("the terminal is gone"),
            // Ctrl-C, Ctrl-D, Ctrl-\.
            3 | 4 | 0x1c => bail!("interrupted; nothing was done"),
            // Ctrl-Z.
            0x1a => return Ok(Answer::Suspend),
            // Ctrl-U.
            0x15 => secret.clear(),
            // Backspace, over a whole character.
            8 | 0x7f => while secret.pop().is_some_and(|octet| octet & 0xc0 == 0x80) {},
            other => {
                ensure!(secret.len() < LONGEST, "what was typed is too long");
                secret.push(other);
            }
        }
    }
}
