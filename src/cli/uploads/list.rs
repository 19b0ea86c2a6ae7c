//! `longshore uploads list`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;

use super::filter::{FilterArguments, sort_values};
use crate::cli::admin_client::{AdminArguments, AdminClient, AdminError};
use crate::cli::admin_types::{Moment, Page, Upload};
use crate::cli::exit;
use crate::cli::text::{Table, print, printable_json, rate, size, time};

/// The API's greatest page.
pub(super) const PAGE: usize = 1000;

#[derive(Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    admin: AdminArguments,
    #[command(flatten)]
    filter: FilterArguments,
    /// By what they are sorted
    #[arg(long, value_name = "BY", value_parser = sort_values(), default_value = "name")]
    sort: String,
    /// The greatest, latest or fastest first
    #[arg(long)]
    desc: bool,
    /// How many at most [default: all]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// One JSON document instead of a table, as the admin API answers it
    #[arg(long)]
    json: bool,
}

/// All pages together.
#[derive(Serialize)]
struct Listing {
    uploads: Vec<Box<RawValue>>,
    total: u64,
}

pub(super) fn list(arguments: &ListArguments) -> ExitCode {
    arguments.admin.run(async |client| {
        let listing = match fetch(&client, arguments).await {
            Ok(listing) => listing,
            Err(error) => return exit::of_failure(&error),
        };
        let text = if arguments.json { as_json(&listing) } else { as_table(&listing, Moment::now()) };
        match text {
            Ok(text) => print(text.as_bytes()),
            Err(error) => exit::of_failure(&format_args!("an answer of {}: {error}", client.address())),
        }
    })
}

async fn fetch(client: &AdminClient, arguments: &ListArguments) -> Result<Listing, AdminError> {
    let wanted = arguments.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut query = arguments.filter.query();
    query.push(("sort", arguments.sort.clone()));
    query.push(("order", if arguments.desc { "desc" } else { "asc" }.to_owned()));
    let mut listing = Listing { uploads: Vec::new(), total: 0 };
    let mut after: Option<String> = None;
    loop {
        let mut page_query = query.clone();
        page_query.push(("limit", (wanted - listing.uploads.len()).min(PAGE).to_string()));
        page_query.extend(after.take().map(|after| ("after", after)));
        let (_, page) = client.get::<Page>(&["uploads"], &page_query).await?;
        // A page that is empty or full of itself must not make this go on for ever.
        let is_last = page.uploads.is_empty();
        listing.total = page.total;
        listing.uploads.extend(page.uploads);
        after = page.next.filter(|_| !is_last && listing.uploads.len() < wanted);
        if after.is_none() {
            listing.uploads.truncate(wanted);
            return Ok(listing);
        }
    }
}

fn as_json(listing: &Listing) -> serde_json::Result<String> {
    Ok(printable_json(&serde_json::to_string(listing)?) + "\n")
}

fn as_table(listing: &Listing, now: Moment) -> serde_json::Result<String> {
    let titles = ["REPOSITORY", "ID", "STATE", "SIZE", "RATE", "AGE", "IDLE", "DEADLINE", "CLIENT"];
    let mut table = Table::new(titles);
    for upload in &listing.uploads {
        let upload: Upload = serde_json::from_str(upload.get())?;
        table.row([
            upload.repository.clone(),
            upload.id.clone(),
            upload.state.clone(),
            size(upload.offset_bytes),
            rate(upload.rate_bytes_per_second),
            time(now.since(upload.started_at)),
            time(now.since(upload.progress_at)),
            deadline(&upload, now),
            upload.client.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    let mut text = table.render();
    let shown = listing.uploads.len();
    if u64::try_from(shown).is_ok_and(|shown| shown < listing.total) {
        text += &format!("{shown} of {}\n", listing.total);
    }
    Ok(text)
}

/// In how long it goes and why: `5h59m (idle_timeout)`.
pub(super) fn deadline(upload: &Upload, now: Moment) -> String {
    match &upload.deadline {
        None => "-".to_owned(),
        Some(deadline) => match deadline.at.since(now) {
            Duration::ZERO => format!("now ({})", deadline.policy),
            left => format!("{} ({})", time(left), deadline.policy),
        },
    }
}
