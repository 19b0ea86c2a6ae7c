//! What is told in words and tables: targets, errors, findings, machines, plan.

use serde_json::Value;

use super::writer::Html;
use super::{counted, named, table};
use crate::load::report::figures::percent;
use crate::load::report::summary::{further_table, of_machine, of_turns};
use crate::load::report::{Finding, Process, Report, Target};
use crate::text::{count, latency, size};

pub(super) fn targets(html: &mut Html, report: &Report) {
    html.element("section", &[("aria-labelledby", "targets")], |html| {
        html.leaf("h2", &[("id", "targets")], "Targets");
        if report.targets.is_empty() {
            html.leaf("p", &[], "None.");
            return;
        }
        html.element("ul", &[("class", "targets")], |html| {
            for target in &report.targets {
                html.element("li", &[], |html| {
                    html.element("b", &[], |html| named(html, &report.targets, target));
                    html.text(" ");
                    html.leaf("code", &[], &target.address);
                    html.text(&format!(" {}", of_turns(target)));
                });
            }
        });
    });
}

/// Cuts, stalls, connections and looks.
pub(super) fn further(html: &mut Html, targets: &[Target]) {
    html.element("section", &[("aria-labelledby", "further")], |html| {
        html.leaf("h2", &[("id", "further")], "Cuts, stalls, connections, checks");
        let (titles, rows) = further_table(targets).into_parts();
        let titles: Vec<&str> = [""].into_iter().chain(titles.iter().map(String::as_str)).collect();
        table(html, "Cuts, stalls, connections, checks", &titles, &rows);
    });
}

pub(super) fn errors(html: &mut Html, targets: &[Target]) {
    html.element("section", &[("aria-labelledby", "errors")], |html| {
        html.leaf("h2", &[("id", "errors")], "Errors");
        let all = targets.iter().flat_map(|target| target.errors.iter().map(move |error| (target, error)));
        let rows: Vec<_> = all
            .map(|(target, error)| {
                let status = if error.status == 0 { "–".to_owned() } else { error.status.to_string() };
                let operation = error.operation.clone();
                let cells = [target.name.clone(), operation, status, error.code.clone(), count(error.count)];
                cells.into_iter().chain([error.example.clone()]).collect()
            })
            .collect();
        match rows.is_empty() {
            true => html.leaf("p", &[], "None."),
            false => {
                let titles = ["Target", "Operation", "Status", "Code", "How many", "Message of one"];
                html.element("div", &[("class", "words")], |html| table(html, "Errors by kind", &titles, &rows));
            }
        }
    });
}

pub(super) fn findings(html: &mut Html, targets: &[Target]) {
    html.element("section", &[("aria-labelledby", "findings")], |html| {
        html.leaf("h2", &[("id", "findings")], "Findings");
        let checked: u64 = targets.iter().map(|target| target.verification.looked_up).fold(0, u64::saturating_add);
        let found: Vec<_> = targets.iter().filter(|target| target.verification.found > 0).collect();
        if found.is_empty() {
            let sentence = match checked {
                0 => "Nothing was checked.".to_owned(),
                checked => {
                    format!("None: {} blobs that were acknowledged were looked up, and are there.", count(checked))
                }
            };
            html.leaf("p", &[], &sentence);
        }
        for target in found {
            let verification = &target.verification;
            html.leaf("h3", &[], &target.name);
            html.leaf(
                "p",
                &[],
                &format!(
                    "{} found wrong of {} blobs that were looked up and {} that were compared.",
                    count(verification.found),
                    count(verification.looked_up),
                    count(verification.pulled)
                ),
            );
            verification.findings.iter().for_each(|found| finding(html, found));
            let more = verification.found.saturating_sub(verification.findings.len() as u64);
            if more > 0 {
                html.leaf("p", &[], &format!("{} more were counted and not kept.", count(more)));
            }
        }
    });
}

fn finding(html: &mut Html, finding: &Finding) {
    html.element("details", &[("class", "finding")], |html| {
        html.element("summary", &[], |html| {
            html.leaf("b", &[], finding.kind.as_str());
            html.text(&format!(" {} ", finding.repository));
            html.leaf("code", &[], &finding.digest);
        });
        html.leaf("p", &[], &finding.detail);
        html.element("ol", &[], |html| finding.history.iter().for_each(|line| html.leaf("li", &[], line)));
    });
}

pub(super) fn machines(html: &mut Html, report: &Report) {
    html.element("section", &[("aria-labelledby", "machines")], |html| {
        html.leaf("h2", &[("id", "machines")], &format!("Load from {}", counted(report.machines.len(), "machine")));
        html.element("ul", &[], |html| {
            report.machines.iter().for_each(|machine| html.leaf("li", &[], &of_machine(machine)));
        });
        let mut processes = vec![("load tester", &report.generator)];
        let servers = report.targets.iter().filter_map(|target| Some((target.name.as_str(), target.server.as_ref()?)));
        processes.extend(servers);
        let titles: Vec<&str> = [""].into_iter().chain(processes.iter().map(|(name, _)| *name)).collect();
        table(html, "What processes used", &titles, &process_rows(&processes));
    });
}

type Used = (&'static str, fn(&Process) -> String);

const USED: [Used; 11] = [
    ("CPU, own code", |process| format!("{:.2} s", process.user_cpu_seconds)),
    ("CPU, kernel", |process| format!("{:.2} s", process.system_cpu_seconds)),
    ("CPU per GiB", |process| process.cpu_seconds_per_gib.map_or("–".to_owned(), |value| format!("{value:.3} s"))),
    ("CPU per request", |process| process.cpu_us_per_request.map_or("–".to_owned(), latency)),
    ("Share of the machine", |process| percent(process.cpu_share)),
    ("Memory, peak", |process| size(process.peak_memory_bytes)),
    ("Memory, mean", |process| size(process.mean_memory_bytes)),
    ("Read from disk", |process| size(process.read_bytes)),
    ("Written to disk", |process| size(process.written_bytes)),
    ("Waited", |process| count(process.voluntary_switches)),
    ("Was made to wait", |process| count(process.involuntary_switches)),
];

fn process_rows(processes: &[(&str, &Process)]) -> Vec<Vec<String>> {
    let row = |(title, show): &Used| {
        let shown = processes.iter().map(|(_, process)| show(process));
        std::iter::once((*title).to_owned()).chain(shown).collect()
    };
    USED.iter().map(row).collect()
}

pub(super) fn plan(html: &mut Html, plan: &Value) {
    html.element("section", &[("aria-labelledby", "plan")], |html| {
        html.leaf("h2", &[("id", "plan")], "Plan");
        let plans = match plan {
            Value::Array(plans) => plans.as_slice(),
            one => std::slice::from_ref(one),
        };
        for plan in plans {
            // What was to be done is read most easily in the form in which it is written.
            let text = serde_saphyr::to_string(plan).or_else(|_| serde_json::to_string_pretty(plan));
            let attributes = [("tabindex", "0"), ("role", "region"), ("aria-label", "Plan")];
            html.leaf("pre", &attributes, &text.unwrap_or_default());
        }
    });
}
