//! `longshore push`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use longshore::client::ImageReference;
use longshore::layout::{ArtifactOptions, IndexEntry, Layout, PathKind};
use longshore::oci::Tag;
use longshore::transfer::{Destination, Source};

use super::transfer::{
    Connection, CopyArguments, OutputArguments, Problem, RegistryArguments, Session, parse_reference, run,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  longshore push ./image registry.example/team/app:1.0
      A layout in a folder. A tarball of one, also gzipped, is pushed in the same way.

  longshore push report.pdf registry.example/team/reports:today --artifact-type application/vnd.example.report
      Any other file, as an artifact.

  longshore push ./image registry.example/team/app --all-tags --jobs 8
      Everything in the layout that has a tag.

  longshore push image.tar registry.example/team/app:1.0 --user me < password.txt
      With a password that is not in docker's configuration.

A push that was cut, by Ctrl-C, kill -9 or a cable, goes on where it was when the same command is run again: how far
each blob is, is noted in ~/.cache/longshore (or $XDG_CACHE_HOME/longshore) until it is done.
Ctrl-C ends with status 130.
";

#[derive(Args)]
pub(super) struct PushArguments {
    /// A layout in a folder or tarball, or any other file
    #[arg(value_name = "LAYOUT or FILE", value_hint = clap::ValueHint::AnyPath)]
    path: PathBuf,
    /// Where it goes. Without a tag it gets the one that it has in the layout, or latest
    #[arg(value_name = "REGISTRY/NAME[:TAG]")]
    to: String,
    /// Push everything that has a tag in the layout, under that tag
    #[arg(long)]
    all_tags: bool,
    /// Push the file as an artifact of this type, whatever is in it
    #[arg(long, value_name = "TYPE")]
    artifact_type: Option<String>,
    /// The media type of a file that is pushed as an artifact [default: application/octet-stream]
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
    #[command(flatten)]
    copy: CopyArguments,
    #[command(flatten)]
    registry: RegistryArguments,
    #[command(flatten)]
    output: OutputArguments,
}

pub(super) fn push(arguments: &PushArguments, environment: &[(OsString, OsString)]) -> ExitCode {
    run(&arguments.output, &arguments.registry, environment, |session| push_in(arguments, session))
}

async fn push_in(arguments: &PushArguments, session: Session) -> Result<(), Problem> {
    let to = parse_reference(&arguments.to, &arguments.registry)?;
    if to.digest.is_some() {
        return Err(Problem::Usage("a push goes to a tag, not to a digest".to_owned()));
    }
    if arguments.all_tags && to.tag.is_some() {
        return Err(Problem::Usage("--all-tags and a tag exclude each other".to_owned()));
    }
    let connection = Connection::new(&to, &arguments.registry, session.credentials())?;
    let end = connection.end(&to.repository)?;
    session.note(&format!("reading {}", arguments.path.display()));
    let layout = open(arguments).await?;
    let journal = session.journal().await;
    for (entry, tag) in wanted(arguments, &layout, &to)? {
        let source = Source::Layout { layout: layout.clone(), name: Some(entry.digest.to_string()) };
        let destination = Destination::Repository { end: end.clone(), tag: Some(tag), journal: journal.clone() };
        let done = session.copy(source, destination, arguments.copy.options()).await?;
        session.done(&done);
    }
    Ok(())
}

async fn open(arguments: &PushArguments) -> Result<Layout, Problem> {
    let mut options = ArtifactOptions::default();
    if let Some(media_type) = &arguments.media_type {
        options.media_type.clone_from(media_type);
    }
    if let Some(artifact_type) = &arguments.artifact_type {
        options.artifact_type.clone_from(artifact_type);
        return Ok(Layout::artifact(&arguments.path, options).await?);
    }
    let (layout, kind) = Layout::open_or_artifact(&arguments.path, options).await?;
    match arguments.media_type {
        Some(_) if kind != PathKind::File => {
            Err(Problem::Usage("--media-type is for a file, and this is a layout".to_owned()))
        }
        _ => Ok(layout),
    }
}

/// What of the layout is pushed, and under which tags.
fn wanted(arguments: &PushArguments, layout: &Layout, to: &ImageReference) -> Result<Vec<(IndexEntry, Tag)>, Problem> {
    if arguments.all_tags {
        return all_tags(layout);
    }
    // What has the destination's tag, or else the only thing that there is.
    let of_that_tag = to.tag.as_ref().and_then(|tag| layout.resolve(Some(tag.as_str())).ok());
    let entry = match of_that_tag {
        Some(entry) => entry,
        None => layout.resolve(None).map_err(|error| match &to.tag {
            None => Problem::Failed(format!("{error}; name its tag, or push --all-tags")),
            Some(_) => Problem::Failed(format!("{error}; longshore copy oci:PATH:TAG … takes one under another tag")),
        })?,
    };
    let tag = to.tag.clone().or_else(|| tag_of(&entry)).or_else(|| "latest".parse().ok());
    Ok(tag.map(|tag| (entry, tag)).into_iter().collect())
}

/// Each tag once.
pub(super) fn all_tags(layout: &Layout) -> Result<Vec<(IndexEntry, Tag)>, Problem> {
    let tags: BTreeSet<Tag> = layout.entries().iter().filter_map(tag_of).collect();
    if tags.is_empty() {
        return Err(Problem::Failed("nothing in the layout has a tag".to_owned()));
    }
    tags.into_iter().map(|tag| Ok((layout.resolve(Some(tag.as_str()))?, tag))).collect()
}

/// Its name, if that can be a tag.
pub(super) fn tag_of(entry: &IndexEntry) -> Option<Tag> {
    entry.name.as_ref()?.parse().ok()
}
