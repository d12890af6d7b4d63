//! Runners, pipelines and jobs: there are none, because nothing stands in for CI. The lists are empty, as they
//! are on an instance without a runner, and a single one is not found.

use axum::Router;
use axum::extract::{OriginalUri, Path, State};
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;

use super::auth::Caller;
use super::page::Page;
use super::params::Params;
use super::{Api, Failure, lookup};
use crate::database::access::{MAINTAINER, REPORTER};

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/projects/{id}/runners", get(runners))
        .route("/projects/{id}/pipelines", get(pipelines))
        .route("/projects/{id}/jobs", get(pipelines))
        .route("/projects/{id}/pipelines/{*rest}", get(no_such))
        .route("/projects/{id}/jobs/{*rest}", get(no_such))
}

async fn none(
    api: &Api,
    caller: &Caller,
    (id, needed): (&str, i32),
    uri: &Uri,
    params: &Params,
) -> Result<Response, Failure> {
    let page = Page::of(params)?;
    lookup::project(&*api.pool.take().await?, caller, id, needed).await?;
    Ok(page.answer(api, uri, Vec::new(), 0))
}

async fn runners(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    OriginalUri(uri): OriginalUri,
    params: Params,
) -> Result<Response, Failure> {
    none(&api, &caller, (&id, MAINTAINER), &uri, &params).await
}

async fn pipelines(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    OriginalUri(uri): OriginalUri,
    params: Params,
) -> Result<Response, Failure> {
    none(&api, &caller, (&id, REPORTER), &uri, &params).await
}

async fn no_such(
    State(api): State<Api>,
    caller: Caller,
    Path((id, _)): Path<(String, String)>,
) -> Result<Response, Failure> {
    lookup::code(&*api.pool.take().await?, &caller, &id).await?;
    Err(Failure::not_found(""))
}
