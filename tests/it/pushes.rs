//! Blobs pushed in every way, each with sha256 and with sha512.

use bytes::Bytes;
use reqwest::Method;

use crate::harness::{Alg, PATIENCE, Registry, ReplyExt as _, digest_of, random, with_digest};

const OCTETS: &str = "application/octet-stream";

on_both_drivers! {
    a_single_post,
    post_then_put,
    a_chunk_then_an_empty_put,
    a_streamed_patch_then_an_empty_put,
    several_chunks,
    several_chunks_the_last_in_the_put,
    chunks_out_of_order_are_refused_and_the_upload_lives,
    an_empty_blob_and_a_tiny_one,
    bad_digests_are_refused,
    the_algorithm_may_be_told_at_the_start,
    a_large_blob_in_small_pieces,
    one_digest_pushed_by_many_at_once,
    ranges_in_odd_spellings,
}

async fn a_single_post(registry: &Registry) {
    for algorithm in Alg::BOTH {
        let data = random(512);
        let path = format!("/v2/repo1/blobs/uploads/?digest={}", algorithm.digest(&data));
        let created = registry.post(&path, data.clone()).await;
        registry.check_pushed("repo1", &data, algorithm, created).await;
        let created = registry.send_streamed(Method::POST, &path, vec![data.clone()], OCTETS).await;
        registry.check_pushed("repo1", &data, algorithm, created).await;
    }
}

async fn post_then_put(registry: &Registry) {
    for algorithm in Alg::BOTH {
        let data = random(512);
        let started = registry.post("/v2/repo1/blobs/uploads/", "").await.expect(202).await;
        assert_eq!(started.value("range"), "0-0");
        let location = started.value("location");
        assert!(location.contains(&started.value("docker-upload-uuid")));
        let created = registry.put(&with_digest(&location, &algorithm.digest(&data)), data.clone()).await;
        registry.check_pushed("repo1", &data, algorithm, created).await;
    }
}

async fn a_chunk_then_an_empty_put(registry: &Registry) {
    for algorithm in Alg::BOTH {
        let data = random(512);
        let location = registry.begin("repo1").await;
        let patched = registry.patch(&location, data.clone(), Some("0-511")).await.expect(202).await;
        assert_eq!(patched.value("range"), "0-511");
        let finish = with_digest(&patched.value("location"), &algorithm.digest(&data));
        let created = registry.put(&finish, "").await;
        registry.check_pushed("repo1", &data, algorithm, created).await;
    }
}

async fn a_streamed_patch_then_an_empty_put(registry: &Registry) {
    for algorithm in Alg::BOTH {
        let data = random(100_000);
        let location = registry.begin("repo1").await;
        let pieces = data.chunks(7000).map(Bytes::copy_from_slice).collect();
        let patched = registry.send_streamed(Method::PATCH, &location, pieces, OCTETS).await.expect(202).await;
        assert_eq!(patched.value("range"), "0-99999");
        let created = registry.put(&with_digest(&patched.value("location"), &algorithm.digest(&data)), "").await;
        registry.check_pushed("repo1", &data, algorithm, created).await;
    }
}

async fn several_chunks(registry: &Registry) {
    for algorithm in Alg::BOTH {
        let data = random(3067);
        let mut location = registry.begin("repo1").await;
        for (start, end) in [(0, 1024), (1024, 2048), (2048, 3067)] {
            let range = format!("{start}-{}", end - 1);
            let patched = registry.patch(&location, data.slice(start..end), Some(&range)).await.expect(202).await;
            assert_eq!(patched.value("range"), format!("0-{}", end - 1));
            location = patched.value("location");
        }
        let created = registry.put(&with_digest(&location, &algorithm.digest(&data)), "").await;
        registry.check_pushed("repo1", &data, algorithm, created).await;
    }
}

async fn several_chunks_the_last_in_the_put(registry: &Registry) {
    for algorithm in Alg::BOTH {
        let data = random(3067);
        let location = registry.begin("repo1").await;
        let location =
            registry.patch(&location, data.slice(..2048), Some("0-2047")).await.expect(202).await.value("location");
        let finish = with_digest(&location, &algorithm.digest(&data));
        let range = [("content-range", "2048-3066")];
        let created = registry.send(Method::PUT, &finish, data.slice(2048..), &range).await;
        registry.check_pushed("repo1", &data, algorithm, created).await;
    }
}

async fn chunks_out_of_order_are_refused_and_the_upload_lives(registry: &Registry) {
    for algorithm in Alg::BOTH {
        let data = random(3067);
        let digest = algorithm.digest(&data);
        let mut location = registry.begin("repo1").await;
        let out_of_order = |start: usize, end: usize| (data.slice(start..end), format!("{start}-{}", end - 1));
        let steps = [((1024, 2048), (0, 1024)), ((2048, 3067), (1024, 2048)), ((0, 1024), (2048, 3067))];
        for (number, (bad, good)) in steps.into_iter().enumerate() {
            let (chunk, range) = out_of_order(bad.0, bad.1);
            let before = registry.stands_at(&location).await;
            let refused = if number == 1 {
                registry
                    .send(Method::PUT, &with_digest(&location, &digest), chunk, &[("content-range", range.as_str())])
                    .await
            } else {
                registry.patch(&location, chunk, Some(&range)).await
            };
            refused.expect_error(416, "BLOB_UPLOAD_INVALID").await;
            // The address may still carry the digest of the refused PUT.
            let status = registry.get(&with_digest(&location, &digest)).await.expect(204).await;
            assert_eq!(status.value("range"), before);
            let (chunk, range) = out_of_order(good.0, good.1);
            let patched = registry.patch(&status.value("location"), chunk, Some(&range)).await.expect(202).await;
            location = patched.value("location");
        }
        let created = registry.put(&with_digest(&location, &digest), "").await;
        registry.check_pushed("repo1", &data, algorithm, created).await;
    }
}

async fn an_empty_blob_and_a_tiny_one(registry: &Registry) {
    for algorithm in Alg::BOTH {
        for data in [Bytes::new(), Bytes::from_static(b"{}")] {
            let digest = algorithm.digest(&data);
            let location = registry.begin("repo1").await;
            let created = registry.put(&with_digest(&location, &digest), data.clone()).await;
            registry.check_pushed("repo1", &data, algorithm, created).await;
            let created = registry.post(&format!("/v2/repo1/blobs/uploads/?digest={digest}"), data.clone()).await;
            registry.check_pushed("repo1", &data, algorithm, created).await;
            let location = registry.begin("repo1").await;
            let pieces = vec![data.clone()];
            let patched = registry.send_streamed(Method::PATCH, &location, pieces, OCTETS).await.expect(202).await;
            let created = registry.put(&with_digest(&patched.value("location"), &digest), "").await;
            registry.check_pushed("repo1", &data, algorithm, created).await;
        }
    }
}

async fn bad_digests_are_refused(registry: &Registry) {
    for algorithm in Alg::BOTH {
        let data = random(512);
        let (right, wrong) = (algorithm.digest(&data), algorithm.digest(b"something else"));
        let path = format!("/v2/repo1/blobs/uploads/?digest={wrong}");
        registry.post(&path, data.clone()).await.expect_error(400, "DIGEST_INVALID").await;
        registry.head(&format!("/v2/repo1/blobs/{wrong}")).await.expect(404).await;

        // The data stays, so that the right digest can follow.
        let location = registry.begin("repo1").await;
        let refused = registry.put(&with_digest(&location, &wrong), data.clone()).await;
        refused.expect_error(400, "DIGEST_INVALID").await;
        assert_eq!(registry.stands_at(&location).await, "0-511");
        let created = registry.put(&with_digest(&location, &right), "").await;
        registry.check_pushed("repo1", &data, algorithm, created).await;

        let location = registry.begin("repo1").await;
        let patched = registry.patch(&location, data.clone(), Some("0-511")).await.expect(202).await;
        let finish = with_digest(&patched.value("location"), &wrong);
        registry.put(&finish, "").await.expect_error(400, "DIGEST_INVALID").await;
        registry.delete(&location).await.expect(204).await;
    }
    let location = registry.begin("repo1").await;
    for digest in ["sha256:nothex", "sha256", "md5:d41d8cd98f00b204e9800998ecf8427e", ""] {
        registry.put(&with_digest(&location, digest), "").await.expect_error(400, "DIGEST_INVALID").await;
        let path = format!("/v2/repo1/blobs/uploads/?digest={digest}");
        registry.post(&path, "data").await.expect_error(400, "DIGEST_INVALID").await;
    }
    registry.put(&location, "").await.expect_error(400, "DIGEST_INVALID").await;
    registry.delete(&location).await.expect(204).await;
}

async fn the_algorithm_may_be_told_at_the_start(registry: &Registry) {
    let path = "/v2/repo1/blobs/uploads/?digest-algorithm=";
    for told in Alg::BOTH {
        for used in Alg::BOTH {
            let data = random(5000);
            let started = registry.post(&format!("{path}{}", told.name()), "").await.expect(202).await;
            let location = started.value("location");
            registry.patch(&location, data.slice(..3000), None).await.expect(202).await;
            let finish = with_digest(&location, &used.digest(&data));
            let rest = [("content-range", "3000-4999")];
            let created = registry.send(Method::PUT, &finish, data.slice(3000..), &rest).await;
            registry.check_pushed("repo1", &data, used, created).await;
        }
    }
    registry.post(&format!("{path}md5"), "").await.expect_error(400, "DIGEST_INVALID").await;
}

async fn a_large_blob_in_small_pieces(registry: &Registry) {
    let data = random(9_000_001);
    let location = registry.begin("repo1").await;
    let pieces = data.chunks(4096).map(Bytes::copy_from_slice).collect();
    let patched = registry.send_streamed(Method::PATCH, &location, pieces, OCTETS).await.expect(202).await;
    let created = registry.put(&with_digest(&patched.value("location"), &digest_of(&data)), "").await;
    registry.check_pushed("repo1", &data, Alg::Sha256, created).await;
}

async fn one_digest_pushed_by_many_at_once(registry: &Registry) {
    let data = random(300_000);
    let digest = digest_of(&data);
    let pushes = (0..8).map(|_| async {
        let location = registry.begin("repo1").await;
        registry.put(&with_digest(&location, &digest), data.clone()).await.expect(201).await;
    });
    tokio::time::timeout(PATIENCE, futures_util::future::join_all(pushes)).await.expect("an end");
    let path = format!("/v2/repo1/blobs/{digest}");
    assert_eq!(registry.get(&path).await.expect(200).await.data().await, data);
    registry.delete(&path).await.expect(202).await;
}

async fn ranges_in_odd_spellings(registry: &Registry) {
    let data = random(50);
    let mut location = registry.begin("repo1").await;
    for (number, range) in ["0-9", "bytes 10-19/*", "bytes=20-29", "bytes 30-39", "bytes 40-49/50"].iter().enumerate() {
        let chunk = data.slice(number * 10..number * 10 + 10);
        let patched = registry.patch(&location, chunk, Some(range)).await.expect(202).await;
        location = patched.value("location");
    }
    for range in ["a-b", "9", "20-10", "-1", "0-99999999999999999999"] {
        registry.patch(&location, "x", Some(range)).await.expect_error(400, "BLOB_UPLOAD_INVALID").await;
    }
    let created = registry.put(&with_digest(&location, &digest_of(&data)), "").await;
    registry.check_pushed("repo1", &data, Alg::Sha256, created).await;
}
