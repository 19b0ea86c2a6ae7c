//! Which columns there is room for, and what stands in them.

use crate::cli::admin_types::{Moment, Upload};
use crate::cli::text::{printable, rate, size, time};

/// The least that a repository's name gets; it takes what the others leave, too.
const REPOSITORY: usize = 12;

/// Between two columns.
pub(super) const GAP: usize = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Repository,
    Rate,
    State,
    Size,
    Idle,
    Deadline,
    Age,
    Client,
    Policy,
    Id,
}

/// The most telling first: in this order they get room, and from left to right they stand.
const BY_IMPORTANCE: [Column; 10] = [
    Column::Repository,
    Column::Rate,
    Column::State,
    Column::Size,
    Column::Idle,
    Column::Deadline,
    Column::Age,
    Column::Client,
    Column::Policy,
    Column::Id,
];

/// Those that fit, each with its width.
pub(super) fn fit(width: usize, uploads: &[&Upload]) -> Vec<(Column, usize)> {
    let mut columns: Vec<(Column, usize)> = Vec::new();
    let mut left = width;
    for column in BY_IMPORTANCE {
        let wanted = column.width(uploads) + if columns.is_empty() { 0 } else { GAP };
        if wanted > left && !columns.is_empty() {
            continue;
        }
        left = left.saturating_sub(wanted);
        columns.push((column, column.width(uploads)));
    }
    if let Some((_, repository)) = columns.first_mut() {
        *repository = (*repository + left).min(width);
    }
    columns
}

impl Column {
    pub(super) fn title(self) -> &'static str {
        match self {
            Column::Repository => "REPOSITORY",
            Column::Rate => "RATE",
            Column::State => "STATE",
            Column::Size => "SIZE",
            Column::Idle => "IDLE",
            Column::Deadline => "GOES IN",
            Column::Age => "AGE",
            Column::Client => "CLIENT",
            Column::Policy => "POLICY",
            Column::Id => "ID",
        }
    }

    fn width(self, uploads: &[&Upload]) -> usize {
        match self {
            Column::Repository => REPOSITORY,
            Column::Rate => "1023 MiB/s".len(),
            Column::State => "committing".len(),
            Column::Size => "1023 MiB".len(),
            Column::Idle | Column::Age => "23h59m".len(),
            Column::Deadline => "GOES IN".len(),
            // An address that is cut off is another address.
            Column::Client => uploads.iter().map(|upload| client(upload).chars().count()).max().unwrap_or(0).max(15),
            Column::Policy => "idle_timeout".len(),
            Column::Id => 36,
        }
    }

    pub(super) fn text(self, upload: &Upload, now: Moment) -> String {
        let deadline = upload.deadline.as_ref();
        match self {
            Column::Repository => printable(&upload.repository),
            Column::Rate => rate(upload.rate_bytes_per_second),
            Column::State => printable(&upload.state),
            Column::Size => size(upload.offset_bytes),
            Column::Idle => time(now.since(upload.progress_at)),
            Column::Age => time(now.since(upload.started_at)),
            Column::Deadline => deadline.map_or_else(|| "-".to_owned(), |deadline| time(deadline.at.since(now))),
            Column::Policy => deadline.map_or_else(|| "-".to_owned(), |deadline| printable(&deadline.policy)),
            Column::Client => client(upload),
            Column::Id => printable(&upload.id),
        }
    }
}

fn client(upload: &Upload) -> String {
    upload.client.as_deref().map_or_else(|| "-".to_owned(), printable)
}

/// The end of a text that is too long: of a repository's name, that is what tells it from others.
pub(super) fn end_of(text: &str, width: usize) -> String {
    let length = text.chars().count();
    match length <= width {
        true => text.to_owned(),
        false => {
            let kept = width.saturating_sub(1);
            "…".chars().take(width).chain(text.chars().skip(length - kept)).collect()
        }
    }
}
