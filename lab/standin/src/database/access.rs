//! Who may do what: the highest role that a user has in a project or a group, with what groups above give.

use super::GenericClient;

use super::tokens::TokenUser;
use super::{Error, groups::Group, projects::Project};

/// Roles (docs: `api/members`, "Roles").
pub const GUEST: i32 = 10;
/// May read the code of a private project.
pub const REPORTER: i32 = 20;
/// May push and merge.
pub const DEVELOPER: i32 = 30;
/// May configure.
pub const MAINTAINER: i32 = 40;
/// May delete.
pub const OWNER: i32 = 50;

/// Visible to members only.
pub const PRIVATE: i32 = 0;
/// Visible to whoever is signed in.
pub const INTERNAL: i32 = 10;
/// Visible to everybody.
pub const PUBLIC: i32 = 20;

const NAMESPACE: &str = "
WITH RECURSIVE up AS (
  SELECT id, parent_id, owner_id FROM namespaces WHERE id = $2
  UNION ALL
  SELECT n.id, n.parent_id, n.owner_id FROM namespaces n JOIN up ON n.id = up.parent_id)
SELECT greatest(
  (SELECT coalesce(max(access_level), 0) FROM members
   WHERE user_id = $1 AND ((source_type = 'Namespace' AND source_id IN (SELECT id FROM up))
                           OR (source_type = 'Project' AND source_id = $3))),
  CASE WHEN EXISTS (SELECT 1 FROM up WHERE owner_id = $1) THEN 50 ELSE 0 END)";

/// The role in a project; 0 is none. An administrator is an owner everywhere.
pub async fn to_project(
    client: &impl GenericClient,
    user: &TokenUser,
    project: &Project,
) -> Result<i32, Error> {
    role(client, user, project.namespace_id, project.id).await
}

/// The role in a group; 0 is none.
pub async fn to_group(client: &impl GenericClient, user: &TokenUser, group: &Group) -> Result<i32, Error> {
    role(client, user, group.id, 0).await
}

async fn role(
    client: &impl GenericClient,
    user: &TokenUser,
    namespace: i64,
    project: i64,
) -> Result<i32, Error> {
    if user.admin {
        return Ok(OWNER);
    }
    Ok(client.query_one(NAMESPACE, &[&user.user_id, &namespace, &project]).await?.get(0))
}

/// Whether something of this visibility shows itself to somebody with this role.
#[must_use]
pub fn shows(visibility_level: i32, known: bool, role: i32) -> bool {
    role >= GUEST || visibility_level >= PUBLIC || (known && visibility_level >= INTERNAL)
}

/// A visibility's name in the API.
#[must_use]
pub fn visibility(level: i32) -> &'static str {
    match level {
        PUBLIC.. => "public",
        INTERNAL.. => "internal",
        _ => "private",
    }
}

/// The level of a visibility's name.
#[must_use]
pub fn visibility_level(name: &str) -> Option<i32> {
    match name {
        "private" => Some(PRIVATE),
        "internal" => Some(INTERNAL),
        "public" => Some(PUBLIC),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_private_shows_itself_to_members() {
        assert!(!shows(PRIVATE, false, 0));
        assert!(!shows(PRIVATE, true, 0));
        assert!(shows(PRIVATE, true, GUEST));
        assert!(shows(INTERNAL, true, 0));
        assert!(!shows(INTERNAL, false, 0));
        assert!(shows(PUBLIC, false, 0));
    }

    #[test]
    fn visibilities_have_names() {
        for name in ["private", "internal", "public"] {
            assert_eq!(visibility_level(name).map(visibility), Some(name));
        }
        assert_eq!(visibility_level("secret"), None);
    }
}
