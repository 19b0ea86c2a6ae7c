//! A push that is cut, asks for the offset and goes on.

use std::time::Duration;

use rand::RngExt as _;
use tokio::time::Instant;

use super::answers::{Op, Refused};
use super::body::{CutPoint, Part};
use super::task::Task;
use super::upload::{Tells, Upload};
use crate::load::measure::Failure;
use crate::load::plan::{Cut, Resume};
use crate::load::run::Done;
use crate::load::wire::CutKind;

/// A body that is cut is no request that anybody would time.
const CUT_PATCH: Op = Op::unmeasured("upload.patch");

/// After a cut, a registry may say that somebody still writes, or that the bytes go elsewhere.
const RESUMED_PATCH: Op = Op::accepting("upload.patch", &[409, 416, 423, 429]);

/// For how long a registry that does not answer is asked for the offset, and one that is busy to take the rest.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a push begins anew when the registry loses it.
const MOST_RESTARTS: u32 = 3;

const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Waits that become longer, within [`PATIENCE`].
pub(super) struct Waits {
    next: Duration,
    ends_at: Instant,
}

/// How the registry answered to where an upload stands.
enum Asked {
    Holds(u64),
    /// It does not know the upload.
    Lost,
}

pub(super) async fn run(task: &mut Task<'_>, plan: &Resume) -> Result<Done, Failure> {
    let blob = task.context.blob().await;
    let repository = task.repository();
    let mut upload = Upload::start(&mut task.lane, &repository, &blob).await?;
    let (mut cuts_left, mut restarts, mut is_cut) = (plan.times, 0, false);
    let mut offset = 0;
    let mut waits = Waits::begin();
    while offset < blob.size() {
        let cuts_now = cuts_left > 0 && blob.size() - offset > 1;
        let asked = match cuts_now {
            true => {
                cuts_left -= 1;
                is_cut = true;
                cut(task, plan, &mut upload, offset).await?
            }
            false => go_on(task, plan, &mut upload, offset, &mut waits).await?,
        };
        match asked {
            Asked::Holds(held) => {
                if cuts_now || held > offset {
                    waits = Waits::begin();
                }
                offset = held;
            }
            Asked::Lost => {
                restarts += 1;
                if restarts > MOST_RESTARTS {
                    return Err(super::failure::protocol(format!("the registry lost the upload {restarts} times")));
                }
                task.lane.recorder.restarted();
                task.lane.uploads.ended(upload.ticket);
                task.lane.watch.end_silence();
                upload = Upload::start(&mut task.lane, &repository, &blob).await?;
                (offset, is_cut) = (0, false);
            }
        }
    }
    upload.commit(&mut task.lane, None).await?;
    task.lane.watch.end_silence();
    if is_cut {
        task.lane.recorder.resumed();
    }
    let history = task.lane.history.clone();
    task.pushed(&repository, &blob, &history);
    Ok(Done { bytes: blob.size() })
}

/// Sends a part of what is left, cuts it, and asks how much the registry has.
async fn cut(task: &mut Task<'_>, plan: &Resume, upload: &mut Upload, offset: u64) -> Result<Asked, Failure> {
    let size = upload.blob.size();
    let at = task.context.random.random_range(offset + 1..size);
    let kind = kind_of(plan, task);
    let point = CutPoint::new(at, kind);
    let part = Part::of(&upload.blob, offset..size).cut(&point);
    // Also when it never comes to its end: bytes may have got there.
    upload.sent = upload.sent.max(at);
    task.lane.history.note(format!("cut at {at} by {}", kind.as_str()));
    let sent = upload.patch(&mut task.lane, CUT_PATCH, part, Tells::Range);
    let answered = tokio::select! {
        answered = sent => Some(answered),
        () = no_answer(&point, plan.silence) => None,
    };
    let Some(cut_at) = point.moment() else {
        // It never came to the cut: that is what a registry does that takes no more.
        return match answered {
            Some(Err(refused)) if is_lost(&refused) => Ok(Asked::Lost),
            Some(Err(refused)) if !may_go_on(&refused) => Err(refused.failure),
            _ => ask(task, upload).await,
        };
    };
    task.lane.recorder.cut();
    if let Some(Err(refused)) = &answered
        && refused.is_finding()
    {
        return Err(refused.failure.clone());
    }
    tokio::time::sleep(plan.wait).await;
    let asked = ask(task, upload).await?;
    if let Asked::Holds(held) = asked {
        task.lane.recorder.offset_told(cut_at, Instant::now(), at.saturating_sub(held));
    }
    Ok(asked)
}

/// Resolves when a registry that was told that nothing more comes has said nothing to it for so long. The other cuts wait
/// for no answer.
async fn no_answer(point: &CutPoint, silence: Duration) {
    point.reached().await;
    match point.kind {
        CutKind::HalfClose => tokio::time::sleep(silence).await,
        CutKind::Reset | CutKind::Silence => std::future::pending().await,
    }
}

/// Sends all that is left.
async fn go_on(
    task: &mut Task<'_>,
    plan: &Resume,
    upload: &mut Upload,
    offset: u64,
    waits: &mut Waits,
) -> Result<Asked, Failure> {
    let part = Part::of(&upload.blob, offset..upload.blob.size());
    let began = Instant::now();
    let refused = match upload.patch(&mut task.lane, RESUMED_PATCH, part, Tells::Range).await {
        Ok(held) => return Ok(Asked::Holds(held)),
        Err(refused) if is_lost(&refused) => return Ok(Asked::Lost),
        Err(refused) => refused,
    };
    if !may_go_on(&refused) || !waits.wait(&refused).await {
        return Err(refused.failure);
    }
    if began.elapsed() >= plan.silence || waits.have_lasted() >= plan.silence {
        // The registry waits for the connection that is silent.
        task.lane.watch.end_silence();
    }
    ask(task, upload).await
}

/// Asks until the registry tells.
async fn ask(task: &mut Task<'_>, upload: &mut Upload) -> Result<Asked, Failure> {
    let mut waits = Waits::begin();
    loop {
        match upload.status(&mut task.lane).await {
            Ok(held) => return Ok(Asked::Holds(held)),
            Err(refused) if is_lost(&refused) => return Ok(Asked::Lost),
            Err(refused) if !refused.is_passing() || !waits.wait(&refused).await => return Err(refused.failure),
            Err(_) => {}
        }
    }
}

fn kind_of(plan: &Resume, task: &mut Task<'_>) -> CutKind {
    let drawn = match plan.cuts.len() {
        0 => Cut::Reset,
        length => plan.cuts[task.context.random.random_range(0..length)],
    };
    match drawn {
        Cut::Reset => CutKind::Reset,
        Cut::HalfClose => CutKind::HalfClose,
        Cut::Silence => CutKind::Silence,
    }
}

fn is_lost(refused: &Refused) -> bool {
    matches!(refused.status(), 404 | 410)
}

/// The rest may be taken at another offset, or later.
fn may_go_on(refused: &Refused) -> bool {
    refused.status() == 416 || refused.is_passing()
}

impl Waits {
    pub(super) fn begin() -> Self {
        Waits { next: FIRST_WAIT, ends_at: Instant::now() + PATIENCE }
    }

    /// Waits before the next try, for as long as the registry asks; `false` when there should be none.
    pub(super) async fn wait(&mut self, refused: &Refused) -> bool {
        let asked = refused.error.as_ref().and_then(|error| error.retry_after()).unwrap_or_default();
        let ends_at = Instant::now() + self.next.max(asked);
        if ends_at > self.ends_at {
            return false;
        }
        tokio::time::sleep_until(ends_at).await;
        self.next = (self.next * 2).min(LONGEST_WAIT);
        true
    }

    fn have_lasted(&self) -> Duration {
        PATIENCE.saturating_sub(self.ends_at.saturating_duration_since(Instant::now()))
    }
}
