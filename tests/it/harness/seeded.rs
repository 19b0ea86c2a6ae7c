//! Chance that can be had again: everything random in a test comes from a seed that is printed.

use bytes::Bytes;

/// A stream of random numbers (splitmix64). Equal seeds give equal streams.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Random { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) }
    }

    /// The seed that an environment variable names, or one that differs each time; printed, so that a failing run can
    /// be made again.
    pub fn from_environment(variable: &str) -> Self {
        let told = std::env::var(variable).ok().map(|text| text.parse().expect("a seed is a number"));
        let seed = told.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time after 1970");
            now.as_micros() as u64 % 1_000_000_007
        });
        println!("{variable}={seed}");
        Random::new(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True so many times in a hundred.
    pub fn chance(&mut self, per_cent: u64) -> bool {
        self.below(100) < per_cent
    }

    pub fn bytes(&mut self, length: usize) -> Bytes {
        let mut data = Vec::with_capacity(length + 8);
        while data.len() < length {
            data.extend_from_slice(&self.next().to_le_bytes());
        }
        data.truncate(length);
        data.into()
    }

    /// Another stream, which goes its own way from here.
    pub fn fork(&mut self) -> Random {
        Random::new(self.next())
    }
}

/// The number that an environment variable names, or this one.
pub fn number_from_environment(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}
