use std::sync::Arc;

use super::*;
use crate::client::testing::{Reply, ScriptedTransport, client, digest_of, reply};
use crate::oci::Algorithm;
use crate::services::{Repository, StartPoint, Upload, WriteRequest};

const URL: &str = "https://registry.example/x";

/// An upload that was begun, and what the registry answers from then on.
async fn begun(replies: impl IntoIterator<Item = Reply>) -> (Arc<ScriptedTransport>, Box<dyn Upload>) {
    let start = reply(202).header("location", "/x").header("range", "0-0");
    let transport = ScriptedTransport::replies([start].into_iter().chain(replies));
    let repository: Box<dyn Repository> = Box::new(client(&transport).repository(&"a".parse().unwrap()));
    let upload = repository.uploads().start(Algorithm::Sha256).await.unwrap();
    (transport, upload)
}

fn holds(bytes: u64) -> Reply {
    reply(202).header("range", &format!("0-{}", bytes - 1))
}

fn stands_at(bytes: u64) -> Reply {
    reply(204).header("range", &format!("0-{}", bytes.saturating_sub(1)))
}

fn from(start: StartPoint, length: Option<u64>) -> WriteRequest {
    WriteRequest { start, length, digest: None, discard_on_cut: false }
}

async fn send(writer: &mut Box<dyn UploadWriter>, pieces: &[&'static str]) {
    for piece in pieces {
        writer.send(Bytes::from_static(piece.as_bytes())).await.unwrap();
    }
}

#[tokio::test]
async fn a_body_is_one_patch() {
    for (length, start, content_range) in [
        (None, StartPoint::Current, None),
        (Some(6), StartPoint::Current, None),
        (Some(6), StartPoint::Exactly(0), Some("0-5")),
    ] {
        let (transport, upload) = begun([holds(6)]).await;
        let mut writer = upload.write(from(start, length)).await.unwrap();
        send(&mut writer, &["ab", "", "cd", "ef"]).await;
        assert_eq!(writer.finish().await.unwrap(), 6);
        let seen = &transport.seen()[1];
        assert_eq!((seen.line(), &seen.body[..], seen.is_whole), (format!("PATCH {URL}"), &b"abcdef"[..], true));
        assert_eq!(seen.header("content-range"), content_range);
    }
}

/// Without a length there is no range that could be said.
#[tokio::test]
async fn where_an_upload_stands_is_asked_before_an_exact_body_without_a_length() {
    let (transport, upload) = begun([stands_at(2), stands_at(0), holds(6)]).await;
    let refused = upload.write(from(StartPoint::Exactly(0), None)).await.map(drop);
    assert!(matches!(refused, Err(RegistryError::RangeNotSatisfiable { offset: 2 })), "{refused:?}");
    let mut writer = upload.write(from(StartPoint::Exactly(0), None)).await.unwrap();
    send(&mut writer, &["abcdef"]).await;
    assert_eq!(writer.finish().await.unwrap(), 6);
    assert_eq!(transport.seen()[3].header("content-range"), None);
}

#[tokio::test]
async fn the_last_body_is_a_put_and_another_is_followed_by_one() {
    let digest = digest_of(b"abcdef");
    let put = format!("PUT {URL}?digest={}", digest.to_string().replace(':', "%3A"));
    for (is_last, lines) in [(true, vec![put.clone()]), (false, vec![format!("PATCH {URL}"), put.clone()])] {
        let answers = if is_last { vec![reply(201)] } else { vec![holds(6), reply(201)] };
        let (transport, upload) = begun(answers).await;
        let digest_of_body = is_last.then(|| digest.clone());
        let request = WriteRequest { digest: digest_of_body, ..from(StartPoint::Current, None) };
        let mut writer = upload.write(request).await.unwrap();
        send(&mut writer, &["abc", "def"]).await;
        assert_eq!(writer.commit(&digest).await.unwrap(), 6);
        assert_eq!(transport.lines()[1..], lines);
    }
}

#[tokio::test]
async fn nothing_is_sent_of_an_empty_body() {
    let (transport, upload) = begun([reply(201)]).await;
    let writer = upload.write(from(StartPoint::Exactly(0), Some(0))).await.unwrap();
    assert_eq!(writer.finish().await.unwrap(), 0);
    let writer = upload.write(from(StartPoint::Current, Some(0))).await.unwrap();
    assert_eq!(writer.commit(&digest_of(b"")).await.unwrap(), 0);
    assert_eq!(transport.seen().len(), 2);
}

#[tokio::test]
async fn a_body_that_goes_elsewhere_is_refused_before_it_is_sent() {
    let (transport, upload) = begun([holds(6), stands_at(6), stands_at(6), stands_at(6)]).await;
    let mut writer = upload.write(from(StartPoint::Current, None)).await.unwrap();
    send(&mut writer, &["abcdef"]).await;
    writer.finish().await.unwrap();
    for start in [StartPoint::Exactly(3), StartPoint::Exactly(9), StartPoint::Replay(9)] {
        let refused = upload.write(from(start, Some(1))).await.err().unwrap();
        assert!(matches!(refused, RegistryError::RangeNotSatisfiable { offset: 6 }), "{refused:?}");
    }
    assert_eq!(transport.seen().len(), 5);
}

#[tokio::test]
async fn what_is_held_is_not_sent_again() {
    for pieces in [vec!["cdefgh"], vec!["c", "d", "e", "f", "g", "h"], vec!["cdef", "gh"], vec!["cdefg", "h"]] {
        let (transport, upload) = begun([holds(6), stands_at(6), holds(8)]).await;
        let mut writer = upload.write(from(StartPoint::Current, None)).await.unwrap();
        send(&mut writer, &["abcdef"]).await;
        writer.finish().await.unwrap();
        let mut writer = upload.write(from(StartPoint::Replay(2), Some(6))).await.unwrap();
        send(&mut writer, &pieces).await;
        assert_eq!(writer.finish().await.unwrap(), 8);
        assert_eq!(transport.seen()[3].body, "gh");
    }
}

#[tokio::test]
async fn a_replay_of_nothing_new_sends_nothing() {
    let (transport, upload) = begun([holds(6), stands_at(6)]).await;
    let mut writer = upload.write(from(StartPoint::Current, None)).await.unwrap();
    send(&mut writer, &["abcdef"]).await;
    writer.finish().await.unwrap();
    let mut writer = upload.write(from(StartPoint::Replay(2), Some(3))).await.unwrap();
    send(&mut writer, &["cde"]).await;
    assert_eq!(writer.finish().await.unwrap(), 6);
    assert_eq!(transport.seen().len(), 3);
}

#[tokio::test]
async fn a_body_of_another_length_is_broken_off() {
    for pieces in [vec!["abc"], vec!["abc", "defg"], vec![]] {
        let (transport, upload) = begun([reply(500), stands_at(3)]).await;
        let mut writer = upload.write(from(StartPoint::Current, Some(6))).await.unwrap();
        let mut told = None;
        for piece in pieces {
            told = writer.send(Bytes::from_static(piece.as_bytes())).await.err();
        }
        let told = match told {
            Some(told) => told,
            None => writer.finish().await.unwrap_err(),
        };
        assert!(matches!(told, RegistryError::SizeInvalid { offset: 3 }), "{told:?}");
        assert!(!transport.seen()[1].is_whole);
    }
}

#[tokio::test]
async fn a_cut_body_without_a_length_is_ended_and_one_with_is_broken_off() {
    let (transport, upload) = begun([holds(3)]).await;
    let mut writer = upload.write(from(StartPoint::Current, None)).await.unwrap();
    send(&mut writer, &["abc"]).await;
    assert_eq!(writer.cut().await.unwrap(), 3);
    assert!(transport.seen()[1].is_whole);

    let (transport, upload) = begun([reply(500), stands_at(2)]).await;
    let mut writer = upload.write(from(StartPoint::Current, Some(6))).await.unwrap();
    send(&mut writer, &["abc"]).await;
    assert_eq!(writer.cut().await.unwrap(), 2);
    assert!(!transport.seen()[1].is_whole);
}

#[tokio::test]
async fn a_discarded_upload_is_ended_after_a_cut() {
    for length in [None, Some(6)] {
        let (transport, upload) = begun([reply(500), reply(204), reply(404)]).await;
        let request = WriteRequest { discard_on_cut: true, ..from(StartPoint::Current, length) };
        let mut writer = upload.write(request).await.unwrap();
        send(&mut writer, &["abc"]).await;
        assert!(matches!(writer.cut().await, Err(RegistryError::UploadUnknown)));
        assert_eq!(transport.lines()[1..], [format!("PATCH {URL}"), format!("DELETE {URL}"), format!("GET {URL}")]);
        assert!(!transport.seen()[1].is_whole);
    }
}

#[tokio::test]
async fn a_dropped_writer_is_a_cut() {
    let (asked, mut told) = tokio::sync::mpsc::unbounded_channel();
    let transport = ScriptedTransport::answering(move |seen| {
        asked.send((seen.method.to_string(), seen.is_whole)).unwrap();
        reply(202).header("location", "/x").header("range", "0-0")
    });
    let repository: Box<dyn Repository> = Box::new(client(&transport).repository(&"a".parse().unwrap()));
    let upload = repository.uploads().start(Algorithm::Sha256).await.unwrap();
    let request = WriteRequest { discard_on_cut: true, ..from(StartPoint::Current, None) };
    let mut writer = upload.write(request).await.unwrap();
    send(&mut writer, &["abc"]).await;
    drop(writer);
    for expected in [("POST", true), ("PATCH", false), ("DELETE", true)] {
        assert_eq!(told.recv().await.unwrap(), (expected.0.to_owned(), expected.1));
    }
}

#[tokio::test]
async fn an_early_refusal_is_told_to_who_sends_or_waits() {
    let refused = || reply(409).body(r#"{"errors":[{"code":"BLOB_UPLOAD_INVALID"}]}"#);
    let (transport, upload) = begun([refused(), reply(200), refused(), reply(202)]).await;
    transport.cut_body_after(Some(1));
    let mut writer = upload.write(from(StartPoint::Exactly(0), Some(1000))).await.unwrap();
    let told = loop {
        if let Err(told) = writer.send(Bytes::from_static(b"abc")).await {
            break told;
        }
    };
    assert!(matches!(told, RegistryError::Superseded), "{told:?}");

    transport.cut_body_after(Some(1));
    let upload = client(&transport).repository(&"a".parse().unwrap()).open_upload(URL).unwrap();
    let mut writer: Box<dyn UploadWriter> = Box::new(HttpUploadWriter::begin(
        upload.clone(),
        WriterOptions { start: 0, length: None, skipped: 0, is_exact: false, digest: None, discard_on_cut: false },
    ));
    send(&mut writer, &["abc"]).await;
    assert!(matches!(writer.lost().await, RegistryError::Superseded));
    assert!(matches!(writer.lost().await, RegistryError::Superseded));
    assert!(matches!(writer.finish().await, Err(RegistryError::Superseded)));

    // An answer that says yes to half a body is none.
    transport.cut_body_after(Some(1));
    let mut writer = HttpUploadWriter::begin(
        upload,
        WriterOptions { start: 0, length: Some(9), skipped: 0, is_exact: false, digest: None, discard_on_cut: false },
    );
    writer.send(Bytes::from_static(b"abc")).await.unwrap();
    let told = writer.lost().await;
    assert!(matches!(told, RegistryError::Remote { .. }), "{told:?}");
}

#[tokio::test]
async fn the_last_body_ends_with_its_own_commit_only() {
    let digest = digest_of(b"abc");
    for commits_another in [true, false] {
        let (_, upload) = begun([reply(500), stands_at(3)]).await;
        let request = WriteRequest { digest: Some(digest.clone()), ..from(StartPoint::Current, None) };
        let mut writer = upload.write(request).await.unwrap();
        send(&mut writer, &["abc"]).await;
        let told = match commits_another {
            true => writer.commit(&digest_of(b"other")).await,
            false => writer.finish().await,
        };
        assert!(matches!(told, Err(RegistryError::Unsupported(_))), "{told:?}");
    }
}

#[tokio::test]
async fn a_ticket_finds_an_upload_again_and_nonsense_does_not() {
    let (transport, upload) = begun([stands_at(5), stands_at(6)]).await;
    let repository: Box<dyn Repository> = Box::new(client(&transport).repository(&"a".parse().unwrap()));
    assert_eq!(upload.ticket(), format!("a {URL}"));
    let found = repository.uploads().reopen(&upload.ticket()).await.unwrap();
    assert_eq!(found.status().await.unwrap().offset, 5);
    let by_id = repository.uploads().resume(upload.id()).await.unwrap();
    by_id.status().await.unwrap();
    assert_eq!(transport.lines()[2], format!("GET https://registry.example/v2/a/blobs/uploads/{}", upload.id()));
    for ticket in [URL, "a ftp://x/", &upload.ticket().replacen('a', "another", 1)] {
        assert!(matches!(repository.uploads().reopen(ticket).await, Err(RegistryError::UploadUnknown)), "{ticket}");
    }
}
