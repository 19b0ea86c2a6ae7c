use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::config::{DirectIo, HashImplementation, HashLanes, LogFormat, Setting, StorageDriver};

/// Loads `yaml` from a file, then variables, then flags.
fn load(yaml: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.yaml");
    std::fs::write(&path, yaml).unwrap();
    Config::load(&Sources {
        file: Some(path),
        environment: environment.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        flags: flags.iter().map(|(key, value)| Setting { flag: "--flag", key, value: (*value).to_owned() }).collect(),
    })
}

fn refused(yaml: &str) -> ConfigError {
    load(yaml, &[], &[]).unwrap_err()
}

fn refused_variable(name: &str, value: &str) -> ConfigError {
    load("", &[(name, value)], &[]).unwrap_err()
}

fn shipped_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/longshore.yaml")
}

/// The full names of all leaves.
fn keys(tree: &Value, above: &str) -> Vec<String> {
    let Value::Object(section) = tree else {
        return vec![above.to_owned()];
    };
    let full = |name: &str| if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
    section.iter().flat_map(|(name, child)| keys(child, &full(name))).collect()
}

#[test]
fn the_shipped_file_says_every_key_at_its_default() {
    let sources = Sources { file: Some(shipped_file()), ..Sources::default() };
    assert_eq!(Config::load(&sources).unwrap(), Config::default());
    let file: Value = serde_saphyr::from_str(&std::fs::read_to_string(shipped_file()).unwrap()).unwrap();
    assert_eq!(keys(&file, ""), keys(&serde_json::to_value(Config::default()).unwrap(), ""));
}

#[test]
fn a_comment_stands_before_each_key_of_the_shipped_file() {
    let text = std::fs::read_to_string(shipped_file()).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for (above, line) in lines.iter().zip(&lines[1..]) {
        let is_key = !line.is_empty() && !line.starts_with('#');
        assert!(!is_key || above.starts_with('#'), "{line:?} is not explained");
    }
}

#[test]
fn no_source_is_the_default() {
    assert_eq!(Config::load(&Sources::default()).unwrap(), Config::default());
    for yaml in ["", "# nothing\n", "http:\n", "http: {}\nlog: null\n", "---\n"] {
        assert_eq!(load(yaml, &[], &[]).unwrap(), Config::default(), "{yaml:?}");
    }
}

#[test]
fn what_is_printed_loads_to_the_same() {
    let yaml = "http: {trusted_proxies: [10.0.0.0/8, '::1'], tls: {certificate_file: c, key_file: k}}\n\
                storage: {memory: {max_size: 3MB}, timeout: 1h30m}\nlog: {level: 'warn,longshore=trace'}\n";
    let config = load(yaml, &[], &[]).unwrap();
    assert_eq!(load(&config.to_yaml(), &[], &[]).unwrap(), config);
}

/// Two overrides, with every form a value may have.
const OVERRIDES: &str = "uploads:\n  max_size: 10GB\n  overrides:\n    - repositories: [ci/*, 'team/**']\n      \
                         idle_timeout: 0\n      min_rate: 1024\n      max_open_per_repository: 3\n    \
                         - {repositories: [big], max_size: 1TiB, max_age: 30d, keep_failed_for: 0s}\n";

#[test]
fn overrides_are_read_and_what_is_printed_of_them_loads_to_the_same() {
    let config = load(OVERRIDES, &[], &[]).unwrap();
    let [small, big] = config.uploads.overrides.as_slice() else { panic!("{config:?}") };
    assert_eq!(small.repositories.len(), 2);
    assert_eq!((small.idle_timeout, small.min_rate, small.max_size), (Some(Duration::ZERO), Some(1024), None));
    assert_eq!((big.max_size, big.max_age), (Some(1 << 40), Some(Duration::from_secs(30 * 86_400))));
    let printed = config.to_yaml();
    assert_eq!(load(&printed, &[], &[]).unwrap(), config, "{printed}");
    assert!(!printed.contains("max_writing_per_repository: null"), "{printed}");
}

#[test]
fn the_example_of_overrides_in_the_shipped_file_is_one() {
    let text = std::fs::read_to_string(shipped_file()).unwrap();
    let (before, example) = text.split_once("  overrides: []\n").unwrap();
    let example: Vec<&str> = example.lines().map_while(|line| line.strip_prefix("  # ")).collect();
    assert!(example.len() > 5, "{example:?}");
    let yaml = format!("{before}  overrides:\n    {}\n", example.join("\n    "));
    let config = load(&yaml, &[], &[]).unwrap();
    assert_eq!(config.uploads.overrides.len(), 2, "{yaml}");
}

#[test]
fn what_an_override_has_wrong_is_refused_with_the_full_key() {
    for (entry, key, part_of_message) in [
        ("{min_rat: 1}", "uploads.overrides[1].min_rat", "is not a key; there are idle_timeout, keep_failed_for"),
        ("{max_open: 1}", "uploads.overrides[1].max_open", "is not a key"),
        ("5", "uploads.overrides[1]", "is not a section"),
        ("{repositories: ci/*}", "uploads.overrides[1].repositories", "is not a list"),
        ("{repositories: [a, /b]}", "uploads.overrides[1].repositories[1]", "fits no repository"),
        ("{repositories: []}", "uploads.overrides[1].repositories", "is empty"),
        ("{min_rate: 5}", "uploads.overrides[1].repositories", "is empty"),
        ("{repositories: [b], min_rate: fast}", "uploads.overrides[1].min_rate", "\"fast\" is not a size"),
        ("{repositories: [b], min_rate: null}", "uploads.overrides[1].min_rate", "null is not a text"),
        ("{repositories: [b], max_age: 5}", "uploads.overrides[1].max_age", "\"5\" is not a time"),
        (
            "{repositories: [b], max_open_per_repository: -1}",
            "uploads.overrides[1].max_open_per_repository",
            "-1 is not",
        ),
        ("{repositories: [b], min_rate_window: 0}", "uploads.overrides[1].min_rate_window", "is less than 1s"),
        ("{repositories: [b], idle_timeout: 500ms}", "uploads.overrides[1].idle_timeout", "takeover_after"),
    ] {
        let error = refused(&format!("uploads: {{overrides: [{{repositories: [a]}}, {entry}]}}"));
        assert_eq!(error.key(), Some(key), "{error}");
        assert!(error.to_string().contains(part_of_message), "{error}");
        assert!(error.to_string().ends_with("test.yaml)"), "{error}");
    }
    // What is wrong only together with what holds for all.
    let error = refused("uploads: {min_rate: 0, min_rate_window: 0, overrides: [{repositories: [a], min_rate: 1}]}");
    assert_eq!(error.key(), Some("uploads.overrides[0].min_rate_window"), "{error}");
}

#[test]
fn a_variable_cannot_set_overrides() {
    for name in ["LONGSHORE__UPLOADS__OVERRIDES", "LONGSHORE__UPLOADS__OVERRIDES__0__MIN_RATE"] {
        let error = refused_variable(name, "5").to_string();
        assert!(error.contains("is a list of sections, which can be set in a configuration file only"), "{error}");
        assert!(error.ends_with(&format!("(from {name})")), "{error}");
    }
}

#[test]
fn each_kind_of_value_is_read_from_the_environment() {
    let config = load(
        "",
        &[
            ("LONGSHORE__STORAGE__FILESYSTEM__ROOT", "/var/lib/longshore"),
            ("LONGSHORE__HTTP__WORKERS", "3"),
            ("LONGSHORE__HTTP__H2C", "false"),
            ("LONGSHORE__HTTP__TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
            ("LONGSHORE__HTTP__TLS__CERTIFICATE_FILE", "c.pem"),
            ("LONGSHORE__HTTP__TLS__KEY_FILE", "k.pem"),
            ("LONGSHORE__HTTP__ADMIN_TOKEN_FILE", ""),
            ("LONGSHORE__MANIFESTS__MAX_SIZE", "1MiB"),
            ("LONGSHORE__UPLOADS__TAKEOVER_AFTER", "250ms"),
            ("LONGSHORE__HASHING__IMPLEMENTATION", "aws-lc"),
            ("LONGSHORE__HASHING__LANES", "sha-ni"),
            ("LONGSHORE__STORAGE__FILESYSTEM__DIRECT_IO", "off"),
            ("LONGSHORE__LOG__FORMAT", "json"),
            ("LONGSHORE_PORT", "tcp://10.0.0.1:5000"),
            ("PATH", "/bin"),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(config.storage.filesystem.root, PathBuf::from("/var/lib/longshore"));
    assert_eq!(config.http.workers, 3);
    assert!(!config.http.h2c);
    assert_eq!(config.http.trusted_proxies, ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]);
    assert_eq!(config.http.tls.unwrap().key_file, PathBuf::from("k.pem"));
    assert_eq!(config.http.admin_token_file, None);
    assert_eq!(config.manifests.max_size, 1 << 20);
    assert_eq!(config.uploads.takeover_after, Duration::from_millis(250));
    assert_eq!(config.hashing.implementation, HashImplementation::AwsLc);
    assert_eq!(config.hashing.lanes, HashLanes::ShaNi);
    assert_eq!(config.storage.filesystem.direct_io, DirectIo::Off);
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let yaml = "cache: {max_entries: 1}\nhttp: {workers: 1, max_connections: 1}\n";
    let environment = [("LONGSHORE__HTTP__WORKERS", "2"), ("LONGSHORE__HTTP__MAX_CONNECTIONS", "2")];
    let config = load(yaml, &environment, &[("http.workers", "3"), ("storage.driver", "memory")]).unwrap();
    assert_eq!(config.cache.max_entries, 1);
    assert_eq!(config.http.max_connections, 2);
    assert_eq!(config.http.workers, 3);
    assert_eq!(config.storage.driver, StorageDriver::Memory);
}

#[test]
fn what_a_file_has_wrong_is_refused_with_the_full_key() {
    for (yaml, key, part_of_message) in [
        ("htp: {}", "htp", "is not a key; there are blobs, cache"),
        ("http: {adr: 1}", "http.adr", "is not a key; there are addr, admin_addr"),
        (
            "storage: {filesystem: {rot: x}}",
            "storage.filesystem.rot",
            "is not a key; there are direct_io, redo_log, root",
        ),
        ("http: 5000", "http", "is a section with the keys addr"),
        ("http: {addr: ':5000'}", "http.addr", "\":5000\" is not an IP address and a port"),
        ("http: {addr: 5000}", "http.addr", "\"5000\" is not an IP address and a port"),
        ("http: {addr: null}", "http.addr", "null is not a text"),
        ("http: {workers: many}", "http.workers", "\"many\" is not a whole number from 0 on"),
        ("http: {workers: -1}", "http.workers", "-1 is not a whole number"),
        ("http: {h2c: 3}", "http.h2c", "3 is neither true nor false"),
        ("http: {trusted_proxies: 10.0.0.0/8}", "http.trusted_proxies", "\"10.0.0.0/8\" is not a list"),
        ("http: {trusted_proxies: [10.0.0.0/8, nonsense]}", "http.trusted_proxies[1]", "\"nonsense\" is not an IP"),
        ("http: {tls: {certificate_file: c}}", "http.tls", "without key_file"),
        ("http: {tls: {key_file: k}}", "http.tls", "without certificate_file"),
        ("storage: {driver: s4}", "storage.driver", "there is no `s4`, expected `filesystem` or `memory`"),
        ("storage: {timeout: 30}", "storage.timeout", "\"30\" is not a time with its unit"),
        ("storage: {timeout: 30 parsecs}", "storage.timeout", "is not a time with its unit"),
        ("storage: {timeout: [1s]}", "storage.timeout", "[\"1s\"] is not a text"),
        ("storage: {memory: {max_size: 1 GigaByte}}", "storage.memory.max_size", "is not a size"),
        ("storage: {durability: maybe}", "storage.durability", "expected one of `process`, `commit`, `ack`"),
        ("log: {level: loud}", "log.level", "\"loud\" is not a level"),
    ] {
        let error = refused(yaml);
        assert_eq!(error.key(), Some(key), "{error}");
        assert!(error.to_string().contains(part_of_message), "{error}");
        assert!(error.to_string().ends_with("test.yaml)"), "{error}");
    }
}

#[test]
fn what_contradicts_itself_is_refused_with_the_full_key() {
    for (yaml, key) in [
        ("http: {admin_addr: '0.0.0.0:5001'}", "http.admin_addr"),
        ("http: {admin_addr: '127.0.0.1:5000'}", "http.admin_addr"),
        ("http: {addr: '0.0.0.0:7000', admin_addr: '127.0.0.1:7000'}", "http.admin_addr"),
        ("http: {keep_alive: 300ms}", "http.keep_alive"),
        ("storage: {filesystem: {redo_log: 7MiB}}", "storage.filesystem.redo_log"),
        ("storage: {filesystem: {redo_log: 1025MiB}}", "storage.filesystem.redo_log"),
        ("http: {head_timeout: 0s}", "http.head_timeout"),
        ("http: {head_timeout: 999ms}", "http.head_timeout"),
        ("http: {body_timeout: 0}", "http.body_timeout"),
        ("http: {disconnect_timeout: 0}", "http.disconnect_timeout"),
        ("http: {admin_hosts: [a.example, 'b.example:5001']}", "http.admin_hosts[1]"),
        ("http: {admin_hosts: ['']}", "http.admin_hosts[0]"),
        ("storage: {timeout: 0s}", "storage.timeout"),
        ("storage: {max_concurrent_calls: 0}", "storage.max_concurrent_calls"),
        ("storage: {memory: {max_size: 0}}", "storage.memory.max_size"),
        ("storage: {filesystem: {root: ''}}", "storage.filesystem.root"),
        ("manifests: {max_size: 0}", "manifests.max_size"),
        ("manifests: {max_size: 1GiB}", "manifests.max_size"),
        ("uploads: {takeover_after: 0s}", "uploads.takeover_after"),
        ("uploads: {checkpoint_every: 1000KiB}", "uploads.checkpoint_every"),
        ("uploads: {checkpoint_every: 0}", "uploads.checkpoint_every"),
        ("uploads: {max_memory: 7MiB}", "uploads.max_memory"),
        ("uploads: {min_rate_window: 0}", "uploads.min_rate_window"),
        ("uploads: {min_rate_window: 999ms}", "uploads.min_rate_window"),
        ("uploads: {idle_timeout: 999ms}", "uploads.idle_timeout"),
        ("uploads: {idle_timeout: 10s, takeover_after: 11s}", "uploads.idle_timeout"),
        ("uploads: {max_age: 1ms}", "uploads.max_age"),
        ("uploads: {scan_every: 59s}", "uploads.scan_every"),
    ] {
        let error = refused(yaml);
        assert_eq!(error.key(), Some(key), "{error}");
        assert!(matches!(error.origin(), Some(Origin::File(_))), "{error:?}");
    }
}

#[test]
fn an_open_admin_address_with_a_token_and_free_ports_are_no_contradiction() {
    load("http: {admin_addr: '0.0.0.0:5001', admin_token_file: token}", &[], &[]).unwrap();
    load("http: {addr: '127.0.0.1:0', admin_addr: '127.0.0.1:0'}", &[], &[]).unwrap();
    load("http: {addr: '[::1]:5000', admin_addr: '[::1]:5001'}", &[], &[]).unwrap();
}

#[test]
fn policies_can_be_switched_off() {
    let yaml = "uploads: {idle_timeout: 0, min_rate: 0, min_rate_window: 0, max_age: 0, max_open: 0, keep_failed_for: 0, \
                keep_failed_max_size: 0, min_free_space: 0, scan_every: 0, passivate_after: 0}";
    let uploads = load(yaml, &[], &[]).unwrap().uploads;
    assert_eq!((uploads.idle_timeout, uploads.min_rate, uploads.scan_every), (Duration::ZERO, 0, Duration::ZERO));
}

#[test]
fn what_a_variable_has_wrong_is_refused_with_its_name() {
    for (name, value, key) in [
        ("LONGSHORE__HTTP__ADR", "127.0.0.1:1", Some("http.adr")),
        ("LONGSHORE__HTTP", "x", Some("http")),
        ("LONGSHORE__HTTP__ADDR__PORT", "x", Some("http.addr.port")),
        ("LONGSHORE__", "x", Some("")),
        ("LONGSHORE__HTTP__ADDR", "nonsense", Some("http.addr")),
        ("LONGSHORE__HTTP__ADDR", "", Some("http.addr")),
        ("LONGSHORE__HTTP__H2C", "yes", Some("http.h2c")),
        ("LONGSHORE__HTTP__WORKERS", "1.5", Some("http.workers")),
        ("LONGSHORE__HTTP__TLS__KEY_FILE", "k", Some("http.tls")),
        ("LONGSHORE__HTTP__HEAD_TIMEOUT", "0s", Some("http.head_timeout")),
        ("LONGSHORE__http__addr", "127.0.0.1:1", None),
    ] {
        let error = refused_variable(name, value);
        assert_eq!(error.key(), key, "{error}");
        assert_eq!(error.origin(), Some(&Origin::Variable(name.to_owned())), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_wrong_flag_is_refused_with_its_name() {
    let error = load("http: {addr: '127.0.0.1:1'}", &[], &[("http.addr", "nonsense")]).unwrap_err();
    assert_eq!((error.key(), error.origin()), (Some("http.addr"), Some(&Origin::Flag("--flag"))));
}

#[test]
fn a_file_that_is_no_configuration_is_refused_with_its_path() {
    for yaml in ["- a\n- b\n", "just text", "http: {addr: [", "http: {}\nhttp: {}\n", "a: 1\n---\nb: 2\n"] {
        let error = refused(yaml).to_string();
        assert!(error.contains("test.yaml: "), "{error}");
    }
    let error = refused("http:\n  h2c: true\n  h2c: false\n").to_string();
    assert!(error.contains("duplicate") && error.contains("line 3") && !error.contains("Policy"), "{error}");
    let missing = Sources { file: Some("/nonexistent/longshore.yaml".into()), ..Sources::default() };
    let error = Config::load(&missing).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/longshore.yaml: cannot be read: No such file"), "{error}");
}
