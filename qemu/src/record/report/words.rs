// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the parts of the page have in common.

use maud::{html, Markup};
use modsig_testing::results::Stamp;

/// What one calls a verifier.
pub(super) fn verifier(c: bool) -> &'static str {
    if c {
        "C, unmodified"
    } else {
        "modsig"
    }
}

/// A time, for people as well.
pub(super) fn time(when: &str) -> Markup {
    let shown = when.replace('T', " ").replace('Z', " UTC");
    html! { time datetime=(when) { (shown) } }
}

/// Of which sources something is, marked if these are not the ones that are there now.
pub(super) fn sources(stamp: Option<&Stamp>, now: &Stamp) -> Markup {
    let commit = stamp.and_then(|stamp| stamp.commit.as_deref());
    let mark = match (commit, now.commit.as_deref()) {
        (None, _) => Some("unknown"),
        (commit, now) if commit != now => Some("stale"),
        (Some(commit), _) if commit.ends_with("-dirty") => Some("uncommitted"),
        _ => None,
    };
    html! {
        @if let Some(commit) = commit { code { (commit) } " " }
        @if let Some(mark) = mark { span.mark.stale { (mark) } }
    }
}

/// A number with its thousands apart.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A table that is scrolled if it is too wide, with its name for those who do not see it.
pub(super) fn scrolled(name: &str, table: Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(name) { (table) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_that_are_others_now_are_marked() {
        let now = |commit: &str| Stamp {
            when: String::new(),
            commit: Some(commit.to_owned()),
        };
        let mark = |then: Option<&Stamp>, commit| sources(then, &now(commit)).into_string();
        assert_eq!(mark(Some(&now("1")), "1"), "<code>1</code> ");
        assert!(mark(Some(&now("1")), "2").contains("stale"));
        assert!(mark(Some(&now("1-dirty")), "1").contains("stale"));
        assert!(mark(Some(&now("1-dirty")), "1-dirty").contains("uncommitted"));
        assert!(mark(None, "1").contains("unknown"));
    }
}
