//! Requests in the proportions of production registries.

use rand::RngExt as _;

use super::task::Task;
use super::{image, lookups, pull, push};
use crate::load::measure::Failure;
use crate::load::plan::{HeadMany, Trace};
use crate::load::run::Done;

pub(super) async fn run(task: &mut Task<'_>, plan: &Trace) -> Result<Done, Failure> {
    match draw(task, plan) {
        "get_layer" => pull::whole(task).await,
        "get_manifest" => lookups::manifest_by_tag(task).await,
        "head_layer" => lookups::heads(task, &HeadMany { heads: 1 }).await,
        "head_manifest" => lookups::head_manifest(task).await,
        "put_manifest" => image::push_manifest(task).await,
        _ => {
            let blob = task.context.blob_of(&plan.layer_sizes).await;
            push::this(task, &blob, push::How::Monolithic).await
        }
    }
}

/// The name of one of the shares, each as often as it says.
fn draw(task: &mut Task<'_>, plan: &Trace) -> &'static str {
    let shares = plan.shares.named();
    let sum: f64 = shares.iter().map(|(_, share)| share.max(0.0)).sum();
    let mut left = task.context.random.random_range(0.0..1.0) * sum;
    for (name, share) in shares {
        if left < share {
            return name;
        }
        left -= share.max(0.0);
    }
    "put_layer"
}
