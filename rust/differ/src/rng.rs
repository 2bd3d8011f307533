// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Numbers that look random and depend on a seed only.

/// SplitMix64's step.
pub fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A source of such numbers.
pub struct Rng {
    state: u64,
    /// How often what is usual is not done, in percent of how often it would be.
    odd: usize,
}

impl Rng {
    /// The source for one message of a run.
    pub fn new(seed: u64, message: u64) -> Self {
        Rng {
            state: mix(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)) ^ mix(message),
            odd: 100,
        }
    }

    /// Decides how usual all is to be: much for most, so that not each has a fault that hides others.
    pub fn be_calm(&mut self) {
        self.odd = *self.pick(&[0, 5, 10, 20, 50, 100]);
    }

    /// A number below `n`, more often the last one, which stands for what is usual.
    pub fn dice(&mut self, n: usize) -> usize {
        let number = self.below(n);
        if self.percent(self.odd) {
            number
        } else {
            n - 1
        }
    }

    /// True in at most `percent` of a hundred cases, for what is not usual.
    pub fn odd(&mut self, percent: usize) -> bool {
        self.percent(percent) && self.percent(self.odd)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.draw() % n as u64) as usize
    }

    /// True in `percent` of a hundred cases.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// This many bytes.
    pub fn octets(&mut self, n: usize) -> Vec<u8> {
        let mut octets = Vec::with_capacity(n + 8);
        while octets.len() < n {
            octets.extend(self.draw().to_le_bytes());
        }
        octets.truncate(n);
        octets
    }
}
