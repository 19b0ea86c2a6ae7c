use super::*;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn with(rules: Rules) -> Machine {
    Machine::new(rules, Found::default())
}

fn piece(machine: &mut Machine, ticket: Ticket, epoch: u64, offset: u64, len: u64, now: Duration) -> Vec<Action> {
    let actions = machine.step(Event::Piece { ticket, epoch, offset, len }, now);
    if actions.iter().any(|action| matches!(action, Action::Run(Job::Write { .. }))) {
        return machine.step(Event::Done(Outcome::Written(Ok(offset + len))), now);
    }
    actions
}

fn struck(actions: &[Action]) -> Option<Policy> {
    actions.iter().find_map(|action| match action {
        Action::Run(Job::Expire(policy)) => Some(*policy),
        _ => None,
    })
}

#[test]
fn an_upload_without_a_byte_expires_and_one_with_bytes_does_not() {
    let mut machine = with(Rules { idle_timeout: Some(secs(10)), ..rules() });
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), secs(0));
    piece(&mut machine, 2, epoch, 0, 5, secs(8));
    assert_eq!(machine.next_look(), Some((secs(18), Some(Policy::IdleTimeout))));
    assert_eq!(struck(&machine.step(Event::Look, secs(17))), None);
    let actions = machine.step(Event::Look, secs(18));
    assert_eq!(struck(&actions), Some(Policy::IdleTimeout));
    let cause = actions.iter().find_map(|action| match action {
        Action::Revoke { epoch: revoked, cause } if *revoked == epoch => Some(cause.clone()),
        _ => None,
    });
    assert!(matches!(cause, Some(UploadError::Struck { policy: Policy::IdleTimeout })), "{cause:?}");
    let actions = machine.step(Event::Done(Outcome::Expired(Ok(()))), secs(18));
    assert!(matches!(actions[..], [Action::Stop(Stop::Expired(Policy::IdleTimeout))]), "{actions:?}");
}

#[test]
fn a_claim_without_bytes_does_not_put_the_idle_timeout_off() {
    let mut machine = with(Rules { idle_timeout: Some(secs(10)), ..rules() });
    grant(&mut machine, 1, plain_claim(), secs(9));
    assert_eq!(struck(&machine.step(Event::Look, secs(10))), Some(Policy::IdleTimeout));
}

#[test]
fn slowness_of_our_own_strikes_no_client() {
    let min_rate = Some(MinRate { bytes_per_second: 100, window: secs(5) });
    let mut machine = with(Rules { idle_timeout: Some(secs(10)), min_rate, ..rules() });
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), secs(0));
    machine.step(Event::Piece { ticket: 2, epoch, offset: 0, len: 500 }, secs(1));
    // The store takes 99 seconds for it.
    assert_eq!(struck(&machine.step(Event::Look, secs(50))), None);
    machine.step(Event::Done(Outcome::Written(Ok(500))), secs(100));
    assert_eq!(struck(&machine.step(Event::Look, secs(100))), None);
    assert_eq!(machine.next_look(), Some((secs(104), Some(Policy::MinRate))));
    // In the five seconds in which the engine waited 500 bytes came: just enough.
    assert_eq!(struck(&machine.step(Event::Look, secs(104))), None);
    assert_eq!(struck(&machine.step(Event::Look, secs(109))), Some(Policy::MinRate));
}

#[test]
fn a_drip_over_many_bodies_is_too_slow_and_the_time_between_them_does_not_count() {
    let min_rate = Some(MinRate { bytes_per_second: 10, window: secs(4) });
    let mut machine = with(Rules { min_rate, ..rules() });
    let mut now = secs(0);
    for offset in 0..3 {
        let (epoch, _) = grant(&mut machine, 10 * offset + 1, plain_claim(), now);
        now += secs(1);
        piece(&mut machine, 10 * offset + 2, epoch, offset, 1, now);
        machine.step(Event::Finish { ticket: 10 * offset + 3, epoch, end: offset + 1 }, now);
        machine.step(Event::Done(Outcome::Checkpointed(Ok(()))), now);
        now += secs(3600);
        assert_eq!(struck(&machine.step(Event::Look, now)), None, "three seconds of bodies are no window yet");
    }
    grant(&mut machine, 100, plain_claim(), now);
    assert_eq!(struck(&machine.step(Event::Look, now + secs(1))), Some(Policy::MinRate));
}

#[test]
fn however_busy_an_upload_expires_at_its_age() {
    let mut machine = with(Rules { max_age: Some(secs(10)), ..rules() });
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), secs(9));
    piece(&mut machine, 2, epoch, 0, 5, secs(9));
    assert_eq!(machine.next_look(), Some((secs(10), Some(Policy::MaxAge))));
    assert_eq!(struck(&machine.step(Event::Look, secs(10))), Some(Policy::MaxAge));
}

#[test]
fn a_body_that_says_it_is_too_large_is_refused_before_it_is_read() {
    let mut machine = with(Rules { max_size: Some(100), ..rules() });
    let too_large = Claim { length: Some(101), ..plain_claim() };
    let told = answers(machine.step(Event::Claim { ticket: 1, claim: too_large }, secs(0)));
    assert!(matches!(told[..], [(1, Answer::Refused(UploadError::TooLarge { limit_bytes: 100 }))]), "{told:?}");
    grant(&mut machine, 2, Claim { length: Some(100), ..plain_claim() }, secs(0));
}

#[test]
fn a_body_that_becomes_too_large_makes_its_upload_expire() {
    let mut machine = with(Rules { max_size: Some(100), ..rules() });
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), secs(0));
    piece(&mut machine, 2, epoch, 0, 100, secs(0));
    let actions = machine.step(Event::Piece { ticket: 3, epoch, offset: 100, len: 1 }, secs(0));
    assert_eq!(struck(&actions), Some(Policy::MaxSize));
    let told = answers(actions);
    assert!(matches!(told[..], [(3, Answer::Refused(UploadError::Struck { policy: Policy::MaxSize }))]), "{told:?}");
}

#[test]
fn a_single_post_that_a_policy_strikes_keeps_nothing() {
    let mut machine = with(Rules { idle_timeout: Some(secs(10)), ..rules() });
    grant(&mut machine, 1, Claim { discard_on_cut: true, ..plain_claim() }, secs(0));
    let actions = machine.step(Event::Look, secs(10));
    assert!(actions.iter().any(|action| matches!(action, Action::Run(Job::Remove))), "{actions:?}");
}

#[test]
fn a_policy_waits_for_a_commit_and_has_nothing_to_say_when_it_succeeds() {
    let mut machine = with(Rules { max_age: Some(secs(10)), ..rules() });
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), secs(0));
    machine.step(Event::Commit { ticket: 2, epoch, end: 0, digest: digest(1), last: None }, secs(9));
    assert!(machine.step(Event::Look, secs(20)).is_empty());
    machine.step(Event::Expire { ticket: 3 }, secs(21));
    let told = answers(machine.step(Event::Done(Outcome::Committed(Ok(0))), secs(22)));
    assert!(matches!(told[..], [(2, Answer::Committed(0)), (3, Answer::Refused(UploadError::Unknown))]), "{told:?}");
}

#[test]
fn a_quiet_upload_leaves_memory_and_one_that_is_asked_for_meanwhile_stays() {
    let mut machine = with(Rules { passivate_after: Some(secs(60)), ..rules() });
    assert_eq!(machine.next_look(), Some((secs(60), None)));
    let actions = machine.step(Event::Look, secs(60));
    assert!(matches!(actions[..], [Action::Run(Job::Rest)]), "{actions:?}");
    machine.step(Event::Claim { ticket: 1, claim: plain_claim() }, secs(60));
    let told = answers(machine.step(Event::Done(Outcome::Checkpointed(Ok(()))), secs(60)));
    let [(1, Answer::Granted { epoch, .. })] = told[..] else { panic!("{told:?}") };
    machine.step(Event::Finish { ticket: 2, epoch, end: 0 }, secs(61));
    machine.step(Event::Done(Outcome::Checkpointed(Ok(()))), secs(61));
    assert!(machine.step(Event::Look, secs(100)).is_empty());
    machine.step(Event::Look, secs(121));
    let actions = machine.step(Event::Done(Outcome::Checkpointed(Ok(()))), secs(121));
    assert!(matches!(actions[..], [Action::Stop(Stop::Passive)]), "{actions:?}");
    let told = answers(machine.step(Event::Claim { ticket: 4, claim: plain_claim() }, secs(122)));
    assert!(matches!(told[..], [(4, Answer::Refused(UploadError::Passivated))]), "{told:?}");
}

#[test]
fn a_long_body_is_checkpointed_on_its_way() {
    let mut machine = with(Rules { checkpoint_every: 100, ..rules() });
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), secs(0));
    piece(&mut machine, 2, epoch, 0, 99, secs(0));
    piece(&mut machine, 3, epoch, 99, 1, secs(0));
    let actions = machine.step(Event::Piece { ticket: 4, epoch, offset: 100, len: 50 }, secs(0));
    assert!(matches!(actions[..], [Action::Run(Job::MidCheckpoint)]), "{actions:?}");
    let actions = machine.step(Event::Done(Outcome::Checkpointed(Ok(()))), secs(0));
    assert!(matches!(actions[..], [Action::Run(Job::Write { offset: 100, .. })]), "{actions:?}");
}

#[test]
fn where_offsets_are_synced_a_status_waits_for_it() {
    let mut machine = with(Rules { sync_offsets: true, ..rules() });
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), secs(0));
    piece(&mut machine, 2, epoch, 0, 50, secs(0));
    assert!(machine.must_look_before_telling());
    let actions = machine.step(Event::Status { ticket: 3 }, secs(0));
    assert!(matches!(actions[..], [Action::Run(Job::Checkpoint)]), "{actions:?}");
    let told = answers(machine.step(Event::Done(Outcome::Checkpointed(Ok(()))), secs(0)));
    assert!(matches!(told[..], [(3, Answer::Stands(50))]), "{told:?}");
    assert!(!machine.must_look_before_telling());
}

#[test]
fn what_is_only_found_after_a_fault_is_looked_for_before_it_is_told() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), secs(0));
    machine.step(Event::Piece { ticket: 2, epoch, offset: 0, len: 50 }, secs(0));
    machine.step(Event::Done(Outcome::Written(Err(fault()))), secs(0));
    let actions = machine.step(Event::Status { ticket: 3 }, secs(0));
    assert!(matches!(actions[..], [Action::Run(Job::Reopen)]), "{actions:?}");
    let told = answers(machine.step(Event::Done(Outcome::Reopened(Ok(20))), secs(0)));
    assert!(matches!(told[..], [(3, Answer::Stands(20))]), "{told:?}");
}

#[test]
fn an_expiry_that_failed_is_tried_again() {
    let mut machine = with(Rules { idle_timeout: Some(secs(10)), ..rules() });
    machine.step(Event::Look, secs(10));
    machine.step(Event::Done(Outcome::Expired(Err(fault()))), secs(10));
    assert_eq!(machine.next_look(), Some((secs(70), None)));
    let actions = machine.step(Event::Look, secs(70));
    assert!(matches!(actions[..], [Action::Run(Job::Remove)]), "{actions:?}");
    let actions = machine.step(Event::Done(Outcome::Removed(Ok(()))), secs(70));
    assert!(matches!(actions[..], [Action::Stop(Stop::Ended(EndReason::Expired))]), "{actions:?}");
}

#[test]
fn who_goes_on_with_an_interrupted_body_is_counted() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), secs(0));
    piece(&mut machine, 2, epoch, 0, 50, secs(0));
    machine.step(Event::Cut { ticket: 3, epoch }, secs(1));
    machine.step(Event::Done(Outcome::Checkpointed(Ok(()))), secs(1));
    let actions = machine.step(Event::Claim { ticket: 4, claim: plain_claim() }, secs(2));
    assert!(actions.iter().any(|action| matches!(action, Action::Resumed(50))), "{actions:?}");
}

#[test]
fn who_waits_in_line_for_memory_is_neither_idle_nor_slow_nor_silent() {
    let min_rate = Some(MinRate { bytes_per_second: 100, window: secs(5) });
    let mut machine = with(Rules { idle_timeout: Some(secs(10)), min_rate, ..rules() });
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), secs(0));
    machine.step(Event::HeldUp { epoch, is_held_up: true }, secs(1));
    assert_eq!(machine.next_look(), None);
    assert_eq!(struck(&machine.step(Event::Look, secs(50))), None);
    machine.step(Event::Claim { ticket: 2, claim: plain_claim() }, secs(50));
    let told = answers(machine.step(Event::Tick, secs(52)));
    assert!(matches!(told[..], [(2, Answer::Refused(UploadError::Busy { .. }))]), "{told:?}");
    piece(&mut machine, 3, epoch, 0, 5, secs(60));
    assert_eq!(struck(&machine.step(Event::Look, secs(63))), None, "four seconds of waiting are no window");
    assert_eq!(struck(&machine.step(Event::Look, secs(64))), Some(Policy::MinRate));
}

#[test]
fn whoever_was_held_up_has_its_time_from_then_on() {
    let mut machine = with(Rules { idle_timeout: Some(secs(10)), ..rules() });
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), secs(0));
    machine.step(Event::HeldUp { epoch, is_held_up: true }, secs(1));
    machine.step(Event::HeldUp { epoch, is_held_up: false }, secs(50));
    assert_eq!(machine.next_look(), Some((secs(60), Some(Policy::IdleTimeout))));
    // To say so again changes nothing.
    machine.step(Event::HeldUp { epoch, is_held_up: false }, secs(55));
    assert_eq!(struck(&machine.step(Event::Look, secs(59))), None);
    assert_eq!(struck(&machine.step(Event::Look, secs(60))), Some(Policy::IdleTimeout));
}
