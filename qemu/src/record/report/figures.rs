// SPDX-License-Identifier: GPL-2.0

//! The file of figures that `make bench` writes, as it is read.

use std::collections::BTreeMap;

use modsig_testing::results::Stamp;
use serde::Deserialize;

/// `build/bench.json`
#[derive(Deserialize)]
pub(super) struct Bench {
    /// Of the host tool, by benchmark.
    #[serde(default)]
    pub(super) host: BTreeMap<String, Host>,
    /// Of modsig and C in the guest, by series and architecture.
    #[serde(default)]
    pub(super) guest: BTreeMap<String, Vec<Whole>>,
    /// Of hashes in the guest, likewise.
    #[serde(default, rename = "guest-hashes")]
    pub(super) hashes: BTreeMap<String, Hashes>,
    /// When each of these was measured.
    #[serde(default)]
    pub(super) measured: BTreeMap<String, BTreeMap<String, Stamp>>,
}

#[derive(Deserialize)]
pub(super) struct Host {
    pub(super) modules: usize,
    pub(super) rounds: usize,
    pub(super) processor: String,
    pub(super) processors: usize,
    pub(super) openssl: String,
    pub(super) load: Vec<String>,
    pub(super) ratios: Vec<HostRatio>,
}

#[derive(Deserialize)]
pub(super) struct HostRatio {
    pub(super) algorithm: String,
    pub(super) what: String,
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) cpu: f64,
    pub(super) target: Option<String>,
    pub(super) at: Option<f64>,
    pub(super) met: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct Whole {
    /// Figures of older versions have none.
    #[serde(default)]
    pub(super) group: String,
    pub(super) what: String,
    pub(super) c: f64,
    pub(super) rust: f64,
    pub(super) ratio: Option<f64>,
    #[serde(flatten)]
    pub(super) goal: GuestGoal,
}

#[derive(Deserialize)]
pub(super) struct GuestGoal {
    pub(super) goal: Option<String>,
    pub(super) at: Option<f64>,
    pub(super) reached: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct Hashes {
    pub(super) whole: Vec<ByHash>,
    pub(super) stages: Vec<Stage>,
    pub(super) appended: usize,
    pub(super) code: Code,
}

#[derive(Deserialize)]
pub(super) struct ByHash {
    pub(super) size: usize,
    pub(super) kernels: String,
    pub(super) proof: f64,
    pub(super) rsa4096: f64,
    pub(super) p384: f64,
    pub(super) ratio: f64,
    #[serde(flatten)]
    pub(super) goal: GuestGoal,
}

#[derive(Deserialize)]
pub(super) struct Stage {
    pub(super) size: usize,
    pub(super) kernel: String,
    pub(super) sha256: f64,
    pub(super) rest: f64,
    pub(super) share: f64,
    #[serde(flatten)]
    pub(super) goal: GuestGoal,
}

#[derive(Deserialize)]
pub(super) struct Code {
    pub(super) keys: usize,
    pub(super) hashes: usize,
    pub(super) both: usize,
}
