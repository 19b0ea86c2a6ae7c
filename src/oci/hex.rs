const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Bytes in lower-case hexadecimal, two digits each, as digests are written.
pub fn to_hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(bytes.len() * 2);
    push_hex(&mut hex, bytes);
    hex
}

/// The same behind what stands in `text`.
pub(super) fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_two_digits() {
        assert_eq!(to_hex(&[]), "");
        assert_eq!(to_hex(&[0, 9, 10, 0x7f, 0xf0, 0xff]), "00090a7ff0ff");
        let all: Vec<u8> = (0..=255).collect();
        let expected: String = all.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(to_hex(&all), expected);
    }
}
