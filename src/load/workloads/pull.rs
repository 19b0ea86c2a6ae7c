//! Blobs that are pulled and compared.

use std::ops::Range;

use http::header::{CONTENT_RANGE, HeaderValue, RANGE};
use http::{Method, StatusCode};
use rand::RngExt as _;

use super::answers::{Op, Refused};
use super::lane::Lane;
use super::task::Task;
use super::{failure, push};
use crate::client::{Access, RawCall, RepositoryClient};
use crate::load::content::Blob;
use crate::load::measure::Failure;
use crate::load::plan::PullRanges;
use crate::load::report::FindingKind;
use crate::load::run::{Done, PushedBlob};

pub(in crate::load) const GET: Op = Op::new("blob.get");
const GET_RANGE: Op = Op::new("blob.get-range");

/// A blob that this run pushed.
pub(super) async fn whole(task: &mut Task<'_>) -> Result<Done, Failure> {
    let PushedBlob { repository, blob } = push::any(task).await?;
    let repository = task.session.client.repository(&repository);
    pull(&mut task.lane, GET, &repository, &blob).await?;
    Ok(Done { bytes: blob.size() })
}

/// Ranges of one blob, each by a request.
pub(super) async fn ranges(task: &mut Task<'_>, plan: &PullRanges) -> Result<Done, Failure> {
    let PushedBlob { repository, blob } = push::any(task).await?;
    let repository = task.session.client.repository(&repository);
    let mut bytes = 0;
    for _ in 0..plan.ranges {
        if blob.size() == 0 || task.context.stop.is_ending() {
            break;
        }
        let length = plan.range_sizes.draw(&mut task.context.random).clamp(1, blob.size());
        let start = task.context.random.random_range(0..=blob.size() - length);
        pull_range(&mut task.lane, &repository, &blob, start..start + length).await?;
        bytes += length;
    }
    Ok(Done { bytes })
}

/// Pulls a blob whose push was acknowledged and compares it. What is wrong is a finding.
pub(in crate::load) async fn pull(
    lane: &mut Lane,
    op: Op,
    repository: &RepositoryClient,
    blob: &Blob,
) -> Result<(), Refused> {
    let url = repository.url(["blobs", &blob.digest().to_string()]);
    let call = RawCall::new("pull blob", Method::GET, url, Access::Pull);
    let whole = 0..blob.size();
    fetch(lane, op, repository, blob, call, whole, StatusCode::OK).await
}

async fn pull_range(
    lane: &mut Lane,
    repository: &RepositoryClient,
    blob: &Blob,
    range: Range<u64>,
) -> Result<(), Refused> {
    let url = repository.url(["blobs", &blob.digest().to_string()]);
    let mut call = RawCall::new("pull range of blob", Method::GET, url, Access::Pull);
    if let Ok(value) = HeaderValue::from_str(&format!("bytes={}-{}", range.start, range.end - 1)) {
        call = call.header(RANGE, value);
    }
    fetch(lane, GET_RANGE, repository, blob, call, range, StatusCode::PARTIAL_CONTENT).await
}

async fn fetch(
    lane: &mut Lane,
    op: Op,
    repository: &RepositoryClient,
    blob: &Blob,
    call: RawCall,
    range: Range<u64>,
    expected: StatusCode,
) -> Result<(), Refused> {
    let (mut offset, mut wrong) = (range.start, None);
    let content_range = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), blob.size());
    let recorder = lane.recorder.clone();
    let read = |head: &super::answers::Head, piece: &[u8]| {
        if head.status != expected {
            return Err(failure::protocol(format!("status {}, not {}", head.status.as_u16(), expected.as_u16())));
        }
        let told = head.headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        if expected == StatusCode::PARTIAL_CONTENT && told != Some(content_range.as_str()) {
            return Err(failure::protocol(format!("content-range {told:?}, not {content_range:?}")));
        }
        if op.is_measured {
            recorder.moved(piece.len() as u64);
        }
        let end = offset + piece.len() as u64;
        if end > range.end {
            wrong = Some((FindingKind::WrongSize, format!("more than {} bytes came", range.end - range.start)));
        } else if !blob.is_equal_at(offset, piece) {
            wrong = Some((FindingKind::WrongBytes, format!("bytes {offset} to {end} are not those that were pushed")));
        }
        offset = end;
        match &wrong {
            Some((_, detail)) => Err(failure::protocol(detail)),
            None => Ok(()),
        }
    };
    let answered = lane.call_reading(op, repository, call, read).await;
    if answered.is_ok() && offset < range.end {
        let detail = format!("{} of {} bytes came", offset - range.start, range.end - range.start);
        wrong = Some((FindingKind::WrongSize, detail));
    }
    if let Err(refused) = &answered
        && refused.status() == 404
    {
        wrong = Some((FindingKind::Missing, "it was pushed, and is not there".to_owned()));
    }
    if let Some((kind, detail)) = wrong {
        lane.finding(kind, repository, blob.digest(), &detail);
        return Err(answered.err().unwrap_or_else(|| Refused::answer(detail)).found());
    }
    answered.map(|_| ())
}
