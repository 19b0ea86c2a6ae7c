use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::work::Work;

/// How long a worker rests after a task that failed; twice as long after each further one, so that a registry that is
/// down is not asked a hundred thousand times a second.
const FIRST_REST: Duration = Duration::from_millis(10);
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Starts the workers of a closed loop.
pub(super) fn start(work: &Arc<Work>, workers: &mut JoinSet<()>) {
    // Rounded as levels are; the plan bounds it.
    let count = work.course.peak().round() as u32;
    for number in 0..count {
        workers.spawn(worker(Arc::clone(work), number));
    }
}

/// Does one task after the other while the course has work for it.
async fn worker(work: Arc<Work>, number: u32) {
    let mut context = work.context(number);
    let mut rest = FIRST_REST;
    while !work.stop.is_ending() {
        let now = work.place(Instant::now());
        match work.course.at_work_again(number, now) {
            None => return,
            Some(at) if at > now => {
                work.wait_until(work.moment(at)).await;
                continue;
            }
            Some(_) => {}
        }
        let workload = work.draw(&mut context);
        context.get_ready(workload).await;
        let should_start = Instant::now();
        if work.stop.is_ending() || !work.claim(should_start) {
            return;
        }
        if work.perform(workload, &mut context, should_start).await {
            rest = FIRST_REST;
        } else {
            work.wait_until(Instant::now() + rest).await;
            rest = (rest * 2).min(LONGEST_REST);
        }
    }
}
