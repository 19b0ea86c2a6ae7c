use std::path::PathBuf;

use clap::Args;
use longshore::load::plan::Setting;
use serde_json::Value;

use super::words;

/// Everything that a plan file can say can be said by a flag.
#[derive(Args)]
pub(in crate::cli) struct RunArguments {
    /// A plan file (YAML); the other flags go over it. Examples: config/load/
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(super) plan: Option<PathBuf>,
    /// A registry that runs already; several take turns [key: targets]
    #[arg(long, value_name = "[NAME=]ADDRESS [KEY=VALUE]…", value_parser = words::target)]
    target: Vec<Value>,
    /// The id of the server's process where there is one target on this machine: what it uses is told [key:
    /// targets[].server_pid]
    #[arg(long, value_name = "PID")]
    pub(super) server_pid: Option<u32>,
    /// Start a longshore for the run, in a process and a temporary folder of its own [key: embedded]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    embedded: Option<bool>,
    /// Start a server that receives, hashes and writes, and nothing else, as a measure of the machine [key: control]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    control: Option<bool>,
    /// The folder in which those two make temporary ones for their data [key: own_servers.folder] [default: where temporary
    /// files are]
    #[arg(long, value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    own_folder: Option<String>,
    /// Where the embedded registry keeps its bytes [key: own_servers.storage] [default: filesystem]
    #[arg(long, value_name = "DRIVER", value_parser = ["filesystem", "memory"])]
    embedded_storage: Option<String>,
    /// What of the embedded registry survives a loss of power [key: own_servers.durability] [default: commit]
    #[arg(long, value_name = "WHEN", value_parser = ["process", "commit", "ack"])]
    embedded_durability: Option<String>,
    /// Another key of the embedded registry's configuration: uploads.idle_timeout=2s [key: own_servers.settings]
    #[arg(long, value_name = "KEY=VALUE", value_parser = words::setting)]
    embedded_set: Vec<(String, String)>,
    /// Whose registry it is: load is put on a host that is not this machine only if it is named here
    #[arg(long, value_name = "HOST")]
    pub(super) i_am_in_charge_of: Vec<String>,
    /// What is done; several are mixed by their weights: push-monolithic, push-single-post, push-streamed, push-chunked,
    /// resume, stall, replay, contend, mount, cancel, pull-whole, pull-ranges, head-many, manifest-by-tag, tags-list,
    /// image-push, image-pull, trace [key: workloads]
    #[arg(long, value_name = "KIND [KEY=VALUE]…", value_parser = words::workload)]
    workload: Vec<Value>,
    /// How large a blob is: 16MiB, 1MiB..64MiB, 1KiB,4MiB,1GiB, log-normal:4MiB:1.5:1GiB (median, sigma, largest) [key:
    /// content.sizes] [default: 16MiB]
    #[arg(long, value_name = "SIZES")]
    size: Option<String>,
    /// The share (0 to 1) of pushes of a blob that was pushed before [key: content.duplicate_ratio] [default: 0]
    #[arg(long, value_name = "SHARE")]
    duplicate_ratio: Option<f64>,
    /// What sets a blob apart: its tail (costs nothing), or the whole of it [key: content.uniqueness] [default: tail]
    #[arg(long, value_name = "HOW", value_parser = ["tail", "whole"])]
    uniqueness: Option<String>,
    /// How many blobs and images are pushed before, for workloads that pull [key: content.prepared] [default: 16]
    #[arg(long, value_name = "COUNT")]
    prepared: Option<u32>,
    /// How many bytes are handed to a connection at once [key: content.piece_size] [default: 256KiB]
    #[arg(long, value_name = "SIZE")]
    piece_size: Option<String>,
    /// What all randomness begins with [key: seed] [default: another one each time, which the report tells]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Closed loop: so many at once, each of which begins its next task when the one before has ended [key:
    /// shape.workers] [default: 8]
    #[arg(long, value_name = "COUNT")]
    workers: Option<u32>,
    /// Open loop: so many tasks are begun each second, whatever becomes of those before [key: shape.rate]
    #[arg(long, value_name = "PER SECOND")]
    rate: Option<f64>,
    /// How many tasks of an open loop may be under way at once [key: shape.max_in_flight] [default: 1000]
    #[arg(long, value_name = "COUNT")]
    max_in_flight: Option<u32>,
    /// A part of the run's course, at whose end, or from whose begin on (step), there is another level; several follow
    /// each other [key: shape.stages]
    #[arg(long, value_name = "TIME [workers=N|rate=N] [step]", value_parser = words::stage)]
    stage: Vec<Value>,
    /// For how long each target is put under load [key: shape.duration] [default: 30s, or the sum of the stages]
    #[arg(long, value_name = "TIME")]
    duration: Option<String>,
    /// After how many tasks for each target the run ends [key: shape.count]
    #[arg(long, value_name = "COUNT")]
    count: Option<u64>,
    /// For how long each target is put under load before anything is measured [key: shape.warm_up] [default: 0s]
    #[arg(long, value_name = "TIME")]
    warm_up: Option<String>,
    /// With several targets: how long one has its turn; 0 is one after the other [key: shape.turn] [default: 5s]
    #[arg(long, value_name = "TIME")]
    turn: Option<String>,
    /// Which of the pushed blobs are looked up afterwards [key: verify.lookup] [default: all]
    #[arg(long, value_name = "WHICH", value_parser = ["all", "none"])]
    lookup: Option<String>,
    /// The share (0 to 1) of pushed blobs that are pulled and compared [key: verify.pull_ratio] [default: 0.01]
    #[arg(long, value_name = "SHARE")]
    pull_ratio: Option<f64>,
    /// Below what everything is pushed [key: repository_prefix] [default: load]
    #[arg(long, value_name = "NAME")]
    repository_prefix: Option<String>,
    /// Over how many repositories pushes are spread [key: repositories] [default: 16]
    #[arg(long, value_name = "COUNT")]
    repositories: Option<u32>,
    /// Delete afterwards what this run pushed, and nothing else [key: clean]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    clean: Option<bool>,
    /// How many connections to one target there may be at once; 0: as many as the work needs [key: max_connections]
    /// [default: 0]
    #[arg(long, value_name = "COUNT")]
    max_connections: Option<u32>,
    /// A file for the report as JSON [key: report.json]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    json: Option<String>,
    /// A file for the report as a page with charts [key: report.html]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    html: Option<String>,
    /// Draw no progress
    #[arg(long, short)]
    pub(super) quiet: bool,
}

impl RunArguments {
    /// What the flags set.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let text = |value: &Option<String>| value.clone().map(Value::from);
        let number = |value: Option<u32>| value.map(Value::from);
        let list = |values: &[Value]| (!values.is_empty()).then(|| Value::Array(values.to_vec()));
        let embedded_settings = (!self.embedded_set.is_empty()).then(|| {
            let settings = self.embedded_set.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
            Value::Object(settings.collect())
        });
        let all = [
            ("--target", "targets", list(&self.target)),
            ("--embedded", "embedded", self.embedded.map(Value::from)),
            ("--control", "control", self.control.map(Value::from)),
            ("--own-folder", "own_servers.folder", text(&self.own_folder)),
            ("--embedded-storage", "own_servers.storage", text(&self.embedded_storage)),
            ("--embedded-durability", "own_servers.durability", text(&self.embedded_durability)),
            ("--embedded-set", "own_servers.settings", embedded_settings),
            ("--workload", "workloads", list(&self.workload)),
            ("--size", "content.sizes", text(&self.size)),
            ("--duplicate-ratio", "content.duplicate_ratio", self.duplicate_ratio.map(Value::from)),
            ("--uniqueness", "content.uniqueness", text(&self.uniqueness)),
            ("--prepared", "content.prepared", number(self.prepared)),
            ("--piece-size", "content.piece_size", text(&self.piece_size)),
            ("--seed", "seed", self.seed.map(Value::from)),
            ("--workers", "shape.workers", number(self.workers)),
            ("--rate", "shape.rate", self.rate.map(Value::from)),
            ("--max-in-flight", "shape.max_in_flight", number(self.max_in_flight)),
            ("--stage", "shape.stages", list(&self.stage)),
            ("--duration", "shape.duration", text(&self.duration)),
            ("--count", "shape.count", self.count.map(Value::from)),
            ("--warm-up", "shape.warm_up", text(&self.warm_up)),
            ("--turn", "shape.turn", text(&self.turn)),
            ("--lookup", "verify.lookup", text(&self.lookup)),
            ("--pull-ratio", "verify.pull_ratio", self.pull_ratio.map(Value::from)),
            ("--repository-prefix", "repository_prefix", text(&self.repository_prefix)),
            ("--repositories", "repositories", number(self.repositories)),
            ("--clean", "clean", self.clean.map(Value::from)),
            ("--max-connections", "max_connections", number(self.max_connections)),
            ("--json", "report.json", text(&self.json)),
            ("--html", "report.html", text(&self.html)),
        ];
        let set = |(flag, key, value): (&'static str, &'static str, Option<Value>)| {
            Some(Setting { flag, key, value: value? })
        };
        all.into_iter().filter_map(set).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches};
    use longshore::load::plan::Plan;

    use super::*;

    fn parse(arguments: &[&str]) -> RunArguments {
        let command = RunArguments::augment_args(Command::new("load"));
        let matches = command.try_get_matches_from([&["load"], arguments].concat()).unwrap();
        RunArguments::from_arg_matches(&matches).unwrap()
    }

    /// The keys that are no sections; a map that is empty by default is no section.
    fn leaves(value: &Value, key: &str, into: &mut Vec<String>) {
        match value {
            Value::Object(section) if !section.is_empty() => {
                for (name, value) in section {
                    leaves(value, &if key.is_empty() { name.clone() } else { format!("{key}.{name}") }, into);
                }
            }
            _ => into.push(key.to_owned()),
        }
    }

    #[test]
    fn every_key_of_a_plan_has_a_flag() {
        let all = [
            "--target=a=127.0.0.1:1",
            "--embedded",
            "--control",
            "--own-folder=data",
            "--embedded-storage=memory",
            "--embedded-durability=process",
            "--embedded-set=uploads.idle_timeout=2s",
            "--workload=push-streamed weight=2",
            "--size=1MiB",
            "--duplicate-ratio=0.5",
            "--uniqueness=whole",
            "--prepared=3",
            "--piece-size=64KiB",
            "--seed=1",
            "--workers=3",
            "--rate=2.5",
            "--max-in-flight=7",
            "--stage=10s workers=2",
            "--duration=5s",
            "--count=4",
            "--warm-up=1s",
            "--turn=2s",
            "--lookup=none",
            "--pull-ratio=0",
            "--repository-prefix=mine",
            "--repositories=2",
            "--clean",
            "--max-connections=9",
            "--json=a.json",
            "--html=a.html",
        ];
        let arguments = parse(&all);
        let mut settings = arguments.settings();
        let mut flags: Vec<String> = settings.iter().map(|setting| setting.key.to_owned()).collect();
        let mut keys = Vec::new();
        leaves(&serde_json::to_value(Plan::default()).unwrap(), "", &mut keys);
        flags.sort();
        keys.sort();
        assert_eq!(flags, keys);
        // A loop is either open or closed.
        settings.retain(|setting| setting.flag != "--rate");
        let plan = Plan::read(None, &settings).unwrap();
        assert_eq!((plan.shape.workers, plan.shape.count, plan.clean), (Some(3), Some(4), true));
        assert_eq!((plan.workloads[0].weight, plan.targets[0].name.as_str()), (2.0, "a"));
    }

    #[test]
    fn what_is_not_said_is_not_set() {
        assert_eq!(parse(&["--embedded", "--workload", "mount"]).settings().len(), 2);
        assert_eq!(parse(&["--embedded", "false"]).settings()[0].value, Value::Bool(false));
    }
}
