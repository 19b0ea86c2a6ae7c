use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use longshore::config::{Setting, Sources};

use super::admin_client::AdminArguments;
use super::load::{self, LoadArguments};
use super::uploads::UploadsCommand;

const EXAMPLES: &str = "\
Examples:
  longshore serve
      A registry on 127.0.0.1:5000 that keeps its data under ./data. Push to it:
      skopeo copy --dest-tls-verify=false docker://busybox docker://127.0.0.1:5000/library/busybox

  longshore serve --addr 0.0.0.0:5000 --root /var/lib/longshore
      The same for other machines, elsewhere on the disk.

  LONGSHORE__MANIFESTS__MAX_SIZE=8MiB longshore serve --config longshore.yaml
      With a configuration file, of which one key is set otherwise.

  longshore check-config --config longshore.yaml
      What would be in force, or what is wrong.

  longshore uploads list --state writing --sort rate --desc
      Who pushes what to a registry that runs, the fastest first. See longshore uploads --help.
";

const EXAMPLES_OF_RELOAD: &str = "\
Examples:
  longshore reload
      The registry on this machine reads its configuration file again.

  longshore reload --admin https://registry.example:5001 --token-file /etc/longshore/token
      The same elsewhere.

A wrong configuration changes nothing: what is wrong is told, and the status is 1.
";

const SOURCES_OF_THE_CONFIGURATION: &str = "\
The configuration comes from the file (--config), over which go environment variables (LONGSHORE__HTTP__ADDR for the
key http.addr), over which go the other flags. Every key is explained in config/longshore.yaml.
A wrong configuration is told with its key, and ends with status 64 before a port is bound.
";

/// A container registry whose heart is an upload engine
#[derive(Parser)]
#[command(name = "longshore", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Serve the registry until SIGTERM or Ctrl-C
    #[command(after_help = SOURCES_OF_THE_CONFIGURATION)]
    Serve(ServeArguments),
    /// Print the configuration that is in force, or what is wrong with it
    #[command(after_help = SOURCES_OF_THE_CONFIGURATION)]
    CheckConfig(ConfigArguments),
    /// Look at the uploads of a registry that runs, and end them
    #[command(subcommand, after_help = super::uploads::EXAMPLES)]
    Uploads(UploadsCommand),
    /// Put registries under load and measure how they take pushes
    #[command(after_help = load::NOTES, arg_required_else_help = true)]
    Load(Box<LoadArguments>),
    /// Push a layout or a file to a registry
    #[command(after_help = super::push::EXAMPLES)]
    Push(super::push::PushArguments),
    /// Pull from a registry into a layout
    #[command(after_help = super::pull::EXAMPLES)]
    Pull(super::pull::PullArguments),
    /// Copy between registries and layouts
    #[command(after_help = super::copy::EXAMPLES)]
    Copy(super::copy::Arguments),
    /// Let a registry that runs read its configuration again
    #[command(after_help = EXAMPLES_OF_RELOAD)]
    Reload(AdminArguments),
    /// Print the version
    Version,
    /// Print a script that completes this command in a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Args)]
pub(super) struct ServeArguments {
    #[command(flatten)]
    pub(super) config: ConfigArguments,
    /// End when standard input does, as on SIGTERM: for a program that starts a registry of its own, which is not to
    /// outlive it
    #[arg(long)]
    pub(super) until_stdin_ends: bool,
}

#[derive(Args)]
pub(super) struct ConfigArguments {
    /// A configuration file (YAML)
    #[arg(long, value_name = "FILE", env = "LONGSHORE_CONFIG")]
    config: Option<PathBuf>,
    /// Where the registry listens [key: http.addr] [default: 127.0.0.1:5000]
    #[arg(long, value_name = "IP:PORT")]
    addr: Option<String>,
    /// Where health and metrics are [key: http.admin_addr] [default: 127.0.0.1:5001]
    #[arg(long, value_name = "IP:PORT")]
    admin_addr: Option<String>,
    /// Where bytes are kept [key: storage.driver] [default: filesystem]
    #[arg(long, value_name = "DRIVER", value_parser = ["filesystem", "memory"])]
    storage: Option<String>,
    /// The folder of the filesystem driver [key: storage.filesystem.root] [default: ./data]
    #[arg(long, value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    root: Option<String>,
    /// From which level on is logged: error, warn, info, debug, trace, or by module (warn,longshore::http=debug)
    /// [key: log.level] [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl ConfigArguments {
    /// Everything that may say something about the configuration.
    pub(super) fn sources(&self, environment: Vec<(OsString, OsString)>) -> Sources {
        let flags = [
            ("--addr", "http.addr", &self.addr),
            ("--admin-addr", "http.admin_addr", &self.admin_addr),
            ("--storage", "storage.driver", &self.storage),
            ("--root", "storage.filesystem.root", &self.root),
            ("--log-level", "log.level", &self.log_level),
        ]
        .into_iter()
        .filter_map(|(flag, key, value)| Some(Setting { flag, key, value: value.clone()? }))
        .collect();
        Sources { file: self.config.clone(), environment, flags }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
