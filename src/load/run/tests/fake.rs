use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::load::live::{Observer, Snapshot};
use crate::load::measure::{Failure, Recorder, Timing};
use crate::load::plan::{ContentPlan, Plan, Shape, Sizes, TargetPlan, Workload, WorkloadPlan};
use crate::load::report::Report;
use crate::load::run::{
    Context, Done, Driver, Ledger, PushedBlob, PushedManifest, RunError, RunOptions, Session, Stop, Stopper, Target,
    run,
};

/// What happened, with its moment since the registry was made.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    Begin(String),
    /// A task, and when it should have started.
    Task {
        target: String,
        workload: &'static str,
        due: Duration,
        digest: String,
    },
    Cancelled,
    Closed(String),
    DeletedManifest(String),
    DeletedBlob(String),
    Verified(String),
}

/// A registry that is none: tasks take their time, and everything is written down.
#[derive(Clone)]
pub(super) struct Fake {
    pub(super) events: Arc<Mutex<Vec<(Duration, Event)>>>,
    pub(super) origin: Instant,
    /// How long a task takes; `None`: for ever.
    pub(super) takes: Option<Duration>,
    pub(super) fails: bool,
    pub(super) refuses_deletes: bool,
}

struct FakeSession {
    fake: Fake,
    target: String,
}

impl Fake {
    pub(super) fn taking(milliseconds: u64) -> Self {
        let takes = Some(Duration::from_millis(milliseconds));
        Fake { events: Arc::default(), origin: Instant::now(), takes, fails: false, refuses_deletes: false }
    }

    fn tell(&self, event: Event) {
        self.events.lock().unwrap().push((self.origin.elapsed(), event));
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().iter().map(|(_, event)| event.clone()).collect()
    }

    /// When each task should have started, in the order in which they began.
    pub(super) fn due(&self) -> Vec<Duration> {
        let due = |event| match event {
            Event::Task { due, .. } => Some(due),
            _ => None,
        };
        self.events().into_iter().filter_map(due).collect()
    }

    pub(super) async fn run(&self, plan: Plan) -> Report {
        self.run_until(plan, Stopper::new().signal()).await.unwrap()
    }

    pub(super) async fn run_until(&self, plan: Plan, stop: Stop) -> Result<Report, RunError> {
        let options = RunOptions { plan, ..RunOptions::default() };
        run(options, self, &mut Watching::default(), stop).await
    }
}

#[async_trait]
impl Driver for Fake {
    async fn begin(&self, target: &Arc<Target>, _recorder: &Recorder) -> Result<Arc<dyn Session>, Failure> {
        self.tell(Event::Begin(target.name.clone()));
        Ok(Arc::new(FakeSession { fake: self.clone(), target: target.name.clone() }))
    }
}

#[async_trait]
impl Session for FakeSession {
    async fn run(&self, workload: &Workload, context: &mut Context) -> Result<Done, Failure> {
        let repository = context.repository();
        let blob = context.blob().await;
        self.fake.tell(Event::Task {
            target: self.target.clone(),
            workload: workload.name(),
            due: context.should_start.saturating_duration_since(self.fake.origin),
            digest: blob.digest().to_string(),
        });
        match self.fake.takes {
            Some(takes) => tokio::time::sleep(takes).await,
            None => std::future::pending().await,
        }
        let timing = Timing { should_start: context.should_start, first_byte: None, end: Instant::now() };
        context.recorder.moved(blob.size());
        if self.fake.fails {
            let failure = Failure::answer(500, "UNKNOWN", "it is meant to fail");
            context.recorder.operation("blob.put", timing, 0, Err(&failure));
            return Err(failure);
        }
        context.recorder.operation("blob.put", timing, blob.size(), Ok(()));
        let bytes = blob.size();
        context.ledger.blob(PushedBlob { repository: repository.clone(), blob: blob.clone() }, &mut context.random);
        if matches!(workload, Workload::ImagePush(_)) {
            let manifest = PushedManifest {
                repository,
                digest: blob.digest().clone(),
                tag: Some("a".to_owned()),
                size: 1,
                blobs: vec![blob],
            };
            context.ledger.manifest(manifest, &mut context.random);
        }
        Ok(Done { bytes })
    }

    async fn cancel_uploads(&self) -> usize {
        self.fake.tell(Event::Cancelled);
        1
    }

    async fn delete_manifest(&self, manifest: &PushedManifest) -> Result<(), Failure> {
        self.fake.tell(Event::DeletedManifest(format!("{} {}", manifest.repository.as_str(), manifest.digest)));
        Ok(())
    }

    async fn delete_blob(&self, pushed: &PushedBlob) -> Result<(), Failure> {
        self.fake.tell(Event::DeletedBlob(format!("{} {}", pushed.repository.as_str(), pushed.blob.digest())));
        match self.fake.refuses_deletes {
            true => Err(Failure::answer(405, "UNSUPPORTED", "no deletes here")),
            false => Ok(()),
        }
    }

    async fn verify(&self, _ledger: &Ledger, _recorder: &Recorder) {
        self.fake.tell(Event::Verified(self.target.clone()));
    }

    async fn close(&self) {
        self.fake.tell(Event::Closed(self.target.clone()));
    }
}

/// Keeps what it was told.
#[derive(Default)]
struct Watching {
    has_ended: bool,
}

impl Observer for Watching {
    fn show(&mut self, _snapshot: &Snapshot) {
        assert!(!self.has_ended);
    }

    fn tell(&mut self, _line: &str) {
        assert!(!self.has_ended);
    }

    fn end(&mut self) {
        self.has_ended = true;
    }
}

/// Targets that nobody listens at, by their names.
pub(super) fn plan(names: &[&str], shape: Shape) -> Plan {
    let target = |name: &&str| TargetPlan {
        name: (*name).to_owned(),
        address: "127.0.0.1:1".parse().unwrap(),
        server_pid: None,
        credentials: None,
    };
    Plan {
        seed: Some(1),
        targets: names.iter().map(target).collect(),
        workloads: vec![WorkloadPlan { weight: 1.0, workload: Workload::PushMonolithic }],
        content: ContentPlan { sizes: Sizes::Fixed(100), ..ContentPlan::default() },
        shape,
        ..Plan::default()
    }
}

pub(super) fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
