// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The reasons for which this verifier may be stricter than C, as `Documentation/differences.md` has
//! them; read as `qemu` does for `make compare`.

use std::collections::BTreeSet;

/// Those of the section "Stricter".
#[derive(Default)]
pub struct Documented {
    /// What stands in backticks in the column "reason" of a table.
    always: BTreeSet<String>,
    /// What stands so in the paragraph on what is behind an unknown algorithm: only where C lets a
    /// module in with taint.
    behind_unknown: BTreeSet<String>,
}

impl Documented {
    /// Reads that file.
    pub fn parse(text: &str) -> Self {
        let mut documented = Documented::default();
        let lines = text.lines().skip_while(|line| *line != "## Stricter");
        let section = lines.skip(1).take_while(|line| !line.starts_with("## "));
        let quoted = |text: &str| -> Vec<String> {
            let quoted = text.split('`').skip(1).step_by(2);
            quoted.map(str::to_owned).collect()
        };
        let (mut column, mut behind_unknown) = (None, false);
        for line in section {
            behind_unknown = !line.is_empty()
                && (behind_unknown || line.starts_with("**Behind an unknown algorithm.**"));
            if behind_unknown {
                documented.behind_unknown.extend(quoted(line));
            }
            if !line.starts_with('|') {
                column = None;
                continue;
            }
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            match column {
                None => column = Some(cells.iter().position(|cell| *cell == "reason")),
                Some(column) => {
                    let cell = column.and_then(|column: usize| cells.get(column));
                    documented.always.extend(quoted(cell.unwrap_or(&"")));
                }
            }
        }
        documented
    }

    /// Whether this verifier may be stricter for this reason; `loads` says whether C lets the module
    /// in clean.
    pub fn allows(&self, reason: &str, loads: bool) -> bool {
        self.always.contains(reason) || (self.behind_unknown.contains(reason) && !loads)
    }
}
