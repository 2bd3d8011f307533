// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whether a machine with Secure Boot is as it should be, and whether all that is said of a module is one.

use anyhow::{ensure, Context, Result};

use super::why::{Answer, Told};
use crate::corpus::secure_boot::Boot;

/// What a guest is asked of itself, in this order.
pub const FACTS: [&str; 7] = [
    SECURE_BOOT,
    "cat /proc/cmdline",
    "dmesg | grep 'locked down'",
    "cat /sys/kernel/security/lockdown",
    "cat /sys/module/module/parameters/sig_enforce",
    "keyctl list %:.platform | sed 's/.*asymmetric: //'",
    "keyctl list %:.machine | sed 's/.*asymmetric: //'",
];
/// The firmware's variable: four bytes of attributes, and 1 if Secure Boot is on.
const SECURE_BOOT: &str =
    "busybox od -An -tu1 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// What is not as it should be of what a guest answered to [`FACTS`].
///
/// # Errors
///
/// If Secure Boot is off: nothing else can be seen then.
pub fn odd_facts(boot: &Boot, answers: &[(i32, String)]) -> Result<Vec<String>> {
    let [secure_boot, command_line, log, lockdown, enforce, platform, machine] = answers else {
        anyhow::bail!("{} answers", answers.len());
    };
    ensure!(
        secure_boot.0 == 0,
        "the guest cannot read the firmware's variables: {}",
        secure_boot.1.trim_end()
    );
    ensure!(
        secure_boot.1.split_whitespace().next_back() == Some("1"),
        "Secure Boot is off in the guest: its firmware knows none, or does not see the keys (OVMF_CODE_4M.secboot.fd and AAVMF_CODE.ms.fd are fit for it)"
    );
    let mut odd = vec![];
    let mut see = |is_right: bool, what: &str, said: &str| {
        if !is_right {
            odd.push(format!("{what}: {:?}", said.trim_end()));
        }
    };
    let words = &command_line.1;
    let asks = words.contains("lockdown") || words.contains("sig_enforce");
    see(!asks, "the command line asks for it", words);
    let by_firmware = log.1.contains("locked down from EFI Secure Boot");
    see(by_firmware, "lockdown is not from the firmware", &log.1);
    see(lockdown.1.contains("[integrity]"), "lockdown", &lockdown.1);
    see(enforce.1.trim() == "Y", "module.sig_enforce", &enforce.1);
    for (name, wanted, listed) in [
        (".platform", &boot.platform, &platform.1),
        (".machine", &boot.machine, &machine.1),
    ] {
        let keys = keys(listed);
        let mut wanted: Vec<_> = wanted.iter().map(|key| &key[..]).collect();
        wanted.sort_unstable();
        see(keys == wanted, &format!("{name} is not {wanted:?}"), listed);
    }
    Ok(odd)
}

/// The test keys in a list of `keyctl`, by name: `modsig test db: 0123`.
fn keys(listed: &str) -> Vec<&str> {
    let names = listed
        .lines()
        .filter_map(|line| line.strip_prefix("modsig test ")?.split(':').next());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}

/// What was said of a module, and what came of it.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What `modsig why` said that the kernel would do.
    pub foreseen: String,
    /// Whether `modsig verify --running` said that it is good.
    pub running: bool,
    /// The same of `modsig verify --next`.
    pub next: bool,
    /// What the kernel did.
    pub did: String,
    /// Whether all of that is one, and what was expected.
    pub is_right: bool,
    /// All that was said.
    pub said: Vec<String>,
    /// How `modsig why` explains it to a person, if it was asked that.
    pub explained: Vec<String>,
}

impl Verdict {
    /// Reads what a guest printed of a module (`runs/secure_boot.rs`), which is to end as expected.
    pub fn read(text: &str, expected: &str) -> Result<Self> {
        let told = Told::parse(text)?;
        let answer = Answer::parse(&told.answer)?;
        let lines = |word: &str| -> Vec<String> {
            let lines = text.lines().filter_map(|line| line.strip_prefix(word));
            lines.map(str::to_owned).collect()
        };
        let good = |which: &str| -> Result<bool> {
            let lines = lines(which);
            let status = lines.first().with_context(|| format!("no {which}"))?;
            let status: i32 = status.parse()?;
            // Whoever checks nothing says nothing.
            ensure!(status < 2, "modsig verify, {which}: exit status {status}");
            Ok(status == 0)
        };
        let (running, next) = (good("running ")?, good("next ")?);
        let did = told.did();
        let loads = did == "loads";
        Ok(Verdict {
            foreseen: answer.foresees(),
            running,
            next,
            is_right: answer.agrees(&told, false)
                && (running, next) == (loads, loads)
                && did == expected,
            did,
            said: [told.said, vec![answer.verdict]].concat(),
            explained: lines("explained "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::secure_boot::SecureBoot;

    fn list(names: &[&str]) -> String {
        let mut text = format!("{} keys in keyring:\n", names.len());
        for name in names {
            text += &format!("{name}: 0123456789abcdef\n");
        }
        text
    }

    /// What the guest of the boot by way of shim answers.
    fn answers() -> Vec<(i32, String)> {
        let platform = list(&["modsig test withdrawn", "modsig test db"]);
        let machine = list(&[
            "modsig test mok",
            "modsig test mok-withdrawn",
            "Debian Secure Boot CA",
        ]);
        let locked = "Kernel is locked down from EFI Secure Boot; see man kernel_lockdown.7\n";
        let texts = [
            "   6   0   0   0   1\n",
            "console=ttyS0\n",
            locked,
            "none [integrity] confidentiality\n",
            "Y\n",
            &platform,
            &machine,
        ];
        texts.map(|text| (0, text.to_owned())).into()
    }

    #[test]
    fn each_fact_counts() {
        let all = SecureBoot::of("6").unwrap();
        let boot = &all.boot[1];
        assert_eq!(odd_facts(boot, &answers()).unwrap(), Vec::<String>::new());
        for (at, wrong, said) in [
            (1, "lockdown=integrity", "the command line asks for it"),
            (1, "module.sig_enforce=1", "the command line asks for it"),
            (
                2,
                "Kernel is locked down from command line; see",
                "lockdown is not from",
            ),
            (3, "[none] integrity confidentiality", "lockdown: "),
            (4, "N", "module.sig_enforce: \"N\""),
            (5, list(&["modsig test db"]).as_str(), ".platform is not"),
            (6, list(&[]).as_str(), ".machine is not"),
        ] {
            let mut answers = answers();
            wrong.clone_into(&mut answers[at].1);
            let odd = odd_facts(boot, &answers).unwrap();
            assert!(odd.len() == 1 && odd[0].starts_with(said), "{odd:?}");
        }
    }

    #[test]
    fn without_secure_boot_it_is_said_why() {
        let all = SecureBoot::of("6").unwrap();
        let boot = &all.boot[0];
        let mut answers = answers();
        "   6   0   0   0   0\n".clone_into(&mut answers[0].1);
        let error = odd_facts(boot, &answers).unwrap_err().to_string();
        assert!(error.starts_with("Secure Boot is off"), "{error}");
        answers[0] = (1, "od: no such file\n".to_owned());
        let error = odd_facts(boot, &answers).unwrap_err().to_string();
        assert!(error.ends_with("variables: od: no such file"), "{error}");
    }

    fn text(why: &str, running: i32, next: i32, insert: i32) -> String {
        let status = i32::from(why != "loads");
        let (loads, error) = match why {
            "loads" => ("true", "null".to_owned()),
            error => ("false", format!("{error:?}")),
        };
        format!(
            "why {status}\nanswer {{\"loads\":{loads},\"error\":{error},\"modes\":{{}},\"verdict\":\"\"}}
running {running}\nnext {next}\ninsert {insert}\nsaid insmod: ERROR: m.ko: Key was rejected by service\n"
        )
    }

    #[test]
    fn all_have_to_say_the_same() {
        let is_right = |text: &str, expected| Verdict::read(text, expected).unwrap().is_right;
        assert!(is_right(&text("loads", 0, 0, 0), "loads"));
        assert!(is_right(&text("EKEYREJECTED", 1, 1, 1), "EKEYREJECTED"));
        for wrong in [
            text("EKEYREJECTED", 0, 0, 0),
            text("loads", 1, 0, 0),
            text("loads", 0, 1, 0),
            text("loads", 0, 0, 1),
            text("EPERM", 1, 1, 1),
            text("EKEYREJECTED", 0, 1, 1),
            text("EKEYREJECTED", 1, 0, 1),
            text("EKEYREJECTED", 1, 1, 0),
        ] {
            assert!(
                !is_right(&wrong, "loads") && !is_right(&wrong, "EKEYREJECTED"),
                "{wrong}"
            );
        }
        assert!(Verdict::read(&text("loads", 2, 0, 0), "loads").is_err());
        assert!(Verdict::read("why 0\ninsert 0\n", "loads").is_err());
    }
}
