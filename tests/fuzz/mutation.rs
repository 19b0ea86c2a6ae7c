//! Random changes of inputs.

/// What matters to one parser or another.
const WORDS: [&str; 24] = [
    "0",
    "1",
    "18446744073709551615",
    "18446744073709551616",
    "-",
    "+",
    "/",
    "..",
    "%2f",
    "%",
    "\0",
    "\n",
    "\"",
    ":",
    ",",
    "*",
    "=",
    "&",
    "{",
    "[",
    "null",
    "é",
    "sha256:",
    "bytes=",
];

#[derive(Debug)]
pub struct Mutation {
    state: u64,
}

impl Mutation {
    pub fn new(seed: u64) -> Self {
        Mutation { state: seed }
    }

    /// One of the inputs, changed in a few places.
    pub fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.pick(corpus).clone();
        for _ in 0..=self.below(4) {
            self.change(&mut input, corpus);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let end = at + self.below(input.len() - at + 1);
        match self.below(8) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.below(256) as u8,
            2 => input.insert(at, self.below(256) as u8),
            3 => drop(input.drain(at..end.min(at + 8))),
            4 => drop(input.splice(at..end.min(at + 8), self.pick(&WORDS).bytes())),
            5 => {
                let part = input[at..end].to_vec();
                drop(input.splice(at..at, part));
            }
            6 => {
                let other = self.pick(corpus);
                let from = self.below(other.len() + 1);
                drop(input.splice(at..end, other[from..].iter().copied()));
            }
            _ => input.truncate(end),
        }
    }

    fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len())]
    }

    /// From 0 to `bound - 1`.
    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
