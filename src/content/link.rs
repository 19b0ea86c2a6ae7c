//! The text of a link: `alg:hex`, and nothing else.

use bytes::Bytes;

use crate::oci::Digest;

/// More than any link has; what is longer is none.
pub(super) const LONGEST_LINK_BYTES: u64 = 1024;

pub(super) fn format(target: &Digest) -> Bytes {
    Bytes::copy_from_slice(target.as_str().as_bytes())
}

/// The digest that a link holds; `None` when it is empty or malformed.
pub(super) fn parse(data: &[u8]) -> Option<Digest> {
    std::str::from_utf8(data).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_a_digest_and_nothing_else() {
        let digest: Digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        assert_eq!(parse(&format(&digest)), Some(digest.clone()));
        for broken in [&b""[..], b"\n", b"sha256:", b"\xff\xfe", format!("{digest}\n").as_bytes(), &[0; 71]] {
            assert_eq!(parse(broken), None, "{broken:?}");
        }
    }
}
