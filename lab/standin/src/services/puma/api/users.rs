//! Users (docs: api/users): who is there, and for administrators making and blocking them.

use axum::extract::{OriginalUri, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::auth;
use super::page::Page;
use super::params::Params;
use super::{Api, Failure, names};
use crate::database::users::{self, New, User};
use crate::database::{self, tokens::TokenUser};
use crate::secrets;

/// What a password's hash costs.
const COST: u32 = 10;

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/user", get(myself))
        .route("/users", get(list).post(create))
        .route("/users/{id}", get(show))
        .route("/users/{id}/block", post(async |api, user, id| state(api, user, id, true).await))
        .route("/users/{id}/unblock", post(async |api, user, id| state(api, user, id, false).await))
}

/// A user as others see it.
pub fn brief(api: &Api, id: i64, username: &str, name: &str) -> Value {
    json!({
        "id": id,
        "username": username,
        "name": name,
        "state": "active",
        "locked": false,
        "avatar_url": null,
        "web_url": format!("{}/{username}", api.config.application.origin),
    })
}

/// A user as users and administrators see themselves and others.
fn shown(api: &Api, user: &User, whole: bool) -> Value {
    let mut shown = brief(api, user.id, &user.username, &user.name);
    shown["state"] = json!(user.state);
    shown["created_at"] = json!(user.created_at);
    if whole {
        shown["email"] = json!(user.email);
        shown["bot"] = json!(false);
        shown["external"] = json!(false);
        shown["two_factor_enabled"] = json!(false);
        shown["can_create_group"] = json!(true);
        shown["can_create_project"] = json!(true);
        if user.admin {
            shown["is_admin"] = json!(true);
        }
    }
    shown
}

async fn find(api: &Api, id: i64) -> Result<User, Failure> {
    let client = api.pool.take().await?;
    users::by_id(&*client, id).await?.ok_or_else(|| Failure::not_found("User"))
}

async fn myself(State(api): State<Api>, auth::User(user): auth::User) -> Result<Json<Value>, Failure> {
    let myself = find(&api, user.user_id).await?;
    Ok(Json(shown(&api, &myself, true)))
}

async fn show(
    State(api): State<Api>,
    auth::User(caller): auth::User,
    Path(id): Path<i64>,
) -> Result<Json<Value>, Failure> {
    let user = find(&api, id).await?;
    Ok(Json(shown(&api, &user, caller.admin)))
}

async fn list(
    State(api): State<Api>,
    auth::User(caller): auth::User,
    OriginalUri(uri): OriginalUri,
    params: Params,
) -> Result<Response, Failure> {
    let page = Page::of(&params)?;
    let client = api.pool.take().await?;
    let (found, total) = users::list(&*client, params.text("username").as_deref(), page.limits()).await?;
    let items = found.iter().map(|user| shown(&api, user, caller.admin)).collect();
    Ok(page.answer(&api, &uri, items, total))
}

fn administrator(user: &TokenUser) -> Result<(), Failure> {
    if user.admin { Ok(()) } else { Err(Failure::forbidden()) }
}

async fn create(
    State(api): State<Api>,
    auth::User(caller): auth::User,
    params: Params,
) -> Result<Response, Failure> {
    administrator(&caller)?;
    params.need(&["email", "name", "username"])?;
    params.not_stood_in(&["reset_password"])?;
    let (email, name) = (params.required("email")?, params.required("name")?);
    let username = params.required("username")?;
    names::check(&username).map_err(|reason| Failure::validation("username", &[reason]))?;
    let password = match (params.flag("force_random_password")?, params.text("password")) {
        (Some(true), _) => secrets::password(),
        (_, Some(password)) => password,
        _ => {
            let why = "password, reset_password, force_random_password are missing, at least one parameter must be \
                       provided";
            return Err(Failure::bad_parameter(why));
        }
    };
    database::check_password(&password)
        .map_err(|_| Failure::validation("password", &["must have at least 8 and at most 128 characters"]))?;
    // Hashing takes long on purpose.
    let hashed = tokio::task::spawn_blocking(move || bcrypt::hash(password, COST)).await;
    let hash = hashed.map_err(|error| Failure::internal(error.to_string()))?;
    let hash = hash.map_err(|error| Failure::internal(error.to_string()))?;
    let new = New {
        username: &username,
        name: &name,
        email: &email,
        admin: params.flag("admin")?.unwrap_or(false),
        encrypted_password: &hash,
    };
    let mut client = api.pool.take().await?;
    match users::create(&mut client, &new).await? {
        Ok(user) => Ok((StatusCode::CREATED, Json(shown(&api, &user, true))).into_response()),
        Err(taken) => Err(Failure::message(StatusCode::CONFLICT, taken)),
    }
}

async fn state(
    State(api): State<Api>,
    auth::User(caller): auth::User,
    Path(id): Path<i64>,
    blocked: bool,
) -> Result<Response, Failure> {
    administrator(&caller)?;
    if id == caller.user_id {
        return Err(Failure::message(
            StatusCode::FORBIDDEN,
            "403 Forbidden - The API initiating user can not be blocked by the API",
        ));
    }
    let client = api.pool.take().await?;
    if users::block(&*client, id, blocked).await? {
        Ok((StatusCode::CREATED, Json(json!(true))).into_response())
    } else {
        Err(Failure::not_found("User"))
    }
}
