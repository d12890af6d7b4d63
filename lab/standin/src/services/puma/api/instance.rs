//! What the instance says about itself and about the caller.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Api;
use super::auth::User;

fn version_of(api: &Api) -> String {
    format!("{}-ee", api.config.application.version)
}

/// Eleven digits, as a commit of GitLab's would have. There is none, so the version makes them.
fn revision(version: &str) -> String {
    crate::hex(&Sha256::digest(version.as_bytes())).chars().take(11).collect()
}

/// `GET /version`
pub async fn version(State(api): State<Api>, User(_): User) -> Json<Value> {
    let version = version_of(&api);
    let revision = revision(&version);
    Json(json!({"version": version, "revision": revision}))
}

/// `GET /metadata`
pub async fn metadata(State(api): State<Api>, User(_): User) -> Json<Value> {
    Json(metadata_of(&api))
}

/// What REST and GraphQL both show.
pub fn metadata_of(api: &Api) -> Value {
    let version = version_of(api);
    json!({
        "revision": revision(&version),
        "version": version,
        "kas": {"enabled": false, "externalUrl": null, "externalK8sProxyUrl": null, "version": null},
        "enterprise": true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_stable() {
        assert_eq!(revision("19.3.0-ee").len(), 11);
        assert_eq!(revision("19.3.0-ee"), revision("19.3.0-ee"));
    }
}
