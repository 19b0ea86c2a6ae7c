//! A push, parts of which are sent again although they were answered, as buildkit and jib do after a time-out.

use rand::RngExt as _;

use super::answers::{Op, Refused};
use super::body::Part;
use super::task::Task;
use super::upload::{PATCH, Tells, Upload};
use crate::load::measure::Failure;
use crate::load::plan::{Replay, ReplayWhat};
use crate::load::report::FindingKind;
use crate::load::run::Done;

/// It may also be told that these bytes do not go there.
const PATCH_AGAIN: Op = Op::accepting("upload.patch", &[416]);

/// The upload may have ended already.
const PUT_AGAIN: Op = Op::accepting("blob.put", &[404]);

pub(super) async fn run(task: &mut Task<'_>, plan: &Replay) -> Result<Done, Failure> {
    let blob = task.context.blob().await;
    let repository = task.repository();
    let mut upload = Upload::start(&mut task.lane, &repository, &blob).await?;
    match plan.what {
        ReplayWhat::Patch => patch_twice(task, &mut upload).await?,
        ReplayWhat::Put => put_twice(task, &mut upload).await?,
    }
    let history = task.lane.history.clone();
    task.pushed_to_compare(&repository, &blob, &history);
    Ok(Done { bytes: blob.size() })
}

/// The first part goes twice to the address that it went to first, without a `Content-Range`; then the rest.
async fn patch_twice(task: &mut Task<'_>, upload: &mut Upload) -> Result<(), Failure> {
    let size = upload.blob.size();
    let end = match size {
        0 => 0,
        size => task.context.random.random_range(1..=size),
    };
    let part = Part::of(&upload.blob, 0..end);
    let mut again = upload.clone();
    upload.patch(&mut task.lane, PATCH, part.clone(), Tells::Nothing).await?;
    // What it says now is compared with what was sent, once.
    (again.sent, again.acknowledged) = (end * 2, upload.acknowledged);
    let held = match again.patch(&mut task.lane, PATCH_AGAIN, part, Tells::Nothing).await {
        Ok(held) => {
            upload.location = again.location;
            held
        }
        Err(refused) if refused.status() == 416 => upload.status(&mut task.lane).await?,
        Err(refused) => return Err(refused.failure),
    };
    if held > end {
        let detail = format!("bytes 0 to {end} were sent again and appended again: it holds {held}");
        task.lane.finding(FindingKind::Accepted, &upload.repository, upload.blob.digest(), &detail);
        // Nothing good comes of it any more; that it cannot be cancelled is recorded with the request.
        let _ = upload.cancel(&mut task.lane).await;
        return Err(super::failure::protocol(detail));
    }
    upload.told(&task.lane, held)?;
    let rest = (held < size).then(|| (Part::of(&upload.blob, held..size), Tells::Nothing));
    upload.commit(&mut task.lane, rest).await.map_err(Failure::from)
}

/// The PUT that ends the upload goes twice, with its body.
async fn put_twice(task: &mut Task<'_>, upload: &mut Upload) -> Result<(), Failure> {
    let whole = Part::whole(&upload.blob);
    let mut again = upload.clone();
    upload.commit(&mut task.lane, Some((whole.clone(), Tells::Nothing))).await?;
    match again.put(&mut task.lane, PUT_AGAIN, Some((whole, Tells::Nothing))).await {
        Err(refused) if !is_over(&refused) => Err(refused.failure),
        _ => Ok(()),
    }
}

/// The registry does not know the upload any more: it has ended.
fn is_over(refused: &Refused) -> bool {
    refused.status() == 404
}
