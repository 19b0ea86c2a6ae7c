use super::*;

#[test]
fn a_silent_writer_is_taken_over_and_its_late_bytes_are_refused() {
    let mut machine = machine();
    let (old, _) = grant(&mut machine, 1, plain_claim(), at(0));
    let actions = machine.step(Event::Claim { ticket: 2, claim: plain_claim() }, at(200));
    assert!(matches!(actions[..], [Action::WakeAt(wake)] if wake == at(1000)), "{actions:?}");
    let actions = machine.step(Event::Tick, at(1000));
    assert!(actions.iter().any(|action| matches!(action, Action::Revoke { epoch, .. } if *epoch == old)));
    assert!(actions.iter().any(|action| matches!(action, Action::Answer(2, Answer::Granted { .. }))));
    let late = answers(machine.step(Event::Piece { ticket: 3, epoch: old, offset: 0, len: 5 }, at(1001)));
    assert!(matches!(late[..], [(3, Answer::Refused(UploadError::Superseded))]), "{late:?}");
    assert_eq!(machine.offset(), 0);
}

#[test]
fn a_writer_that_still_writes_keeps_its_right_and_the_newcomer_is_told() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    machine.step(Event::Claim { ticket: 2, claim: plain_claim() }, at(100));
    for (n, millis) in [(0u64, 400), (1, 800)] {
        machine.step(Event::Piece { ticket: 10 + n, epoch, offset: n * 5, len: 5 }, at(millis));
        machine.step(Event::Done(Outcome::Written(Ok(n * 5 + 5))), at(millis));
    }
    assert!(answers(machine.step(Event::Tick, at(1349))).is_empty());
    let told = answers(machine.step(Event::Tick, at(1350)));
    assert!(matches!(told[..], [(2, Answer::Refused(UploadError::Busy { .. }))]), "{told:?}");
    assert!(machine.is_writing());
}

#[test]
fn a_slow_store_of_our_own_is_not_the_writers_silence() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    machine.step(Event::Piece { ticket: 2, epoch, offset: 0, len: 5 }, at(10));
    machine.step(Event::Claim { ticket: 3, claim: plain_claim() }, at(4000));
    let told = answers(machine.step(Event::Tick, at(5250)));
    assert!(matches!(told[..], [(3, Answer::Refused(UploadError::Busy { .. }))]), "{told:?}");
    // The write took nine seconds; silence begins only now.
    machine.step(Event::Done(Outcome::Written(Ok(5))), at(9000));
    machine.step(Event::Claim { ticket: 4, claim: plain_claim() }, at(9500));
    assert!(machine.is_writing());
    let told = answers(machine.step(Event::Tick, at(10000)));
    assert!(matches!(told[..], [(4, Answer::Granted { start: 5, .. })]), "{told:?}");
}

#[test]
fn a_gap_is_refused() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    let told = answers(machine.step(Event::Piece { ticket: 2, epoch, offset: 5, len: 5 }, at(1)));
    assert!(matches!(told[..], [(2, Answer::Refused(UploadError::Gap))]), "{told:?}");
}

#[test]
fn only_a_piece_that_is_all_there_is_is_committed_with_its_write() {
    let job_of = |actions: &[Action]| {
        actions.iter().find_map(|action| match action {
            Action::Run(job) => Some(job.clone()),
            _ => None,
        })
    };
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    let last = Some(LastPiece { ticket: 2, offset: 0, len: 5 });
    let actions = machine.step(Event::Commit { ticket: 3, epoch, end: 5, digest: digest(1), last }, at(1));
    assert!(matches!(job_of(&actions), Some(Job::WriteAndCommit { .. })), "{actions:?}");

    let mut machine = self::machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    machine.step(Event::Piece { ticket: 2, epoch, offset: 0, len: 5 }, at(1));
    machine.step(Event::Piece { ticket: 3, epoch, offset: 5, len: 5 }, at(1));
    machine.step(Event::Commit { ticket: 4, epoch, end: 10, digest: digest(1), last: None }, at(1));
    let actions = machine.step(Event::Done(Outcome::Written(Ok(5))), at(2));
    assert!(matches!(job_of(&actions), Some(Job::Write { ticket: 3, .. })), "{actions:?}");
    let actions = machine.step(Event::Done(Outcome::Written(Ok(10))), at(3));
    assert!(matches!(job_of(&actions), Some(Job::Commit(_))), "{actions:?}");
    let written = answers(actions);
    assert!(matches!(written[..], [(3, Answer::Accepted)]), "its memory is free before the commit ends: {written:?}");
}

#[test]
fn a_put_that_meets_a_commit_of_the_same_digest_gets_its_answer() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    machine.step(Event::Commit { ticket: 2, epoch, end: 0, digest: digest(1), last: None }, at(1));
    let same = Claim { digest: Some(digest(1)), ..plain_claim() };
    let told = answers(machine.step(Event::Claim { ticket: 3, claim: same }, at(2)));
    assert!(matches!(told[..], [(3, Answer::Following)]), "{told:?}");
    machine.step(Event::Join { ticket: 4, digest: digest(1) }, at(3));
    let told = answers(machine.step(Event::Done(Outcome::Committed(Ok(0))), at(4)));
    assert!(matches!(told[..], [(2, Answer::Committed(0)), (4, Answer::Committed(0))]), "{told:?}");
}

/// A PUT without a body and one with all of it, of one digest, on an upload that has no byte yet.
#[test]
fn a_body_does_not_follow_a_commit_that_lacks_it() {
    let whole = Claim { digest: Some(digest(1)), start: Start::Replay(0), length: Some(5), ..plain_claim() };
    let late = at(0) + rules().longest_wait() * 3;
    for is_right in [false, true] {
        let mut machine = machine();
        let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
        // One waits before the commit begins, one comes while it runs; both have time until it ends.
        assert!(answers(machine.step(Event::Claim { ticket: 2, claim: whole.clone() }, at(0))).is_empty());
        machine.step(Event::Commit { ticket: 3, epoch, end: 0, digest: digest(1), last: None }, at(0));
        assert!(answers(machine.step(Event::Claim { ticket: 4, claim: whole.clone() }, at(0))).is_empty());
        assert!(answers(machine.step(Event::Tick, late)).is_empty());
        let result = match is_right {
            true => Ok(0),
            false => Err(UploadError::DigestMismatch { expected: digest(1), actual: digest(0) }),
        };
        let told = answers(machine.step(Event::Done(Outcome::Committed(result)), late));
        match is_right {
            false => {
                assert!(matches!(told[0], (3, Answer::Refused(UploadError::DigestMismatch { .. }))), "{told:?}");
                assert!(matches!(told[1], (2, Answer::Granted { start: 0, .. })), "{told:?}");
            }
            true => {
                let expected = [(3, Answer::Committed(0)), (2, Answer::Following), (4, Answer::Following)];
                assert_eq!(format!("{told:?}"), format!("{expected:?}"));
            }
        }
    }
}

#[test]
fn a_cancel_waits_for_a_commit_and_comes_too_late_when_it_succeeds() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    machine.step(Event::Commit { ticket: 2, epoch, end: 0, digest: digest(1), last: None }, at(1));
    assert!(machine.step(Event::Cancel { ticket: 3 }, at(2)).is_empty());
    let told = answers(machine.step(Event::Done(Outcome::Committed(Ok(0))), at(3)));
    assert!(matches!(told[..], [(2, Answer::Committed(0)), (3, Answer::Refused(UploadError::Unknown))]), "{told:?}");
}

#[test]
fn a_wrong_digest_leaves_the_upload_open() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    machine.step(Event::Commit { ticket: 2, epoch, end: 0, digest: digest(1), last: None }, at(1));
    let mismatch = UploadError::DigestMismatch { expected: digest(1), actual: digest(2) };
    let told = answers(machine.step(Event::Done(Outcome::Committed(Err(mismatch))), at(2)));
    assert!(matches!(told[..], [(2, Answer::Refused(UploadError::DigestMismatch { .. }))]), "{told:?}");
    grant(&mut machine, 3, plain_claim(), at(3));
}

#[test]
fn a_single_post_that_is_cut_keeps_nothing() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, Claim { discard_on_cut: true, ..plain_claim() }, at(0));
    let actions = machine.step(Event::Cut { ticket: 2, epoch }, at(1));
    assert!(matches!(actions[..], [Action::Run(Job::Remove)]), "{actions:?}");
    let actions = machine.step(Event::Done(Outcome::Removed(Ok(()))), at(2));
    assert!(actions.iter().any(|action| matches!(action, Action::Stop(Stop::Ended(EndReason::Failed)))), "{actions:?}");
}

#[test]
fn a_removal_that_failed_can_be_tried_again() {
    let mut machine = machine();
    machine.step(Event::Cancel { ticket: 1 }, at(0));
    let told = answers(machine.step(Event::Done(Outcome::Removed(Err(fault()))), at(1)));
    assert!(matches!(told[..], [(1, Answer::Refused(UploadError::Storage(_)))]), "{told:?}");
    let told = answers(machine.step(Event::Claim { ticket: 2, claim: plain_claim() }, at(2)));
    assert!(matches!(told[..], [(2, Answer::Refused(UploadError::Storage(_)))]), "{told:?}");
    assert!(matches!(machine.live_offset(), Err(UploadError::Storage(_))));
    machine.step(Event::Cancel { ticket: 3 }, at(3));
    let told = answers(machine.step(Event::Done(Outcome::Removed(Ok(()))), at(4)));
    assert!(matches!(told[..], [(3, Answer::Removed)]), "{told:?}");
}

/// A cancel, and then everything that may ask while it is being removed.
fn asked_while_it_is_removed() -> Machine {
    let mut machine = Machine::new(Rules { max_size: Some(12), ..rules() }, Found::default());
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    machine.step(Event::Piece { ticket: 2, epoch, offset: 0, len: 5 }, at(1));
    machine.step(Event::Piece { ticket: 3, epoch, offset: 5, len: 5 }, at(1));
    machine.step(Event::Claim { ticket: 4, claim: plain_claim() }, at(1));
    machine.step(Event::Cancel { ticket: 5 }, at(2));
    let actions = machine.step(Event::Done(Outcome::Written(Ok(5))), at(3));
    assert!(actions.iter().any(|action| matches!(action, Action::Run(Job::Remove))), "{actions:?}");
    assert!(matches!(answers(actions)[..], [(2, Answer::Accepted)]));
    assert!(machine.must_look_before_telling());
    let events = [
        Event::Piece { ticket: 6, epoch, offset: 10, len: 5 },
        Event::Finish { ticket: 7, epoch, end: 15 },
        Event::Claim { ticket: 8, claim: plain_claim() },
        Event::Status { ticket: 9 },
        Event::Join { ticket: 10, digest: digest(1) },
    ];
    for event in events {
        let actions = machine.step(event, at(4));
        assert!(matches!(actions[..], [] | [Action::WakeAt(_)]), "{actions:?}");
    }
    machine
}

#[test]
fn nobody_hears_that_an_upload_is_gone_before_it_is() {
    let mut machine = asked_while_it_is_removed();
    let actions = machine.step(Event::Done(Outcome::Removed(Ok(()))), at(5));
    let is_revoked = |action: &Action| matches!(action, Action::Revoke { cause: UploadError::Unknown, .. });
    assert!(actions.iter().any(is_revoked), "{actions:?}");
    let mut told = answers(actions);
    told.sort_by_key(|(ticket, _)| *ticket);
    assert_eq!(told.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8, 9, 10]);
    for (ticket, answer) in told {
        match answer {
            Answer::Removed => assert_eq!(ticket, 5),
            answer => assert!(matches!(answer, Answer::Refused(UploadError::Unknown)), "{ticket}: {answer:?}"),
        }
    }
}

#[test]
fn whoever_met_a_removal_that_failed_is_told_of_the_fault() {
    let mut machine = asked_while_it_is_removed();
    let actions = machine.step(Event::Done(Outcome::Removed(Err(fault()))), at(5));
    let is_revoked = |action: &Action| matches!(action, Action::Revoke { cause: UploadError::Storage(_), .. });
    assert!(actions.iter().any(is_revoked), "{actions:?}");
    let told = answers(actions);
    assert_eq!(told.len(), 8, "{told:?}");
    assert!(told.iter().all(|(_, answer)| matches!(answer, Answer::Refused(UploadError::Storage(_)))), "{told:?}");
    assert!(!machine.is_writing());
    // It is tried again later, and then, too, a question waits for how that ends.
    let (retry_at, _) = machine.next_look().unwrap();
    machine.step(Event::Look, retry_at);
    assert!(machine.step(Event::Status { ticket: 11 }, retry_at).is_empty());
    let told = answers(machine.step(Event::Done(Outcome::Removed(Ok(()))), retry_at));
    assert!(matches!(told[..], [(11, Answer::Refused(UploadError::Unknown))]), "{told:?}");
}

#[test]
fn a_body_whose_end_is_not_where_its_last_piece_ended_is_refused() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    machine.step(Event::Piece { ticket: 2, epoch, offset: 0, len: 5 }, at(1));
    machine.step(Event::Done(Outcome::Written(Ok(5))), at(2));
    // A piece between was lost on its way.
    let actions = machine.step(Event::Commit { ticket: 3, epoch, end: 9, digest: digest(1), last: None }, at(3));
    assert!(!actions.iter().any(|action| matches!(action, Action::Run(_))), "{actions:?}");
    let told = answers(actions);
    assert!(matches!(told[..], [(3, Answer::Refused(UploadError::Gap))]), "{told:?}");
    assert!(!machine.is_writing());
}

#[test]
fn a_cancel_that_meets_the_loss_of_the_data_removes_the_rest() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    machine.step(Event::Piece { ticket: 2, epoch, offset: 0, len: 5 }, at(1));
    machine.step(Event::Done(Outcome::Written(Err(fault()))), at(2));
    let actions = machine.step(Event::Claim { ticket: 3, claim: plain_claim() }, at(3));
    assert!(matches!(actions[..], [Action::Run(Job::Reopen)]), "{actions:?}");
    machine.step(Event::Cancel { ticket: 4 }, at(4));
    let actions = machine.step(Event::Done(Outcome::Reopened(Err(UploadError::Unknown))), at(5));
    assert!(matches!(actions[..], [.., Action::Run(Job::Remove)]), "{actions:?}");
    let told = answers(machine.step(Event::Done(Outcome::Removed(Ok(()))), at(6)));
    assert!(matches!(told[..], [(4, Answer::Removed)]), "{told:?}");
}

/// Its session was told to nobody, so nobody goes on with it after the restart.
#[test]
fn a_drain_leaves_nothing_of_a_body_that_was_to_be_discarded() {
    let mut machine = machine();
    let claim = Claim { discard_on_cut: true, ..plain_claim() };
    let (epoch, _) = grant(&mut machine, 1, claim, at(0));
    machine.step(Event::Piece { ticket: 2, epoch, offset: 0, len: 5 }, at(1));
    machine.step(Event::Done(Outcome::Written(Ok(5))), at(2));
    let actions = machine.step(Event::Drain { ticket: 3 }, at(3));
    assert!(actions.iter().any(|action| matches!(action, Action::Run(Job::Remove))), "{actions:?}");
    let actions = machine.step(Event::Done(Outcome::Removed(Ok(()))), at(4));
    assert!(
        matches!(actions[..], [Action::Answer(3, Answer::Removed), Action::Stop(Stop::Ended(EndReason::Failed))]),
        "{actions:?}"
    );
}
