//! A blob that another repository of the run has is mounted.

use http::{Method, StatusCode};

use super::answers::Op;
use super::body::Part;
use super::push;
use super::task::Task;
use super::upload::{Tells, Upload};
use crate::client::{Access, RawCall};
use crate::load::measure::Failure;
use crate::load::run::{Done, PushedBlob};

const MOUNT: Op = Op::new("blob.mount");

pub(super) async fn run(task: &mut Task<'_>) -> Result<Done, Failure> {
    let PushedBlob { repository: from, blob } = push::any(task).await?;
    let name = task.context.repository_other_than(&from);
    let repository = task.session.client.repository(&name);
    let mut url = repository.url(["blobs", "uploads", ""]);
    url.query_pairs_mut().append_pair("mount", &blob.digest().to_string()).append_pair("from", from.as_str());
    let call = RawCall::new("mount blob", Method::POST, url, Access::Mount(from));
    let answer = task.lane.call(MOUNT, &repository, call).await?;
    let mut bytes = 0;
    match answer.status {
        StatusCode::CREATED => {}
        StatusCode::ACCEPTED => {
            // It is not mounted here: push it, as any client would.
            let mut upload = Upload::of_answer(&task.lane, &repository, &blob, &answer)?;
            upload.commit(&mut task.lane, Some((Part::whole(&blob), Tells::Nothing))).await?;
            bytes = blob.size();
        }
        other => {
            let wrong = format!("status {}, neither 201 nor 202", other.as_u16());
            return Err(super::failure::protocol(wrong));
        }
    }
    let history = task.lane.history.clone();
    task.pushed(&repository, &blob, &history);
    Ok(Done { bytes })
}
