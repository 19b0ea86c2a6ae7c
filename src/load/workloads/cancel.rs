//! An upload that is begun, written to and cancelled.

use rand::RngExt as _;

use super::answers::Op;
use super::body::Part;
use super::task::Task;
use super::upload::{PATCH, Tells, Upload};
use crate::load::measure::Failure;
use crate::load::plan::Cancel;
use crate::load::report::FindingKind;
use crate::load::run::Done;

/// The upload is asked for once more, and should not be there.
const GONE: Op = Op::accepting("upload.status", &[404, 410]);

pub(super) async fn run(task: &mut Task<'_>, plan: &Cancel) -> Result<Done, Failure> {
    let blob = task.context.blob().await;
    let repository = task.repository();
    let mut upload = Upload::start(&mut task.lane, &repository, &blob).await?;
    // A share of the size, which a float holds well enough.
    let most = (blob.size() as f64 * plan.sent_ratio.clamp(0.0, 1.0)) as u64;
    let end = task.context.random.random_range(0..=most.min(blob.size()));
    if end > 0 {
        upload.patch(&mut task.lane, PATCH, Part::of(&blob, 0..end), Tells::Range).await?;
    }
    upload.cancel(&mut task.lane).await?;
    match upload.ask(&mut task.lane, GONE).await {
        Err(refused) if matches!(refused.status(), 404 | 410) => Ok(Done { bytes: end }),
        Err(refused) => Err(refused.failure),
        Ok(answer) => {
            let status = answer.status.as_u16();
            let detail = format!("the upload was cancelled, and is still there: status {status}");
            task.lane.finding(FindingKind::Accepted, &repository, blob.digest(), &detail);
            Err(super::failure::protocol(detail))
        }
    }
}
