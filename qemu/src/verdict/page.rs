// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the guest of a page says (`runs/page/guest.rs`): the exit status and the output of each command.

use anyhow::{bail, ensure, Result};

/// Reads what came out of the port.
pub fn parse(text: &str) -> Result<Vec<(i32, String)>> {
    let mut results: Vec<(i32, String)> = vec![];
    let mut done = false;
    for line in text.lines() {
        if let Some(status) = line.strip_prefix("step ") {
            results.push((status.parse()?, String::new()));
        } else if let Some((output, (_, last))) = line.strip_prefix("  ").zip(results.last_mut()) {
            last.push_str(output);
            last.push('\n');
        } else if line == "done" {
            done = true;
        } else {
            bail!("the guest said {line:?}");
        }
    }
    ensure!(done, "the guest did not come to its end");
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_guest_says() {
        let results = parse("step 0\nstep 1\n  insmod: no\n  \ndone\n").unwrap();
        assert_eq!(results, [(0, "".into()), (1, "insmod: no\n\n".into())]);
        for wrong in ["step 0\n", "step x\ndone\n", "  a\ndone\n", "what\ndone\n"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
