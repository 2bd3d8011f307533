// SPDX-License-Identifier: MIT OR Apache-2.0

use std::process::ExitCode;

use anyhow::{Context, Result};
use modsig_tools::{
    files::{Found, Links, Pages},
    module::Module,
};
use serde::Serialize;

use crate::cli::{
    batch::{Batch, DryRun, Replaced, Writing},
    output::Count,
    report::{Done, Modules},
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    dry_run: DryRun,
    #[command(flatten)]
    pub(super) modules: Modules,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let modules = arguments.modules.find(Links::Leave)?;
    let mut batch = Batch::new(&arguments.writing, arguments.modules.jobs());
    arguments.modules.each(
        modules,
        |buffer, found| strip(arguments, buffer, found),
        |stripped| batch.take(stripped),
    )
}

/// What JSON has of a module.
#[derive(Serialize)]
struct Stripped {
    /// Signatures that were taken off, or would be.
    removed: usize,
}

fn strip(arguments: &Arguments, buffer: &mut Vec<u8>, found: &Found) -> Result<Replaced> {
    let path = &found.path;
    let original = found.read(buffer)?;
    let named = || path.display().to_string();
    let opened = Module::open(buffer).with_context(named)?;
    let (module, count) = opened.unsigned().with_context(named)?;
    let count = count + opened.misplaced;
    let facts = Stripped { removed: count };
    if count == 0 {
        let done = Done::good(Count::NotSigned, "was not signed", &facts);
        return Ok(Replaced { done, file: None });
    }
    let text = match count {
        1 => "stripped".to_owned(),
        several => format!("stripped of {several} signatures"),
    };
    if arguments.dry_run.dry_run {
        let done = Done::good(Count::ToBeStripped, format!("would be {text}"), &facts);
        return Ok(Replaced { done, file: None });
    }
    let file = arguments
        .writing
        .put_end(&original, &opened, module, &[], Pages::One)?;
    Ok(Replaced {
        done: Done::good(Count::Stripped, text, &facts),
        file,
    })
}
