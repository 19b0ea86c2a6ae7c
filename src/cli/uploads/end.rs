//! `longshore uploads cancel` and `longshore uploads expire`.

use std::process::ExitCode;

use clap::Args;
use longshore::oci::{RepositoryName, UploadId};

use crate::cli::admin_client::{AdminArguments, AdminClient, AdminError, no_body};
use crate::cli::admin_types::Ended;
use crate::cli::exit;
use crate::cli::text::{print, printable, size};

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Cancel,
    Expire,
}

#[derive(Args)]
pub(crate) struct EndArguments {
    #[command(flatten)]
    admin: AdminArguments,
    /// The uploads' ids
    #[arg(required = true)]
    id: Vec<UploadId>,
    /// In which repository, if several have an upload of one of these ids
    #[arg(long, value_name = "NAME")]
    repository: Option<RepositoryName>,
}

/// Each by itself: one that fails does not keep the others.
pub(super) fn end(arguments: &EndArguments, how: End) -> ExitCode {
    let repository = arguments.repository.as_ref().map(RepositoryName::as_str);
    arguments.admin.run(async |client| {
        let mut outcome = ExitCode::SUCCESS;
        for id in &arguments.id {
            let id = id.to_string();
            match end_one(&client, how, &id, repository).await {
                Ok(ended) => {
                    // One that went unsaid was done all the same, so the others are gone on with.
                    if print(sentence(how, &ended).as_bytes()) != ExitCode::SUCCESS {
                        outcome = ExitCode::FAILURE;
                    }
                }
                Err(error) => outcome = exit::of_failure(&format_args!("{id}: not {}: {error}", how.done())),
            }
        }
        outcome
    })
}

/// # Errors
/// [`AdminError`].
pub(super) async fn end_one(
    client: &AdminClient,
    how: End,
    id: &str,
    repository: Option<&str>,
) -> Result<Ended, AdminError> {
    let query: Vec<_> = repository.iter().map(|name| ("repository", (*name).to_owned())).collect();
    Ok(client.post(&["uploads", id, how.verb()], &query, no_body()).await?.1)
}

fn sentence(how: End, ended: &Ended) -> String {
    let at = size(ended.offset_bytes);
    printable(&format!("{} {} of {} at {at}", how.done(), ended.id, ended.repository)) + "\n"
}

impl End {
    pub(super) fn verb(self) -> &'static str {
        match self {
            End::Cancel => "cancel",
            End::Expire => "expire",
        }
    }

    pub(super) fn done(self) -> &'static str {
        match self {
            End::Cancel => "cancelled",
            End::Expire => "expired",
        }
    }
}
