//! Several clients push one digest, or write to one upload.

use futures_util::future::join_all;

use super::answers::{Op, Refused};
use super::body::Part;
use super::lane::Lane;
use super::push;
use super::resume::Waits;
use super::task::Task;
use super::upload::{PATCH, Tells, Upload};
use crate::client::RepositoryClient;
use crate::load::content::Blob;
use crate::load::measure::Failure;
use crate::load::plan::{Contend, ContendOver};
use crate::load::run::Done;

/// What one of several writers may be told: that somebody else writes or has written, that it should wait, that the
/// upload has ended.
const RACING_PATCH: Op = Op::accepting("upload.patch", &[400, 404, 409, 412, 416, 423, 429, 499, 503]);

pub(super) async fn run(task: &mut Task<'_>, plan: &Contend) -> Result<Done, Failure> {
    let blob = task.context.blob().await;
    let repository = task.repository();
    match plan.over {
        ContendOver::Digest => over_digest(task, &repository, &blob, plan.clients).await?,
        ContendOver::Upload => over_upload(task, &repository, &blob, plan.clients).await?,
    }
    let history = task.lane.history.clone();
    task.pushed_to_compare(&repository, &blob, &history);
    Ok(Done { bytes: blob.size() })
}

/// All push the same blob, each by an upload of its own; all must succeed.
async fn over_digest(
    task: &mut Task<'_>,
    repository: &RepositoryClient,
    blob: &Blob,
    clients: u32,
) -> Result<(), Failure> {
    let clients = (0..clients.max(1)).map(|_| {
        let mut lane = task.lane.fork_together();
        async move { push::monolithic(&mut lane, repository, blob).await }
    });
    let pushed: Result<Vec<()>, Refused> = join_all(clients).await.into_iter().collect();
    pushed.map(drop).map_err(Failure::from)
}

/// All write the whole blob to one upload. Whoever wins, its bytes are there once in the end.
async fn over_upload(
    task: &mut Task<'_>,
    repository: &RepositoryClient,
    blob: &Blob,
    clients: u32,
) -> Result<(), Failure> {
    let mut upload = Upload::start(&mut task.lane, repository, blob).await?;
    upload.sent = blob.size();
    let writers = (0..clients.max(1)).map(|_| {
        let (mut lane, mut own) = (task.lane.fork_together(), upload.clone());
        async move { own.patch(&mut lane, RACING_PATCH, Part::whole(blob), Tells::Range).await }
    });
    let written = join_all(writers).await.into_iter().filter_map(Result::err);
    if let Some(refused) = written.into_iter().find(|refused| !is_told_off(refused)) {
        return Err(refused.failure);
    }
    finish(&mut task.lane, &mut upload).await.map_err(Failure::from)
}

/// Sends what none of the writers brought in, and ends the upload.
async fn finish(lane: &mut Lane, upload: &mut Upload) -> Result<(), Refused> {
    let mut waits = Waits::begin();
    let size = upload.blob.size();
    loop {
        let went_on = match upload.status(lane).await {
            Ok(held) if held >= size => upload.commit(lane, None).await.map(|()| true),
            Ok(held) => {
                let rest = Part::of(&upload.blob, held..size);
                upload.patch(lane, PATCH, rest, Tells::Range).await.map(|_| false)
            }
            Err(refused) => Err(refused),
        };
        match went_on {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(refused) if refused.status() == 416 || refused.is_passing() => {
                if !waits.wait(&refused).await {
                    return Err(refused);
                }
            }
            Err(refused) => return Err(refused),
        }
    }
}

/// A writer that lost may be told so by an answer or by the end of its connection.
fn is_told_off(refused: &Refused) -> bool {
    RACING_PATCH.accepts.contains(&refused.status()) || refused.failure.code == "reset"
}
