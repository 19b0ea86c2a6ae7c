//! What each value allows by itself and the whole does not.

use std::collections::BTreeSet;
use std::fmt;

use super::{Pace, Plan, PlanError, Shape, Sizes, Workload};
use crate::oci::RepositoryName;

/// The most workers, or tasks under way, of one process.
const MOST_AT_ONCE: u32 = 100_000;

/// What the run's id and a number take of a repository's name.
const ROOM_IN_NAMES: usize = 32;

pub(super) fn check(plan: &Plan) -> Result<(), PlanError> {
    check_targets(plan)?;
    check_workloads(plan)?;
    let content = &plan.content;
    check_share("content.duplicate_ratio", content.duplicate_ratio)?;
    if !(1 << 10..=16 << 20).contains(&content.piece_size) {
        return refuse("content.piece_size", "is not from 1KiB to 16MiB");
    }
    check_share("verify.pull_ratio", plan.verify.pull_ratio)?;
    check_shape(&plan.shape)?;
    let prefix = &plan.repository_prefix;
    if prefix.parse::<RepositoryName>().is_err() || prefix.len() > RepositoryName::MAX_LEN - ROOM_IN_NAMES {
        return refuse("repository_prefix", format!("{prefix:?} is not the beginning of a repository's name"));
    }
    if plan.repositories == 0 || plan.repositories > 10_000 {
        return refuse("repositories", format!("{} is not from 1 to 10000", plan.repositories));
    }
    Ok(())
}

fn check_targets(plan: &Plan) -> Result<(), PlanError> {
    if plan.targets.is_empty() && !plan.embedded && !plan.control {
        return refuse("targets", "there is none: name one, or set embedded");
    }
    let mut names = BTreeSet::new();
    names.extend(plan.embedded.then_some("embedded"));
    names.extend(plan.control.then_some("control"));
    for (index, target) in plan.targets.iter().enumerate() {
        let key = format!("targets[{index}].name");
        let is_printable = |c: char| c.is_ascii_graphic();
        if target.name.is_empty() || target.name.len() > 40 || !target.name.chars().all(is_printable) {
            return refuse(key, format!("{:?} is not of 1 to 40 letters, digits and signs", target.name));
        }
        if !names.insert(&target.name) {
            return refuse(key, format!("{:?} is the name of another target, too", target.name));
        }
    }
    Ok(())
}

fn check_workloads(plan: &Plan) -> Result<(), PlanError> {
    if plan.workloads.is_empty() {
        return refuse("workloads", format!("there is none; there are {}", Workload::NAMES.join(", ")));
    }
    for (index, planned) in plan.workloads.iter().enumerate() {
        let checked = match planned.weight.is_finite() && planned.weight > 0.0 {
            true => check_workload(&planned.workload),
            false => refuse("weight", format!("{} is not over 0", planned.weight)),
        };
        checked.map_err(|error| error.below(&format!("workloads[{index}]")))?;
    }
    Ok(())
}

fn check_workload(workload: &Workload) -> Result<(), PlanError> {
    match workload {
        Workload::PushChunked(chunked) => check_not_empty("chunk_sizes", &chunked.chunk_sizes),
        Workload::Resume(resume) => {
            if resume.cuts.is_empty() {
                return refuse("cuts", "there is none; there are reset, half-close, silence");
            }
            check_count("times", resume.times, 1)
        }
        Workload::Stall(stall) => match (stall.drip_rate, stall.stop_for) {
            (Some(0), _) => refuse("drip_rate", "is zero: use stop_for"),
            (Some(_), Some(_)) => refuse("stop_for", "cannot be set together with drip_rate; mix two workloads"),
            _ => Ok(()),
        },
        Workload::Contend(contend) => check_count("clients", contend.clients, 2),
        Workload::Cancel(cancel) => check_share("sent_ratio", cancel.sent_ratio),
        Workload::PullRanges(ranges) => {
            check_not_empty("range_sizes", &ranges.range_sizes)?;
            check_count("ranges", ranges.ranges, 1)
        }
        Workload::HeadMany(many) => check_count("heads", many.heads, 1),
        Workload::ImagePush(image) => {
            check_count("layers", image.layers, 1)?;
            check_count("parallel", image.parallel, 1)
        }
        Workload::ImagePull(image) => check_count("parallel", image.parallel, 1),
        Workload::Trace(trace) => {
            let shares = trace.shares.named();
            if let Some((name, share)) = shares.iter().find(|(_, share)| !share.is_finite() || *share < 0.0) {
                return refuse(format!("shares.{name}"), format!("{share} is below 0"));
            }
            match shares.iter().any(|(_, share)| *share > 0.0) {
                true => Ok(()),
                false => refuse("shares", "all are 0"),
            }
        }
        Workload::PushMonolithic
        | Workload::PushSinglePost
        | Workload::PushStreamed
        | Workload::Replay(_)
        | Workload::Mount
        | Workload::PullWhole
        | Workload::ManifestByTag
        | Workload::TagsList(_) => Ok(()),
    }
}

fn check_shape(shape: &Shape) -> Result<(), PlanError> {
    if shape.workers.is_some() && shape.rate.is_some() {
        return refuse("shape.rate", "cannot be set together with shape.workers: a loop is either open or closed");
    }
    match shape.pace() {
        Pace::Closed { workers } => check_workers("shape.workers", workers, 1)?,
        Pace::Open { rate, max_in_flight } => {
            check_rate("shape.rate", rate)?;
            check_workers("shape.max_in_flight", max_in_flight, 1)?;
        }
    }
    for (index, stage) in shape.stages.iter().enumerate() {
        let key = |name: &str| format!("shape.stages[{index}].{name}");
        match (shape.pace(), stage.workers, stage.rate) {
            (Pace::Closed { .. }, _, Some(_)) => {
                return refuse(key("rate"), "has no meaning with workers: set shape.rate for an open loop");
            }
            (Pace::Open { .. }, Some(_), _) => return refuse(key("workers"), "has no meaning with shape.rate"),
            (Pace::Closed { .. }, Some(workers), None) => check_workers(&key("workers"), workers, 0)?,
            (Pace::Open { .. }, None, Some(rate)) if rate != 0.0 => check_rate(&key("rate"), rate)?,
            _ => {}
        }
        if stage.length.is_zero() {
            return refuse(key("for"), "is no time");
        }
    }
    if shape.duration.is_some_and(|duration| duration.is_zero()) {
        return refuse("shape.duration", "is no time");
    }
    if shape.count == Some(0) {
        return refuse("shape.count", "is zero");
    }
    Ok(())
}

fn check_workers(key: &str, count: u32, least: u32) -> Result<(), PlanError> {
    match (least..=MOST_AT_ONCE).contains(&count) {
        true => Ok(()),
        false => refuse(key, format!("{count} is not from {least} to {MOST_AT_ONCE}")),
    }
}

fn check_rate(key: &str, rate: f64) -> Result<(), PlanError> {
    match rate.is_finite() && (0.001..=1e6).contains(&rate) {
        true => Ok(()),
        false => refuse(key, format!("{rate} is not from 0.001 to 1000000 a second")),
    }
}

fn check_count(key: &str, count: u32, least: u32) -> Result<(), PlanError> {
    match (least..=10_000).contains(&count) {
        true => Ok(()),
        false => refuse(key, format!("{count} is not from {least} to 10000")),
    }
}

fn check_not_empty(key: &str, sizes: &Sizes) -> Result<(), PlanError> {
    let has_zero = match sizes {
        // What is drawn as nothing counts as one byte there.
        Sizes::LogNormal { .. } => false,
        _ => sizes.smallest() == 0,
    };
    match has_zero {
        true => refuse(key, format!("{sizes} has a size of zero")),
        false => Ok(()),
    }
}

fn check_share(key: &str, share: f64) -> Result<(), PlanError> {
    match (0.0..=1.0).contains(&share) {
        true => Ok(()),
        false => refuse(key, format!("{share} is not a share from 0 to 1")),
    }
}

fn refuse(key: impl Into<String>, problem: impl fmt::Display) -> Result<(), PlanError> {
    Err(PlanError::at(key, problem))
}
