use tokio::sync::watch;

/// Tells tasks that the run, or its turn, ends. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stop {
    level: watch::Receiver<Level>,
}

/// Who tells it.
#[derive(Debug)]
pub struct Stopper {
    level: watch::Sender<Level>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Running,
    /// Nothing new is begun, what is under way goes on to its end.
    Ending,
    /// What is under way is broken off.
    Now,
}

impl Stopper {
    /// With nothing told yet.
    pub fn new() -> Self {
        Stopper { level: watch::Sender::new(Level::Running) }
    }

    /// What tasks look at.
    pub fn signal(&self) -> Stop {
        Stop { level: self.level.subscribe() }
    }

    /// Nothing new is begun.
    pub fn end(&self) {
        self.raise(Level::Ending);
    }

    /// What is under way is broken off.
    pub fn now(&self) {
        self.raise(Level::Now);
    }

    fn raise(&self, wanted: Level) {
        self.level.send_if_modified(|level| {
            let is_higher = wanted > *level;
            *level = wanted.max(*level);
            is_higher
        });
    }
}

impl Default for Stopper {
    fn default() -> Self {
        Stopper::new()
    }
}

impl Stop {
    /// Whether nothing new should be begun. A task that does many things in a row may end early.
    pub fn is_ending(&self) -> bool {
        *self.level.borrow() >= Level::Ending
    }

    /// Whether what is under way should be broken off.
    pub fn is_now(&self) -> bool {
        *self.level.borrow() == Level::Now
    }

    /// Resolves when nothing new should be begun.
    pub async fn ending(&mut self) {
        self.reaches(Level::Ending).await;
    }

    /// Resolves when what is under way should be broken off. Tasks need not wait for it: the runner drops them.
    pub async fn now(&mut self) {
        self.reaches(Level::Now).await;
    }

    async fn reaches(&mut self, wanted: Level) {
        // Where the one who could tell is gone, whoever works for it should end.
        let _ = self.level.wait_for(|level| *level >= wanted).await;
    }
}
