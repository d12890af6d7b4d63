//! Projects: finding, making and marking them.

use sha2::{Digest as _, Sha256};
use tokio_postgres::Row;

use super::{Client, GenericClient, Transaction};

use super::Error;
use super::groups::Group;

/// A project.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The last part of its path.
    pub path: String,
    /// Its whole path.
    pub full_path: String,
    /// The group or user's namespace that it is in.
    pub namespace_id: i64,
    /// Who made it.
    pub creator_id: i64,
    /// What it is for.
    pub description: String,
    /// Who sees it.
    pub visibility_level: i32,
    /// The storage that holds its repository.
    pub repository_storage: String,
    /// Where the repository lies in the storage, without `.git`.
    pub disk_path: String,
    /// Whether it takes large files.
    pub lfs_enabled: bool,
    /// The branch that HEAD names; none before the first push.
    pub default_branch: Option<String>,
    /// Since when, in ISO 8601.
    pub created_at: String,
    /// When something last happened, in ISO 8601.
    pub last_activity_at: String,
    /// When its deletion was asked for.
    pub marked_for_deletion_at: Option<String>,
}

impl Project {
    /// The repository, as Gitaly names it.
    #[must_use]
    pub fn repository(&self) -> String {
        format!("{}.git", self.disk_path)
    }
}

const SELECT: &str = "
SELECT p.id, p.name, p.path, r.path AS full_path, p.namespace_id, p.creator_id, p.description, p.visibility_level,
       p.repository_storage, p.disk_path, p.lfs_enabled, p.default_branch, iso8601(p.created_at) AS created_at,
       iso8601(p.last_activity_at) AS last_activity_at, p.marked_for_deletion_at::text AS marked_for_deletion_at
FROM projects p JOIN routes r ON r.source_type = 'Project' AND r.source_id = p.id";

fn from_row(row: &Row) -> Project {
    Project {
        id: row.get("id"),
        name: row.get("name"),
        path: row.get("path"),
        full_path: row.get("full_path"),
        namespace_id: row.get("namespace_id"),
        creator_id: row.get("creator_id"),
        description: row.get("description"),
        visibility_level: row.get("visibility_level"),
        repository_storage: row.get("repository_storage"),
        disk_path: row.get("disk_path"),
        lfs_enabled: row.get("lfs_enabled"),
        default_branch: row.get("default_branch"),
        created_at: row.get("created_at"),
        last_activity_at: row.get("last_activity_at"),
        marked_for_deletion_at: row.get("marked_for_deletion_at"),
    }
}

/// The project of an id.
pub async fn by_id(client: &impl GenericClient, id: i64) -> Result<Option<Project>, Error> {
    let row = client.query_opt(&format!("{SELECT} WHERE p.id = $1"), &[&id]).await?;
    Ok(row.as_ref().map(from_row))
}

/// The project of a whole path, whatever its case.
pub async fn by_path(client: &impl GenericClient, path: &str) -> Result<Option<Project>, Error> {
    let row = client.query_opt(&format!("{SELECT} WHERE lower(r.path) = lower($1)"), &[&path]).await?;
    Ok(row.as_ref().map(from_row))
}

/// A page of the projects that a user is a member of, or of everything, newest first; and how many there are.
pub async fn list(
    client: &Client,
    user: i64,
    everything: bool,
    search: &str,
    limits: (i64, i64),
) -> Result<(Vec<Project>, i64), Error> {
    let condition = "($1 OR EXISTS (SELECT 1 FROM members m
                           JOIN routes mr ON mr.source_type = m.source_type AND mr.source_id = m.source_id
                           WHERE m.user_id = $2 AND (r.path = mr.path OR r.path LIKE mr.path || '/%'))
                         OR EXISTS (SELECT 1 FROM namespaces n WHERE n.id = p.namespace_id AND n.owner_id = $2))
        AND (p.name ILIKE $3 OR p.path ILIKE $3)";
    let pattern = format!("%{}%", search.replace(['%', '_', '\\'], ""));
    let count = format!(
        "SELECT count(*) FROM projects p
         JOIN routes r ON r.source_type = 'Project' AND r.source_id = p.id WHERE {condition}"
    );
    let total = client.query_one(&count, &[&everything, &user, &pattern]).await?.get(0);
    let page = format!("{SELECT} WHERE {condition} ORDER BY p.id DESC LIMIT $4 OFFSET $5");
    let rows = client.query(&page, &[&everything, &user, &pattern, &limits.0, &limits.1]).await?;
    Ok((rows.iter().map(from_row).collect(), total))
}

/// The projects of a group and of every group below it.
pub async fn below(client: &impl GenericClient, group: i64) -> Result<Vec<Project>, Error> {
    let sql = format!(
        "WITH RECURSIVE down AS (
           SELECT id FROM namespaces WHERE id = $1
           UNION ALL SELECT n.id FROM namespaces n JOIN down ON n.parent_id = down.id)
         {SELECT} WHERE p.namespace_id IN (SELECT id FROM down)"
    );
    Ok(client.query(&sql, &[&group]).await?.iter().map(from_row).collect())
}

/// What a new project is made of.
#[derive(Debug)]
pub struct New<'a> {
    /// Its name.
    pub name: &'a str,
    /// The last part of its path.
    pub path: &'a str,
    /// Where it is made.
    pub namespace: &'a Group,
    /// What it is for.
    pub description: &'a str,
    /// Who sees it.
    pub visibility_level: i32,
    /// Who makes it.
    pub creator: i64,
    /// Whether it takes large files.
    pub lfs_enabled: bool,
    /// The storage for its repository.
    pub storage: &'a str,
}

/// Makes a project's rows; none when its path is taken. The repository is the caller's.
pub async fn create(transaction: &Transaction<'_>, new: &New<'_>) -> Result<Option<Project>, Error> {
    let insert = "INSERT INTO projects (name, path, namespace_id, creator_id, description, visibility_level,
                                        repository_storage, lfs_enabled)
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id";
    let values: [&dyn crate::database::Value; 8] = [
        &new.name,
        &new.path,
        &new.namespace.id,
        &new.creator,
        &new.description,
        &new.visibility_level,
        &new.storage,
        &new.lfs_enabled,
    ];
    let id: i64 = transaction.query_one(insert, &values).await?.get(0);
    let full_path = format!("{}/{}", new.namespace.full_path, new.path);
    if !super::take_route(transaction, "Project", id, &full_path).await? {
        return Ok(None);
    }
    let place = "UPDATE projects SET disk_path = $2 WHERE id = $1";
    transaction.execute(place, &[&id, &hashed(id)]).await?;
    by_id(transaction, id).await
}

/// Marks a project for deletion. Its path becomes free for another (GitLab issue 526081).
pub async fn mark(client: &mut Client, project: &Project) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    let suffix = format!("-deletion_scheduled-{}", project.id);
    let sql = "UPDATE projects SET marked_for_deletion_at = (now() AT TIME ZONE 'UTC')::date,
                      name = name || $2, path = path || $2
               WHERE id = $1";
    transaction.execute(sql, &[&project.id, &suffix]).await?;
    super::move_routes(&transaction, &project.full_path, &format!("{}{suffix}", project.full_path)).await?;
    transaction.commit().await?;
    Ok(())
}

/// Removes a project's rows, and the deploy keys that no other project has; returns their ids.
pub async fn remove(client: &mut Client, id: i64) -> Result<Vec<i64>, Error> {
    let transaction = client.transaction().await?;
    for rows in ["routes", "members"] {
        let sql = format!("DELETE FROM {rows} WHERE source_type = 'Project' AND source_id = $1");
        transaction.execute(&sql, &[&id]).await?;
    }
    let only_here = "DELETE FROM keys k USING deploy_keys_projects d
                     WHERE d.deploy_key_id = k.id AND d.project_id = $1 AND NOT EXISTS (
                       SELECT 1 FROM deploy_keys_projects o WHERE o.deploy_key_id = k.id AND o.project_id <> $1)
                     RETURNING k.id";
    let keys = transaction.query(only_here, &[&id]).await?;
    transaction.execute("DELETE FROM projects WHERE id = $1", &[&id]).await?;
    transaction.commit().await?;
    Ok(keys.iter().map(|row| row.get(0)).collect())
}

/// Where hashed storage puts a project (docs: `administration/repository_storage_paths`).
fn hashed(id: i64) -> String {
    let digest = crate::hex(&Sha256::digest(id.to_string().as_bytes()));
    format!("@hashed/{}/{}/{digest}", &digest[..2], &digest[2..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_lies_where_the_documentation_says() {
        // The documentation's own example is project 16.
        let digest = "b17ef6d19c7a5b1ee83b907c595526dcb1eb06db8227d650d5dda0a9f4ce8cd9";
        assert_eq!(hashed(16), format!("@hashed/b1/7e/{digest}"));
    }
}
