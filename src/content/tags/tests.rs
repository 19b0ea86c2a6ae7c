use super::*;
use crate::content::testing::{Fixture, digest_of, image, new_manifest, repository, tag};
use crate::content::{ContentError, NewManifest};
use crate::storage::StorageErrorKind;
use crate::storage::adapters::Operation;

async fn page(fixture: &Fixture, last: Option<&str>, limit: usize) -> Option<(Vec<String>, bool)> {
    let page = fixture.content.tags().list(&repository("a"), last, limit).await.unwrap()?;
    Some((page.items.iter().map(|tag| tag.to_string()).collect(), page.more))
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| name.to_string()).collect()
}

async fn put(fixture: &Fixture, config: &Digest, condition: TagCondition) -> Result<Digest, ContentError> {
    let data = image(config, &[], "");
    let new = NewManifest { condition, ..new_manifest(&repository("a"), "v1", data) };
    fixture.content.manifests().put(new).await.map(|outcome| outcome.digest)
}

#[tokio::test]
async fn tags_are_listed_in_byte_order_by_pages() {
    let fixture = Fixture::new();
    let name = repository("a");
    assert_eq!(page(&fixture, None, 10).await, None);
    let digest = fixture.push_image(&name, "b").await;
    for tag_name in ["a", "B", "_x", "c.d", "c-d"] {
        fixture.point_as_distribution(&name, tag_name, &digest).await;
    }
    let sorted = ["B", "_x", "a", "b", "c-d", "c.d"];
    assert_eq!(page(&fixture, None, 10).await, Some((names(&sorted), false)));
    assert_eq!(page(&fixture, None, 2).await, Some((names(&sorted[..2]), true)));
    assert_eq!(page(&fixture, None, 0).await, Some((Vec::new(), false)));
    assert_eq!(page(&fixture, Some("_x"), 2).await, Some((names(&sorted[2..4]), true)));
    assert_eq!(page(&fixture, Some("aa"), 3).await, Some((names(&sorted[3..]), false)));
    assert_eq!(page(&fixture, Some("z"), 3).await, Some((Vec::new(), false)));
}

#[tokio::test]
async fn a_page_opens_no_tag_and_costs_one_call() {
    let fixture = Fixture::new();
    let name = repository("a");
    let digest = fixture.push_image(&name, "v0").await;
    for number in 1..500 {
        fixture.point_as_distribution(&name, &format!("v{number}"), &digest).await;
    }
    fixture.probe.take_calls();
    for last in [None, Some("v250"), Some("v499")] {
        page(&fixture, last, 10).await.unwrap();
        assert_eq!(fixture.probe.take_calls(), [format!("list {}", keys::tags(&name))]);
    }
    fixture.content.tags().delete(&name, &tag("v250")).await.unwrap();
    assert_eq!(page(&fixture, Some("v25"), 1).await.unwrap().0, ["v251"], "a delete is seen at once");
    fixture.point_as_distribution(&name, "v2501", &digest).await;
    assert_eq!(page(&fixture, Some("v25"), 1).await.unwrap().0, ["v2501"], "so is a new tag");
}

#[tokio::test]
async fn names_that_are_no_tags_are_passed_over() {
    let fixture = Fixture::new();
    let name = repository("a");
    let digest = fixture.push_image(&name, "v1").await;
    fixture.point_as_distribution(&name, "v2", &digest).await;
    fixture.probe.write(&keys::tags(&name).child(".hidden").unwrap(), "x").await;
    fixture.probe.write(&keys::tags(&name).child("u~").unwrap(), "x").await;
    assert_eq!(page(&fixture, None, 1).await, Some((names(&["v1"]), true)));
}

#[tokio::test]
async fn a_broken_tag_is_absent_and_can_be_pushed_again() {
    let fixture = Fixture::new();
    let name = repository("a");
    fixture.probe.write(&keys::tag_current(&name, &tag("v1")), "").await;
    assert_eq!(fixture.content.tags().resolve(&name, &tag("v1")).await.unwrap(), None);
    assert_eq!(page(&fixture, None, 10).await.unwrap().0, ["v1"]);
    let digest = fixture.push_image(&name, "v1").await;
    assert_eq!(fixture.content.tags().resolve(&name, &tag("v1")).await.unwrap(), Some(digest));
}

#[tokio::test]
async fn a_delete_leaves_nothing_of_a_tag_and_keeps_the_manifest() {
    let fixture = Fixture::new();
    let name = repository("a");
    let digest = fixture.push_image(&name, "v1").await;
    let tags = fixture.content.tags();
    assert!(tags.delete(&name, &tag("v1")).await.unwrap());
    assert_eq!(tags.resolve(&name, &tag("v1")).await.unwrap(), None);
    assert_eq!(fixture.probe.names(&keys::tags(&name)).await, [""; 0]);
    assert!(!tags.delete(&name, &tag("v1")).await.unwrap());
    assert!(fixture.content.manifests().exists(&name, &digest).await.unwrap());
}

#[tokio::test]
async fn conditions_decide_about_a_move() {
    let fixture = Fixture::new();
    let name = repository("a");
    let (first, second) = (fixture.push_blob(&name, b"1").await, fixture.push_blob(&name, b"2").await);
    let is_refused = |result| matches!(result, Err(ContentError::ConditionFailed { .. }));
    let other = digest_of(b"other");
    assert!(is_refused(put(&fixture, &first, TagCondition::Exists).await));
    assert!(is_refused(put(&fixture, &first, TagCondition::PointsAt(vec![other.clone()])).await));
    let at_first = put(&fixture, &first, TagCondition::IsNew).await.unwrap();
    assert!(is_refused(put(&fixture, &second, TagCondition::IsNew).await));
    let refused = put(&fixture, &second, TagCondition::PointsAt(vec![other.clone()])).await;
    assert!(matches!(&refused, Err(ContentError::ConditionFailed { current: Some(at), .. }) if *at == at_first));
    let at_second = put(&fixture, &second, TagCondition::PointsAt(vec![other, at_first.clone()])).await.unwrap();
    assert_eq!(put(&fixture, &first, TagCondition::Exists).await.unwrap(), at_first);
    assert_ne!(at_first, at_second);
}

#[tokio::test]
async fn a_tag_that_leads_to_no_manifest_is_new() {
    let fixture = Fixture::new();
    let name = repository("a");
    let config = fixture.push_blob(&name, b"1").await;
    let current = keys::tag_current(&name, &tag("v1"));
    for broken in [String::new(), "x".repeat(5000), digest_of(b"no manifest").to_string()] {
        fixture.probe.write(&current, broken).await;
        let refused = put(&fixture, &config, TagCondition::Exists).await;
        assert!(matches!(refused, Err(ContentError::ConditionFailed { current: None, .. })), "{refused:?}");
        put(&fixture, &config, TagCondition::IsNew).await.unwrap();
    }
}

#[tokio::test]
async fn of_two_publishers_with_the_same_condition_one_wins() {
    for condition in [TagCondition::IsNew, TagCondition::Exists] {
        let fixture = Fixture::new();
        let name = repository("a");
        let mut condition = condition;
        if condition == TagCondition::Exists {
            let config = fixture.push_blob(&name, b"before").await;
            condition = TagCondition::PointsAt(vec![put(&fixture, &config, TagCondition::Any).await.unwrap()]);
        }
        let mut publishers = Vec::new();
        for number in 0_u8..8 {
            let config = fixture.push_blob(&name, &[number]).await;
            let new =
                NewManifest { condition: condition.clone(), ..new_manifest(&name, "v1", image(&config, &[], "")) };
            let manifests = fixture.content.manifests();
            publishers.push(tokio::spawn(async move { manifests.put(new).await }));
        }
        let mut winners = Vec::new();
        for publisher in publishers {
            match publisher.await.unwrap() {
                Ok(outcome) => winners.push(outcome.digest),
                Err(ContentError::ConditionFailed { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(fixture.content.tags().resolve(&name, &tag("v1")).await.unwrap().as_ref(), winners.first());
    }
}

#[tokio::test]
async fn another_node_between_look_and_put_is_noticed() {
    let fixture = Fixture::new();
    let name = repository("a");
    let (ours, theirs) = (fixture.push_blob(&name, b"1").await, fixture.push_image(&name, "theirs").await);
    let before = put(&fixture, &ours, TagCondition::Any).await.unwrap();
    let current = keys::tag_current(&name, &tag("v1"));
    // The first look is before anything is written, the second one decides.
    let first_look = fixture.probe.stop(Operation::Get, &current);
    let second_look = fixture.probe.stop(Operation::Get, &current);
    let put = tokio::spawn({
        let (manifests, data) = (fixture.content.manifests(), image(&theirs, &[], ""));
        let new = NewManifest {
            condition: TagCondition::PointsAt(vec![before]),
            ..new_manifest(&name, "v1", data.replace(&theirs.to_string(), &ours.to_string()))
        };
        async move { manifests.put(new).await }
    });
    first_look.reached(1).await;
    first_look.release();
    second_look.reached(1).await;
    fixture.probe.write(&current, theirs.to_string()).await;
    second_look.release();
    let refused = put.await.unwrap();
    assert!(matches!(&refused, Err(ContentError::ConditionFailed { current: Some(at), .. }) if *at == theirs));
    assert_eq!(fixture.content.tags().resolve(&name, &tag("v1")).await.unwrap(), Some(theirs));
}

#[tokio::test]
async fn a_tag_that_moves_while_its_manifest_is_deleted_stays() {
    let fixture = Fixture::new();
    let name = repository("a");
    let (old, new) = (fixture.push_image(&name, "v1").await, fixture.push_image(&name, "new").await);
    let current = keys::tag_current(&name, &tag("v1"));
    let stopped = fixture.probe.stop(Operation::Get, &current);
    let delete = tokio::spawn({
        let (manifests, name, old) = (fixture.content.manifests(), name.clone(), old.clone());
        async move { manifests.delete(&name, &old).await }
    });
    stopped.reached(1).await;
    fixture.point_as_distribution(&name, "v1", &new).await;
    stopped.release();
    assert!(delete.await.unwrap().unwrap());
    assert_eq!(fixture.content.tags().resolve(&name, &tag("v1")).await.unwrap(), Some(new));
}

#[tokio::test]
async fn a_fault_is_never_an_absence() {
    let fixture = Fixture::new();
    let name = repository("a");
    fixture.push_image(&name, "v1").await;
    let tags = fixture.content.tags();
    fixture.probe.fail(Operation::Get, &keys::tag_current(&name, &tag("v1")), StorageErrorKind::TimedOut);
    assert_eq!(tags.resolve(&name, &tag("v1")).await.unwrap_err().kind(), StorageErrorKind::TimedOut);
    for operation in [Operation::List] {
        fixture.probe.fail(operation, &keys::tags(&name), StorageErrorKind::Fault);
        assert_eq!(tags.list(&name, None, 10).await.unwrap_err().kind(), StorageErrorKind::Fault);
    }
}

#[tokio::test]
async fn what_is_no_folder_is_no_tag() {
    let fixture = Fixture::new();
    let name = repository("a");
    fixture.push_image(&name, "v1").await;
    fixture.probe.write(&keys::tags(&name).child("README").unwrap(), "by an operator").await;
    assert_eq!(page(&fixture, None, 10).await, Some((names(&["v1"]), false)));
}

#[tokio::test]
async fn a_deleted_tag_is_not_listed_whatever_stood_in_its_folder() {
    let fixture = Fixture::new();
    let name = repository("a");
    fixture.push_image(&name, "kept").await;
    for current_is_there in [true, false] {
        let current = keys::tag_current(&name, &tag("v1"));
        if current_is_there {
            fixture.push_image(&name, "v1").await;
        }
        fixture.probe.write(&keys::tag(&name, &tag("v1")).child("foreign").unwrap(), "").await;
        assert_eq!(fixture.content.tags().delete(&name, &tag("v1")).await.unwrap(), current_is_there);
        assert!(!fixture.probe.has(&current).await);
        assert_eq!(page(&fixture, None, 10).await, Some((names(&["kept"]), false)));
    }
}

#[tokio::test]
async fn a_conditional_move_that_failed_half_way_can_be_asked_for_again() {
    let fixture = Fixture::new();
    let name = repository("a");
    let (first, second) = (fixture.push_blob(&name, b"1").await, fixture.push_blob(&name, b"2").await);
    let before = put(&fixture, &first, TagCondition::Any).await.unwrap();
    let moved = digest_of(image(&second, &[], "").as_bytes());
    let index = keys::tag_index(&name, &tag("v1"), &moved);
    fixture.probe.fail(Operation::Put, &index, StorageErrorKind::Fault);
    let condition = TagCondition::PointsAt(vec![before]);
    assert!(matches!(put(&fixture, &second, condition.clone()).await, Err(ContentError::Storage(_))));
    assert_eq!(put(&fixture, &second, condition.clone()).await.unwrap(), moved);
    assert!(fixture.probe.has(&index).await);
    assert!(matches!(put(&fixture, &first, condition).await, Err(ContentError::ConditionFailed { .. })));
}
