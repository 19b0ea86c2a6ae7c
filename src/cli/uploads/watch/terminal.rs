use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use tokio::sync::mpsc;

/// How long the reader of keys takes to see that it should end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Nobody types so far ahead.
const KEYS_AHEAD: usize = 64;

/// The terminal, taken over; given back when this is dropped, and by a panic.
pub(super) struct Screen {
    pub(super) terminal: DefaultTerminal,
    ended: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Screen {
    /// Takes the terminal over. What is typed (and that its size changed) comes by the receiver, which ends when the
    /// terminal is gone.
    pub(super) fn open() -> io::Result<(Screen, mpsc::Receiver<Event>)> {
        let terminal = ratatui::try_init()?;
        let (sender, receiver) = mpsc::channel(KEYS_AHEAD);
        let ended = Arc::new(AtomicBool::new(false));
        let reader = std::thread::spawn({
            let ended = ended.clone();
            move || read(&ended, &sender)
        });
        Ok((Screen { terminal, ended, reader: Some(reader) }, receiver))
    }
}

fn read(ended: &AtomicBool, sender: &mpsc::Sender<Event>) {
    while !ended.load(Ordering::Acquire) {
        match event::poll(LOOK_EVERY) {
            Ok(false) => {}
            Ok(true) => match event::read() {
                // Too many are dropped: this must be able to end while nobody listens.
                Ok(event) => drop(sender.try_send(event)),
                Err(_) => return,
            },
            Err(_) => return,
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Before the terminal is given back, so that nothing typed for the shell is taken.
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        ratatui::restore();
    }
}
