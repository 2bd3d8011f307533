// SPDX-License-Identifier: MIT OR Apache-2.0

//! How far it has got, for a person who waits.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// What is over before that needs no such line.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time between two changes of the line.
const STEP: Duration = Duration::from_millis(100);

/// A line on standard error, if that is a terminal, that says how many of all are done.
pub(crate) struct Progress {
    all: usize,
    started: Instant,
    /// When it was written last.
    written: Option<Instant>,
    for_a_person: bool,
}

impl Progress {
    pub(crate) fn new(all: usize) -> Self {
        Progress {
            all,
            started: Instant::now(),
            written: None,
            for_a_person: io::stderr().is_terminal(),
        }
    }

    /// So many are done.
    pub(crate) fn set(&mut self, done: usize) {
        let is_due = match self.written {
            Some(written) => written.elapsed() >= STEP,
            None => self.started.elapsed() >= PATIENCE,
        };
        if !self.for_a_person || !is_due {
            return;
        }
        self.written = Some(Instant::now());
        put(&line(done, self.all, self.started.elapsed()));
    }

    /// Takes the line away, before something else is written or at the end.
    pub(crate) fn clear(&mut self) {
        if self.written.take().is_some() {
            put("\r\x1b[K");
            // It is back as soon as there is something new.
            self.written = Instant::now().checked_sub(STEP);
        }
    }
}

/// If nobody sees it any more, that does not matter.
fn put(text: &str) {
    let mut error = io::stderr();
    let _ = error
        .write_all(text.as_bytes())
        .and_then(|()| error.flush());
}

fn line(done: usize, all: usize, elapsed: Duration) -> String {
    let mut line = format!("\r{done} of {all} modules");
    if done > 0 && done < all {
        let left = elapsed.as_secs_f64() / done as f64 * (all - done) as f64;
        let _ = write!(line, ", {} s left", left.ceil());
    }
    line + "\x1b[K"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_what_is_left() {
        let after = |done| line(done, 4000, Duration::from_secs(3));
        assert_eq!(after(0), "\r0 of 4000 modules\x1b[K");
        assert_eq!(after(1000), "\r1000 of 4000 modules, 9 s left\x1b[K");
        assert_eq!(after(4000), "\r4000 of 4000 modules\x1b[K");
    }
}
