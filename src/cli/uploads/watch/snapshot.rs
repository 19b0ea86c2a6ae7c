use longshore::upload::{SortUploads, UploadState};

use crate::cli::admin_client::{AdminClient, AdminError};
use crate::cli::admin_types::{Page, Upload};
use crate::cli::uploads::filter::{FilterArguments, Query};
use crate::cli::uploads::list::PAGE;

/// In which order they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) by: SortUploads,
    pub(super) descending: bool,
}

impl Order {
    /// That in which the most remarkable ones come first: fastest, oldest, longest idle, soonest gone.
    pub(super) fn usual(by: SortUploads) -> Self {
        Order { by, descending: matches!(by, SortUploads::Rate | SortUploads::Offset) }
    }

    fn extend(self, query: &mut Query) {
        query.push(("sort", self.by.as_str().to_owned()));
        query.push(("order", if self.descending { "desc" } else { "asc" }.to_owned()));
    }
}

/// How the uploads stood at one time.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// The first ones in the order that was asked for.
    pub(super) uploads: Vec<Upload>,
    /// How many there are, shown or not.
    pub(super) total: u64,
    /// How many in which state.
    pub(super) states: Vec<(UploadState, u64)>,
    /// Of all together, in bytes a second.
    pub(super) rate: u64,
    /// More is written to than was asked for, so that the rate is higher.
    pub(super) rate_is_more: bool,
}

impl Snapshot {
    /// Asks for one page, and only when that is not all, for what must be known of the others.
    ///
    /// # Errors
    /// [`AdminError`].
    pub(super) async fn fetch(
        client: &AdminClient,
        filter: &FilterArguments,
        order: Order,
    ) -> Result<Snapshot, AdminError> {
        let page = fetch_page(client, filter, order, PAGE).await?;
        let uploads = parse(client, &page)?;
        let rate = total_rate(&uploads);
        if page.next.is_none() {
            let states = filter.states().map(|state| (state, count(&uploads, state))).collect();
            return Ok(Snapshot { uploads, total: page.total, states, rate, rate_is_more: false });
        }
        let mut states = Vec::new();
        for state in filter.states() {
            let total = fetch_page(client, &filter.with_state(state), order, 1).await?.total;
            states.push((state, total));
        }
        let fastest_first = Order { by: SortUploads::Rate, descending: true };
        let fastest = match order == fastest_first {
            true => uploads.clone(),
            false => parse(client, &fetch_page(client, filter, fastest_first, PAGE).await?)?,
        };
        let rate_is_more = fastest.last().is_some_and(|upload| upload.rate_bytes_per_second > 0);
        Ok(Snapshot { uploads, total: page.total, states, rate: total_rate(&fastest), rate_is_more })
    }
}

async fn fetch_page(
    client: &AdminClient,
    filter: &FilterArguments,
    order: Order,
    limit: usize,
) -> Result<Page, AdminError> {
    let mut query = filter.query();
    order.extend(&mut query);
    query.push(("limit", limit.to_string()));
    Ok(client.get(&["uploads"], &query).await?.1)
}

fn parse(client: &AdminClient, page: &Page) -> Result<Vec<Upload>, AdminError> {
    let parsed: serde_json::Result<_> = page.uploads.iter().map(|upload| serde_json::from_str(upload.get())).collect();
    parsed.map_err(|error| AdminError::Foreign {
        address: client.address().to_owned(),
        cause: format!("its answer: {error}"),
    })
}

fn total_rate(uploads: &[Upload]) -> u64 {
    uploads.iter().fold(0, |total, upload| total.saturating_add(upload.rate_bytes_per_second))
}

fn count(uploads: &[Upload], state: UploadState) -> u64 {
    uploads.iter().filter(|upload| upload.state == state.as_str()).count() as u64
}
