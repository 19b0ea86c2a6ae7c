//! Requests that move little: blobs looked up, manifests by tag, lists of tags.

use http::header::{ACCEPT, CONTENT_LENGTH, HeaderValue, LINK};
use http::{Method, StatusCode};
use serde::Deserialize;

use super::answers::expect;
use super::answers::{Op, Refused};
use super::lane::Lane;
use super::task::Task;
use super::{failure, image, push};
use crate::client::{Access, RawCall, RepositoryClient, Url};
use crate::hashing::RunningDigest;
use crate::load::content::Blob;
use crate::load::measure::Failure;
use crate::load::plan::{HeadMany, TagsList};
use crate::load::report::FindingKind;
use crate::load::run::{Done, PushedManifest};

pub(in crate::load) const HEAD_BLOB: Op = Op::new("blob.head");
const GET_MANIFEST: Op = Op::new("manifest.get");
const HEAD_MANIFEST: Op = Op::new("manifest.head");
const TAGS: Op = Op::new("tags.list");

/// The most of a manifest, or of a page of tags, that is taken.
const MAX_DOCUMENT_BYTES: usize = 4 << 20;

/// After so many pages a list of tags is taken to have no end.
const MOST_PAGES: u32 = 1000;

/// Looks up blobs that this run pushed.
pub(super) async fn heads(task: &mut Task<'_>, plan: &HeadMany) -> Result<Done, Failure> {
    push::any(task).await?;
    for _ in 0..plan.heads {
        if task.context.stop.is_ending() {
            break;
        }
        let pushed = push::any(task).await?;
        let repository = task.session.client.repository(&pushed.repository);
        look_up(&mut task.lane, HEAD_BLOB, &repository, &pushed.blob).await?;
    }
    Ok(Done::default())
}

/// Looks up a blob whose push was acknowledged. What is wrong is a finding.
pub(in crate::load) async fn look_up(
    lane: &mut Lane,
    op: Op,
    repository: &RepositoryClient,
    blob: &Blob,
) -> Result<(), Refused> {
    let url = repository.url(["blobs", &blob.digest().to_string()]);
    let call = RawCall::new("look up blob", Method::HEAD, url, Access::Pull);
    let answer = match lane.call(op, repository, call).await {
        Ok(answer) => answer,
        Err(refused) => {
            if refused.status() == 404 {
                let detail = "it was pushed, and is not there";
                lane.finding(FindingKind::Missing, repository, blob.digest(), detail);
                return Err(refused.found());
            }
            return Err(refused);
        }
    };
    expect(&answer, StatusCode::OK)?;
    let told = answer.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if told == Some(blob.size()) {
        return Ok(());
    }
    let told = told.map_or("nothing".to_owned(), |bytes| format!("{bytes} bytes"));
    let detail = format!("{} bytes were pushed, it tells {told}", blob.size());
    lane.finding(FindingKind::WrongSize, repository, blob.digest(), &detail);
    Err(Refused::answer(detail).found())
}

/// Pulls a manifest that this run pushed by its tag.
pub(super) async fn manifest_by_tag(task: &mut Task<'_>) -> Result<Done, Failure> {
    let pushed = image::any(task).await?;
    let repository = task.session.client.repository(&pushed.repository);
    manifest(&mut task.lane, &repository, &pushed).await?;
    Ok(Done { bytes: pushed.size })
}

/// Pulls a manifest by its tag, or by its digest when it has none, and compares it.
pub(super) async fn manifest(
    lane: &mut Lane,
    repository: &RepositoryClient,
    pushed: &PushedManifest,
) -> Result<(), Refused> {
    let mut bytes = Vec::new();
    let read = |_: &super::answers::Head, piece: &[u8]| {
        bytes.extend_from_slice(piece);
        match bytes.len() > MAX_DOCUMENT_BYTES {
            true => Err(failure::protocol("a manifest without an end")),
            false => Ok(()),
        }
    };
    let answered =
        lane.call_reading(GET_MANIFEST, repository, manifest_call(Method::GET, repository, pushed), read).await;
    found_manifest(lane, repository, pushed, answered.as_ref().err());
    expect(&answered?, StatusCode::OK)?;
    let mut running = RunningDigest::new(pushed.digest.algorithm());
    running.update(&bytes);
    let actual = running.finish();
    if actual == pushed.digest {
        return Ok(());
    }
    let detail = format!("its {} bytes have the digest {actual}", bytes.len());
    lane.finding(FindingKind::WrongBytes, repository, &pushed.digest, &detail);
    Err(Refused::answer(detail))
}

/// Looks up a manifest that this run pushed.
pub(super) async fn head_manifest(task: &mut Task<'_>) -> Result<Done, Failure> {
    let pushed = image::any(task).await?;
    let repository = task.session.client.repository(&pushed.repository);
    let call = manifest_call(Method::HEAD, &repository, &pushed);
    let answered = task.lane.call(HEAD_MANIFEST, &repository, call).await;
    found_manifest(&task.lane, &repository, &pushed, answered.as_ref().err());
    expect(&answered?, StatusCode::OK)?;
    Ok(Done::default())
}

fn manifest_call(method: Method, repository: &RepositoryClient, pushed: &PushedManifest) -> RawCall {
    let digest = pushed.digest.to_string();
    let url = repository.url(["manifests", pushed.tag.as_deref().unwrap_or(&digest)]);
    let accept = HeaderValue::from_static(image::MANIFEST_TYPE);
    RawCall::new("pull manifest", method, url, Access::Pull).header(ACCEPT, accept)
}

fn found_manifest(lane: &Lane, repository: &RepositoryClient, pushed: &PushedManifest, refused: Option<&Refused>) {
    if refused.is_some_and(|refused| refused.status() == 404) {
        let detail = "the manifest was pushed, and is not there";
        lane.finding(FindingKind::Missing, repository, &pushed.digest, detail);
    }
}

/// Lists all tags of a repository that has some, page by page.
pub(super) async fn tags(task: &mut Task<'_>, plan: &TagsList) -> Result<Done, Failure> {
    let pushed = image::any(task).await?;
    let repository = task.session.client.repository(&pushed.repository);
    let mut url = repository.url(["tags", "list"]);
    if plan.page > 0 {
        url.query_pairs_mut().append_pair("n", &plan.page.to_string());
    }
    for _ in 0..MOST_PAGES {
        let Some(next) = page_of_tags(&mut task.lane, &repository, url).await? else {
            return Ok(Done::default());
        };
        if task.context.stop.is_ending() {
            return Ok(Done::default());
        }
        url = next;
    }
    Err(failure::protocol(format!("a list of tags has more than {MOST_PAGES} pages")))
}

/// Gives where the next page is.
async fn page_of_tags(lane: &mut Lane, repository: &RepositoryClient, url: Url) -> Result<Option<Url>, Refused> {
    #[derive(Deserialize)]
    struct Page {
        // A registry may say `null` for none.
        #[serde(rename = "tags")]
        _tags: Option<Vec<String>>,
    }
    let mut bytes = Vec::new();
    let call = RawCall::new("list tags", Method::GET, url.clone(), Access::Pull);
    let read = |_: &super::answers::Head, piece: &[u8]| {
        bytes.extend_from_slice(piece);
        match bytes.len() > MAX_DOCUMENT_BYTES {
            true => Err(failure::protocol("a page of tags without an end")),
            false => Ok(()),
        }
    };
    let answer = lane.call_reading(TAGS, repository, call, read).await?;
    expect(&answer, StatusCode::OK)?;
    serde_json::from_slice::<Page>(&bytes).map_err(|error| Refused::answer(format!("no list of tags: {error}")))?;
    let Some(link) = answer.headers.get(LINK).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    let target = link.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(target, _)| target);
    let next = target.and_then(|target| url.join(target).ok()).filter(|next| next.origin() == url.origin());
    next.map(Some).ok_or_else(|| Refused::answer("a link to the next page that leads nowhere"))
}
