//! `longshore copy`.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;
use longshore::client::ImageReference;
use longshore::layout::Layout;
use longshore::oci::{Reference, Tag};
use longshore::transfer::{Destination, Journal, RepositoryEnd, Source};

use super::pull::{Target, tags_of};
use super::push::{all_tags, tag_of};
use super::transfer::{
    Connection, CopyArguments, Named, OutputArguments, Place, Problem, RegistryArguments, Session, run,
};

pub(super) const EXAMPLES: &str = "\
SRC and DST are each one of
  registry.example/team/app:1.0   a repository of a registry, with a tag or (SRC) a digest
  oci:PATH[:TAG]                  a layout in a folder
  oci-archive:PATH[:TAG]          a layout in a tarball (SRC also gzipped; DST must not be there)

Examples:
  longshore copy registry.example/team/app:1.0 mirror.example/app:1.0
      From registry to registry; nothing is kept on this machine.

  longshore copy oci:./image:1.0 registry.example/team/app:stable
      One of several images of a layout, under another tag.

  longshore copy registry.example/team/app mirror.example/app --all-tags --referrers
      Everything that has a tag, with the signatures of all of it.

Without a tag, DST gets that of SRC. What was cut goes on where it was when the same command is run again.
Ctrl-C ends with status 130.
";

#[derive(Args)]
pub(super) struct Arguments {
    /// Where it is
    #[arg(value_name = "SRC")]
    from: String,
    /// Where it goes
    #[arg(value_name = "DST")]
    to: String,
    /// Copy everything that has a tag, under the same tags
    #[arg(long)]
    all_tags: bool,
    #[command(flatten)]
    copy: CopyArguments,
    #[command(flatten)]
    registry: RegistryArguments,
    #[command(flatten)]
    output: OutputArguments,
}

pub(super) fn copy(arguments: &Arguments, environment: &[(OsString, OsString)]) -> ExitCode {
    run(&arguments.output, &arguments.registry, environment, |session| copy_in(arguments, session))
}

/// An opened source.
enum From {
    Registry(RepositoryEnd, ImageReference),
    Layout(Layout, Option<Tag>),
}

/// An opened destination.
enum To {
    Registry(RepositoryEnd, Option<Journal>),
    Layout(Target),
}

async fn copy_in(arguments: &Arguments, session: Session) -> Result<(), Problem> {
    let from = Place::parse(&arguments.from, &arguments.registry)?;
    let to = Place::parse(&arguments.to, &arguments.registry)?;
    if arguments.all_tags && (from.tag().is_some() || to.tag().is_some()) {
        return Err(Problem::Usage("--all-tags and a tag exclude each other".to_owned()));
    }
    if matches!(&to, Place::Registry(reference) if reference.digest.is_some()) {
        return Err(Problem::Usage("a copy goes to a tag, not to a digest".to_owned()));
    }
    let wanted_tag = to.tag().cloned();
    let source = From::open(&from, &to, arguments, &session).await?;
    let wanted = source.wanted(arguments.all_tags).await?;
    let target = To::open(to, arguments, &session).await?;
    let mut all_done = Vec::new();
    for (one, tag) in wanted {
        let tag = wanted_tag.clone().or(tag);
        let mut done = session.copy(one, target.destination(tag.clone()), arguments.copy.options()).await?;
        if let To::Layout(layout) = &target {
            done.name = layout.named(tag.as_ref());
        }
        all_done.push(done);
    }
    if let To::Layout(layout) = target {
        layout.finish().await?;
    }
    all_done.iter().for_each(|done| session.done(done));
    Ok(())
}

impl From {
    async fn open(from: &Place, to: &Place, arguments: &Arguments, session: &Session) -> Result<From, Problem> {
        match from {
            Place::Folder(Named { path, tag }) | Place::Archive(Named { path, tag }) => {
                Ok(From::Layout(Layout::open(path).await?, tag.clone()))
            }
            Place::Registry(reference) => {
                // A password is for one registry only: the destination, if that is one.
                let is_for_this = match to {
                    Place::Registry(to) => to.registry == reference.registry,
                    _ => true,
                };
                let credentials = session.credentials().filter(|_| is_for_this);
                let connection = Connection::new(reference, &arguments.registry, credentials)?;
                Ok(From::Registry(connection.end(&reference.repository)?, reference.clone()))
            }
        }
    }

    /// What is copied, with the tags that it has.
    async fn wanted(&self, all: bool) -> Result<Vec<(Source, Option<Tag>)>, Problem> {
        match self {
            From::Layout(layout, tag) => {
                let entries = match all {
                    true => all_tags(layout)?.into_iter().map(|(entry, tag)| (entry, Some(tag))).collect(),
                    false => {
                        let entry = layout.resolve(tag.as_ref().map(Tag::as_str))?;
                        let tag = tag.clone().or_else(|| tag_of(&entry));
                        vec![(entry, tag)]
                    }
                };
                let source = |digest: String| Source::Layout { layout: layout.clone(), name: Some(digest) };
                Ok(entries.into_iter().map(|(entry, tag)| (source(entry.digest.to_string()), tag)).collect())
            }
            From::Registry(end, asked) => {
                let references = match (all, asked.reference()) {
                    (true, _) => {
                        tags_of(end).await?.into_iter().map(|tag| (Reference::Tag(tag.clone()), Some(tag))).collect()
                    }
                    (false, Reference::Tag(tag)) => vec![(Reference::Tag(tag.clone()), Some(tag))],
                    (false, digest) => vec![(digest, asked.tag.clone())],
                };
                let source = |reference| Source::Repository { end: end.clone(), reference };
                Ok(references.into_iter().map(|(reference, tag)| (source(reference), tag)).collect())
            }
        }
    }
}

impl To {
    async fn open(to: Place, arguments: &Arguments, session: &Session) -> Result<To, Problem> {
        match to {
            Place::Folder(named) => Ok(To::Layout(Target::open(&named.path, false).await?)),
            Place::Archive(named) => Ok(To::Layout(Target::open(&named.path, true).await?)),
            Place::Registry(reference) => {
                let connection = Connection::new(&reference, &arguments.registry, session.credentials())?;
                Ok(To::Registry(connection.end(&reference.repository)?, session.journal().await))
            }
        }
    }

    fn destination(&self, tag: Option<Tag>) -> Destination {
        match self {
            To::Registry(end, journal) => Destination::Repository { end: end.clone(), tag, journal: journal.clone() },
            To::Layout(target) => target.destination(tag),
        }
    }
}
