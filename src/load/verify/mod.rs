//! Whether what a registry acknowledged is there. Each pushed blob is looked up when its turn is over, so that it is
//! neither timed nor counted; some are pulled and compared.

mod queue;

use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::measure::Recorder;
use super::workloads::lane::Lane;
use super::workloads::{Refused, lookups, pull};
use crate::client::Client;

pub(super) use queue::{Looks, Queue, ToVerify};

/// How many blobs are looked at at once.
const AT_ONCE: usize = 16;

/// How often a registry that is busy is asked again, and after how long.
const MOST_TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Looks at all that is in the queue, until it is empty. What is wrong is a finding; what cannot be found out, an error.
pub(super) async fn verify(client: &Client, queue: &Queue, recorder: &Recorder) {
    let waiting = std::iter::from_fn(|| queue.next());
    let looks = waiting.map(|pushed| look_at(client, recorder, pushed));
    stream::iter(looks).buffer_unordered(AT_ONCE).collect::<()>().await;
}

async fn look_at(client: &Client, recorder: &Recorder, to_verify: ToVerify) {
    let ToVerify { pushed, history, looks } = to_verify;
    let repository = client.repository(&pushed.repository);
    let mut lane = Lane::unmeasured(recorder);
    lane.history = history;
    let mut wait = FIRST_WAIT;
    for tries_left in (0..MOST_TRIES).rev() {
        let looked = match looks {
            Looks::Up => lookups::look_up(&mut lane, lookups::HEAD_BLOB, &repository, &pushed.blob).await,
            Looks::Compares => pull::pull(&mut lane, pull::GET, &repository, &pushed.blob).await,
        };
        match looked {
            Err(refused) if refused.is_passing() && tries_left > 0 => {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            looked => return count(recorder, looks, looked),
        }
    }
}

fn count(recorder: &Recorder, looks: Looks, looked: Result<(), Refused>) {
    recorder.looked_up();
    if looks == Looks::Compares {
        recorder.pulled();
    }
    // What is wrong was told as a finding.
    if let Err(refused) = looked
        && !refused.is_finding()
    {
        recorder.failure("verify", &refused.failure);
    }
}
