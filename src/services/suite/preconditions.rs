use bytes::Bytes;
use futures_util::future::join_all;

use super::manifests::{ANY_TAG, assert_manifest, by_tag, empty_index, new_manifest};
use super::support::{Bench, digest_of};
use super::{Case, assert_fails, case};
use crate::oci::{Digest, Reference};
use crate::services::{ManifestPut, Precondition, PutManifest, RegistryError, Repository};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("a tag that is to be new is new", is_new),
        case!("a tag that is to exist exists", exists),
        case!("a tag moves from where it is said to be, and from nowhere else", points_at),
        case!("of several who want a new tag one gets it", one_is_first),
    ]
}

async fn put_if(
    repository: &dyn Repository,
    precondition: Precondition,
    data: &Bytes,
) -> Result<ManifestPut, RegistryError> {
    let request = PutManifest { precondition, ..new_manifest(by_tag(ANY_TAG), data) };
    repository.manifests().put(request).await
}

/// It was refused because the tag is where it is.
fn assert_refused(told: Result<ManifestPut, RegistryError>, at: Option<&Digest>) {
    assert_fails!(
        told,
        RegistryError::PreconditionFailed { tag, current } if tag.as_str() == ANY_TAG && current.as_ref() == at
    );
}

async fn is_new(bench: Bench) {
    let repository = bench.repository("a");
    let (first, second) = (empty_index(1), empty_index(2));
    put_if(&*repository, Precondition::IsNew, &first).await.expect("there is no such tag");
    assert_refused(put_if(&*repository, Precondition::IsNew, &second).await, Some(&digest_of(&first)));
    assert_manifest(&*repository, &by_tag(ANY_TAG), &first).await;
    repository.manifests().delete(&by_tag(ANY_TAG)).await.expect("the tag is deleted");
    put_if(&*repository, Precondition::IsNew, &second).await.expect("there is no such tag any more");
    assert_manifest(&*repository, &by_tag(ANY_TAG), &second).await;
}

async fn exists(bench: Bench) {
    let repository = bench.repository("a");
    let (first, second) = (empty_index(1), empty_index(2));
    assert_refused(put_if(&*repository, Precondition::Exists, &first).await, None);
    assert!(repository.manifests().get(&by_tag(ANY_TAG)).await.is_err(), "it was refused");
    put_if(&*repository, Precondition::None, &first).await.expect("nothing is asked of the tag");
    put_if(&*repository, Precondition::Exists, &second).await.expect("the tag exists");
    assert_manifest(&*repository, &by_tag(ANY_TAG), &second).await;
}

async fn points_at(bench: Bench) {
    let repository = bench.repository("a");
    let data = [empty_index(0), empty_index(1), empty_index(2)];
    let digests = data.each_ref().map(|data| digest_of(data));
    let at =
        |numbers: &[usize]| Precondition::PointsAt(numbers.iter().map(|number| digests[*number].clone()).collect());
    assert_refused(put_if(&*repository, at(&[0]), &data[0]).await, None);
    put_if(&*repository, Precondition::None, &data[0]).await.expect("nothing is asked of the tag");
    assert_refused(put_if(&*repository, at(&[1, 2]), &data[2]).await, Some(&digests[0]));
    assert_refused(put_if(&*repository, at(&[]), &data[2]).await, Some(&digests[0]));
    assert_manifest(&*repository, &by_tag(ANY_TAG), &data[0]).await;
    put_if(&*repository, at(&[0]), &data[1]).await.expect("it points there");
    put_if(&*repository, at(&[0, 1]), &data[2]).await.expect("it points at one of them");
    assert_manifest(&*repository, &by_tag(ANY_TAG), &data[2]).await;
    // A push whose answer was lost is sent again.
    put_if(&*repository, at(&[0, 1]), &data[2]).await.expect("it points there already");
    let by_digest = new_manifest(Reference::Digest(digests[0].clone()), &data[0]);
    let request = PutManifest { precondition: Precondition::IsNew, ..by_digest };
    repository.manifests().put(request).await.expect("nothing is asked of a digest");
    assert_manifest(&*repository, &by_tag(ANY_TAG), &data[2]).await;
}

async fn one_is_first(bench: Bench) {
    let repository = bench.repository("a");
    let data: Vec<Bytes> = (0..6).map(empty_index).collect();
    let told = join_all(data.iter().map(|data| put_if(&*repository, Precondition::IsNew, data))).await;
    let first: Vec<usize> = (0..told.len()).filter(|number| told[*number].is_ok()).collect();
    assert_eq!(first.len(), 1, "{told:?}");
    assert_manifest(&*repository, &by_tag(ANY_TAG), &data[first[0]]).await;
    for error in told.into_iter().filter_map(Result::err) {
        match error {
            RegistryError::PreconditionFailed { .. } | RegistryError::Busy { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}
