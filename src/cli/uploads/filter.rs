use std::net::IpAddr;

use clap::Args;
use clap::builder::PossibleValuesParser;
use longshore::oci::RepositoryName;
use longshore::upload::{SortUploads, UploadState};

/// How the API calls a query's part, and what it is.
pub(super) type Query = Vec<(&'static str, String)>;

/// Which uploads.
#[derive(Args, Clone)]
pub(super) struct FilterArguments {
    /// Only those of this repository
    #[arg(long, value_name = "NAME")]
    repository: Option<RepositoryName>,
    /// Only those of the client with this address
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    /// Only those in one of these states
    #[arg(long, value_name = "STATE,…", value_delimiter = ',')]
    #[arg(value_parser = PossibleValuesParser::new(UploadState::ALL.map(UploadState::as_str)))]
    state: Vec<String>,
}

impl FilterArguments {
    pub(super) fn query(&self) -> Query {
        let mut query = Query::new();
        query.extend(self.repository.as_ref().map(|name| ("repository", name.to_string())));
        query.extend(self.client.map(|client| ("client", client.to_string())));
        if !self.state.is_empty() {
            query.push(("state", self.state.join(",")));
        }
        query
    }

    /// The states that are asked for; all when none is named.
    pub(super) fn states(&self) -> impl Iterator<Item = UploadState> {
        let is_asked_for =
            |state: &UploadState| self.state.is_empty() || self.state.iter().any(|s| s == state.as_str());
        UploadState::ALL.into_iter().filter(is_asked_for)
    }

    /// The same filter for one state alone.
    pub(super) fn with_state(&self, state: UploadState) -> Self {
        FilterArguments { state: vec![state.as_str().to_owned()], ..self.clone() }
    }
}

pub(super) fn sort_values() -> PossibleValuesParser {
    PossibleValuesParser::new(SortUploads::ALL.map(SortUploads::as_str))
}
