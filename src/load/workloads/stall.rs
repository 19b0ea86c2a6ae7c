//! A push that drips, or stands still for a time: what does the registry do?

use std::time::Duration;

use rand::RngExt as _;
use tokio::time::Instant;

use super::answers::{Op, Refused};
use super::body::Part;
use super::task::Task;
use super::upload::{Tells, Upload};
use crate::load::measure::{Failure, StallEnd};
use crate::load::plan::Stall;
use crate::load::run::Done;

/// A body that is slow on purpose is no request that anybody would time.
const SLOW_PATCH: Op = Op::unmeasured("upload.patch");

const STOP_FOR: Duration = Duration::from_secs(30);

pub(super) async fn run(task: &mut Task<'_>, plan: &Stall) -> Result<Done, Failure> {
    let blob = task.context.blob().await;
    let repository = task.repository();
    let mut upload = Upload::start(&mut task.lane, &repository, &blob).await?;
    let mut part = Part::whole(&blob);
    if let Some(bytes_per_second) = plan.drip_rate {
        part = part.drip(bytes_per_second);
        task.lane.history.note(format!("drips {bytes_per_second} bytes a second"));
    }
    if plan.stop_for.is_some() || plan.drip_rate.is_none() {
        let at = task.context.random.random_range(0..blob.size().max(1));
        let length = plan.stop_for.unwrap_or(STOP_FOR);
        part = part.stop(at, length);
        task.lane.history.note(format!("stops at {at} for {}s", length.as_secs_f32()));
    }
    let begun = Instant::now();
    let sent = upload.patch(&mut task.lane, SLOW_PATCH, part, Tells::Nothing).await;
    let finished = match sent {
        Ok(held) if held == blob.size() => upload.commit(&mut task.lane, None).await,
        Ok(held) => Err(Refused::answer(format!("it holds {held} of {} bytes", blob.size()))),
        Err(refused) => Err(refused),
    };
    let refused = match finished {
        Ok(()) => {
            task.lane.recorder.stalled(begun, StallEnd::Finished);
            let history = task.lane.history.clone();
            task.pushed(&repository, &blob, &history);
            return Ok(Done { bytes: blob.size() });
        }
        Err(refused) => refused,
    };
    if !is_an_end(&refused) {
        return Err(refused.failure);
    }
    let by = match refused.status() {
        0 => refused.failure.code.clone(),
        status => status.to_string(),
    };
    task.lane.recorder.stalled(begun, StallEnd::Ended { by, at: refused.ended });
    end(task, &mut upload).await;
    Ok(Done { bytes: 0 })
}

/// The registry, or who stands before it, ended the body: an answer that says no, or a connection that it broke.
fn is_an_end(refused: &Refused) -> bool {
    refused.status() >= 400 || refused.failure.code == "reset"
}

/// The upload may still be there; what is not is none of ours any more.
async fn end(task: &mut Task<'_>, upload: &mut Upload) {
    if upload.cancel(&mut task.lane.fork_unmeasured()).await.is_err() {
        task.lane.uploads.ended(upload.ticket);
    }
}
