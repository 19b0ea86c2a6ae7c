//! Less free space than `uploads.min_free_space`: nothing is begun, and what was begun goes on. (The memory driver has no
//! disk that others fill.)

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Registry, ReplyExt as _, Storage, begin_body, code_of, digest_of, eventually, id_of, random, raw_head, read_reply,
    read_to_close, with_digest, without_policies,
};

/// More than any disk has.
const TOO_MUCH: u64 = 1 << 60;

#[tokio::test]
async fn nothing_is_begun_and_what_was_begun_goes_on() {
    let mut registry = Registry::start_with(Storage::Filesystem, |config| {
        let uploads = without_policies(config);
        uploads.keep_failed_for = Duration::from_secs(3600);
    })
    .await;
    registry.push_image("repo1", "v1").await;
    let data = random(100_000);
    let blob = registry.push("repo1", &data).await.0;
    let other = random(100_000);
    let (running, cancelled) = (registry.begin("repo1").await, registry.begin("repo1").await);
    let (expired, kept) = (registry.begin("repo1").await, registry.begin("repo1").await);
    for location in [&running, &cancelled, &expired, &kept] {
        registry.patch(location, other.slice(..50_000), None).await.expect(202).await;
    }
    registry.end(&kept, "expire").await.expect(200).await;
    let kept_data =
        registry.root().join(format!("docker/registry/v2/repositories/repo1/_uploads/{}/data", id_of(&kept)));
    assert!(kept_data.exists());
    registry.restart_with(|config| config.uploads.min_free_space = TOO_MUCH).await;

    // It is looked at as soon as the registry has started, but not before it serves.
    let path = "/v2/repo1/blobs/uploads/";
    let mut begun = Vec::new();
    eventually("a refusal", async || {
        let reply = registry.post(path, "").await;
        if reply.status() == 202 {
            begun.push(reply.value("location"));
        }
        reply.status() == 507
    })
    .await;
    let refused = registry.post(path, "").await.expect(507).await.document().await;
    let message = refused["errors"][0]["message"].as_str().expect("a message");
    assert!(message.contains("storage is nearly full"), "{message}");
    let whole = raw_head("POST", &format!("{path}?digest={blob}"), "Content-Length: 100000\r\n");
    let mut stream = begin_body(registry.address(), &whole, b"").await;
    let reply = read_reply(&mut stream).await.expect("an answer before the body");
    assert_eq!((reply.status, code_of(&reply.body).as_str()), (507, "UNKNOWN"));
    read_to_close(&mut stream).await;

    let report = registry.scan(false).await;
    assert_eq!(report["failed"], 0, "{report}");
    // What was begun goes on to its end, and what is there is served.
    assert_eq!(registry.stands_at(&running).await, "0-49999");
    let finish = with_digest(&running.replace("offset=0", "offset=50000"), &digest_of(&other));
    registry.put(&finish, other.slice(50_000..)).await.expect(201).await;
    registry.post(&format!("/v2/repo2/blobs/uploads/?mount={blob}&from=repo1"), "").await.expect(201).await;
    assert_eq!(registry.get(&format!("/v2/repo2/blobs/{blob}")).await.expect(200).await.data().await, data);
    registry.get("/v2/repo1/manifests/v1").await.expect(200).await;

    // What frees space works: a cancel, an expiry (nothing is kept now), a delete.
    registry.delete(&cancelled).await.expect(204).await;
    registry.end(&expired, "expire").await.expect(200).await;
    registry.vanishes(&expired).await;
    registry.delete(&format!("/v2/repo2/blobs/{blob}")).await.expect(202).await;
    // Of what was kept before, the data goes and the word stays.
    eventually("the kept data's end", async || !kept_data.exists()).await;
    let seen = registry.seen(&kept).await;
    assert_eq!((&seen["state"], &seen["expired"]["kept_bytes"]), (&json!("expired"), &json!(0)), "{seen}");
    registry.expires(&kept, "operator").await;

    begun.push(kept);
    for location in &begun {
        registry.end(location, "cancel").await.expect(200).await;
    }
    assert_eq!(registry.listed("").await, [] as [Value; 0]);
    // With room again, uploads are begun again.
    registry.restart_with(|config| config.uploads.min_free_space = 1).await;
    registry.push("repo1", &random(100)).await;
    registry.finish().await;
}
