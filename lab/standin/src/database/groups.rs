//! Groups: finding, making and marking them.

use tokio_postgres::Row;

use super::{Client, GenericClient, Transaction};

use super::Error;

/// A group, or a user's own namespace.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The last part of its path.
    pub path: String,
    /// `Group` or `User`.
    pub kind: String,
    /// The group above.
    pub parent_id: Option<i64>,
    /// Its whole path.
    pub full_path: String,
    /// The names on the way to it.
    pub full_name: String,
    /// What it is for.
    pub description: String,
    /// Who sees it.
    pub visibility_level: i32,
    /// Since when, in ISO 8601.
    pub created_at: String,
    /// When its deletion was asked for.
    pub marked_for_deletion_on: Option<String>,
}

const SELECT: &str = "
SELECT n.id, n.name, n.path, n.type, n.parent_id, r.path AS full_path, n.description, n.visibility_level,
       iso8601(n.created_at) AS created_at, n.marked_for_deletion_on::text AS marked_for_deletion_on,
       (WITH RECURSIVE up AS (
          SELECT id, parent_id, name, 0 AS depth FROM namespaces WHERE id = n.id
          UNION ALL
          SELECT a.id, a.parent_id, a.name, up.depth + 1 FROM namespaces a JOIN up ON a.id = up.parent_id)
        SELECT string_agg(name, ' / ' ORDER BY depth DESC) FROM up) AS full_name
FROM namespaces n JOIN routes r ON r.source_type = 'Namespace' AND r.source_id = n.id";

fn from_row(row: &Row) -> Group {
    Group {
        id: row.get("id"),
        name: row.get("name"),
        path: row.get("path"),
        kind: row.get("type"),
        parent_id: row.get("parent_id"),
        full_path: row.get("full_path"),
        full_name: row.get("full_name"),
        description: row.get("description"),
        visibility_level: row.get("visibility_level"),
        created_at: row.get("created_at"),
        marked_for_deletion_on: row.get("marked_for_deletion_on"),
    }
}

/// The group or user's namespace of an id.
pub async fn by_id(client: &impl GenericClient, id: i64) -> Result<Option<Group>, Error> {
    let row = client.query_opt(&format!("{SELECT} WHERE n.id = $1"), &[&id]).await?;
    Ok(row.as_ref().map(from_row))
}

/// The group or user's namespace of a path.
pub async fn by_path(client: &impl GenericClient, path: &str) -> Result<Option<Group>, Error> {
    let row = client.query_opt(&format!("{SELECT} WHERE lower(r.path) = lower($1)"), &[&path]).await?;
    Ok(row.as_ref().map(from_row))
}

/// A page of the groups below a group, or of all at the top for no group; by name. Only those in which the
/// user is a member, unless `everything` is asked for. Returns the page and how many there are.
pub async fn list(
    client: &Client,
    parent: Option<i64>,
    user: i64,
    everything: bool,
    search: &str,
    limits: (i64, i64),
) -> Result<(Vec<Group>, i64), Error> {
    let condition = "n.type = 'Group' AND ($1::bigint IS NULL OR n.parent_id = $1)
        AND ($2 OR EXISTS (SELECT 1 FROM members m
                           JOIN routes mr ON mr.source_type = m.source_type AND mr.source_id = m.source_id
                           WHERE m.user_id = $3 AND m.source_type = 'Namespace'
                             AND (r.path = mr.path OR r.path LIKE mr.path || '/%')))
        AND (n.name ILIKE $4 OR n.path ILIKE $4)";
    let pattern = format!("%{}%", search.replace(['%', '_', '\\'], ""));
    let count = format!(
        "SELECT count(*) FROM namespaces n
         JOIN routes r ON r.source_type = 'Namespace' AND r.source_id = n.id WHERE {condition}"
    );
    let total = client.query_one(&count, &[&parent, &everything, &user, &pattern]).await?.get(0);
    let page = format!("{SELECT} WHERE {condition} ORDER BY n.name, n.id LIMIT $5 OFFSET $6");
    let rows = client.query(&page, &[&parent, &everything, &user, &pattern, &limits.0, &limits.1]).await?;
    Ok((rows.iter().map(from_row).collect(), total))
}

/// What a new group is made of.
#[derive(Debug)]
pub struct New<'a> {
    /// Its name.
    pub name: &'a str,
    /// The last part of its path.
    pub path: &'a str,
    /// The group above.
    pub parent: Option<&'a Group>,
    /// What it is for.
    pub description: &'a str,
    /// Who sees it.
    pub visibility_level: i32,
    /// Who makes it, and owns it.
    pub owner: i64,
}

/// Makes a group; none when its path is taken.
pub async fn create(transaction: &Transaction<'_>, new: &New<'_>) -> Result<Option<i64>, Error> {
    let full_path = match new.parent {
        Some(parent) => format!("{}/{}", parent.full_path, new.path),
        None => new.path.to_owned(),
    };
    let insert = "INSERT INTO namespaces (name, path, type, parent_id, visibility_level, description)
                  VALUES ($1, $2, 'Group', $3, $4, $5) RETURNING id";
    let parent = new.parent.map(|parent| parent.id);
    let values: [&dyn crate::database::Value; 5] =
        [&new.name, &new.path, &parent, &new.visibility_level, &new.description];
    let id: i64 = transaction.query_one(insert, &values).await?.get(0);
    if !super::take_route(transaction, "Namespace", id, &full_path).await? {
        return Ok(None);
    }
    let member = "INSERT INTO members (user_id, source_type, source_id, access_level)
                  VALUES ($1, 'Namespace', $2, 50)";
    transaction.execute(member, &[&new.owner, &id]).await?;
    Ok(Some(id))
}

/// Marks a group for deletion. Its path becomes free for another (GitLab issue 526081).
pub async fn mark(client: &mut Client, group: &Group) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    let suffix = format!("-deletion_scheduled-{}", group.id);
    let sql = "UPDATE namespaces SET marked_for_deletion_on = (now() AT TIME ZONE 'UTC')::date,
                      name = name || $2, path = path || $2
               WHERE id = $1";
    transaction.execute(sql, &[&group.id, &suffix]).await?;
    super::move_routes(&transaction, &group.full_path, &format!("{}{suffix}", group.full_path)).await?;
    transaction.commit().await?;
    Ok(())
}

/// Removes a group and the groups below it, which hold no project any more.
pub async fn remove(client: &mut Client, id: i64) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    let down = "WITH RECURSIVE down AS (
                  SELECT id FROM namespaces WHERE id = $1
                  UNION ALL SELECT n.id FROM namespaces n JOIN down ON n.parent_id = down.id)";
    for rows in ["routes", "members"] {
        let sql = format!(
            "{down} DELETE FROM {rows} WHERE source_type = 'Namespace' AND source_id IN (SELECT id FROM down)"
        );
        transaction.execute(&sql, &[&id]).await?;
    }
    transaction.execute("DELETE FROM namespaces WHERE id = $1", &[&id]).await?;
    transaction.commit().await?;
    Ok(())
}
