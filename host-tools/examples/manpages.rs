// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo run --example manpages DIRECTORY DATE`: writes the manual pages and what shells complete
//! with, from the definitions that the programs read their arguments with.
//!
//! It is none of the programs, so that they do not carry it.

use std::{env, fs, path::Path};

use anyhow::{bail, Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::{
    generate_to,
    shells::{Bash, Fish, Zsh},
};
use clap_mangen::{
    roff::{bold, roman, Roff},
    Man,
};
use modsig_tools::commands::{sign_file, Arguments};

fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [directory, date] = &arguments[..] else {
        bail!("usage: manpages DIRECTORY DATE");
    };
    let mut modsig = Arguments::command().disable_help_subcommand(true);
    generate_to(Bash, &mut modsig, "modsig", directory)?;
    generate_to(Zsh, &mut modsig, "modsig", directory)?;
    generate_to(Fish, &mut modsig, "modsig", directory)?;

    modsig.build();
    let mut pages = vec![("modsig".to_owned(), modsig.clone())];
    for command in modsig.get_subcommands() {
        pages.push((format!("modsig-{}", command.get_name()), command.clone()));
    }
    // In no PATH, so that no shell completes it.
    pages.push((
        "modsig-sign-file".to_owned(),
        sign_file::Arguments::command(),
    ));
    for (name, command) in &pages {
        let others = pages.iter().map(|(name, _)| name);
        let others: Vec<_> = others.filter(|other| *other != name).collect();
        let path = Path::new(directory).join(format!("{name}.1"));
        let page = page(name, command, date, &others)?;
        fs::write(&path, page).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn page(name: &str, command: &Command, date: &str, others: &[&String]) -> Result<Vec<u8>> {
    let about = command
        .get_about()
        .context("a command says nothing of itself")?;
    let mut described = command.clone();
    if let Some(long) = command.get_long_about() {
        // Its first paragraph is the name's.
        let long = long.to_string();
        described = described.long_about(
            long.trim_start_matches(&about.to_string())
                .trim_start()
                .to_owned(),
        );
    }
    let mut text = vec![];
    let manual = Man::new(described)
        .title(name.to_uppercase())
        .date(date)
        .source(concat!("modsig ", env!("CARGO_PKG_VERSION")))
        .manual("Kernel modules");
    manual.render_title(&mut text)?;
    let mut roff = Roff::new();
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {about}"))]);
    roff.control("SH", ["SYNOPSIS"]);
    let program = command.get_bin_name().unwrap_or(command.get_name());
    let usage = command.clone().render_usage().to_string();
    roff.control("nf", []);
    for line in usage.trim_start_matches("Usage:").lines() {
        let operands = line.trim().trim_start_matches(program);
        roff.text([bold(program), roman(operands)]);
    }
    roff.control("fi", []);
    roff.to_writer(&mut text)?;
    manual.render_description_section(&mut text)?;
    manual.render_options_section(&mut text)?;
    if command.has_subcommands() {
        manual.render_subcommands_section(&mut text)?;
    }
    let more = command.get_after_long_help().map(ToString::to_string);
    let mut roff = sections(&more.unwrap_or_default());
    roff.control("SH", ["SEE ALSO"]);
    for other in others {
        roff.text([bold(other.as_str()), roman("(1),")]);
    }
    // Written by hand: man/modsig.7.
    roff.text([bold("modsig"), roman("(7),")]);
    roff.text([bold("modprobe"), roman("(8),")]);
    roff.text([bold("dkms"), roman("(8)")]);
    roff.to_writer(&mut text)?;
    Ok(text)
}

/// The end of a command's help (`src/commands/help.rs` says how it is written).
fn sections(help: &str) -> Roff {
    let mut roff = Roff::new();
    let (mut in_examples, mut in_commands) = (false, false);
    let mut first = true;
    // An empty line ends what is at the end.
    for line in help.lines().chain([""]) {
        let indented = line.len() - line.trim_start().len();
        let text = line.trim_start();
        if indented == 0 {
            in_examples = text == "Examples:";
        }
        let command = in_examples && indented >= 4;
        match (in_commands, command) {
            (false, true) => roff.control("RS", []).control("nf", []),
            (true, false) => roff.control("fi", []).control("RE", []),
            _ => &mut roff,
        };
        in_commands = command;
        match (indented, text.split_once("  ")) {
            (_, _) if text.is_empty() => {}
            (0, _) => {
                let title = text.trim_end_matches(':').to_uppercase();
                roff.control("SH", [title.as_str()]);
            }
            (4.., _) => {
                let text = if command { &line[4..] } else { text };
                roff.text([roman(text)]);
            }
            (_, Some((word, meaning))) => {
                roff.control("TP", []);
                roff.text([bold(word)]);
                roff.text([roman(meaning)]);
            }
            (_, None) => {
                if !first {
                    roff.control("PP", []);
                }
                roff.text([roman(text)]);
            }
        }
        // Of its section.
        first = indented == 0;
    }
    roff
}
