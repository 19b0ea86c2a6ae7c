//! What is shown and what a key does to it; no terminal, no network, no clock.

use std::collections::VecDeque;

use longshore::upload::SortUploads;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::snapshot::{Order, Snapshot};
use crate::cli::admin_types::Upload;
use crate::cli::uploads::end::End;

/// How many total rates are remembered for the curve; more than a terminal has columns.
const REMEMBERED_RATES: usize = 512;

/// How far page up and page down go.
const PAGE: usize = 10;

/// Everything that is on the screen.
pub(super) struct Model {
    /// Who is asked.
    pub(super) address: String,
    pub(super) order: Order,
    /// Only repositories with this in their name are shown.
    pub(super) filter: String,
    pub(super) mode: Mode,
    pub(super) snapshot: Option<Snapshot>,
    /// The total rate at each answer, the newest last.
    pub(super) rates: VecDeque<u64>,
    /// Why the last question had no answer.
    pub(super) problem: Option<String>,
    /// What came of the last cancel or expire.
    pub(super) notice: Option<String>,
    selected: Option<Target>,
    /// Where the selected one stood when it was last seen, so that its neighbour is next when it is gone.
    selected_row: usize,
}

/// What keys mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Look,
    /// The filter is being typed.
    Filter,
    /// A question is open. Its upload stays the same, wherever the list goes meanwhile.
    Confirm(End, Target),
}

/// One upload, by its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) repository: String,
    pub(super) id: String,
}

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    Key(KeyEvent),
    /// The answer to a question for this order.
    Fetched(Order, Result<Snapshot, String>),
    /// What came of a cancel or expire, as a sentence.
    Ended(String),
}

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Nothing,
    /// Ask now.
    Refresh,
    End(End, Target),
    Quit,
}

impl Model {
    pub(super) fn new(address: String, sort: SortUploads) -> Self {
        Model {
            address,
            order: Order::usual(sort),
            filter: String::new(),
            mode: Mode::Look,
            snapshot: None,
            rates: VecDeque::new(),
            problem: None,
            notice: None,
            selected: None,
            selected_row: 0,
        }
    }

    pub(super) fn update(&mut self, event: Event) -> Command {
        match event {
            Event::Key(key) if key.kind == KeyEventKind::Release => Command::Nothing,
            Event::Key(key) => self.key(key),
            Event::Fetched(order, _) if order != self.order => Command::Nothing,
            Event::Fetched(_, Ok(snapshot)) => {
                self.problem = None;
                self.rates.push_back(snapshot.rate);
                if self.rates.len() > REMEMBERED_RATES {
                    self.rates.pop_front();
                }
                self.snapshot = Some(snapshot);
                self.follow_selected();
                Command::Nothing
            }
            Event::Fetched(_, Err(problem)) => {
                self.problem = Some(problem);
                Command::Nothing
            }
            Event::Ended(notice) => {
                self.notice = Some(notice);
                Command::Refresh
            }
        }
    }

    /// Those that the filter lets through, in their order.
    pub(super) fn visible(&self) -> Vec<&Upload> {
        let uploads = self.snapshot.iter().flat_map(|snapshot| &snapshot.uploads);
        uploads.filter(|upload| upload.repository.contains(&self.filter)).collect()
    }

    /// Which of the visible ones is selected.
    pub(super) fn selected_row(&self) -> Option<usize> {
        self.selected.as_ref().map(|_| self.selected_row)
    }

    fn key(&mut self, key: KeyEvent) -> Command {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Command::Quit;
        }
        match self.mode.clone() {
            Mode::Look => self.key_in_list(key.code),
            Mode::Filter => self.key_in_filter(key.code),
            Mode::Confirm(how, target) => {
                self.mode = Mode::Look;
                match key.code {
                    KeyCode::Char('y' | 'Y') => Command::End(how, target),
                    _ => Command::Nothing,
                }
            }
        }
    }

    fn key_in_list(&mut self, key: KeyCode) -> Command {
        self.notice = None;
        match key {
            KeyCode::Char('q') => return Command::Quit,
            KeyCode::Char('r') => return self.sort(SortUploads::Rate),
            KeyCode::Char('a') => return self.sort(SortUploads::Started),
            KeyCode::Char('i') => return self.sort(SortUploads::Progress),
            KeyCode::Char('d') => return self.sort(SortUploads::Deadline),
            KeyCode::Char('n') => return self.sort(SortUploads::Name),
            KeyCode::Char('c') => self.ask(End::Cancel),
            KeyCode::Char('e') => self.ask(End::Expire),
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Esc => self.set_filter(String::new()),
            KeyCode::Up | KeyCode::Char('k') => self.select(|row| row.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.select(|row| row.saturating_add(1)),
            KeyCode::PageUp => self.select(|row| row.saturating_sub(PAGE)),
            KeyCode::PageDown => self.select(|row| row.saturating_add(PAGE)),
            KeyCode::Home => self.select_row(0),
            KeyCode::End => self.select_row(usize::MAX),
            _ => {}
        }
        Command::Nothing
    }

    fn key_in_filter(&mut self, key: KeyCode) -> Command {
        match key {
            KeyCode::Enter => self.mode = Mode::Look,
            KeyCode::Esc => {
                self.mode = Mode::Look;
                self.set_filter(String::new());
            }
            KeyCode::Backspace => {
                let mut filter = self.filter.clone();
                filter.pop();
                self.set_filter(filter);
            }
            KeyCode::Char(c) => self.set_filter(format!("{}{c}", self.filter)),
            _ => {}
        }
        Command::Nothing
    }

    /// The usual way round first, the other way when it is so already.
    fn sort(&mut self, by: SortUploads) -> Command {
        self.order = match Order::usual(by) {
            usual if usual == self.order => Order { descending: !usual.descending, ..usual },
            usual => usual,
        };
        Command::Refresh
    }

    fn ask(&mut self, how: End) {
        match self.selected.clone() {
            Some(target) => self.mode = Mode::Confirm(how, target),
            None => self.notice = Some("select one first, with up and down".to_owned()),
        }
    }

    fn set_filter(&mut self, filter: String) {
        self.filter = filter;
        self.follow_selected();
    }

    /// When none is selected yet, the first one is.
    fn select(&mut self, go: impl Fn(usize) -> usize) {
        let row = self.selected_row().map_or(0, go);
        self.select_row(row);
    }

    fn select_row(&mut self, row: usize) {
        let visible = self.visible();
        let row = row.min(visible.len().saturating_sub(1));
        let selected = visible.get(row).map(|upload| Target::of(upload));
        (self.selected, self.selected_row) = (selected, row);
    }

    /// The selection stays with its upload; with one that is gone, it goes to what is in its place.
    fn follow_selected(&mut self) {
        let Some(selected) = &self.selected else {
            return;
        };
        let row = self.visible().iter().position(|upload| Target::of(upload) == *selected);
        self.select_row(row.unwrap_or(self.selected_row));
    }
}

impl Target {
    fn of(upload: &Upload) -> Self {
        Target { repository: upload.repository.clone(), id: upload.id.clone() }
    }
}
