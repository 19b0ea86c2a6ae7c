//! From a file and flags to a plan.

use serde_json::{Map, Value};

use super::{Plan, PlanError, WorkloadPlan, check};

/// What a flag sets.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The flag as it is written: `--workers`.
    pub flag: &'static str,
    /// The key that it sets: `shape.workers`.
    pub key: &'static str,
    /// The value in the form of the file.
    pub value: Value,
}

impl Plan {
    /// Reads a plan file's text, and puts flags over it. `name` is what errors call the file.
    ///
    /// # Errors
    /// Text that is no YAML, an unknown key, a value of the wrong form, or values that contradict each other; the error
    /// names the key and where its value came from.
    pub fn read(file: Option<(&str, &str)>, flags: &[Setting]) -> Result<Plan, PlanError> {
        let mut tree = serde_json::to_value(Plan::default()).expect("a plan is made of plain JSON values");
        if let Some((name, text)) = file {
            let document = read_document(text).map_err(|error| error.from(name))?;
            // By itself first, so that what is wrong in the file is told as the file's.
            let mut of_file = tree.clone();
            overlay(&mut of_file, document);
            typed(of_file.clone()).map_err(|error| error.from(name))?;
            tree = of_file;
        }
        for setting in flags {
            set(&mut tree, setting.key, setting.value.clone());
        }
        let origin = |error: PlanError| match flags.iter().find(|setting| error.is_at_or_below(setting.key)) {
            Some(setting) => error.from(setting.flag),
            None => error,
        };
        let plan = typed(tree).map_err(origin)?;
        check::check(&plan).map_err(origin)?;
        Ok(plan)
    }
}

fn read_document(text: &str) -> Result<Map<String, Value>, PlanError> {
    let document: Option<Value> = serde_saphyr::from_str(text).map_err(|error| {
        let told = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
        PlanError::whole(format!("is not well-formed YAML: {}", told.replace(" --> <input>:", " --> line ")))
    })?;
    match document {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(document)) => Ok(document),
        Some(_) => Err(PlanError::whole("is not a mapping of keys to values")),
    }
}

/// Sections are laid over sections, everything else takes the place of what was there.
fn overlay(tree: &mut Value, document: Map<String, Value>) {
    for (key, value) in document {
        match (tree.get_mut(&key), value) {
            (Some(section @ Value::Object(_)), Value::Object(inner)) => overlay(section, inner),
            // A section whose keys are all commented out.
            (Some(Value::Object(_) | Value::Array(_)), Value::Null) => {}
            (_, value) => tree[key] = value,
        }
    }
}

fn set(tree: &mut Value, key: &str, value: Value) {
    let mut node = tree;
    for name in key.split('.') {
        node = &mut node[name];
    }
    *node = value;
}

fn typed(mut tree: Value) -> Result<Plan, PlanError> {
    // One by one, so that errors name the key within a workload.
    let workloads = match tree.get_mut("workloads").map(Value::take) {
        Some(Value::Array(workloads)) => workloads,
        _ => return Err(PlanError::at("workloads", "is not a list, such as [push-streamed, resume]")),
    };
    tree["workloads"] = Value::Array(Vec::new());
    let mut plan: Plan = serde_path_to_error::deserialize(tree).map_err(PlanError::of_serde)?;
    for (index, section) in workloads.into_iter().enumerate() {
        let workload = WorkloadPlan::read(section).map_err(|error| error.below(&format!("workloads[{index}]")))?;
        plan.workloads.push(workload);
    }
    Ok(plan)
}

#[cfg(test)]
mod tests;
