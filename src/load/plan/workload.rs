use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use super::{
    Cancel, Contend, HeadMany, ImagePull, ImagePush, PlanError, PullRanges, PushChunked, Replay, Resume, Sizes, Stall,
    TagsList, Trace,
};

/// A workload and how often it is done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkloadPlan {
    /// How often, compared with the others of the plan.
    pub weight: f64,
    /// What.
    #[serde(flatten)]
    pub workload: Workload,
}

/// One kind of task. In a plan: `kind: push-chunked`, and beside it the parameters.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Workload {
    /// POST, then a PUT with the whole blob and its length.
    PushMonolithic,
    /// One POST with the whole blob and its digest.
    PushSinglePost,
    /// POST, a PATCH without a length (chunked coding), an empty PUT: as docker does.
    PushStreamed,
    /// POST, PATCH after PATCH with a `Content-Range`, PUT.
    PushChunked(PushChunked),
    /// A push that is cut, asks for the offset and goes on.
    Resume(Resume),
    /// A push that drips, or stands still for a time.
    Stall(Stall),
    /// A push, parts of which are sent again although they were answered.
    Replay(Replay),
    /// Several clients push one digest, or write to one upload.
    Contend(Contend),
    /// A blob that another repository of the run has is mounted.
    Mount,
    /// An upload is begun, written to and cancelled.
    Cancel(Cancel),
    /// A blob is pulled whole.
    PullWhole,
    /// A blob is pulled by ranges.
    PullRanges(PullRanges),
    /// Blobs are looked up.
    HeadMany(HeadMany),
    /// A manifest is pulled by its tag.
    ManifestByTag,
    /// The tags of a repository are listed.
    TagsList(TagsList),
    /// A whole image is pushed: layers, configuration, manifest, tag.
    ImagePush(ImagePush),
    /// A whole image is pulled.
    ImagePull(ImagePull),
    /// Single requests, mostly pulls, as production registries see them.
    Trace(Trace),
}

impl Workload {
    /// The names of all, as a plan and a report write them.
    pub const NAMES: [&'static str; 18] = [
        "push-monolithic",
        "push-single-post",
        "push-streamed",
        "push-chunked",
        "resume",
        "stall",
        "replay",
        "contend",
        "mount",
        "cancel",
        "pull-whole",
        "pull-ranges",
        "head-many",
        "manifest-by-tag",
        "tags-list",
        "image-push",
        "image-pull",
        "trace",
    ];

    /// Its name, as a plan and a report write it.
    pub fn name(&self) -> &'static str {
        match self {
            Workload::PushMonolithic => "push-monolithic",
            Workload::PushSinglePost => "push-single-post",
            Workload::PushStreamed => "push-streamed",
            Workload::PushChunked(_) => "push-chunked",
            Workload::Resume(_) => "resume",
            Workload::Stall(_) => "stall",
            Workload::Replay(_) => "replay",
            Workload::Contend(_) => "contend",
            Workload::Mount => "mount",
            Workload::Cancel(_) => "cancel",
            Workload::PullWhole => "pull-whole",
            Workload::PullRanges(_) => "pull-ranges",
            Workload::HeadMany(_) => "head-many",
            Workload::ManifestByTag => "manifest-by-tag",
            Workload::TagsList(_) => "tags-list",
            Workload::ImagePush(_) => "image-push",
            Workload::ImagePull(_) => "image-pull",
            Workload::Trace(_) => "trace",
        }
    }

    /// How many new blobs one task needs, and of which sizes where not of the content's: they are made before it begins.
    pub fn new_blobs(&self) -> (usize, Option<&Sizes>) {
        match self {
            Workload::PushMonolithic
            | Workload::PushSinglePost
            | Workload::PushStreamed
            | Workload::PushChunked(_)
            | Workload::Resume(_)
            | Workload::Stall(_)
            | Workload::Replay(_)
            | Workload::Contend(_)
            | Workload::Cancel(_) => (1, None),
            Workload::ImagePush(image) => (image.layers as usize, image.layer_sizes.as_ref()),
            Workload::Mount
            | Workload::PullWhole
            | Workload::PullRanges(_)
            | Workload::HeadMany(_)
            | Workload::ManifestByTag
            | Workload::TagsList(_)
            | Workload::ImagePull(_)
            | Workload::Trace(_) => (0, None),
        }
    }

    /// Whether it needs blobs that were pushed before.
    pub fn needs_blobs(&self) -> bool {
        use Workload::*;
        matches!(self, Mount | PullWhole | PullRanges(_) | HeadMany(_) | Trace(_))
    }

    /// Whether it needs images that were pushed before.
    pub fn needs_images(&self) -> bool {
        matches!(self, Workload::ManifestByTag | Workload::TagsList(_) | Workload::ImagePull(_) | Workload::Trace(_))
    }

    /// Whether the raw control offers what it needs: blobs, and no manifests, mounts or limits.
    pub fn suits_control(&self) -> bool {
        use Workload::*;
        matches!(
            self,
            PushMonolithic
                | PushSinglePost
                | PushStreamed
                | PushChunked(_)
                | Cancel(_)
                | PullWhole
                | PullRanges(_)
                | HeadMany(_)
        )
    }

    /// Reads one by its name and its parameters.
    pub(super) fn read(name: &str, parameters: Map<String, Value>) -> Result<Self, PlanError> {
        Ok(match name {
            "push-monolithic" => without_parameters(Workload::PushMonolithic, parameters)?,
            "push-single-post" => without_parameters(Workload::PushSinglePost, parameters)?,
            "push-streamed" => without_parameters(Workload::PushStreamed, parameters)?,
            "push-chunked" => Workload::PushChunked(with_parameters(parameters)?),
            "resume" => Workload::Resume(with_parameters(parameters)?),
            "stall" => Workload::Stall(with_parameters(parameters)?),
            "replay" => Workload::Replay(with_parameters(parameters)?),
            "contend" => Workload::Contend(with_parameters(parameters)?),
            "mount" => without_parameters(Workload::Mount, parameters)?,
            "cancel" => Workload::Cancel(with_parameters(parameters)?),
            "pull-whole" => without_parameters(Workload::PullWhole, parameters)?,
            "pull-ranges" => Workload::PullRanges(with_parameters(parameters)?),
            "head-many" => Workload::HeadMany(with_parameters(parameters)?),
            "manifest-by-tag" => without_parameters(Workload::ManifestByTag, parameters)?,
            "tags-list" => Workload::TagsList(with_parameters(parameters)?),
            "image-push" => Workload::ImagePush(with_parameters(parameters)?),
            "image-pull" => Workload::ImagePull(with_parameters(parameters)?),
            "trace" => Workload::Trace(with_parameters(parameters)?),
            _ => {
                let problem = format!("there is no {name:?}; there are {}", Workload::NAMES.join(", "));
                return Err(PlanError::at("kind", problem));
            }
        })
    }
}

fn without_parameters(workload: Workload, parameters: Map<String, Value>) -> Result<Workload, PlanError> {
    match parameters.keys().next() {
        Some(key) => Err(PlanError::at(key, format!("is not a key; {workload} has only kind and weight"))),
        None => Ok(workload),
    }
}

fn with_parameters<P: DeserializeOwned>(parameters: Map<String, Value>) -> Result<P, PlanError> {
    serde_path_to_error::deserialize(Value::Object(parameters)).map_err(PlanError::of_serde)
}

impl WorkloadPlan {
    /// Reads one from its section of a plan.
    pub(super) fn read(section: Value) -> Result<Self, PlanError> {
        if let Value::String(kind) = &section {
            return Ok(WorkloadPlan { weight: 1.0, workload: Workload::read(kind, Map::new())? });
        }
        let Value::Object(mut section) = section else {
            return Err(PlanError::whole("is neither a kind nor a section with a kind"));
        };
        let weight = match section.remove("weight") {
            None => 1.0,
            Some(weight) => weight.as_f64().ok_or_else(|| PlanError::at("weight", format!("{weight} is no number")))?,
        };
        let kind = match section.remove("kind") {
            Some(Value::String(kind)) => kind,
            _ => return Err(PlanError::at("kind", format!("is missing; there are {}", Workload::NAMES.join(", ")))),
        };
        Ok(WorkloadPlan { weight, workload: Workload::read(&kind, section)? })
    }
}

impl<'de> Deserialize<'de> for WorkloadPlan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        WorkloadPlan::read(Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
