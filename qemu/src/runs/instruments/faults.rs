// SPDX-License-Identifier: MIT OR Apache-2.0

//! Failures on demand.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use modsig_tools::platform::Mode;

use super::{Check, Run};
use crate::{machine::kernels::Kernel, runs::boots::Harness, verdict::instruments::Try};

/// A file whose insertion is made to fail.
struct Victim {
    name: &'static str,
    recipe: &'static [&'static str],
    /// Its outcome, where it is not that of the kernel's code on the host.
    expect: Option<&'static str>,
    /// System calls in which failures are injected outside of the verifier, too.
    calls: &'static [&'static str],
}

const fn victim(
    name: &'static str,
    recipe: &'static [&'static str],
    expect: Option<&'static str>,
    calls: &'static [&'static str],
) -> Victim {
    Victim {
        name,
        recipe,
        expect,
        calls,
    }
}

const VICTIMS: [Victim; 11] = [
    victim(
        "RSA/SHA-256",
        &["sign rsa2048 sha256"],
        None,
        &["finit", "init"],
    ),
    // The crypto API puts this algorithm together when it is first asked for it.
    victim("RSA/SHA-384", &["sign rsa4096 sha384"], None, &[]),
    victim("P-384/SHA-384", &["sign p384 sha384"], None, &[]),
    victim(
        "chain of certificates",
        &[
            "sign leaf2 sha256",
            "certificate leaf2",
            "certificate inter",
        ],
        None,
        &["finit"],
    ),
    victim(
        "unknown signer",
        &["sign untrusted sha256"],
        None,
        &["finit"],
    ),
    victim("revoked signer", &["sign revoked sha256"], None, &[]),
    victim(
        "altered content",
        &["sign rsa2048 sha256", "flip content"],
        None,
        &[],
    ),
    victim(
        "two signers",
        &["sign rsa2048 sha256", "sign untrusted sha512"],
        None,
        &[],
    ),
    victim(
        "digest not built in",
        &["sign rsa2048 sha256", "absent digest"],
        Some("loads, taints"),
        &[],
    ),
    // Until the kernel has remembered the signature.
    victim(
        "release",
        &["release 3 1", "sign rsa2048 sha256"],
        None,
        &[],
    ),
    // The same file.
    victim(
        "release that is known",
        &["release 3 1", "sign rsa2048 sha256"],
        None,
        &["finit"],
    ),
];

/// Functions of C that answer a failed allocation with another error, which the verifier cannot
/// tell from the one it stands for: the crypto API's look-up of an algorithm, and its check of the
/// size of an RSA signature. A module is then refused, or judged as if nothing had failed.
const HIDING: [&str; 3] = ["__request_module", "cryptomgr_notify", "rsa_check_payload"];

/// What fails while the crypto API puts an algorithm together, partly in threads of its own: the
/// file, and the function that is at it. Each file has an algorithm that was not asked for before.
const BUILDERS: [(&str, &[&str], &str); 3] = [
    (
        "RSA/SHA-1, request to the crypto manager",
        &["sign rsa2048 sha1"],
        "cryptomgr_notify",
    ),
    (
        "RSA/SHA-512, crypto manager",
        &["sign rsa2048 sha512"],
        "cryptomgr_probe",
    ),
    (
        "RSA/SHA-224, its thread",
        &["sign rsa2048 sha224"],
        "kthreadd",
    ),
];

/// Every failure that can be injected.
pub fn faults(harness: &Harness, kernel: &Kernel, checks: &mut Vec<Check>) -> Result<()> {
    const FAILSLAB: &str = "/sys/kernel/debug/failslab";
    const FAIL_PAGES: &str = "/sys/kernel/debug/fail_page_alloc";
    let mut run = Run::new(harness, kernel, "faults");
    // Kmemleak's own allocations would fail most often, and it does without. The guest tells the
    // stack of each failure, which takes long on a console.
    run.append = "kmemleak=off loglevel=4";
    // By default only what cannot wait may fail.
    run.step(&format!("put {FAILSLAB}/ignore-gfp-wait N"));
    run.step(&format!("put {FAIL_PAGES}/ignore-gfp-wait N"));
    run.step(&format!("put {FAIL_PAGES}/ignore-gfp-highmem N"));
    run.step(&format!("put {FAIL_PAGES}/min-order 0"));
    let mut judges: Vec<(String, String, String)> = vec![];

    run.step("only module_sig_check");
    let mut whole = vec![];
    for victim in &VICTIMS {
        let recipe: Vec<String> = victim.recipe.iter().map(|step| (*step).into()).collect();
        let index = run.file(&recipe).context(victim.name)?;
        let plain = match victim.expect {
            Some(expect) => expect,
            None => harness.verdict(kernel, &run.files[index], Mode::Permissive)?,
        };
        let step = format!("fail finit {index:03} 0");
        run.step(&step);
        judges.push((format!("{}, verifier", victim.name), step, plain.to_owned()));
        for how in victim.calls {
            whole.push((victim.name, how, index, plain));
        }
    }
    for (_, recipe, function) in BUILDERS {
        let recipe: Vec<String> = recipe.iter().map(|step| (*step).into()).collect();
        let index = run.file(&recipe)?;
        run.step(&format!("only {function}"));
        run.step(&format!("put {FAILSLAB}/task-filter N"));
        run.step(&format!("put {FAILSLAB}/times -1"));
        // How many of a hundred fail: all, then some, until it comes through, and none.
        for (probability, times) in [(100, 3), (60, 10), (20, 10), (5, 10), (0, 1)] {
            run.step(&format!("put {FAILSLAB}/probability {probability}"));
            run.step(&format!("repeat {times} {index:03} 0"));
        }
    }
    run.step("only -");
    for (name, how, index, plain) in whole {
        // Another way to write the same flags, so that it is another step.
        let step = format!("fail {how} {index:03} 00");
        run.step(&step);
        judges.push((
            format!("{name}, whole {how}_module"),
            step,
            plain.to_owned(),
        ));
    }
    let steps = run.boot(checks)?;

    let find = |plan: &str| {
        let mut steps = steps.iter();
        steps
            .find(|step| step.plan == plan)
            .with_context(|| format!("the guest has left out {plan:?}"))
    };
    for (name, plan, plain) in judges {
        checks.push(judge_failures(&name, &find(&plan)?.tries, &plain));
    }
    for (at, (name, ..)) in BUILDERS.iter().enumerate() {
        let file = format!(" {:03} 0", VICTIMS.len() + at);
        let tries: Vec<Try> = steps
            .iter()
            .filter(|step| step.plan.starts_with("repeat") && step.plan.ends_with(&file))
            .flat_map(|step| step.tries.clone())
            .collect();
        checks.push(judge_builders(name, &tries));
    }
    Ok(())
}

/// Counts how often each outcome was seen.
fn histogram<'a>(tries: impl Iterator<Item = &'a Try>) -> String {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for attempt in tries {
        *seen.entry(attempt.outcome()).or_default() += 1;
    }
    let words: Vec<_> = seen
        .iter()
        .map(|(outcome, number)| format!("{number} {outcome}"))
        .collect();
    words.join(", ")
}

/// What a failure has led to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// ENOMEM.
    NoMemory,
    /// Another error, and nothing is loaded.
    OtherError,
    /// What would have been without it.
    None,
    /// Anything else.
    Wrong,
}

impl Try {
    fn effect(&self, plain: &str) -> Effect {
        match self.outcome() {
            outcome if outcome == "ENOMEM" => Effect::NoMemory,
            outcome if outcome == plain => Effect::None,
            _ if self.result != 0 && self.kind == "-" => Effect::OtherError,
            _ => Effect::Wrong,
        }
    }

    /// Whether that is as it should be: a failure in the verifier gives ENOMEM, but for those that
    /// C hides. What fails quietly has another way out, as the allocations of the instruments
    /// themselves. The loader has other errors, too, and some failures do not matter to it.
    fn is_fine(&self, in_verifier: bool, plain: &str) -> bool {
        let stack = self.stack();
        let hidden = HIDING.iter().any(|function| stack.contains(function));
        match self.effect(plain) {
            Effect::NoMemory => true,
            Effect::Wrong => false,
            Effect::None if stack.is_empty() => true,
            Effect::None | Effect::OtherError => {
                hidden || !(in_verifier || stack.contains(&"module_sig_check"))
            }
        }
    }
}

/// The last attempt is the one in which nothing was left to fail.
fn judge_failures(name: &str, tries: &[Try], plain: &str) -> Check {
    let in_verifier = name.ends_with(", verifier");
    let (failed, rest): (Vec<&Try>, Vec<&Try>) = tries.iter().partition(|attempt| attempt.failed);
    let bad = failed
        .iter()
        .filter(|attempt| !attempt.is_fine(in_verifier, plain));
    let number = |effect| {
        let same = failed
            .iter()
            .filter(|attempt| attempt.effect(plain) == effect);
        same.count()
    };
    let at_last: Vec<_> = rest.iter().map(|attempt| attempt.outcome()).collect();
    let mut check = Check::new(
        format!("faults: {name}"),
        format!(
            "{} failures: {} ENOMEM, {} another error, {} without effect, {} wrong; then {}",
            failed.len(),
            number(Effect::NoMemory),
            number(Effect::OtherError),
            number(Effect::None),
            number(Effect::Wrong),
            at_last.join(", ")
        ),
        bad.clone().next().is_none() && number(Effect::NoMemory) > 0 && at_last == [plain],
    );
    check.details = bad.map(|attempt| attempt.describe()).collect();
    check
}

/// What fails there reaches the verifier as one error or another. Whichever it is, the module is
/// refused, or nothing was left to fail and it loads: a good signature may not turn into one that
/// nobody has vouched for.
fn judge_builders(name: &str, tries: &[Try]) -> Check {
    let last = tries.last().map(Try::outcome).unwrap_or_default();
    let (good, bad): (Vec<&Try>, Vec<&Try>) = tries.iter().partition(|attempt| {
        let outcome = attempt.outcome();
        outcome == "loads" || (attempt.result != 0 && attempt.kind == "-")
    });
    let refused = good.iter().filter(|attempt| attempt.result != 0).count();
    let mut check = Check::new(
        format!("faults: {name}"),
        format!("{} attempts: {}", tries.len(), histogram(tries.iter())),
        bad.is_empty() && refused != 0 && last == "loads",
    );
    check.details = bad.iter().map(|attempt| attempt.describe()).collect();
    check
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::instruments::parse;

    /// Two attempts: one with a failure in `function`, one without.
    fn faulty(result: &str, function: &str, plain: &str) -> Vec<Try> {
        let text = format!(
            "step fail finit 000 0\n\
            try 1 1 {result}\n\
            log FAULT_INJECTION: forcing a failure.\\x0aname failslab, interval 1\n\
            log Call Trace:\n\
            log  dump_stack_lvl+0x5e/0x80\n\
            log  should_fail_ex+0x1/0x2\n\
            log  ? odd+0x1/0x2\n\
            log  kmalloc+0x1/0x2\n\
            log  {function}+0x1/0x2\n\
            log  load_module+0x1/0x2\n\
            log  finit_module+0x1/0x2\n\
            try 2 0 {plain}\n\
            done\n"
        );
        parse(&text).unwrap().remove(0).tries
    }

    #[test]
    fn failures_are_told_apart_by_their_stack() {
        let good = |name, result, function| {
            judge_failures(name, &faulty(result, function, "0 m"), "loads").good
        };
        let tries = faulty("12 -", "module_sig_check", "0 m");
        assert_eq!(tries[0].describe(), "ENOMEM: kmalloc < module_sig_check");
        assert!(!judge_failures("x", &tries, "ENOPKG").good);
        for name in ["x", "x, verifier"] {
            assert!(good(name, "12 -", "module_sig_check"));
            for wrong in ["0 t", "0 -", "12 m", "129 -", "0 m"] {
                assert!(!good(name, wrong, "module_sig_check"), "{name} {wrong}");
            }
        }
        // Neither of these has ENOMEM, which must come at least once.
        let fine = |result, function, in_verifier| {
            faulty(result, function, "0 m")[0].is_fine(in_verifier, "loads")
        };
        assert!(fine("129 -", "cryptomgr_notify", true));
        assert!(!fine("0 t", "cryptomgr_notify", true));
        assert!(fine("14 -", "copy_from_user", false));
        assert!(!fine("14 -", "copy_from_user", true));
        assert!(fine("0 m", "kobject_uevent", false));
        assert!(!fine("0 t", "kobject_uevent", false));
    }

    #[test]
    fn a_good_signature_stays_one_whatever_fails() {
        let good = |text: &str| judge_builders("x", &parse(text).unwrap().remove(0).tries).good;
        assert!(good("step x\ntry 1 0 129 -\ntry 2 0 0 m\ndone\n"));
        assert!(!good(
            "step x\ntry 1 0 0 t\ntry 2 0 129 -\ntry 3 0 0 m\ndone\n"
        ));
        assert!(!good("step x\ntry 1 0 0 m\ndone\n"));
    }
}
