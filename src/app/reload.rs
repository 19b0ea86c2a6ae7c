//! Reading the configuration again while the process runs.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::logging;
use crate::config::{Config, ConfigError, Sources, UploadsConfig};
use crate::http::Reloaded;

/// The section that takes effect without a restart.
const UPLOADS: &str = "uploads.";

/// The one other key that does.
const LOG_LEVEL: &str = "log.level";

type ApplyUploads = Box<dyn Fn(UploadsConfig) + Send + Sync>;
type ApplyLogLevel = Box<dyn Fn(&Config) -> bool + Send + Sync>;

/// Knows where the configuration comes from and what of it is in force.
pub struct Reloader {
    sources: Sources,
    in_force: Mutex<Config>,
    apply_uploads: ApplyUploads,
    apply_log_level: ApplyLogLevel,
}

impl Reloader {
    /// `in_force` is what the process was started with; `apply_uploads` puts other policies in force.
    pub fn new(
        sources: Sources,
        in_force: Config,
        apply_uploads: impl Fn(UploadsConfig) + Send + Sync + 'static,
    ) -> Reloader {
        let change_levels = |config: &Config| logging::change_levels(&config.log.level);
        Reloader {
            sources,
            in_force: Mutex::new(in_force),
            apply_uploads: Box::new(apply_uploads),
            apply_log_level: Box::new(change_levels),
        }
    }

    /// Reads the sources again, and puts in force what can change: `uploads` and `log.level`. Two at once come one after
    /// the other. It reads a file, so it is not for a thread that serves requests.
    ///
    /// # Errors
    /// When anything in them is wrong; everything stays as it is then.
    pub fn reload(&self) -> Result<Reloaded, ConfigError> {
        let mut in_force = self.lock();
        let wanted = Config::load(&self.sources)?;
        let mut reloaded = Reloaded::default();
        for key in in_force.differences(&wanted) {
            let takes_effect = key.starts_with(UPLOADS) || (key == LOG_LEVEL && (self.apply_log_level)(&wanted));
            if takes_effect {
                reloaded.changed.push(key);
            } else {
                reloaded.needs_restart.push(key);
            }
        }
        if in_force.uploads != wanted.uploads {
            (self.apply_uploads)(wanted.uploads.clone());
            in_force.uploads = wanted.uploads;
        }
        if reloaded.changed.iter().any(|key| key == LOG_LEVEL) {
            in_force.log.level = wanted.log.level;
        }
        log_changes(&reloaded);
        Ok(reloaded)
    }

    fn lock(&self) -> MutexGuard<'_, Config> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log_changes(reloaded: &Reloaded) {
    let changed = reloaded.changed.join(",");
    log::info!(changed = changed.as_str(); "configuration was read again");
    if !reloaded.needs_restart.is_empty() {
        let keys = reloaded.needs_restart.join(",");
        log::warn!(keys = keys.as_str(); "configuration differs in keys that need a restart");
    }
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloader").field("sources", &self.sources).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;

    struct Case {
        folder: TempDir,
        reloader: Reloader,
        applied: Arc<Mutex<Vec<UploadsConfig>>>,
        levels: Arc<Mutex<Vec<String>>>,
    }

    impl Case {
        fn file(folder: &TempDir) -> PathBuf {
            folder.path().join("test.yaml")
        }

        fn starting_with(yaml: &str, has_own_log: bool) -> Case {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(Case::file(&folder), yaml).unwrap();
            let sources = Sources { file: Some(Case::file(&folder)), ..Sources::default() };
            let in_force = Config::load(&sources).unwrap();
            let applied = Arc::new(Mutex::new(Vec::new()));
            let levels = Arc::new(Mutex::new(Vec::new()));
            let (uploads_seen, levels_seen) = (Arc::clone(&applied), Arc::clone(&levels));
            let mut reloader =
                Reloader::new(sources, in_force, move |uploads| uploads_seen.lock().unwrap().push(uploads));
            reloader.apply_log_level = Box::new(move |config| {
                levels_seen.lock().unwrap().push(config.log.level.to_string());
                has_own_log
            });
            Case { folder, reloader, applied, levels }
        }

        fn reload_with(&self, yaml: &str) -> Result<Reloaded, ConfigError> {
            std::fs::write(Case::file(&self.folder), yaml).unwrap();
            self.reloader.reload()
        }

        fn applied(&self) -> Vec<UploadsConfig> {
            std::mem::take(&mut self.applied.lock().unwrap())
        }
    }

    fn told(changed: &[&str], needs_restart: &[&str]) -> Reloaded {
        let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        Reloaded { changed: owned(changed), needs_restart: owned(needs_restart) }
    }

    #[test]
    fn uploads_take_effect_and_the_rest_is_named() {
        let case = Case::starting_with("uploads: {max_age: 5d}\n", true);
        assert_eq!(case.reload_with("uploads: {max_age: 5d}\n").unwrap(), Reloaded::default());
        assert!(case.applied().is_empty());
        let yaml = "uploads: {max_age: 6d, overrides: [{repositories: [a], max_size: 1}]}\n\
                    http: {addr: '127.0.0.1:7', workers: 3}\nlog: {level: debug, format: json}\n";
        let changed = ["log.level", "uploads.max_age", "uploads.overrides"];
        let needs_restart = ["http.addr", "http.workers", "log.format"];
        assert_eq!(case.reload_with(yaml).unwrap(), told(&changed, &needs_restart));
        let applied = case.applied();
        assert_eq!(applied.len(), 1);
        assert_eq!((applied[0].max_age, applied[0].overrides.len()), (Duration::from_secs(6 * 86_400), 1));
        assert_eq!(*case.levels.lock().unwrap(), ["debug"]);
        // What was not put in force differs still, and is named until the restart.
        assert_eq!(case.reload_with(yaml).unwrap(), told(&[], &needs_restart));
        assert!(case.applied().is_empty());
        assert_eq!(case.reload_with("").unwrap(), told(&changed, &[]));
    }

    #[test]
    fn a_wrong_configuration_changes_nothing() {
        let case = Case::starting_with("", true);
        for (yaml, key) in [
            ("uploads: {max_age: 6d, max_memory: 1}\nlog: {level: debug}\n", Some("uploads.max_memory")),
            ("uploads: {max_age: 6d}\nlog: {level: debug}\nhttp: {adr: 1}\n", Some("http.adr")),
            ("uploads: [", None),
        ] {
            assert_eq!(case.reload_with(yaml).unwrap_err().key(), key);
        }
        std::fs::remove_file(Case::file(&case.folder)).unwrap();
        assert!(case.reloader.reload().unwrap_err().to_string().contains("cannot be read"));
        assert!(case.applied().is_empty() && case.levels.lock().unwrap().is_empty());
        assert_eq!(case.reload_with("uploads: {max_age: 6d}\n").unwrap(), told(&["uploads.max_age"], &[]));
    }

    #[test]
    fn the_level_of_a_foreign_log_needs_a_restart() {
        let case = Case::starting_with("", false);
        for _ in 0..2 {
            assert_eq!(case.reload_with("log: {level: debug}\n").unwrap(), told(&[], &["log.level"]));
        }
    }
}
