use std::io;
use std::panic::resume_unwind;

use longshore::upload::SortUploads;
use ratatui::crossterm::event::Event as TerminalEvent;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::WatchArguments;
use super::draw::draw;
use super::model::{Command, Event, Model, Target};
use super::snapshot::Snapshot;
use super::terminal::Screen;
use crate::cli::admin_client::AdminClient;
use crate::cli::admin_types::Moment;
use crate::cli::uploads::end::{End, end_one};
use crate::cli::uploads::filter::FilterArguments;

/// What is asked of the registry meanwhile.
struct Questions {
    client: AdminClient,
    filter: FilterArguments,
    running: JoinSet<Event>,
    is_fetching: bool,
    /// The order changed while it was asked for another.
    ask_again: bool,
}

/// Shows until it is told to end.
///
/// # Errors
/// Those of the terminal.
pub(super) async fn run(client: AdminClient, arguments: &WatchArguments) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let sort = SortUploads::parse(&arguments.sort).unwrap_or(SortUploads::Rate);
    let mut model = Model::new(client.address().to_owned(), sort);
    let mut questions = Questions::new(client, arguments.filter.clone());
    let mut ticks = tokio::time::interval(arguments.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut screen, mut keys) = Screen::open()?;
    loop {
        screen.terminal.draw(|frame| draw(frame, &model, Moment::now()))?;
        let event = tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hang_up.recv() => return Ok(()),
            typed = keys.recv() => match typed {
                Some(TerminalEvent::Key(key)) => Event::Key(key),
                // Another size: drawing is all that it needs.
                Some(_) => continue,
                None => return Err(io::Error::other("it is gone")),
            },
            event = questions.answer() => event,
            _ = ticks.tick() => {
                questions.fetch(&model);
                continue;
            }
        };
        match model.update(event) {
            Command::Nothing => {}
            Command::Refresh => questions.fetch_anew(&model),
            Command::End(how, target) => questions.end(how, target),
            Command::Quit => return Ok(()),
        }
        questions.fetch_if_due(&model);
    }
}

impl Questions {
    fn new(client: AdminClient, filter: FilterArguments) -> Self {
        Questions { client, filter, running: JoinSet::new(), is_fetching: false, ask_again: false }
    }

    /// One at a time: a registry that is slow is not asked more for it.
    fn fetch(&mut self, model: &Model) {
        if self.is_fetching {
            return;
        }
        self.is_fetching = true;
        let (client, filter, order) = (self.client.clone(), self.filter.clone(), model.order);
        self.running.spawn(async move {
            let fetched = Snapshot::fetch(&client, &filter, order).await;
            Event::Fetched(order, fetched.map_err(|error| error.to_string()))
        });
    }

    fn fetch_anew(&mut self, model: &Model) {
        self.ask_again = self.is_fetching;
        self.fetch(model);
    }

    fn fetch_if_due(&mut self, model: &Model) {
        if self.ask_again && !self.is_fetching {
            self.ask_again = false;
            self.fetch(model);
        }
    }

    fn end(&mut self, how: End, target: Target) {
        let client = self.client.clone();
        self.running.spawn(async move {
            let Target { repository, id } = target;
            Event::Ended(match end_one(&client, how, &id, Some(&repository)).await {
                Ok(_) => format!("{} {id} of {repository}", how.done()),
                Err(error) => format!("not {}: {error}", how.done()),
            })
        });
    }

    /// The next answer; never, when nothing was asked.
    async fn answer(&mut self) -> Event {
        match self.running.join_next().await {
            Some(Ok(event)) => {
                if matches!(event, Event::Fetched(..)) {
                    self.is_fetching = false;
                }
                event
            }
            Some(Err(error)) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }
}
