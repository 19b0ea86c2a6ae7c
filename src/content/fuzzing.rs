//! What is said of the parsers here: see `src/fuzzing`.

pub(crate) use super::referrers::fuzzing::referrer;

/// A link is the digest that it leads to, and nothing else.
pub(crate) fn link(data: &[u8]) {
    if let Some(target) = super::link::parse(data) {
        assert_eq!(super::link::format(&target), data);
        assert!(data.len() as u64 <= super::link::LONGEST_LINK_BYTES);
    }
}
