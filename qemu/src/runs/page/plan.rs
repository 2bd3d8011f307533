// SPDX-License-Identifier: MIT OR Apache-2.0

//! A page of `Documentation/scenarios` as something that can be followed.
//!
//! What is in a block ` ```kconfig [DIRECTORY] ` configures a kernel. In a block ` ```console `, lines
//! behind `$ ` are commands, and lines behind `# ` are commands in the guest that the last
//! `$ boot` has started; `> ` continues one. Other lines are all that the command has printed; `[exit
//! N]` is its exit status if that is not 0, and `...` stands for any lines.

use std::ops::Range;

use anyhow::{ensure, Context, Result};

use super::shown::{Known, ANY};

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
    /// What it prints.
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
        for step in &plan.steps {
            let silent = match step {
                Step::Boot { boot, .. } => boot,
                Step::Run(command) if command.is_export() => command,
                _ => continue,
            };
            ensure!(
                silent.shown.is_empty() && silent.status == 0,
                "{}: nothing is told of what comes of it",
                silent.text
            );
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
    /// Whether it is for the commands after it.
    pub fn is_export(&self) -> bool {
        self.text.starts_with("export ")
    }

    /// Whether this came of it: the same status, and what the page shows.
    ///
    /// # Errors
    ///
    /// They tell both.
    pub fn check(&self, status: i32, output: &str, known: &mut Known) -> Result<()> {
        ensure!(
            status == self.status,
            "{}\nexit status {status}, not {}\n{output}",
            self.text,
            self.status
        );
        known
            .compare(&self.shown, output)
            .with_context(|| self.text.clone())
    }

    /// Whether the page shows all of what it prints.
    pub fn shows_all(&self) -> bool {
        !self.shown.iter().any(|line| line == ANY)
    }
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
x: not signed, 12 bytes
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
            (
                "# T\n```console\n$ boot a b\nsaid\n# x\n```",
                "boot a b: nothing is told",
            ),
            (
                "# T\n```console\n$ export A=b\n[exit 1]\n```",
                "export A=b: nothing is told",
            ),
        ] {
            let error = format!("{:#}", Plan::parse(text).unwrap_err());
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn what_comes_of_a_command_must_be_what_is_shown() {
        let check = |text: &str, status, output: &str| {
            let known = &mut Known::default();
            command(text).check(status, output, known)
        };
        check("$ x\nsaid", 0, "said\n").unwrap();
        check("$ x", 0, "").unwrap();
        check("$ x\n[exit 2]\nsaid", 2, "said\n").unwrap();
        for (text, status, output) in [
            ("$ x", 0, "warning\n"),
            ("$ x\nsaid", 0, ""),
            ("$ x\nsaid", 1, "said\n"),
            ("$ x\n[exit 2]", 0, ""),
        ] {
            assert!(check(text, status, output).is_err(), "{text}: {output}");
        }
        let error = check("$ x\n[exit 2]", 0, "said").unwrap_err();
        assert_eq!(error.to_string(), "x\nexit status 0, not 2\nsaid");
        let error = check("$ x", 0, "said").unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "x: expected: nothing\nobserved:\nsaid"
        );
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
            PAGE.replace("x: not signed, 12 bytes", "one\ntwo")
        );
        // Where there was nothing.
        let Step::Run(make) = &plan.steps[1] else {
            panic!()
        };
        assert!(make.shows_all());
        let recorded = record(PAGE, &[(make.lines.clone(), "warning\n".into())]);
        assert_eq!(recorded, PAGE.replace("> all\n", "> all\nwarning\n"));
        assert_eq!(record(PAGE, &[]), PAGE);
    }
}
