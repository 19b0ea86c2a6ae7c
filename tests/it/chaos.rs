//! Connections that break at every place, behind a proxy that breaks them.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::Method;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::harness::chaos::{Copies, Gate, Proxy, Script, Step};
use crate::harness::pusher::{Place, Pusher, Way};
use crate::harness::seeded::{Random, number_from_environment};
use crate::harness::{
    OCI_IMAGE, PATIENCE, Registry, ReplyExt as _, digest_of, eventually, image_manifest, random, raw_head, read_reply,
    with_digest,
};

on_both_drivers! {
    a_patch_cut_by_a_reset_is_gone_on_with,
    a_patch_that_is_half_closed_keeps_what_came,
    a_stalled_patch_is_taken_over_and_its_late_bytes_change_nothing,
    a_patch_shorter_than_its_length_keeps_what_came,
    a_put_cut_in_its_body_is_gone_on_with,
    a_put_whose_answer_is_lost_is_sent_again_whole,
    a_put_is_sent_again_while_the_first_commits,
    a_put_without_a_body_is_sent_again_while_the_first_commits,
    a_patch_whose_answer_is_lost_is_appended_once,
    a_single_post_whose_answer_is_lost_is_sent_again,
    duplicated_requests_do_no_harm,
    the_smallest_segments_are_understood,
    a_slow_body_is_seen_while_it_comes,
    a_client_that_gives_up_on_an_answer_goes_on,
    a_storm_of_cut_connections,
}

const LENGTH: usize = 300_000;
const CUT: usize = 200_000;

fn up(steps: impl Into<Vec<Step>>) -> Script {
    Script { up: steps.into(), ..Script::default() }
}

fn down(steps: impl Into<Vec<Step>>) -> Script {
    Script { down: steps.into(), ..Script::default() }
}

/// The answer comes to the proxy and no further.
fn lost_answer() -> Script {
    down([Step::FirstByte, Step::Reset])
}

fn twice(copy: Copies) -> Script {
    Script { copy, ..Script::default() }
}

async fn through(registry: &Registry, script: Script) -> Proxy {
    Proxy::start(registry.address(), [script]).await
}

/// Sends a request through a proxy; the connection stays open. What is cut is not minded.
async fn send(proxy: &Proxy, method: &str, path: &str, headers: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.address()).await.expect("a connection");
    let head = raw_head(method, path, &format!("Content-Length: {}\r\n{headers}", body.len()));
    let _ = stream.write_all(&[head.as_bytes(), body].concat()).await;
    stream
}

/// The status of the answer, if one comes.
async fn status(mut stream: TcpStream) -> Option<u16> {
    read_reply(&mut stream).await.map(|reply| reply.status)
}

/// The offset is told at once, and what is missing makes the blob.
async fn goes_on(registry: &Registry, location: &str, data: &Bytes) {
    let told = registry.get(location).await.expect(204).await;
    let location = told.value("location");
    let range = told.value("range");
    let at: usize = range.strip_prefix("0-").expect("from 0").parse::<usize>().expect("a number") + 1;
    assert_eq!(at, CUT);
    let rest = format!("{at}-{}", data.len() - 1);
    let patched = registry.patch(&location, data.slice(at..), Some(&rest)).await.expect(202).await;
    ends(registry, &patched.value("location"), data).await;
}

async fn ends(registry: &Registry, location: &str, data: &Bytes) {
    registry.put(&with_digest(location, &digest_of(data)), "").await.expect(201).await;
    is_there(registry, data).await;
}

async fn is_there(registry: &Registry, data: &Bytes) {
    let path = format!("/v2/repo1/blobs/{}", digest_of(data));
    assert_eq!(registry.get(&path).await.expect(200).await.data().await, data);
}

async fn a_patch_cut_by_a_reset_is_gone_on_with(registry: &Registry) {
    let (data, gate) = (random(LENGTH), Gate::default());
    let location = registry.begin("repo1").await;
    let steps = [Step::PassHead, Step::Pass(CUT as u64), Step::Wait(gate.clone()), Step::Reset];
    let proxy = through(registry, up(steps)).await;
    let old = send(&proxy, "PATCH", &location, "", &data).await;
    gate.reached().await;
    eventually("the part", async || registry.stands_at(&location).await == "0-199999").await;
    gate.open();
    assert_eq!(status(old).await, None);
    goes_on(registry, &location, &data).await;
}

async fn a_patch_that_is_half_closed_keeps_what_came(registry: &Registry) {
    let data = random(LENGTH);
    let location = registry.begin("repo1").await;
    let proxy = through(registry, up([Step::PassHead, Step::Pass(CUT as u64), Step::HalfClose])).await;
    let old = send(&proxy, "PATCH", &location, "", &data).await;
    // An answer may come, since the client still listens; never one that says it went well.
    assert!(!matches!(status(old).await, Some(200..300)));
    goes_on(registry, &location, &data).await;
}

async fn a_stalled_patch_is_taken_over_and_its_late_bytes_change_nothing(registry: &Registry) {
    let (data, gate) = (random(LENGTH), Gate::default());
    let mut other = data.to_vec();
    other[CUT..].fill(0);
    let location = registry.begin("repo1").await;
    let proxy = through(registry, up([Step::PassHead, Step::Pass(CUT as u64), Step::Wait(gate.clone())])).await;
    let old = send(&proxy, "PATCH", &location, "", &other).await;
    gate.reached().await;
    eventually("the part", async || registry.stands_at(&location).await == "0-199999").await;
    let asked_at = Instant::now();
    let range = format!("{CUT}-{}", CUT + 49_999);
    registry.patch(&location, data.slice(CUT..CUT + 50_000), Some(&range)).await.expect(202).await;
    assert!(asked_at.elapsed().as_secs() < 10, "the take-over took {:?}", asked_at.elapsed());
    gate.open();
    assert!(!matches!(status(old).await, Some(200..300)));
    assert_eq!(registry.stands_at(&location).await, "0-249999");
    let rest = format!("250000-{}", LENGTH - 1);
    let patched = registry.patch(&location, data.slice(250_000..), Some(&rest)).await.expect(202).await;
    ends(registry, &patched.value("location"), &data).await;
}

async fn a_patch_shorter_than_its_length_keeps_what_came(registry: &Registry) {
    let data = random(LENGTH);
    let location = registry.begin("repo1").await;
    let proxy = through(registry, up([Step::PassHead, Step::Pass(CUT as u64), Step::Close])).await;
    let old = send(&proxy, "PATCH", &location, "", &data).await;
    assert_eq!(status(old).await, None);
    eventually("the part", async || registry.stands_at(&location).await == "0-199999").await;
    goes_on(registry, &location, &data).await;
}

async fn a_put_cut_in_its_body_is_gone_on_with(registry: &Registry) {
    for end in [Step::Close, Step::HalfClose] {
        let data = random(LENGTH);
        let location = registry.begin("repo1").await;
        let proxy = through(registry, up([Step::PassHead, Step::Pass(CUT as u64), end])).await;
        let finish = with_digest(&location, &digest_of(&data));
        let old = send(&proxy, "PUT", &finish, "", &data).await;
        assert!(!matches!(status(old).await, Some(200..300)));
        eventually("the part", async || registry.stands_at(&location).await == "0-199999").await;
        // As containerd does: everything once more, to the same address.
        registry.put(&finish, data.clone()).await.expect(201).await;
        is_there(registry, &data).await;
    }
}

async fn a_put_whose_answer_is_lost_is_sent_again_whole(registry: &Registry) {
    for length in [LENGTH, 9_000_000] {
        let data = random(length);
        let finish = with_digest(&registry.begin("repo1").await, &digest_of(&data));
        let proxy = through(registry, lost_answer()).await;
        assert_eq!(status(send(&proxy, "PUT", &finish, "", &data).await).await, None);
        is_there(registry, &data).await;
        for _ in 0..2 {
            registry.put(&finish, data.clone()).await.expect(201).await;
        }
        is_there(registry, &data).await;
    }
}

async fn a_put_is_sent_again_while_the_first_commits(registry: &Registry) {
    for copy in [Copies::Alongside, Copies::Afterwards] {
        let data = random(LENGTH);
        let finish = with_digest(&registry.begin("repo1").await, &digest_of(&data));
        let proxy = through(registry, twice(copy)).await;
        let first = status(send(&proxy, "PUT", &finish, "", &data).await).await;
        let second = proxy.copied().await.map(|reply| reply.status);
        // Beside each other, the one that comes second may be told to try again.
        let is_answered = |status| status == Some(201) || copy == Copies::Alongside && status == Some(429);
        assert!(is_answered(first) && is_answered(second), "{first:?} {second:?}");
        assert!(first == Some(201) || second == Some(201), "{first:?} {second:?}");
        registry.put(&finish, data.clone()).await.expect(201).await;
        is_there(registry, &data).await;
    }
}

async fn a_put_without_a_body_is_sent_again_while_the_first_commits(registry: &Registry) {
    for copy in [Copies::Alongside, Copies::Afterwards] {
        let data = random(LENGTH);
        let location = registry.begin("repo1").await;
        let patched = registry.patch(&location, data.clone(), None).await.expect(202).await;
        let finish = with_digest(&patched.value("location"), &digest_of(&data));
        let proxy = through(registry, twice(copy)).await;
        assert_eq!(status(send(&proxy, "PUT", &finish, "", b"").await).await, Some(201));
        assert_eq!(proxy.copied().await.map(|reply| reply.status), Some(201));
        is_there(registry, &data).await;
    }
}

async fn a_patch_whose_answer_is_lost_is_appended_once(registry: &Registry) {
    let data = random(LENGTH);
    let location = registry.begin("repo1").await;
    let proxy = Proxy::start(registry.address(), [lost_answer(), lost_answer()]).await;
    for _ in 0..2 {
        assert_eq!(status(send(&proxy, "PATCH", &location, "", &data).await).await, None);
        assert_eq!(registry.stands_at(&location).await, "0-299999");
    }
    let mut third = send(&proxy, "PATCH", &location, "", &data).await;
    let reply = read_reply(&mut third).await.expect("an answer");
    assert_eq!((reply.status, reply.header("range")), (202, Some("0-299999")), "{}", reply.head);
    let location = reply.header("location").expect("a location").to_owned();
    ends(registry, &location, &data).await;
}

async fn a_single_post_whose_answer_is_lost_is_sent_again(registry: &Registry) {
    let data = random(LENGTH);
    let path = format!("/v2/repo1/blobs/uploads/?digest={}", digest_of(&data));
    let proxy = Proxy::start(registry.address(), [lost_answer(), twice(Copies::Alongside)]).await;
    assert_eq!(status(send(&proxy, "POST", &path, "", &data).await).await, None);
    is_there(registry, &data).await;
    assert_eq!(status(send(&proxy, "POST", &path, "", &data).await).await, Some(201));
    assert_eq!(proxy.copied().await.map(|reply| reply.status), Some(201));
    is_there(registry, &data).await;
}

async fn duplicated_requests_do_no_harm(registry: &Registry) {
    for copy in [Copies::Alongside, Copies::Afterwards] {
        let again = async || through(registry, twice(copy)).await;
        let data = random(LENGTH);
        let digest = digest_of(&data);

        // Two uploads begin, with ids of their own.
        let proxy = again().await;
        let mut begun = send(&proxy, "POST", "/v2/repo1/blobs/uploads/", "", b"").await;
        let begun = read_reply(&mut begun).await.expect("an answer");
        let copied = proxy.copied().await.expect("an answer");
        assert_eq!((begun.status, copied.status), (202, 202));
        let location = begun.header("location").expect("a location").to_owned();
        let spare = copied.header("location").expect("a location").to_owned();
        assert_ne!(location, spare);

        // The same chunk: appended once, whatever each of the two is told.
        for (from, headers) in [(0, ""), (CUT, "Content-Range: 200000-299999\r\n")] {
            let body = if from == 0 { &data[..CUT] } else { &data[CUT..] };
            let proxy = again().await;
            let first = status(send(&proxy, "PATCH", &location, headers, body).await).await;
            let second = proxy.copied().await.map(|reply| reply.status);
            let is_expected = |status| matches!(status, Some(202 | 409 | 416 | 429));
            assert!(is_expected(first) && is_expected(second), "{first:?} {second:?}");
            assert!(first == Some(202) || second == Some(202), "{first:?} {second:?}");
            assert_eq!(registry.stands_at(&location).await, format!("0-{}", from + body.len() - 1));
        }
        let proxy = again().await;
        let finish = with_digest(&location, &digest);
        assert_eq!(status(send(&proxy, "PUT", &finish, "", b"").await).await, Some(201));
        assert_eq!(proxy.copied().await.map(|reply| reply.status), Some(201));
        is_there(registry, &data).await;

        // One cancels, the other finds it gone.
        let proxy = again().await;
        let first = status(send(&proxy, "DELETE", &spare, "", b"").await).await;
        let second = proxy.copied().await.map(|reply| reply.status);
        assert!([first, second].iter().all(|status| matches!(status, Some(204 | 404))), "{first:?} {second:?}");
        registry.get(&spare).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN").await;

        let manifest = image_manifest(&(digest.clone(), LENGTH), &[]);
        let manifest = serde_json::to_vec(&manifest).expect("JSON");
        let headers = format!("Content-Type: {OCI_IMAGE}\r\n");
        let proxy = again().await;
        assert_eq!(status(send(&proxy, "PUT", "/v2/repo1/manifests/v1", &headers, &manifest).await).await, Some(201));
        assert_eq!(proxy.copied().await.map(|reply| reply.status), Some(201));
        assert_eq!(registry.get("/v2/repo1/manifests/v1").await.expect(200).await.data().await, manifest);
        let proxy = again().await;
        let mount = format!("/v2/repo2/blobs/uploads/?mount={digest}&from=repo1");
        assert_eq!(status(send(&proxy, "POST", &mount, "", b"").await).await, Some(201));
        assert_eq!(proxy.copied().await.map(|reply| reply.status), Some(201));
    }
}

async fn the_smallest_segments_are_understood(registry: &Registry) {
    let data = random(3000);
    let split = |at_once| Script { up: vec![Step::Split(at_once)], down: vec![Step::Split(1)], copy: Copies::Never };
    let proxy = Proxy::start(registry.address(), [split(1), split(1), split(7)]).await;
    let mut begun = send(&proxy, "POST", "/v2/repo1/blobs/uploads/", "", b"").await;
    let begun = read_reply(&mut begun).await.expect("an answer");
    let location = begun.header("location").expect("a location").to_owned();
    let chunked = [b"3e8\r\n", &data[..1000], b"\r\n7d0\r\n", &data[1000..], b"\r\n0\r\n\r\n"].concat();
    let mut patch = TcpStream::connect(proxy.address()).await.expect("a connection");
    let head = raw_head("PATCH", &location, "Transfer-Encoding: chunked\r\n");
    patch.write_all(&[head.as_bytes(), &chunked].concat()).await.expect("a body");
    let patched = read_reply(&mut patch).await.expect("an answer");
    assert_eq!((patched.status, patched.header("range")), (202, Some("0-2999")), "{}", patched.head);
    let finish = with_digest(&location, &digest_of(&data));
    assert_eq!(status(send(&proxy, "PUT", &finish, "", &data).await).await, Some(201));
    is_there(registry, &data).await;
}

async fn a_slow_body_is_seen_while_it_comes(registry: &Registry) {
    let (data, gate) = (random(60_000), Gate::default());
    let location = registry.begin("repo1").await;
    let steps = [Step::PassHead, Step::Split(2000), Step::Rate(200_000), Step::Pass(40_000), Step::Wait(gate.clone())];
    let proxy = through(registry, up(steps)).await;
    let patch = send(&proxy, "PATCH", &location, "", &data).await;
    let mut seen = Vec::new();
    eventually("most of it", async || {
        let at = registry.stands_at(&location).await;
        if seen.last() != Some(&at) {
            seen.push(at.clone());
        }
        at == "0-39999"
    })
    .await;
    assert!(seen.len() > 3, "only {seen:?} was seen of it");
    gate.open();
    assert_eq!(status(patch).await, Some(202));
    ends(registry, &location, &data).await;
}

async fn a_client_that_gives_up_on_an_answer_goes_on(registry: &Registry) {
    let data = random(LENGTH);
    let location = registry.begin("repo1").await;
    let proxy = Proxy::start(registry.address(), [down([Step::Swallow]), down([Step::Swallow])]).await;
    let patch = send(&proxy, "PATCH", &location, "", &data).await;
    eventually("all of it", async || registry.stands_at(&location).await == "0-299999").await;
    drop(patch);
    let patched = registry.patch(&location, data.clone(), None).await.expect(202).await;
    let finish = with_digest(&patched.value("location"), &digest_of(&data));
    let put = send(&proxy, "PUT", &finish, "", b"").await;
    let blob = format!("/v2/repo1/blobs/{}", digest_of(&data));
    eventually("the blob", async || registry.head(&blob).await.status() == 200).await;
    drop(put);
    registry.send(Method::PUT, &finish, "", &[]).await.expect(201).await;
    is_there(registry, &data).await;
}

/// Many clients behind a proxy that breaks most connections. Each goes on until its blobs are there; that nothing else
/// is left is looked at when the case ends.
async fn a_storm_of_cut_connections(registry: &Registry) {
    let mut random = Random::from_environment("LONGSHORE_STORM_SEED");
    let clients = number_from_environment("LONGSHORE_STORM_CLIENTS", 12);
    let direct = Place::new(registry.address());
    let proxy = Proxy::storm(registry.address(), random.fork()).await;
    let ends_at = Instant::now() + PATIENCE * 4;
    let pusher = Arc::new(Pusher::new(&Place::new(proxy.address()), ends_at).beginning_at(&direct));
    let pushes = (0..clients).map(|number| {
        let (pusher, mut random) = (pusher.clone(), random.fork());
        tokio::spawn(async move {
            let repository = format!("storm/{}", number % 3);
            for _ in 0..3 {
                let length = random.below(900_000) as usize;
                let data = random.bytes(length);
                let way = Way::ALL[random.below(4) as usize];
                pusher.push(&repository, &data, way, &mut random).await;
                if random.chance(30) {
                    pusher.cancel(&repository, &data).await;
                }
            }
        })
    });
    for push in pushes.collect::<Vec<_>>() {
        push.await.expect("a push came to its end");
    }
    println!("{clients} clients: {:?}", pusher.counts());
}
