//! What an operator gets to see.

use super::*;

pub(super) fn everything() -> ListUploads {
    ListUploads {
        repository: None,
        client: None,
        states: Vec::new(),
        sort: SortUploads::Name,
        descending: false,
        limit: 100,
        after: None,
    }
}

async fn some_uploads(engine: &Engine) -> Vec<UploadHandle> {
    let mut uploads = Vec::new();
    for n in 0..7u8 {
        let repository: RepositoryName = format!("r{}", n % 3).parse().unwrap();
        let client = Some(std::net::IpAddr::from([192, 0, 2, n % 2]));
        let (upload, _) = engine.begin(&repository, Algorithm::Sha256, client).await.unwrap();
        write(&upload, Start::Current, &[content(usize::from(n) * 100)]).await.unwrap();
        uploads.push(upload);
    }
    uploads
}

#[actix::test]
async fn pages_show_each_upload_once_in_every_order() {
    let (driver, clock) = (memory(), manual_clock());
    let engine = engine_with(&driver, &clock, no_policies());
    some_uploads(&engine).await;
    for sort in SortUploads::ALL {
        for descending in [false, true] {
            let mut request = ListUploads { sort, descending, limit: 2, ..everything() };
            let mut seen = Vec::new();
            loop {
                let page = engine.list(&request).unwrap();
                assert_eq!(page.total, 7);
                seen.extend(page.uploads.into_iter().map(|upload| (upload.repository, upload.id, upload.offset)));
                match page.next {
                    Some(next) => request.after = Some(next),
                    None => break,
                }
            }
            assert_eq!(seen.len(), 7, "{sort:?} {descending}");
            let offsets: Vec<u64> = seen.iter().map(|(_, _, offset)| *offset).collect();
            if sort == SortUploads::Offset {
                assert!(offsets.is_sorted_by(|one, two| if descending { one > two } else { one < two }), "{offsets:?}");
            }
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), 7, "{sort:?} {descending}");
        }
    }
    assert!(engine.list(&ListUploads { after: Some("nonsense".into()), ..everything() }).is_none());
}

#[actix::test]
async fn filters_leave_what_fits() {
    let (driver, clock) = (memory(), manual_clock());
    let engine = engine_with(&driver, &clock, no_policies());
    let uploads = some_uploads(&engine).await;
    let of = |request: ListUploads| engine.list(&request).unwrap().total;
    assert_eq!(of(ListUploads { repository: Some("r0".parse().unwrap()), ..everything() }), 3);
    assert_eq!(of(ListUploads { client: Some("192.0.2.1".parse().unwrap()), ..everything() }), 3);
    let writer = uploads[0].write(options(Start::Current)).await.unwrap();
    assert_eq!(of(ListUploads { states: vec![UploadState::Writing], ..everything() }), 1);
    assert_eq!(of(ListUploads { states: vec![UploadState::Open, UploadState::Writing], ..everything() }), 7);
    drop(writer);
    let [found] = &engine.find(uploads[3].id())[..] else { panic!() };
    assert_eq!((found.offset, found.id), (300, uploads[3].id()));
    assert!(engine.find(crate::oci::UploadId::random()).is_empty());
}

#[actix::test]
async fn a_writer_shows_its_rate_client_and_deadline() {
    let (driver, clock) = (memory(), manual_clock());
    let engine = engine_with(&driver, &clock, UploadsConfig { max_age: seconds(3600), ..no_policies() });
    let upload = begin(&engine).await;
    let client = Some("192.0.2.77".parse().unwrap());
    let mut writer = upload.write(WriteOptions { client, ..options(Start::Current) }).await.unwrap();
    writer.send(content(500_000)).await.unwrap();
    until(&engine, async || offset(&upload).await == 500_000).await;
    let [view] = &engine.find(upload.id())[..] else { panic!() };
    assert_eq!((view.state, view.client), (UploadState::Writing, client));
    assert!(view.rate > 50_000, "{}", view.rate);
    let (at, policy) = view.deadline.unwrap();
    assert_eq!(policy, Policy::MaxAge);
    let left = at.duration_since(view.started_at).unwrap();
    assert_eq!(left, seconds(3600));
    clock.advance(seconds(100));
    assert!(engine.find(upload.id())[0].rate < 100);
}
