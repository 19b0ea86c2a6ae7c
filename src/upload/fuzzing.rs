//! What is said of the parsers here: see `src/fuzzing`.

use sha2::{Digest as _, Sha256};

use super::record::{Record, format_started_at, parse_started_at};
use super::roster::list::{read_token, write_token};
use crate::oci::to_hex;

/// What is read of a record is written so that it is read again as the same.
///
/// The checksum is put behind the input first: no mutation would find it. The input as it is is read too.
pub(crate) fn upload_record(data: &[u8]) {
    for record in [data.to_vec(), sealed(data)] {
        let Some(written) = read_and_written(&record) else { continue };
        assert_eq!(read_and_written(&written).as_ref(), Some(&written));
    }
}

fn read_and_written(record: &[u8]) -> Option<Vec<u8>> {
    Record::decode(record).ok().map(|record| record.encode())
}

/// The first line and the next, with the checksum of the latter.
fn sealed(data: &[u8]) -> Vec<u8> {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let (header, json) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let sum = to_hex(&Sha256::digest(json));
    [header, b"\n", json, b"\n", sum.as_bytes(), b"\n"].concat()
}

/// A place that a page token names is written as a token that names it again.
pub(crate) fn page_token(data: &[u8]) {
    let Some(place) = std::str::from_utf8(data).ok().and_then(read_token) else { return };
    let written = write_token(&place);
    assert_eq!(read_token(&written), Some(place), "{written}");
}

/// A time at which something can have been started is written as the same one, in whole seconds.
pub(crate) fn started_at(data: &[u8]) {
    let Some(read) = std::str::from_utf8(data).ok().and_then(parse_started_at) else { return };
    let written = format_started_at(read);
    assert_eq!(written.len(), "2026-02-02T02:40:00Z".len(), "{written}");
    let again = parse_started_at(&written).expect("what was written is a time");
    assert_eq!(format_started_at(again), written);
    let lost = read.duration_since(again).expect("it is cut to whole seconds");
    assert_eq!(lost.as_secs(), 0, "{written}");
}
