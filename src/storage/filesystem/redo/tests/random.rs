use super::*;

/// Many keys are changed in every way while halves fill up; then the power goes, and takes of what the log has what it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_any_changes_the_files_are_what_they_were() {
    let (root, driver) = new_root();
    let tasks: Vec<_> = (0..6).map(|task| tokio::spawn(change_at_random(driver.clone(), task))).collect();
    let mut expected = Vec::new();
    for task in tasks {
        expected.extend(task.await.unwrap());
    }
    let left = lose_power(root.path());
    let known: Vec<Key> = (0..2).flat_map(|half| entries_in(root.path(), half)).filter_map(key_of).collect();
    assert!(!known.is_empty());
    for (number, key) in known.iter().enumerate() {
        let path = left.path().join(key.as_str());
        if expected
            .iter()
            .any(|(of, data)| of == key && data.as_ref().is_some_and(|data| data.len() as u64 > MOST_BYTES))
        {
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match number % 3 {
            0 => drop(fs::remove_file(path)),
            1 => fs::write(path, "").unwrap(),
            _ => {}
        }
    }
    drop(open(left.path()));
    for (key, data) in expected {
        assert_eq!(fs::read(left.path().join(key.as_str())).ok().map(Bytes::from), data, "{key}");
    }
}

fn key_of(entry: Entry) -> Option<Key> {
    match entry.says {
        Says::Begun { .. } => None,
        Says::Put { key, .. } | Says::Again { key, .. } | Says::Revoked { key, .. } => Some(key),
        Says::Gone { key } | Says::OnDisk { key } => Some(key),
    }
}

/// What stands in the end under each key of one task.
async fn change_at_random(driver: Filesystem, task: u64) -> Vec<(Key, Option<Bytes>)> {
    let mut random = task + 1;
    let mut expected: Vec<_> = (0..8).map(|number| (key(&format!("{task}/{number}/data")), None)).collect();
    for step in 0..250_u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (key, stands) = &mut expected[(random >> 33) as usize % 8];
        let small = Bytes::from(vec![step as u8; 1 + (random >> 40) as usize % 20_000]);
        match (random >> 60) % 8 {
            0 => {
                driver.delete_all(key, None).await.unwrap();
                *stands = None;
            }
            1 => {
                let large = Bytes::from(vec![step as u8; MOST_BYTES as usize + 1]);
                driver.put(key, large.clone(), PutMode::Overwrite, Durability::Power).await.unwrap();
                *stands = Some(large);
            }
            2 => {
                let mut partial =
                    driver.create_partial(&key.as_str().replace("data", "partial").parse().unwrap()).await.unwrap();
                partial.append(vec![small.clone()]).await.unwrap();
                partial.publish(key, Durability::Power).await.unwrap();
                *stands = Some(small);
            }
            _ => {
                driver.put(key, small.clone(), PutMode::Overwrite, Durability::Power).await.unwrap();
                *stands = Some(small);
            }
        }
    }
    expected
}
