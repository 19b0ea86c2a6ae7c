//! `/v2/`: whether this is a registry.
//!
//! Source: distribution-spec, end-1.

use actix_web::http::StatusCode;
use serde_json::json;

use crate::http::answer::Answer;

/// `GET`: yes.
pub(super) fn get() -> Answer {
    Answer::json(StatusCode::OK, &json!({}))
}
