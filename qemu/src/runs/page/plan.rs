// SPDX-License-Identifier: GPL-2.0

//! A page of `Documentation/scenarios` as something that can be followed.
//!
//! What is in a block ` ```kconfig [DIRECTORY] ` configures a kernel. In a block ` ```console `, lines
//! behind `$ ` are commands, and lines behind `# ` are commands in the guest that the last
//! `$ boot` has started; `> ` continues one. Other lines are what the command has printed; `[exit N]` is its exit status if that is not 0, and `...` stands for any
//! lines.

use std::{fmt::Write, ops::Range, sync::LazyLock};

use anyhow::{ensure, Context, Result};
use regex::Regex;

/// What a page has one do.
#[derive(Debug)]
pub struct Plan {
    /// Its heading.
    pub title: String,
    /// What is to be done, in order.
    pub steps: Vec<Step>,
}

/// Something to be done.
#[derive(Debug)]
pub enum Step {
    /// Configures what is built in a directory.
    Configure {
        /// Beside `linux`.
        directory: String,
        /// Lines of the configuration.
        options: String,
    },
    /// Runs a command.
    Run(Command),
    /// Boots a kernel, and runs commands in the guest.
    Boot {
        /// `boot IMAGE ROOT [OPTION...]`.
        boot: Command,
        /// In the guest.
        commands: Vec<Command>,
    },
}

/// A command, and what comes of it.
#[derive(Debug, Default)]
pub struct Command {
    /// For a shell.
    pub text: String,
    /// Its exit status.
    pub status: i32,
    /// What it prints; nothing if the page does not say.
    pub shown: Vec<String>,
    /// Which lines of the page these are.
    pub lines: Range<usize>,
}

impl Plan {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// If it is not as described above. They name the line.
    pub fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines().enumerate();
        let title = text.lines().find_map(|line| line.strip_prefix("# "));
        let mut plan = Plan {
            title: title.context("no heading")?.to_owned(),
            steps: vec![],
        };
        while let Some((at, line)) = lines.next() {
            let Some(info) = line.strip_prefix("```") else {
                continue;
            };
            let mut ended = false;
            let block = lines.by_ref().take_while(|(_, line)| {
                ended = *line == "```";
                !ended
            });
            let (kind, directory) = info.split_once(' ').unwrap_or((info, "build"));
            match kind {
                "kconfig" => plan.steps.push(Step::Configure {
                    directory: directory.to_owned(),
                    options: block.fold(String::new(), |all, (_, line)| all + line + "\n"),
                }),
                "console" => {
                    for (at, line) in block {
                        plan.console(at, line)
                            .with_context(|| format!("line {}: {line:?}", at + 1))?;
                    }
                }
                _ => block.for_each(drop),
            }
            ensure!(ended, "line {}: a block that does not end", at + 1);
        }
        Ok(plan)
    }

    /// Takes a line of a console.
    fn console(&mut self, at: usize, line: &str) -> Result<()> {
        let command = |text: &str| Command {
            text: text.to_owned(),
            lines: at + 1..at + 1,
            ..Command::default()
        };
        if let Some(text) = line.strip_prefix("$ ") {
            let command = command(text);
            self.steps.push(match text.starts_with("boot ") {
                false => Step::Run(command),
                true => Step::Boot {
                    boot: command,
                    commands: vec![],
                },
            });
        } else if let Some(text) = line.strip_prefix("# ") {
            let Some(Step::Boot { commands, .. }) = self.steps.last_mut() else {
                anyhow::bail!("no guest has been booted");
            };
            commands.push(command(text));
        } else {
            let last = self.steps.last_mut().and_then(Step::last);
            let last = last.context("no command before it")?;
            let status = line.strip_prefix("[exit ");
            if let Some(text) = line.strip_prefix("> ").filter(|_| last.shown.is_empty()) {
                last.text += "\n";
                last.text += text;
                last.lines = at + 1..at + 1;
            } else if let Some(status) = status.and_then(|rest| rest.strip_suffix(']')) {
                last.status = status.parse()?;
            } else {
                last.shown.push(line.to_owned());
                last.lines.end = at + 1;
            }
        }
        Ok(())
    }
}

impl Step {
    /// The command that it ends with.
    fn last(&mut self) -> Option<&mut Command> {
        match self {
            Step::Configure { .. } => None,
            Step::Run(command) => Some(command),
            Step::Boot { boot, commands } => Some(commands.last_mut().unwrap_or(boot)),
        }
    }
}

impl Command {
    /// Whether this came of it: the same status, and what the page shows, but for numbers and for
    /// what architectures differ in.
    ///
    /// # Errors
    ///
    /// They tell both.
    pub fn check(&self, status: i32, output: &str) -> Result<()> {
        let observed: Vec<String> = output.lines().map(normal).collect();
        let expected: Vec<String> = self.shown.iter().map(|line| normal(line)).collect();
        let as_shown = expected.is_empty() || matches(&expected, &observed);
        let mut text = format!("{}\n", self.text);
        if status != self.status {
            write!(text, "exit status {status}, not {}\n{output}", self.status)?;
        } else if !as_shown {
            write!(
                text,
                "expected:\n{}\nobserved:\n{output}",
                self.shown.join("\n")
            )?;
        }
        ensure!(status == self.status && as_shown, "{text}");
        Ok(())
    }

    /// Whether the page shows all of what it prints.
    pub fn shows_all(&self) -> bool {
        !self.shown.is_empty() && !self.shown.iter().any(|line| line == "...")
    }
}

/// Whether lines are as expected, where `...` stands for any.
fn matches(expected: &[String], observed: &[String]) -> bool {
    match expected.split_first() {
        None => observed.is_empty(),
        Some((any, rest)) if any == "..." => {
            (0..=observed.len()).any(|skipped| matches(rest, &observed[skipped..]))
        }
        Some((first, rest)) => observed
            .split_first()
            .is_some_and(|(observed, others)| observed == first && matches(rest, others)),
    }
}

/// A line without what differs from machine to machine, from build to build and from day to day.
/// Numbers of one or two digits count: they are how many there are.
fn normal(line: &str) -> String {
    static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let rules = [
            (r"x86_64|aarch64|arm64|x86", "ARCH"),
            (r"bzImage|Image\.gz", "IMAGE"),
            (r"[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d \d{4} GMT", "DATE"),
            // An address; a serial number or a digest.
            (r"0x[0-9a-f]+", "N"),
            (r"\b[0-9a-fA-F]{8,}\b", "N"),
            // A version; a size.
            (r"\d+(\.\d+)+", "N"),
            (r"\d{3,}", "N"),
            (r"\s+", " "),
        ];
        rules
            .map(|(rule, word)| (Regex::new(rule).expect("a rule"), word))
            .into()
    });
    RULES
        .iter()
        .fold(line.trim().to_owned(), |line, (rule, word)| {
            rule.replace_all(&line, *word).into_owned()
        })
}

/// The page with what was printed in place of what it shows; in the order of the page.
pub fn record(text: &str, printed: &[(Range<usize>, String)]) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut page = String::new();
    let mut at = 0;
    let mut copy = |page: &mut String, upto: usize, next: usize| {
        for line in &lines[at..upto] {
            page.push_str(line);
            page.push('\n');
        }
        at = next;
    };
    for (range, output) in printed {
        copy(&mut page, range.start, range.end);
        for line in output.lines() {
            page.push_str(line.trim_end());
            page.push('\n');
        }
    }
    copy(&mut page, lines.len(), lines.len());
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# A title

```kconfig
CONFIG_A=y
```

    $ not a command

```console
$ make -s \\
> all
$ modsig verify x
x: not signed, 12 octets
[exit 1]
$ boot image root
# insmod /x.ko
...
last
```

```kconfig off
CONFIG_A=n
```
";

    fn command(text: &str) -> Command {
        let page = format!("# T\n```console\n{text}\n```\n");
        match Plan::parse(&page).unwrap().steps.remove(0) {
            Step::Run(command) => command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_a_page() {
        let plan = Plan::parse(PAGE).unwrap();
        assert_eq!(plan.title, "A title");
        let [Step::Configure { directory, options }, Step::Run(make), Step::Run(verify), Step::Boot { boot, commands }, Step::Configure { directory: off, .. }] =
            &plan.steps[..]
        else {
            panic!("{plan:?}");
        };
        assert_eq!((&directory[..], &options[..]), ("build", "CONFIG_A=y\n"));
        assert_eq!(make.text, "make -s \\\nall");
        assert_eq!((verify.status, verify.shown.len()), (1, 1));
        assert_eq!(boot.text, "boot image root");
        assert_eq!(commands[0].text, "insmod /x.ko");
        assert_eq!(commands[0].shown, ["...", "last"]);
        assert_eq!(off, "off");
    }

    #[test]
    fn a_page_that_cannot_be_followed_is_an_error() {
        for (text, wanted) in [
            ("no heading", "no heading"),
            ("# T\n```console\noutput\n```", "line 3"),
            (
                "# T\n```console\n$ x\n",
                "line 2: a block that does not end",
            ),
            ("# T\n```console\n# insmod\n```", "no guest"),
            ("# T\n```console\n$ x\n[exit y]\n```", "line 4"),
        ] {
            let error = format!("{:#}", Plan::parse(text).unwrap_err());
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn what_is_printed_must_be_what_is_shown() {
        let same = command(
            "$ x\n2 signed of x86/bzImage, serial 00112233aabbccdd at 0xffff12, Nov  1 00:00:00 2126 GMT, 6.12.117, 4096 bits",
        );
        same.check(
            0,
            "2  signed of arm64/Image.gz, serial ff112233aabbccee at 0xff, Dec 24 18:00:00 2026 GMT, 7.3, 128 bits\n",
        )
        .unwrap();
        for other in ["", "2 signed\n", &same.shown[0].replace('2', "3")] {
            assert!(same.check(0, other).is_err(), "{other}");
        }
        assert!(same.check(1, &same.shown[0]).is_err());
        let some = command("$ x\na\n...\nz");
        some.check(0, "a\nz\n").unwrap();
        some.check(0, "a\nb\nc\nz\n").unwrap();
        for other in ["a\n", "z\n", "b\na\nz\n", "a\nz\nb\n"] {
            assert!(some.check(0, other).is_err(), "{other}");
        }
        command("$ x").check(0, "anything").unwrap();
        let error = command("$ x\n[exit 2]").check(0, "said").unwrap_err();
        assert!(
            error.to_string().contains("exit status 0, not 2\nsaid"),
            "{error}"
        );
    }

    #[test]
    fn words_and_small_numbers_count() {
        assert_eq!(normal("defaced 12 0x3f"), "defaced 12 N");
        assert_eq!(normal("deadbeefcafe, EKEYREJECTED"), "N, EKEYREJECTED");
        for (one, other) in [("EPERM", "EINVAL"), ("2 good", "4 good"), ("0", "10")] {
            assert_ne!(normal(one), normal(other));
        }
    }

    #[test]
    fn records_what_was_printed() {
        let plan = Plan::parse(PAGE).unwrap();
        let Step::Run(verify) = &plan.steps[2] else {
            panic!()
        };
        let recorded = record(PAGE, &[(verify.lines.clone(), "one  \ntwo\n".into())]);
        assert_eq!(
            recorded,
            PAGE.replace("x: not signed, 12 octets", "one\ntwo")
        );
        assert_eq!(record(PAGE, &[]), PAGE);
    }
}
