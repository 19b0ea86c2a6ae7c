//! `longshore reload`.

use std::process::ExitCode;

use super::admin_client::{AdminArguments, no_body};
use super::admin_types::Reloaded;
use super::exit;
use super::text::{print, printable};

pub(super) fn reload(admin: &AdminArguments) -> ExitCode {
    admin.run(async |client| match client.post::<Reloaded>(&["reload"], &[], no_body()).await {
        Ok((_, reloaded)) => print(summary(&reloaded).as_bytes()),
        Err(error) => exit::of_failure(&error),
    })
}

fn summary(reloaded: &Reloaded) -> String {
    let keys = |keys: &[String]| printable(&keys.join(", "));
    let mut text = match reloaded.changed.is_empty() {
        true => "nothing changed\n".to_owned(),
        false => format!("changed: {}\n", keys(&reloaded.changed)),
    };
    if !reloaded.needs_restart.is_empty() {
        text += &format!("needs a restart: {}\n", keys(&reloaded.needs_restart));
    }
    text
}
