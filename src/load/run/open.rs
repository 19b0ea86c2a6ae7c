use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Context;
use super::work::Work;
use crate::load::pace::Schedule;

/// Starts the tasks of an open loop, each when it is due, at most `max_in_flight` at once.
pub(super) fn start(work: &Arc<Work>, max_in_flight: u32, workers: &mut JoinSet<()>) {
    workers.spawn(dispatch(Arc::clone(work), max_in_flight));
}

/// Begins one task after the other; ends when all have ended. Dropped, it breaks all of them off.
async fn dispatch(work: Arc<Work>, max_in_flight: u32) {
    let schedule = Schedule::new(work.course.clone());
    let mut slots = Slots::new(max_in_flight);
    let mut running = JoinSet::new();
    let Some(first) = schedule.first_from(work.from) else {
        return;
    };
    for number in first.. {
        let Some(due) = schedule.due(number) else {
            break;
        };
        let should_start = work.moment(due);
        let Some(mut context) = slots.take(&work).await else {
            break;
        };
        let workload = work.draw(&mut context).clone();
        context.get_ready(&workload).await;
        if !work.wait_until(should_start).await || !work.claim(should_start) {
            break;
        }
        if should_start >= work.measured_from {
            work.punctuality.begun(should_start.elapsed());
        }
        let (work, slots) = (Arc::clone(&work), slots.back.clone());
        running.spawn(async move {
            work.perform(&workload, &mut context, should_start).await;
            // There is a place for each that was given out.
            let _ = slots.try_send(context);
        });
        while let Some(ended) = running.try_join_next() {
            pass_panic_on(ended);
        }
    }
    while let Some(ended) = running.join_next().await {
        pass_panic_on(ended);
    }
}

/// Contexts of tasks that may be under way at once.
struct Slots {
    made: u32,
    most: u32,
    back: mpsc::Sender<Context>,
    idle: mpsc::Receiver<Context>,
}

impl Slots {
    fn new(most: u32) -> Self {
        let (back, idle) = mpsc::channel(most as usize);
        Slots { made: 0, most, back, idle }
    }

    /// Waits for a context; `None`: the turn ends before there is one.
    async fn take(&mut self, work: &Work) -> Option<Context> {
        if let Ok(context) = self.idle.try_recv() {
            return Some(context);
        }
        if self.made < self.most {
            self.made += 1;
            return Some(work.context(self.made - 1));
        }
        let mut stop = work.stop.clone();
        tokio::select! {
            biased;
            () = stop.ending() => None,
            context = self.idle.recv() => context,
        }
    }
}

/// A bug in a task is not to look like a slow server.
pub(super) fn pass_panic_on(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}
