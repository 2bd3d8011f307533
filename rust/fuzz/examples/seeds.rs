// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Writes inputs for each target into a folder, for the fuzzer to start from:
//!
//!     cargo run --manifest-path rust/fuzz/Cargo.toml --example seeds -- DIR

use std::{env, fs, io, path::Path, process::ExitCode};

use modsig_fuzz::invariants::seeds;

fn main() -> ExitCode {
    let Some(dir) = env::args_os().nth(1) else {
        eprintln!("seeds: the folder to write into is missing: give it as the only argument");
        return ExitCode::from(2);
    };
    match write(Path::new(&dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "seeds: {}: {error}: is it a folder that you may write?",
                Path::new(&dir).display()
            );
            ExitCode::FAILURE
        }
    }
}

fn write(dir: &Path) -> io::Result<()> {
    for (target, name, input) in seeds::seeds() {
        fs::create_dir_all(dir.join(target))?;
        fs::write(dir.join(target).join(name), input)?;
    }
    Ok(())
}
