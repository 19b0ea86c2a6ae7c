//! `longshore pull`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use longshore::layout::{ArchiveWriter, LayoutWriter};
use longshore::oci::{Reference, Tag};
use longshore::services::{PageRequest, RegistryError};
use longshore::transfer::{Destination, RepositoryEnd, Source};

use super::transfer::{
    Connection, CopyArguments, OutputArguments, Problem, RegistryArguments, Session, parse_reference, run,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  longshore pull registry.example/team/app:1.0 -o ./image
      Into a layout in a folder, which is made, or added to if it is there.

  longshore pull registry.example/team/app:1.0 -o image.tar --platform linux/arm64
      Only the image for one platform, as a tarball.

  longshore pull registry.example/team/app -o ./image --all-tags
      Everything in the repository that has a tag.

A pull that was cut goes on where it was when the same command is run again: blobs that are not whole stay in the
folder, or in PATH.partial beside a tarball. Ctrl-C ends with status 130.
";

/// How many tags are asked for at once.
const TAGS_AT_ONCE: usize = 1000;

/// The most tags that --all-tags takes.
const MOST_TAGS: usize = 100_000;

#[derive(Args)]
pub(super) struct PullArguments {
    /// What to pull. Without a tag or digest: latest
    #[arg(value_name = "REGISTRY/NAME[:TAG|@DIGEST]")]
    from: String,
    /// The folder or tarball that it goes to
    #[arg(long, short, value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    output: PathBuf,
    /// What to write [default: tar when the path ends with .tar, else dir]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Pull everything in the repository that has a tag
    #[arg(long)]
    all_tags: bool,
    #[command(flatten)]
    copy: CopyArguments,
    #[command(flatten)]
    registry: RegistryArguments,
    #[command(flatten)]
    shown: OutputArguments,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A layout in a folder
    Dir,
    /// A tarball of one; there must be nothing at the path
    Tar,
}

/// A layout that is written to, as a folder or as what becomes a tarball.
pub(super) enum Target {
    Folder(LayoutWriter),
    Archive(ArchiveWriter, PathBuf),
}

pub(super) fn pull(arguments: &PullArguments, environment: &[(OsString, OsString)]) -> ExitCode {
    run(&arguments.shown, &arguments.registry, environment, |session| pull_in(arguments, session))
}

async fn pull_in(arguments: &PullArguments, session: Session) -> Result<(), Problem> {
    let from = parse_reference(&arguments.from, &arguments.registry)?;
    if arguments.all_tags && (from.tag.is_some() || from.digest.is_some()) {
        return Err(Problem::Usage("--all-tags and a tag or digest exclude each other".to_owned()));
    }
    let end = Connection::new(&from, &arguments.registry, session.credentials())?.end(&from.repository)?;
    let wanted = match arguments.all_tags {
        true => tags_of(&end).await?.into_iter().map(|tag| (Reference::Tag(tag.clone()), Some(tag))).collect(),
        false => vec![(from.reference(), tag_of(&from.reference()).or(from.tag))],
    };
    let is_tar = match arguments.format {
        Some(format) => format == Format::Tar,
        None => arguments.output.extension().is_some_and(|end| end == "tar"),
    };
    let target = Target::open(&arguments.output, is_tar).await?;
    let mut all_done = Vec::new();
    for (reference, tag) in wanted {
        let source = Source::Repository { end: end.clone(), reference };
        let mut done = session.copy(source, target.destination(tag.clone()), arguments.copy.options()).await?;
        done.name = target.named(tag.as_ref());
        all_done.push(done);
    }
    target.finish().await?;
    all_done.iter().for_each(|done| session.done(done));
    Ok(())
}

fn tag_of(reference: &Reference) -> Option<Tag> {
    match reference {
        Reference::Tag(tag) => Some(tag.clone()),
        Reference::Digest(_) => None,
    }
}

/// All tags of a repository.
pub(super) async fn tags_of(end: &RepositoryEnd) -> Result<Vec<Tag>, Problem> {
    let mut tags: Vec<Tag> = Vec::new();
    loop {
        let last = tags.last().map(Tag::to_string);
        let page = PageRequest { limit: Some(TAGS_AT_ONCE), last };
        let found = end.tags(&page).await.map_err(|error| no_tags(end, &error))?;
        let is_empty = found.items.is_empty();
        tags.extend(found.items);
        if tags.len() > MOST_TAGS {
            return Err(Problem::Failed(format!("{end} has more than {MOST_TAGS} tags")));
        }
        if !found.more || is_empty {
            break;
        }
    }
    match tags.is_empty() {
        true => Err(Problem::Failed(format!("nothing in {end} has a tag"))),
        false => Ok(tags),
    }
}

fn no_tags(end: &RepositoryEnd, error: &RegistryError) -> Problem {
    Problem::Failed(format!("source: tags of {end}: {error}"))
}

impl Target {
    pub(super) async fn open(path: &Path, is_tar: bool) -> Result<Target, Problem> {
        match is_tar {
            true => Ok(Target::Archive(ArchiveWriter::open(path).await?, path.to_owned())),
            false => Ok(Target::Folder(LayoutWriter::open(path).await?)),
        }
    }

    pub(super) fn destination(&self, tag: Option<Tag>) -> Destination {
        let writer = match self {
            Target::Folder(writer) => writer,
            Target::Archive(archive, _) => archive.layout(),
        };
        Destination::Layout { writer: writer.clone(), tag }
    }

    /// How what has a tag is called in the end.
    pub(super) fn named(&self, tag: Option<&Tag>) -> String {
        let path = match self {
            Target::Folder(writer) => writer.root(),
            Target::Archive(_, path) => path,
        };
        match tag {
            Some(tag) => format!("{}:{tag}", path.display()),
            None => path.display().to_string(),
        }
    }

    pub(super) async fn finish(self) -> Result<(), Problem> {
        match self {
            Target::Folder(_) => Ok(()),
            Target::Archive(archive, _) => Ok(archive.finish().await?),
        }
    }
}
