//! Which of several changes of a key stands after a loss of power.

use super::*;

#[tokio::test]
async fn the_last_of_several_stands() {
    let (root, driver) = new_root();
    let large = Bytes::from(vec![b'l'; MOST_BYTES as usize + 1]);
    noted(&driver, "small", "1").await;
    noted(&driver, "small", "2").await;
    noted(&driver, "synced", "1").await;
    put(&driver, "synced", large.clone(), Durability::Power).await;
    put(&driver, "noted", large.clone(), Durability::Power).await;
    noted(&driver, "noted", "2").await;
    noted(&driver, "updated", "1").await;
    let version = driver.get(&key("updated"), 10).await.unwrap().version;
    driver.put(&key("updated"), "2".into(), PutMode::Update(version), Durability::Power).await.unwrap();
    noted(&driver, "partial", "1").await;
    let mut partial = driver.create_partial(&key("partial")).await.unwrap();
    partial.append(vec!["2".into()]).await.unwrap();
    let left = lose_power(root.path());
    fs::write(left.path().join("small"), "").unwrap();
    fs::remove_file(left.path().join("noted")).unwrap();
    drop(open(left.path()));
    assert_eq!(on_disk(left.path(), "small").as_deref(), Some("2"));
    assert_eq!(fs::read(left.path().join("synced")).unwrap(), large);
    assert_eq!(on_disk(left.path(), "noted").as_deref(), Some("2"));
    assert_eq!(on_disk(left.path(), "updated").as_deref(), Some("2"));
    assert_eq!(on_disk(left.path(), "partial").as_deref(), Some("2"));
}

/// A put that nothing has to survive may go with the power; what survives before it does not.
#[tokio::test]
async fn what_is_not_to_survive_takes_nothing_with_it() {
    let (root, driver) = new_root();
    noted(&driver, "a", "1").await;
    put(&driver, "a", "2", Durability::Process).await;
    let left = lose_power(root.path());
    fs::write(left.path().join("a"), "").unwrap();
    drop(open(left.path()));
    assert_eq!(on_disk(left.path(), "a").as_deref(), Some("1"));
}

/// Between a note and its file, another put and a deletion were made.
#[tokio::test]
async fn a_note_that_is_overtaken_is_said_again_when_it_is_placed() {
    let (root, driver) = new_root();
    let store = &driver.store;
    let name = key("a");
    let note = |data: &'static str| store.redo.note(&[(&name, &[data.into()])]).unwrap().unwrap().pop().unwrap();
    let place = |survives| {
        let nobody_leaves = Cancelled::default();
        object::place_file(store, &name, &["late".into()], &PutMode::Overwrite, survives, &nobody_leaves).unwrap();
    };
    for overtaken_by_a_deletion in [false, true] {
        let late = note("late");
        noted(&driver, "a", "other").await;
        if overtaken_by_a_deletion {
            driver.delete(&name).await.unwrap();
        }
        place(Survives::Noted(late));
        let left = lose_power(root.path());
        fs::remove_file(left.path().join("a")).unwrap();
        drop(open(left.path()));
        assert_eq!(on_disk(left.path(), "a").as_deref(), Some("late"), "{overtaken_by_a_deletion}");
    }
    // What is synced by itself comes over a note, which is placed only then.
    let late = note("late");
    let large = Bytes::from(vec![b'l'; MOST_BYTES as usize + 1]);
    put(&driver, "a", large, Durability::Power).await;
    place(Survives::Noted(late));
    let left = lose_power(root.path());
    fs::remove_file(left.path().join("a")).unwrap();
    drop(open(left.path()));
    assert_eq!(on_disk(left.path(), "a").as_deref(), Some("late"));
}

/// A large object gets its name; before it is said that it survives, another comes over it.
#[tokio::test]
async fn what_is_synced_hides_nothing_that_came_after_it() {
    let (root, driver) = new_root();
    let (store, name) = (&driver.store, key("a"));
    for (is_noted_before, is_placed) in [(false, true), (true, true), (false, false), (true, false)] {
        noted(&driver, "a", "before").await;
        let note = || store.redo.note(&[(&name, &["late".into()])]).unwrap().unwrap().pop().unwrap();
        let early = is_noted_before.then(note);
        let mut placing = Placing::new(store, &name, Survives::LossOfPower).unwrap();
        placing.placed();
        let note = early.unwrap_or_else(note);
        if is_placed {
            let (survives, nobody_leaves) = (Survives::Noted(note), Cancelled::default());
            object::place_file(store, &name, &["late".into()], &PutMode::Overwrite, survives, &nobody_leaves).unwrap();
            placing.finish().unwrap();
        } else {
            // It fails, before or after it is said what survives.
            placing.finish().unwrap();
            drop(note);
        }
        noted(&driver, "b", "syncs the log").await;
        let left = lose_power(root.path());
        fs::write(left.path().join("a"), "synced").unwrap();
        drop(open(left.path()));
        let expected = if is_placed { "late" } else { "synced" };
        assert_eq!(on_disk(left.path(), "a").as_deref(), Some(expected), "{is_noted_before} {is_placed}");
    }
}

#[tokio::test]
async fn the_newer_half_is_not_emptied_before_the_older_one() {
    let (root, driver) = new_root();
    noted(&driver, "a", "1").await;
    let (name, data) = (key("hold"), ["x".into()]);
    let held = driver.store.redo.note(&[(&name, &data)]).unwrap();
    driver.store.redo.0.lock().end_current();
    noted(&driver, "a", "2").await;
    break_half(&driver, root.path(), 0);
    drop(held);
    while driver.store.redo.0.lock().halves[0].phase != Phase::Stuck {
        tokio::task::yield_now().await;
    }
    {
        // As when it cannot be written.
        let mut state = driver.store.redo.0.lock();
        state.stage = Stage::Off;
        state.end_current();
        assert_eq!(state.next_to_empty(), Some(0));
    }
    drop(driver);
    assert!(!entries_in(root.path(), 1).is_empty());
    let left = lose_power(root.path());
    fs::remove_file(left.path().join("a")).unwrap();
    drop(open(left.path()));
    assert_eq!(on_disk(left.path(), "a").as_deref(), Some("2"));
}

#[tokio::test]
async fn the_newer_half_is_replayed_over_the_older_one() {
    let (root, driver) = new_root();
    noted(&driver, "a", "1").await;
    noted(&driver, "b", "1").await;
    // It is full, and cannot be emptied while a note waits for its file.
    let (name, data) = (key("hold"), ["x".into()]);
    let held = driver.store.redo.note(&[(&name, &data)]).unwrap().unwrap();
    let filler = Bytes::from(vec![0; MOST_BYTES as usize]);
    let mut number = 0;
    while driver.store.redo.0.lock().current == Some(0) {
        number += 1;
        put(&driver, &format!("filler/{number}"), filler.clone(), Durability::Power).await;
    }
    noted(&driver, "a", "2").await;
    driver.delete(&key("b")).await.unwrap();
    assert!(!entries_in(root.path(), 0).is_empty() && !entries_in(root.path(), 1).is_empty());
    let left = lose_power(root.path());
    fs::write(left.path().join("a"), "").unwrap();
    fs::write(left.path().join("b"), "").unwrap();
    drop(open(left.path()));
    assert_eq!((on_disk(left.path(), "a").as_deref(), on_disk(left.path(), "b")), (Some("2"), None));
    drop(held);
    driver.store.redo.settle();
    assert!(entries_in(root.path(), 0).is_empty());
    // What the half that is left knows is still known.
    driver.delete(&key("a")).await.unwrap();
    let left = lose_power(root.path());
    fs::write(left.path().join("a"), "").unwrap();
    drop(open(left.path()));
    assert_eq!(on_disk(left.path(), "a"), None);
}
