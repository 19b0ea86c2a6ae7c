//! `longshore uploads show`.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use longshore::oci::{RepositoryName, UploadId};

use super::list::deadline;
use crate::cli::admin_client::AdminArguments;
use crate::cli::admin_types::{Moment, Upload};
use crate::cli::exit;
use crate::cli::text::{print, printable, printable_json, rate, size, time};

#[derive(Args)]
pub(crate) struct ShowArguments {
    #[command(flatten)]
    admin: AdminArguments,
    /// The upload's id
    id: UploadId,
    /// In which repository, if several have an upload of this id
    #[arg(long, value_name = "NAME")]
    repository: Option<RepositoryName>,
    /// A JSON document, as the admin API answers it
    #[arg(long)]
    json: bool,
}

pub(super) fn show(arguments: &ShowArguments) -> ExitCode {
    arguments.admin.run(async |client| {
        let query: Vec<_> = arguments.repository.iter().map(|name| ("repository", name.to_string())).collect();
        match client.get::<Upload>(&["uploads", &arguments.id.to_string()], &query).await {
            Ok((json, _)) if arguments.json => print((printable_json(&json) + "\n").as_bytes()),
            Ok((_, upload)) => print(description(&upload, Moment::now()).as_bytes()),
            Err(error) => exit::of_failure(&error),
        }
    })
}

fn description(upload: &Upload, now: Moment) -> String {
    let ago = |moment: Moment| format!("{} ago ({moment})", time(now.since(moment)));
    let mut lines = vec![
        ("repository", upload.repository.clone()),
        ("id", upload.id.clone()),
        ("state", upload.state.clone()),
        ("size", format!("{} ({} bytes)", size(upload.offset_bytes), upload.offset_bytes)),
        ("rate", rate(upload.rate_bytes_per_second)),
        ("started", ago(upload.started_at)),
        ("last byte", ago(upload.progress_at)),
        ("client", upload.client.clone().unwrap_or_else(|| "-".to_owned())),
    ];
    if let Some(expired) = &upload.expired {
        lines.push(("expired", format!("{} by {}", ago(expired.at), expired.policy)));
        let left = time(expired.kept_until.since(now));
        lines.push(("kept", format!("{} for {left} more (until {})", size(expired.kept_bytes), expired.kept_until)));
    } else {
        let at = upload.deadline.as_ref().map(|deadline| format!(" at {}", deadline.at)).unwrap_or_default();
        lines.push(("deadline", deadline(upload, now) + &at));
    }
    lines.into_iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:<10}  {}", printable(&value));
        text
    })
}
