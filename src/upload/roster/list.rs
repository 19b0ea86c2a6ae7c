//! The list of uploads: filtered, sorted, by pages, without holding the roster for long.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;
use crate::upload::{ExpiredView, ListUploads, SortUploads, UploadPage, UploadState, UploadView};

/// How many entries are looked at before others get their turn.
const AT_ONCE: usize = 4096;

/// Where an upload stands in the order: the sorted value, then its name.
type Place = (u64, RepositoryName, UploadId);

impl Roster {
    /// One page; `None` when `after` is no token of ours.
    ///
    /// It looks at every known upload once (a million take about a second of one core), and keeps one page in memory.
    pub fn list(&self, request: &ListUploads) -> Option<UploadPage> {
        let after = match &request.after {
            Some(token) => Some(read_token(token)?),
            None => None,
        };
        let now = self.now();
        let mut total = 0;
        let mut ascending = BinaryHeap::new();
        let mut descending = BinaryHeap::new();
        let mut last: Option<Name> = None;
        loop {
            let known = self.lock();
            let names = known.names_after(last.as_ref(), AT_ONCE);
            for name in &names {
                let Some(entry) = known.uploads.get(name) else { continue };
                let view = self.view_of(name, entry, now);
                if !fits(&view, request) {
                    continue;
                }
                total += 1;
                let place = (sort_key(&view, request.sort), view.repository.clone(), view.id);
                match request.descending {
                    false if after.as_ref().is_none_or(|after| place > *after) => {
                        push(&mut ascending, (place, name.clone()), request.limit);
                    }
                    true if after.as_ref().is_none_or(|after| place < *after) => {
                        push(&mut descending, Reverse((place, name.clone())), request.limit);
                    }
                    _ => {}
                }
            }
            drop(known);
            match names.last() {
                Some(name) if names.len() == AT_ONCE => last = Some(name.clone()),
                _ => break,
            }
        }
        let mut places: Vec<(Place, Name)> = match request.descending {
            false => ascending.into_sorted_vec(),
            true => descending.into_sorted_vec().into_iter().map(|Reverse(place)| place).collect(),
        };
        // One more than the page was kept, to see whether there is a next one.
        let has_more = places.len() > request.limit;
        places.truncate(request.limit);
        let next = places.last().filter(|_| has_more).map(|(place, _)| write_token(place));
        let known = self.lock();
        let uploads = places
            .iter()
            .filter_map(|(_, name)| known.uploads.get(name).map(|entry| self.view_of(name, entry, now)))
            .collect();
        Some(UploadPage { uploads, total, next })
    }

    /// Those with this id: one as a rule, more where folders were copied.
    pub fn find(&self, id: UploadId) -> Vec<UploadView> {
        let now = self.now();
        let known = self.lock();
        let from = known.uploads.iter_from(id);
        from.map(|(name, entry)| self.view_of(name, entry, now)).collect()
    }

    fn view_of(&self, name: &Name, entry: &Entry, now: u64) -> UploadView {
        let policies = self.policies();
        let config = policies.of(&name.repository);
        let repository = (*name.repository).clone();
        let shown = |deadline: Option<(u64, Policy)>| deadline.map(|(at, policy)| (from_millis(at), policy));
        if let Stage::Live(live) = &entry.stage {
            let live = live.view();
            return UploadView {
                repository,
                id: name.id,
                state: live.state,
                offset: live.offset,
                started_at: from_millis(live.started_at),
                progress_at: from_millis(live.progress_at),
                rate: live.rate(now),
                client: live.client,
                deadline: shown(live.deadline),
                expired: None,
            };
        }
        let (state, deadline, expired) = match &entry.stage {
            Stage::Kept(kept) => {
                let kept_until = kept.at.saturating_add(millis(config.keep_failed_for));
                let expired = ExpiredView {
                    at: from_millis(kept.at),
                    policy: kept.policy,
                    kept_until: from_millis(kept_until),
                    kept_bytes: kept.bytes,
                };
                (UploadState::Expired, None, Some(expired))
            }
            _ => (UploadState::Passive, deadline(config, entry.started_at, entry.progress_at), None),
        };
        UploadView {
            repository,
            id: name.id,
            state,
            offset: entry.offset,
            started_at: from_millis(entry.started_at),
            progress_at: from_millis(entry.progress_at),
            rate: 0,
            client: entry.client,
            deadline: shown(deadline),
            expired,
        }
    }
}

trait IterFrom {
    fn iter_from(&self, id: UploadId) -> impl Iterator<Item = (&Name, &Entry)>;
}

impl IterFrom for BTreeMap<Name, Entry> {
    /// The entries of one id.
    fn iter_from(&self, id: UploadId) -> impl Iterator<Item = (&Name, &Entry)> {
        // No name is less than the shortest one.
        let least: RepositoryName = "0".parse().expect("a digit is a repository name");
        let from = Name { id, repository: Arc::new(least) };
        self.range(from..).take_while(move |(name, _)| name.id == id)
    }
}

/// Keeps the least `limit` and one more.
fn push<T: Ord>(heap: &mut BinaryHeap<T>, item: T, limit: usize) {
    if heap.len() <= limit {
        heap.push(item);
    } else if heap.peek().is_some_and(|greatest| item < *greatest) {
        heap.pop();
        heap.push(item);
    }
}

fn fits(view: &UploadView, request: &ListUploads) -> bool {
    request.repository.as_ref().is_none_or(|repository| view.repository == *repository)
        && request.client.is_none_or(|client| view.client == Some(client))
        && (request.states.is_empty() || request.states.contains(&view.state))
}

fn sort_key(view: &UploadView, sort: SortUploads) -> u64 {
    match sort {
        SortUploads::Name => 0,
        SortUploads::Started => to_millis(view.started_at),
        SortUploads::Progress => to_millis(view.progress_at),
        SortUploads::Offset => view.offset,
        SortUploads::Rate => view.rate,
        SortUploads::Deadline => view.deadline.map_or(u64::MAX, |(at, _)| to_millis(at)),
    }
}

pub(in crate::upload) fn write_token((key, repository, id): &Place) -> String {
    format!("{key:x}.{id}.{repository}")
}

pub(in crate::upload) fn read_token(token: &str) -> Option<Place> {
    let mut parts = token.splitn(3, '.');
    let key = u64::from_str_radix(parts.next()?, 16).ok()?;
    let id = parts.next()?.parse().ok()?;
    Some((key, parts.next()?.parse().ok()?, id))
}
