use rand::RngExt as _;

use super::history::History;
use super::lane::Lane;
use super::session::HttpSession;
use crate::client::RepositoryClient;
use crate::load::content::Blob;
use crate::load::run::{Context, PushedBlob};
use crate::load::verify::{Looks, ToVerify};

/// One task of a worker: what it was given, and the lane that it sends its requests in.
pub(super) struct Task<'a> {
    pub(super) session: &'a HttpSession,
    pub(super) context: &'a mut Context,
    pub(super) lane: Lane,
}

impl<'a> Task<'a> {
    pub(super) fn new(session: &'a HttpSession, context: &'a mut Context) -> Self {
        let lane = Lane::new(context.recorder.clone(), session.uploads.clone(), Some(context.should_start));
        Task { session, context, lane }
    }

    /// One of the run's own repositories.
    pub(super) fn repository(&mut self) -> RepositoryClient {
        let name = self.context.repository();
        self.session.client.repository(&name)
    }

    /// The push of a blob was acknowledged; `history` is what was done for it.
    pub(super) fn pushed(&mut self, repository: &RepositoryClient, blob: &Blob, history: &History) {
        self.pushed_and(repository, blob, history, false);
    }

    /// The same, and it is pulled and compared in any case.
    pub(super) fn pushed_to_compare(&mut self, repository: &RepositoryClient, blob: &Blob, history: &History) {
        self.pushed_and(repository, blob, history, true);
    }

    fn pushed_and(&mut self, repository: &RepositoryClient, blob: &Blob, history: &History, compares: bool) {
        let pushed = PushedBlob { repository: repository.name().clone(), blob: blob.clone() };
        let plan = &self.context.plan.verify;
        let looks_up = plan.lookup == crate::load::plan::Lookup::All;
        let is_drawn = plan.pull_ratio > 0.0 && self.context.random.random_bool(plan.pull_ratio.min(1.0));
        let looks = match (is_drawn || (compares && looks_up), looks_up) {
            (true, _) => Some(Looks::Compares),
            (false, true) => Some(Looks::Up),
            (false, false) => None,
        };
        if let Some(looks) = looks {
            self.session.to_verify.add(ToVerify { pushed: pushed.clone(), history: history.clone(), looks });
        }
        self.context.ledger.blob(pushed, &mut self.context.random);
    }
}
