//! The entries, what they count for, and their places in the schedule.

use super::*;

impl Known {
    /// All uploads of a repository share its name in memory.
    pub(super) fn shared_name(&self, repository: &RepositoryName) -> Arc<RepositoryName> {
        self.counts.shared_name(repository).unwrap_or_else(|| Arc::new(repository.clone()))
    }

    pub(super) fn with_shared_name(&self, name: &Name) -> Name {
        let repository = self.counts.shared_name(&name.repository).unwrap_or_else(|| name.repository.clone());
        Name { id: name.id, repository }
    }

    /// Counts and schedules one that is not known yet.
    pub(super) fn enter(&mut self, name: &Name, found: FoundUpload, stage: Stage, look_at: Option<u64>) {
        let name = self.with_shared_name(name);
        self.counts.adopt(&name.repository, found.client);
        self.passive += u64::from(matches!(stage, Stage::Passive));
        let entry = Entry {
            client: found.client,
            started_at: to_millis(found.started_at),
            progress_at: to_millis(found.progress_at),
            offset: found.offset,
            look_at: None,
            stage,
        };
        self.uploads.insert(name.clone(), entry);
        self.put_off(&name, look_at);
    }

    pub(super) fn forget(&mut self, name: &Name) {
        self.put_off(name, None);
        let Some(entry) = self.uploads.remove(name) else { return };
        match entry.stage {
            Stage::Kept(kept) => self.kept.remove(name, &kept),
            Stage::Passive => {
                self.passive = self.passive.saturating_sub(1);
                self.counts.remove_open(&name.repository, entry.client);
            }
            Stage::Live(_) => self.counts.remove_open(&name.repository, entry.client),
        }
    }

    /// Moves it in the schedule; `None`: takes it out.
    pub(super) fn put_off(&mut self, name: &Name, look_at: Option<u64>) {
        let Some(entry) = self.uploads.get_mut(name) else { return };
        if let Some(at) = entry.look_at.take() {
            self.schedule.remove(at, name);
        }
        let Some(at) = look_at else { return };
        entry.look_at = Some(at);
        let when = When { at, is_live: matches!(entry.stage, Stage::Live(_)) };
        self.schedule.add(when, name.clone());
    }
}
