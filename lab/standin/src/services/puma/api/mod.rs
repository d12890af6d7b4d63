//! `/api/v4` and `/api/graphql`: what an instance is tried with, in the shapes, codes and permissions that
//! GitLab's documentation gives. What isn't here answers 404, as an unknown endpoint does.

mod auth;
mod ci;
mod deploy_keys;
mod export;
mod failure;
mod graphql;
mod groups;
mod instance;
mod issues;
mod lookup;
mod members;
mod merge_requests;
mod names;
mod packages;
mod page;
mod params;
mod personal_access_tokens;
mod projects;
mod repository;
mod sidekiq;
mod stored;
mod uploads;
mod users;

pub use failure::Failure;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::config::Config;
use crate::database::Pool;
use crate::database::projects::Project;
use crate::repositories::Repositories;

/// What every endpoint has at hand.
#[derive(Clone)]
pub struct Api {
    /// What reconfigure wrote.
    pub config: Arc<Config>,
    /// Connections to the database.
    pub pool: Pool,
}

impl Api {
    /// The Gitaly that has a project's repository.
    fn storage(&self, project: &Project) -> Result<Repositories<'_>, Failure> {
        let name = &project.repository_storage;
        let found = self.config.application.storages.get_key_value(name);
        let (name, storage) = found
            .ok_or_else(|| Failure::internal(format!("no Gitaly is configured for storage `{name}`")))?;
        Ok(Repositories::of(name, storage))
    }
}

/// The endpoints.
pub fn router(config: Arc<Config>) -> Router {
    let pool = Pool::new(config.database.clone());
    let api = Api { config, pool };
    let v4 = Router::new()
        .route("/version", get(instance::version))
        .route("/metadata", get(instance::metadata))
        .merge(personal_access_tokens::routes())
        .merge(users::routes())
        .merge(groups::routes())
        .merge(members::routes())
        .merge(projects::routes())
        .merge(deploy_keys::routes())
        .merge(uploads::routes())
        .merge(packages::routes())
        .merge(issues::routes())
        .merge(merge_requests::routes())
        .merge(repository::routes())
        .merge(ci::routes())
        .merge(export::routes())
        .merge(sidekiq::routes())
        .fallback(async || unknown())
        .method_not_allowed_fallback(async || {
            Failure::error(StatusCode::METHOD_NOT_ALLOWED, "405 Not Allowed")
        });
    Router::new()
        .nest("/api/v4", v4)
        .route("/api/graphql", post(graphql::answer))
        .route_layer(from_fn_with_state(api.clone(), auth::authenticate))
        .with_state(api)
}

fn unknown() -> Failure {
    Failure::error(StatusCode::NOT_FOUND, "404 Not Found")
}
