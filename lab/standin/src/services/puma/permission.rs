//! Who may fetch from and push to a project, whichever way they came: with a token over HTTP, with a key over SSH.
//! The words are those that git's user reads.

use crate::database::Client;
use axum::http::StatusCode;

use crate::config::Config;
use crate::database::access::{self, DEVELOPER, INTERNAL, REPORTER};
use crate::database::projects::Project;
use crate::database::tokens::{TokenUser, Validity};
use crate::database::{Error, projects};
use crate::repositories::Actor;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Clone, fetch, download.
    Fetch,
    /// Push, upload.
    Push,
}

/// A deploy key.
#[derive(Debug, Clone)]
pub struct DeployKey {
    /// Its id.
    pub id: i64,
    /// The project that it opens, and whether it may push there, one pair a project.
    pub projects: Vec<(i64, bool)>,
}

/// Who asks.
#[derive(Debug, Clone)]
pub enum Who {
    /// Nobody that is known.
    Anybody,
    /// A user.
    User(Box<TokenUser>),
    /// A deploy key.
    Key(DeployKey),
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// HTTP's status.
    pub status: StatusCode,
    /// The reason.
    pub reason: &'static str,
}

/// There is no such project, or none that the asker may know of.
pub const NOT_FOUND: Denied = Denied {
    status: StatusCode::NOT_FOUND,
    reason: "The project you were looking for could not be found or you don't have permission to view it.",
};

const fn forbidden(reason: &'static str) -> Denied {
    Denied { status: StatusCode::FORBIDDEN, reason }
}

/// The identity of a key that has expired.
pub const EXPIRED_KEY: Denied = forbidden("Your SSH key has expired.");

impl Who {
    /// What the hooks know them by.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Anybody => String::new(),
            Self::User(user) => format!("user-{}", user.user_id),
            Self::Key(key) => format!("key-{}", key.id),
        }
    }

    /// The user's name; a deploy key has none.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::User(user) => Some(&user.username),
            Self::Anybody | Self::Key(_) => None,
        }
    }

    /// Them in this project, for Gitaly and its hooks.
    #[must_use]
    pub fn actor(&self, project: &Project, protocol: &str) -> Actor {
        Actor {
            id: self.identity(),
            repository: format!("project-{}", project.id),
            project_path: project.full_path.clone(),
            username: self.username().unwrap_or_default().to_owned(),
            protocol: protocol.to_owned(),
        }
    }
}

/// The project, when it is there and the asker may do this to it.
pub async fn project(
    client: &Client,
    who: &Who,
    path: &str,
    action: Action,
) -> Result<Result<Project, Denied>, Error> {
    let found = match path.strip_prefix("project-").and_then(|id| id.parse().ok()) {
        Some(id) => projects::by_id(client, id).await?,
        None => projects::by_path(client, path).await?,
    };
    let Some(project) = found else { return Ok(Err(NOT_FOUND)) };
    let role = match who {
        Who::User(user) => access::to_project(client, user, &project).await?,
        Who::Anybody | Who::Key(_) => 0,
    };
    Ok(decide(who, role, project.id, project.visibility_level, action).map(|()| project))
}

fn decide(who: &Who, role: i32, project: i64, visibility: i32, action: Action) -> Result<(), Denied> {
    match who {
        Who::Key(key) => {
            let grant = key.projects.iter().find(|(id, _)| *id == project);
            match (grant, action) {
                (None, _) => Err(NOT_FOUND),
                (Some((_, false)), Action::Push) => {
                    Err(forbidden("This deploy key does not have write access to this project."))
                }
                (Some(_), _) => Ok(()),
            }
        }
        Who::User(user) if user.blocked => Err(forbidden("Your account has been blocked.")),
        Who::Anybody | Who::User(_) => {
            let known = matches!(who, Who::User(_));
            if !access::shows(visibility, known, role) {
                return Err(NOT_FOUND);
            }
            match action {
                Action::Fetch if role >= REPORTER || visibility >= INTERNAL => Ok(()),
                Action::Fetch => Err(forbidden("You are not allowed to download code from this project.")),
                Action::Push if role >= DEVELOPER => Ok(()),
                Action::Push => Err(forbidden("You are not allowed to push code to this project.")),
            }
        }
    }
}

const KEY: &str = "
SELECT k.id, k.type IS NOT NULL AS deploy, coalesce(k.expires_at <= now(), false) AS expired,
       u.id AS user_id, u.username, u.name, u.admin, u.state <> 'active' AS blocked,
       ARRAY(SELECT project_id FROM deploy_keys_projects WHERE deploy_key_id = k.id ORDER BY project_id) AS projects,
       ARRAY(SELECT can_push FROM deploy_keys_projects WHERE deploy_key_id = k.id ORDER BY project_id) AS pushes
FROM keys k LEFT JOIN users u ON u.id = k.user_id WHERE k.id = $1";

/// Who shows a key.
pub async fn by_key(client: &Client, id: i64) -> Result<Result<Who, Denied>, Error> {
    let Some(row) = client.query_opt(KEY, &[&id]).await? else { return Ok(Err(NOT_FOUND)) };
    if row.get("expired") {
        return Ok(Err(EXPIRED_KEY));
    }
    if row.get("deploy") {
        let projects: Vec<i64> = row.get("projects");
        let pushes: Vec<bool> = row.get("pushes");
        return Ok(Ok(Who::Key(DeployKey { id, projects: projects.into_iter().zip(pushes).collect() })));
    }
    Ok(row.get::<_, Option<i64>>("user_id").map(|_| Who::User(Box::new(user(&row)))).ok_or(NOT_FOUND))
}

/// A user by id, for what was authorised before.
pub async fn by_user(client: &Client, id: i64) -> Result<Result<Who, Denied>, Error> {
    let sql = "SELECT id AS user_id, username, name, admin, state <> 'active' AS blocked
               FROM users WHERE id = $1";
    let row = client.query_opt(sql, &[&id]).await?;
    Ok(row.map(|row| Who::User(Box::new(user(&row)))).ok_or(NOT_FOUND))
}

/// A user who came without a token: what a token's scopes would narrow is open.
fn user(row: &tokio_postgres::Row) -> TokenUser {
    TokenUser {
        token_id: 0,
        scopes: vec!["api".to_owned()],
        validity: Validity::Active,
        user_id: row.get("user_id"),
        username: row.get("username"),
        name: row.get("name"),
        admin: row.get("admin"),
        blocked: row.get("blocked"),
    }
}

/// The Gitaly that holds a project's repository, as it is named to those who ask it themselves.
#[must_use]
pub fn gitaly(config: &Config, project: &Project) -> serde_json::Value {
    let storage = config.application.storages.get(&project.repository_storage);
    serde_json::json!({
        "repository": {
            "storage_name": project.repository_storage,
            "relative_path": project.repository(),
            "gl_repository": format!("project-{}", project.id),
            "gl_project_path": project.full_path,
        },
        "address": storage.map(|storage| storage.gitaly_address.as_str()),
        "token": storage.map(|storage| storage.gitaly_token.as_str()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::access::{GUEST, PRIVATE, PUBLIC};

    fn someone() -> Who {
        Who::User(Box::new(TokenUser {
            token_id: 1,
            scopes: Vec::new(),
            validity: Validity::Active,
            user_id: 7,
            username: "ada".into(),
            name: "Ada".into(),
            admin: false,
            blocked: false,
        }))
    }

    #[test]
    fn a_private_project_opens_by_role() {
        let ask = |role, action| decide(&someone(), role, 1, PRIVATE, action);
        assert_eq!(ask(0, Action::Fetch), Err(NOT_FOUND));
        assert_eq!(ask(GUEST, Action::Fetch).expect_err("a guest").status, StatusCode::FORBIDDEN);
        assert!(ask(REPORTER, Action::Fetch).is_ok());
        assert!(ask(REPORTER, Action::Push).is_err());
        assert!(ask(DEVELOPER, Action::Push).is_ok());
    }

    #[test]
    fn everybody_fetches_what_is_public_and_nobody_pushes() {
        assert!(decide(&Who::Anybody, 0, 1, PUBLIC, Action::Fetch).is_ok());
        assert!(decide(&Who::Anybody, 0, 1, PUBLIC, Action::Push).is_err());
        assert_eq!(decide(&Who::Anybody, 0, 1, INTERNAL, Action::Fetch), Err(NOT_FOUND));
    }

    #[test]
    fn a_deploy_key_opens_its_projects_only() {
        let key = Who::Key(DeployKey { id: 3, projects: vec![(1, false), (2, true)] });
        let ask = |project, action| decide(&key, 0, project, PRIVATE, action);
        assert!(ask(1, Action::Fetch).is_ok());
        let refused = ask(1, Action::Push).expect_err("it may only read");
        assert_eq!(refused.reason, "This deploy key does not have write access to this project.");
        assert!(ask(2, Action::Push).is_ok());
        assert_eq!(ask(3, Action::Fetch), Err(NOT_FOUND));
        assert_eq!(key.identity(), "key-3");
    }

    #[test]
    fn a_blocked_user_is_told_so() {
        let Who::User(mut user) = someone() else { unreachable!() };
        user.blocked = true;
        let refused = decide(&Who::User(user), DEVELOPER, 1, PUBLIC, Action::Fetch).expect_err("blocked");
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
    }
}
