//! One function for each endpoint and method: reads the request, calls the service, shapes the answer.

mod base;
mod blobs;
mod catalog;
mod manifests;
mod referrers;
mod tags;
mod transfer;
mod uploads;

use actix_web::http::Method;

use super::answer::Answer;
use super::body::RequestBody;
use super::error::ApiError;
use super::routes::Route;
use super::server::Context;

/// Calls the handler of a route, whose method was checked against the table.
pub(super) async fn handle(context: &Context<'_>, route: Route, body: &mut RequestBody) -> Result<Answer, ApiError> {
    let method = context.request.method().clone();
    match route {
        Route::Base => Ok(base::get()),
        Route::Catalog => catalog::list(context).await,
        Route::Tags(name) => tags::list(context, &name).await,
        Route::Referrers(name, digest) => referrers::list(context, &name, digest).await,
        Route::Blob(name, digest) => match method {
            Method::DELETE => blobs::delete(context, &name, digest).await,
            _ => blobs::get(context, &name, digest).await,
        },
        Route::Manifest(name, reference) => match method {
            Method::PUT => manifests::put(context, &name, reference, body).await,
            Method::DELETE => manifests::delete(context, &name, reference).await,
            _ => manifests::get(context, &name, reference).await,
        },
        Route::Uploads(name) => uploads::start(context, &name, body).await,
        Route::Upload(name, id) => {
            let id = id.ok_or_else(ApiError::upload_unknown)?;
            match method {
                Method::PATCH => uploads::append(context, &name, id, body).await,
                Method::PUT => uploads::finish(context, &name, id, body).await,
                Method::DELETE => uploads::cancel(context, &name, id).await,
                _ => uploads::status(context, &name, id).await,
            }
        }
    }
}
