// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs a command over many modules, and says what became of each.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    ffi::OsString,
    fs,
    io::{self, Read, Write},
    num::NonZero,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        Arc, Mutex, PoisonError,
    },
};

use anyhow::{Context, Error, Result};
use modsig_tools::{
    files::{links_out, walk, Found, Links, Missing},
    keys::TokenGone,
    parallel,
};
use serde::Serialize;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
    low_level::emulate_default_handler,
};

use super::{
    output::{document, members, Count, Failure, Members, Named},
    progress::Progress,
};

/// Which modules, and how to go about them.
#[derive(clap::Args)]
pub(crate) struct Modules {
    /// Modules, or directories with modules (*.ko, *.ko.gz, *.ko.xz, *.ko.zst)
    #[arg(required_unless_present = "files_from", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Read more paths from this file, one in a line ("-": standard input)
    #[arg(long, value_name = "FILE")]
    files_from: Option<PathBuf>,
    /// The paths of --files-from end with NUL, as those of find -print0
    #[arg(short = '0', long, requires = "files_from")]
    null: bool,
    #[command(flatten)]
    how: How,
}

/// How many modules at a time, and what to tell about them.
#[derive(clap::Args)]
pub(crate) struct How {
    /// Number of modules to process in parallel [default: one per processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Print a line for every module [default: for failures, and for files named on the command line]
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Print one JSON object, at the end
    #[arg(long)]
    json: bool,
    /// Print a JSON object for each module as soon as it is done, one in a line, and one with the counts
    #[arg(long, conflicts_with = "json")]
    json_lines: bool,
    /// What there was to say before the first module.
    #[arg(skip)]
    warnings: Mutex<Vec<String>>,
}

/// How many modules may be open at a time.
#[derive(Clone, Copy)]
pub(crate) struct Jobs {
    /// On which is worked.
    pub(crate) at_once: NonZero<usize>,
    /// Beside those, that were written and wait.
    pub(crate) waiting: usize,
}

/// What became of one file.
pub(crate) struct Done {
    /// What is printed for it, without its name.
    pub(crate) text: String,
    /// What JSON has of it beside its path.
    pub(crate) facts: Members,
    /// What it counts as in the summary.
    pub(crate) count: Count,
    /// Whether it is as it should be.
    pub(crate) good: bool,
}

impl Done {
    /// It is as it should be.
    pub(crate) fn good(count: Count, text: impl Into<String>, facts: &impl Serialize) -> Self {
        Done {
            text: text.into(),
            facts: members(facts),
            count,
            good: true,
        }
    }

    /// It is not.
    pub(crate) fn bad(text: impl Into<String>, facts: &impl Serialize) -> Self {
        Done {
            text: text.into(),
            facts: members(facts),
            count: Count::Bad,
            good: false,
        }
    }
}

impl Modules {
    /// How many at a time.
    pub(crate) fn jobs(&self) -> Jobs {
        self.how.jobs()
    }

    /// Whether JSON is wanted.
    pub(crate) fn is_json(&self) -> bool {
        self.how.is_json()
    }

    /// Whether more is to be told.
    pub(crate) fn verbose(&self) -> bool {
        self.how.verbose
    }

    /// Says something that is no error, before the first module.
    pub(crate) fn warn(&self, warning: &str) {
        say(&format!("warning: {warning}"));
        self.how.note(warning);
    }

    /// The same, of what is no reason to worry.
    pub(crate) fn remark(&self, remark: &str) {
        say(remark);
        self.how.note(remark);
    }

    /// Whether none were asked for, by name or in a list.
    pub(crate) fn is_default(&self) -> bool {
        self.paths.is_empty() && self.files_from.is_none()
    }

    /// The modules that were asked for, or, if none were, those below these directories.
    pub(crate) fn find_or(
        &self,
        usual: Vec<PathBuf>,
        links: Links,
    ) -> Result<Vec<Result<Found, Missing>>> {
        if self.is_default() {
            return Ok(walk(&usual, links));
        }
        self.find(links)
    }

    /// The modules that were asked for.
    pub(crate) fn find(&self, links: Links) -> Result<Vec<Result<Found, Missing>>> {
        let Some(list) = &self.files_from else {
            return Ok(self.walk(&self.paths, links));
        };
        let end = if self.null { 0 } else { b'\n' };
        let mut octets = vec![];
        if list == Path::new("-") {
            io::stdin().read_to_end(&mut octets)
        } else {
            fs::File::open(list).and_then(|mut file| file.read_to_end(&mut octets))
        }
        .with_context(|| format!("{}: cannot read the list of modules", list.display()))?;
        let lines = octets.split(|&octet| octet == end).map(|line| match line {
            // Of a list that was made with Windows.
            [line @ .., b'\r'] if !self.null => line,
            line => line,
        });
        let listed = lines
            .filter(|line| !line.is_empty())
            .map(|line| PathBuf::from(OsString::from_vec(line.to_vec())));
        let typed: HashSet<&PathBuf> = self.paths.iter().collect();
        let all: Vec<PathBuf> = self.paths.iter().cloned().chain(listed).collect();
        let found = self.walk(&all, links).into_iter();
        let told = found.map(|found| {
            found.map(|found| Found {
                given: found.given && typed.contains(&found.path),
                ..found
            })
        });
        Ok(told.collect())
    }

    /// [`walk`], with a word about links that lead to modules which are not among those.
    fn walk(&self, paths: &[PathBuf], links: Links) -> Vec<Result<Found, Missing>> {
        if links == Links::Leave {
            for (link, target) in links_out(paths) {
                self.warn(&format!(
                    "{}: left, since it is a symbolic link to {}, which is in none of the directories that were named; name that as well",
                    link.display(),
                    target.display()
                ));
            }
        }
        walk(paths, links)
    }

    /// [`How::each`]; to find nothing is an error, unless there was a list, which may well be empty.
    pub(crate) fn each<T: Send>(
        &self,
        modules: Vec<Result<Found, Missing>>,
        work: impl Fn(&mut Vec<u8>, &Found) -> Result<T> + Sync,
        finish: impl FnMut(Option<(usize, T)>) -> Vec<(usize, Result<Done>)>,
    ) -> Result<ExitCode> {
        let nothing = modules.is_empty() && self.files_from.is_none();
        let result = self.how.each(modules, work, finish)?;
        if nothing {
            say("no modules (*.ko, *.ko.gz, *.ko.xz, *.ko.zst) found");
            return Ok(ExitCode::FAILURE);
        }
        Ok(result)
    }

    /// As [`Self::each`], where all is done at once.
    pub(crate) fn each_alone(
        &self,
        modules: Vec<Result<Found, Missing>>,
        work: impl Fn(&mut Vec<u8>, &Found) -> Result<Done> + Sync,
    ) -> Result<ExitCode> {
        self.each(modules, work, at_once)
    }
}

/// What there is to finish where all is done at once.
pub(crate) fn at_once(done: Option<(usize, Done)>) -> Vec<(usize, Result<Done>)> {
    done.map(|(at, done)| (at, Ok(done))).into_iter().collect()
}

impl How {
    /// Whether JSON is wanted.
    pub(crate) fn is_json(&self) -> bool {
        self.json || self.json_lines
    }

    fn note(&self, warning: &str) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.push(warning.to_owned());
    }

    /// As many as were asked for, or there are processors, if they can open so many files.
    pub(crate) fn jobs(&self) -> Jobs {
        let wanted = self.jobs.unwrap_or_else(parallel::processors);
        let files = parallel::descriptors();
        // A job has a file open that it reads, and one that it writes, each with its directory; two
        // more that it has written wait for each job, and one that finds no room there.
        let most = NonZero::new(files / 16).unwrap_or(NonZero::<usize>::MIN);
        let at_once = wanted.min(most);
        Jobs {
            at_once,
            waiting: files.saturating_sub(10 * at_once.get()) / 2,
        }
    }

    /// Does `work` on each module, many at once, and then `finish` with what came of it on this
    /// thread, which may keep it back for a while. Says what became of each, in order, and sums up.
    ///
    /// An error concerns its file only, but for [`TokenGone`]: after that, and after SIGINT or SIGTERM, no
    /// further file is begun.
    pub(crate) fn each<T: Send>(
        &self,
        modules: Vec<Result<Found, Missing>>,
        work: impl Fn(&mut Vec<u8>, &Found) -> Result<T> + Sync,
        mut finish: impl FnMut(Option<(usize, T)>) -> Vec<(usize, Result<Done>)>,
    ) -> Result<ExitCode> {
        let stop = Arc::new(AtomicBool::new(false));
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGINT, SIGTERM] {
            // The second one ends the program as if nobody cared.
            flag::register_conditional_default(number, stop.clone())?;
            flag::register(number, stop.clone())?;
            flag::register_usize(number, signal.clone(), number as usize)?;
        }
        let mut report = Report::new(self, &modules);
        let gone = AtomicBool::new(false);
        let work = |buffer: &mut Vec<u8>, found: &Found| {
            let result = work(buffer, found);
            if result.as_ref().is_err_and(|error| error.is::<TokenGone>()) {
                gone.store(true, Ordering::Relaxed);
                stop.store(true, Ordering::Relaxed);
            }
            result
        };
        parallel::each(
            &modules,
            self.jobs().at_once,
            &stop,
            |buffer, module| module.as_ref().ok().map(|found| work(buffer, found)),
            |at, result| match result {
                Some(Ok(result)) => report.take(finish(Some((at, result)))),
                Some(Err(error)) => report.take(vec![(at, Err(error))]),
                // Its error is said for it.
                None => report.take(vec![(at, Ok(Done::bad("", &())))]),
            },
        );
        report.take(finish(None));
        let interrupted = signal.load(Ordering::Relaxed);
        let stopped = match interrupted {
            0 if gone.load(Ordering::Relaxed) => Some("stopped, for the token has gone"),
            0 => None,
            _ => Some("interrupted"),
        };
        let code = report.end(stopped);
        if interrupted != 0 {
            // Whoever started this is to know, so as not to go on with the next.
            emulate_default_handler(interrupted as i32)?;
        }
        Ok(code)
    }
}

/// Says what went wrong, to people on standard error.
pub(crate) fn complain(error: &Error) {
    say(&format!("{error:#}"));
}

/// Says something to people on standard error. If that is closed, or a full disk, nobody hears it, and
/// the work goes on.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "modsig: {}", visible(text));
}

/// A text in which nothing but a line break can do anything to a terminal: a file may have any name.
fn visible(text: &str) -> Cow<'_, str> {
    let is_hidden = |character: char| character.is_control() && character != '\n';
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for character in text.chars() {
        match is_hidden(character) {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// Prints what a command has found out, as [`Output`] does.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut output = Output(Ok(()));
    output.line(text);
    output.0
}

/// What a command ends with that has already written something: an error is not the same any more as
/// not to have begun.
pub(crate) fn begun(result: Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::FAILURE
    })
}

/// What is printed at the end.
#[derive(Serialize)]
struct Summary<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    modules: Option<&'a Vec<Members>>,
    counts: &'a BTreeMap<Count, usize>,
    left: usize,
    warnings: &'a [String],
}

struct Report<'a> {
    options: &'a How,
    modules: &'a [Result<Found, Missing>],
    /// Came before their turn.
    waiting: BTreeMap<usize, Result<Done>>,
    next: usize,
    counts: BTreeMap<Count, usize>,
    bad: usize,
    objects: Vec<Members>,
    output: Output,
    progress: Progress,
}

impl<'a> Report<'a> {
    fn new(options: &'a How, modules: &'a [Result<Found, Missing>]) -> Self {
        Report {
            options,
            modules,
            waiting: BTreeMap::new(),
            next: 0,
            counts: BTreeMap::new(),
            bad: 0,
            objects: vec![],
            output: Output(Ok(())),
            progress: Progress::new(modules.len()),
        }
    }

    fn take(&mut self, done: Vec<(usize, Result<Done>)>) {
        self.waiting.extend(done);
        while let Some(done) = self.waiting.remove(&self.next) {
            self.tell(self.next, done);
            self.next += 1;
        }
        self.progress.set(self.next);
    }

    fn tell(&mut self, at: usize, done: Result<Done>) {
        let (path, given, done) = match &self.modules[at] {
            Ok(found) => (&found.path, found.given, done),
            Err(missing) => {
                let error = format!("{}: {:#}", missing.path.display(), missing.error);
                (&missing.path, true, Err(Error::msg(error)))
            }
        };
        let mut object = match done {
            Ok(done) => {
                *self.counts.entry(done.count).or_default() += 1;
                self.bad += usize::from(!done.good);
                if !self.options.is_json() && (given || self.options.verbose || !done.good) {
                    let line = format!("{}: {}", path.display(), done.text);
                    self.progress.clear();
                    self.output.line(&line);
                }
                done.facts
            }
            Err(error) => {
                *self.counts.entry(Count::Failed).or_default() += 1;
                self.bad += 1;
                self.progress.clear();
                complain(&error);
                members(&Failure {
                    error: format!("{error:#}"),
                })
            }
        };
        object.extend(members(&Named::new(path)));
        if self.options.json_lines {
            self.progress.clear();
            self.output.line(&document(&object));
        } else if self.options.json {
            self.objects.push(object);
        }
    }

    fn end(mut self, stopped: Option<&str>) -> ExitCode {
        // If it was stopped, there are holes in the order.
        for (at, done) in std::mem::take(&mut self.waiting) {
            self.tell(at, done);
            self.next += 1;
        }
        self.progress.clear();
        let left = self.modules.len() - self.next;
        if self.options.is_json() {
            let warnings = self.options.warnings.lock();
            let report = document(&Summary {
                modules: (!self.options.json_lines).then_some(&self.objects),
                counts: &self.counts,
                left,
                warnings: &warnings.unwrap_or_else(PoisonError::into_inner),
            });
            self.output.line(&report);
        } else if !self.counts.is_empty() {
            let counts = self.counts.iter();
            let counts = counts.map(|(what, n)| format!("{n} {}", what.words()));
            let counts: Vec<_> = counts.collect();
            self.output.line(&counts.join(", "));
        }
        if let Some(why) = stopped.filter(|_| left > 0) {
            say(&format!("{why}; {left} modules are as they were"));
        }
        // By now much may have been done, so that it is not the same as not to have begun.
        let told = self.output.0.map_err(|error| complain(&error));
        let fine = self.bad + left == 0 && told.is_ok();
        ExitCode::from(u8::from(!fine))
    }
}

/// Standard output, which may go away: `modsig verify … | head` is no reason to fail, a full disk
/// is.
struct Output(Result<()>);

impl Output {
    fn line(&mut self, line: &str) {
        if self.0.is_ok() {
            self.0 = match writeln!(io::stdout(), "{}", visible(line)) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    Err(error).context("cannot write to standard output")
                }
                _ => Ok(()),
            };
        }
    }
}
