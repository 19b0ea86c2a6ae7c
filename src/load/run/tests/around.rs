use std::collections::BTreeSet;

use super::fake::{Event, Fake, plan};
use crate::load::plan::{ImagePush, Shape, Workload, WorkloadPlan};

fn counted(count: u64) -> Shape {
    Shape { workers: Some(1), count: Some(count), ..Shape::default() }
}

#[tokio::test(start_paused = true)]
async fn what_pulls_need_is_pushed_before_and_not_counted() {
    let fake = Fake::taking(1);
    let mut plan = plan(&["a"], counted(5));
    plan.workloads = vec![
        WorkloadPlan { weight: 1.0, workload: Workload::PullWhole },
        WorkloadPlan { weight: 1.0, workload: Workload::ManifestByTag },
    ];
    plan.content.prepared = 3;
    let report = fake.run(plan).await;
    let workloads: Vec<&str> = fake
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Task { workload, .. } => Some(workload),
            _ => None,
        })
        .collect();
    assert_eq!(
        workloads[..6],
        ["push-monolithic", "push-monolithic", "push-monolithic", "image-push", "image-push", "image-push"]
    );
    assert_eq!(workloads.len(), 11);
    let counted: u64 = report.targets[0].workloads.values().map(|workload| workload.count).sum();
    assert_eq!(counted, 5);
    assert!(!report.targets[0].workloads.contains_key("push-monolithic"));
    assert_eq!(report.targets[0].operations["blob.put"].count, 5);
}

#[tokio::test(start_paused = true)]
async fn cleaning_deletes_what_was_pushed_and_nothing_else() {
    let fake = Fake::taking(1);
    let mut plan = plan(&["a"], counted(6));
    plan.workloads.push(WorkloadPlan { weight: 1.0, workload: Workload::ImagePush(ImagePush::default()) });
    plan.content.duplicate_ratio = 0.5;
    plan.repositories = 2;
    plan.clean = true;
    let report = fake.run(plan).await;
    // The time is paused and the processor's is not: a busy machine looks busier than it can be.
    let notes: Vec<&String> =
        report.notes.iter().filter(|note| !note.contains("a thread of the load tester was busy")).collect();
    assert!(notes.is_empty(), "{notes:?}");
    let events = fake.events();
    let mut pushed = BTreeSet::new();
    for event in &events {
        if let Event::Task { digest, .. } = event {
            pushed.insert(digest.clone());
        }
    }
    let deleted: Vec<&String> = events
        .iter()
        .filter_map(|event| match event {
            Event::DeletedBlob(what) => Some(what),
            _ => None,
        })
        .collect();
    let digests: BTreeSet<String> = deleted.iter().map(|what| what.split_once(' ').unwrap().1.to_owned()).collect();
    assert_eq!(digests, pushed);
    assert!(deleted.iter().all(|what| what.starts_with("load/")), "{deleted:?}");
    let last_manifest = events.iter().rposition(|event| matches!(event, Event::DeletedManifest(_))).unwrap();
    let first_blob = events.iter().position(|event| matches!(event, Event::DeletedBlob(_))).unwrap();
    assert!(last_manifest < first_blob, "a manifest goes before the blobs that it names");
}

#[tokio::test(start_paused = true)]
async fn without_being_told_nothing_is_deleted_and_what_cannot_be_is_told() {
    let fake = Fake::taking(1);
    fake.run(plan(&["a"], counted(3))).await;
    assert!(!fake.events().iter().any(|event| matches!(event, Event::DeletedBlob(_) | Event::DeletedManifest(_))));

    let fake = Fake { refuses_deletes: true, ..Fake::taking(1) };
    let mut cleaning = plan(&["a"], counted(3));
    cleaning.clean = true;
    let report = fake.run(cleaning).await;
    assert!(
        report.notes.iter().any(|note| note.contains("could be deleted: 3 deletions failed")),
        "{:?}",
        report.notes
    );
}

#[tokio::test(start_paused = true)]
async fn every_target_is_looked_at_afterwards() {
    let fake = Fake::taking(1);
    fake.run(plan(&["a", "b"], counted(2))).await;
    let events = fake.events();
    let verified: Vec<&Event> = events.iter().filter(|event| matches!(event, Event::Verified(_))).collect();
    assert_eq!(verified, [&Event::Verified("a".to_owned()), &Event::Verified("b".to_owned())]);
}
