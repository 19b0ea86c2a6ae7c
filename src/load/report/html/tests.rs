use super::*;
use crate::load::report::{ErrorCount, Process, Sample, TargetKind, Verification, samples};

/// Goes through a page as through XML, which it is but for its first line: every element is closed where it must be.
/// Gives the elements' names with their attributes.
#[track_caller]
fn elements(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>\n").expect("a page says what it is");
    let mut open: Vec<String> = Vec::new();
    let mut found = Vec::new();
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        if open.last().is_none_or(|tag| tag != "style") {
            assert!(!text.contains('>'), "a bracket that is not escaped: {text}");
        }
        rest = &rest[start + 1..];
        if let Some(closing) = rest.strip_prefix('/') {
            let (tag, behind) = closing.split_once('>').unwrap();
            assert_eq!(open.pop().as_deref(), Some(tag), "closed behind {open:?}");
            rest = behind;
            continue;
        }
        let name_end = rest.find([' ', '>', '/']).unwrap();
        let (tag, behind) = rest.split_at(name_end);
        assert!(tag.chars().all(|c| c.is_ascii_alphanumeric()), "{tag}");
        rest = behind;
        let mut attributes = Vec::new();
        while let Some(attribute) = rest.strip_prefix(' ') {
            let (name, behind) = attribute.split_once("=\"").unwrap();
            let (value, behind) = behind.split_once('"').unwrap();
            assert!(!value.contains(['<', '>']), "{value}");
            attributes.push((name.to_owned(), value.to_owned()));
            rest = behind;
        }
        match rest.strip_prefix("/>") {
            Some(behind) => rest = behind,
            None => {
                rest = rest.strip_prefix('>').unwrap();
                open.push(tag.to_owned());
            }
        }
        found.push((tag.to_owned(), attributes));
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "still open: {open:?}");
    found
}

/// What must hold of every page: well formed, each id once and none missing, nothing that runs or is fetched.
#[track_caller]
pub(in crate::load::report) fn check(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let elements = elements(page);
    let values = |wanted: &str| -> Vec<String> {
        let all = elements.iter().flat_map(|(_, attributes)| attributes);
        all.filter(|(name, _)| name == wanted).map(|(_, value)| value.clone()).collect()
    };
    let mut ids = values("id");
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id twice");
    for label in values("aria-labelledby") {
        assert!(label.split(' ').all(|id| ids.iter().any(|found| found == id)), "{label} labels and is not there");
    }
    for (tag, attributes) in &elements {
        assert!(
            !["script", "link", "iframe", "object", "img", "image", "base", "form"].contains(&tag.as_str()),
            "{tag}"
        );
        for (name, value) in attributes {
            assert!(
                !name.starts_with("on") && !["src", "srcset", "data", "xlink:href"].contains(&name.as_str()),
                "{name}"
            );
            assert!(name != "href" || value.starts_with('#'), "{value}");
            assert!(
                name != "style" || value.chars().all(|c| c.is_ascii_alphanumeric() || ":.%-".contains(c)),
                "{value}"
            );
        }
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !STYLE.contains('<'), "looks fetch something");
    assert!(!page.contains("NaN") && !page.contains("inf%"), "a number that is none");
    elements
}

fn count(elements: &[(String, Vec<(String, String)>)], tag: &str) -> usize {
    elements.iter().filter(|(found, _)| found == tag).count()
}

#[test]
fn a_full_report_has_all_its_parts() {
    let page = html(&samples::full());
    let elements = check(&page);
    // Three courses, then a workload and four operations, each with its table; and a drawing of a bar for each figure.
    assert_eq!(count(&elements, "figure"), 8);
    assert_eq!(count(&elements, "figcaption"), 8);
    assert_eq!(count(&elements, "rect"), 3 * 7);
    for part in [
        "longshore 0.1.0, 2026-11-21T09:00:00Z, 32.5 s, interrupted, 3 targets",
        "http://a.registry.example:5000",
        "Throughput",
        "push-streamed",
        "blob.patch",
        "come back later",
        "lost-bytes",
        "0.2 s PATCH 202 Range 0-1023",
        "alpha: 2 × AMD EPYC",
        "duration: 30s",
        "the run was interrupted",
        "2.00 s",
        "×1.00",
    ] {
        assert!(page.contains(part), "{part} is not in the page");
    }
}

#[test]
fn a_report_of_nothing_is_a_page_too() {
    let page = html(&samples::empty());
    assert_eq!(count(&check(&page), "figure"), 0);
    assert!(page.contains("None."));
    let mut idle = samples::full();
    for target in &mut idle.targets {
        (target.measured_seconds, target.server) = (0.0, None);
        (target.operations, target.workloads) = Default::default();
        target.timeline.clear();
        target.verification = Verification::default();
    }
    let page = html(&idle);
    check(&page);
    assert!(page.contains("No second was measured.") && page.contains("Nothing was checked."), "{page}");
}

#[test]
fn text_of_others_is_never_markup() {
    let hostile = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>\u{202e}\u{1b}[2J&lt;";
    let mut report = samples::full();
    report.tool = hostile.to_owned();
    report.started_at = hostile.to_owned();
    report.plan = serde_json::json!({ hostile: [hostile] });
    report.machines[0].cpu = hostile.to_owned();
    let target = &mut report.targets[0];
    (target.name, target.address) = (hostile.to_owned(), hostile.to_owned());
    target.errors = vec![ErrorCount {
        operation: hostile.to_owned(),
        status: 500,
        code: hostile.to_owned(),
        count: 1,
        example: hostile.to_owned(),
    }];
    let operation = target.operations["blob.patch"].clone();
    target.operations.insert(hostile.to_owned(), operation);
    target.stalls.ended.insert(hostile.to_owned(), 1);
    let finding = &mut target.verification.findings[0];
    for text in [&mut finding.repository, &mut finding.digest, &mut finding.detail, &mut finding.history[0]] {
        *text = hostile.to_owned();
    }
    let page = html(&report);
    check(&page);
    assert!(!page.contains("<script") && !page.contains("<img"), "markup of others");
    assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}'), "characters that steer");
    assert!(page.matches("&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;").count() > 20, "told nowhere");
}

#[test]
fn many_targets_long_names_and_huge_numbers_make_a_page() {
    let mut report = samples::full();
    report.duration_seconds = 1e300;
    report.targets = (0..12)
        .map(|number| {
            let mut target = samples::target(&format!("{}-{number}", "registry".repeat(12)));
            target.kind = if number == 11 { TargetKind::Control } else { TargetKind::Remote };
            target.timeline = vec![
                Sample {
                    at_seconds: 1e300,
                    bytes: u64::MAX,
                    requests: u64::MAX,
                    p99_us: u64::MAX,
                    ..Sample::default()
                },
                Sample { at_seconds: -1.0, ..Sample::default() },
                Sample { at_seconds: 7.0, bytes: u64::MAX, requests: u64::MAX, p99_us: u64::MAX, ..Sample::default() },
            ];
            target.server =
                Some(Process { peak_memory_bytes: u64::MAX, cpu_seconds_per_gib: Some(1e300), ..samples::process() });
            target
        })
        .collect();
    let page = html(&report);
    let elements = check(&page);
    let lines = elements
        .iter()
        .filter(|(_, attributes)| attributes.iter().any(|(name, value)| name == "class" && value.starts_with("line ")));
    assert_eq!(lines.count(), 12 * 8);
    assert!(page.len() < 1 << 20, "{} bytes", page.len());
}

#[test]
fn each_target_has_a_look_of_its_own() {
    let mut targets: Vec<Target> = (0..9).map(|number| samples::target(&number.to_string())).collect();
    targets[3].kind = TargetKind::Control;
    let colors: Vec<_> = targets.iter().map(|target| color(&targets, target)).collect();
    assert_eq!(colors, ["s0", "s1", "s2", "control", "s3", "s4", "s5", "s6", "s0 dashed"]);
}
