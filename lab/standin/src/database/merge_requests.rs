//! Merge requests: what the API shows of them, and what Sidekiq finds out about them.

use tokio_postgres::Row;

use super::GenericClient;

use super::Error;

/// A merge request.
#[derive(Debug, Clone)]
pub struct MergeRequest {
    /// Its id.
    pub id: i64,
    /// Its number in the project.
    pub iid: i32,
    /// The project.
    pub project_id: i64,
    /// What it is about.
    pub title: String,
    /// More about it.
    pub description: Option<String>,
    /// Who made it: id, login, name.
    pub author: (i64, String, String),
    /// Who merged it.
    pub merge_user: Option<(i64, String, String)>,
    /// What is merged.
    pub source_branch: String,
    /// Where it goes.
    pub target_branch: String,
    /// `opened`, `closed`, `locked` or `merged`.
    pub state: String,
    /// What Sidekiq knows of it: `preparing`, `unchecked`, `checking`, `can_be_merged` or `cannot_be_merged`.
    pub merge_status: String,
    /// Why it can't be merged, or why a merge failed.
    pub merge_error: Option<String>,
    /// The source's commit that was looked at last.
    pub head: Option<String>,
    /// The commit that merged it.
    pub merge_commit: Option<String>,
    /// Whether the source goes when it is merged.
    pub remove_source: bool,
    /// Times in ISO 8601.
    pub created_at: String,
    /// The last change.
    pub updated_at: String,
    /// When Sidekiq had looked at it first.
    pub prepared_at: Option<String>,
    /// When it was merged.
    pub merged_at: Option<String>,
}

/// Its source or target branch is gone.
pub const NO_BRANCH: &str = "source or target branch does not exist";

impl MergeRequest {
    /// Why it can or can't be merged (docs: `api/merge_requests`, "Merge status").
    #[must_use]
    pub fn detailed_status(&self) -> &'static str {
        let draft = self.title.starts_with("Draft:");
        match (self.state.as_str(), self.merge_status.as_str()) {
            ("opened", "preparing") => "preparing",
            ("opened", "unchecked") => "unchecked",
            ("opened", "can_be_merged") if draft => "draft_status",
            ("opened", "can_be_merged") => "mergeable",
            ("opened", "cannot_be_merged") if self.merge_error.as_deref() == Some(NO_BRANCH) => {
                "commits_status"
            }
            ("opened", "cannot_be_merged") => "conflict",
            ("opened", _) => "checking",
            _ => "not_open",
        }
    }

    /// The older form of it.
    #[must_use]
    pub fn public_status(&self) -> &str {
        if self.merge_status == "preparing" { "checking" } else { &self.merge_status }
    }
}

const SELECT: &str = "
SELECT m.*, iso8601(m.created_at) AS created, iso8601(m.updated_at) AS updated, iso8601(m.prepared_at) AS prepared,
       iso8601(m.merged_at) AS merged, a.username AS author_username, a.name AS author_name,
       w.username AS merger_username, w.name AS merger_name
FROM merge_requests m JOIN users a ON a.id = m.author_id LEFT JOIN users w ON w.id = m.merge_user_id";

fn from_row(row: &Row) -> MergeRequest {
    let merger: Option<i64> = row.get("merge_user_id");
    MergeRequest {
        id: row.get("id"),
        iid: row.get("iid"),
        project_id: row.get("target_project_id"),
        title: row.get("title"),
        description: row.get("description"),
        author: (row.get("author_id"), row.get("author_username"), row.get("author_name")),
        merge_user: merger.map(|id| (id, row.get("merger_username"), row.get("merger_name"))),
        source_branch: row.get("source_branch"),
        target_branch: row.get("target_branch"),
        state: row.get("state"),
        merge_status: row.get("merge_status"),
        merge_error: row.get("merge_error"),
        head: row.get("diff_head_sha"),
        merge_commit: row.get("merge_commit_sha"),
        remove_source: row.get("should_remove_source_branch"),
        created_at: row.get("created"),
        updated_at: row.get("updated"),
        prepared_at: row.get("prepared"),
        merged_at: row.get("merged"),
    }
}

/// The merge request of an id.
pub async fn by_id(client: &impl GenericClient, id: i64) -> Result<Option<MergeRequest>, Error> {
    let row = client.query_opt(&format!("{SELECT} WHERE m.id = $1"), &[&id]).await?;
    Ok(row.as_ref().map(from_row))
}

/// The merge request of a number in a project.
pub async fn by_iid(
    client: &impl GenericClient,
    project: i64,
    iid: i32,
) -> Result<Option<MergeRequest>, Error> {
    let sql = format!("{SELECT} WHERE m.target_project_id = $1 AND m.iid = $2");
    Ok(client.query_opt(&sql, &[&project, &iid]).await?.as_ref().map(from_row))
}

/// A page of a project's merge requests in a state, or in any, newest first; and how many there are.
pub async fn list(
    client: &impl GenericClient,
    project: i64,
    state: Option<&str>,
    limits: (i64, i64),
) -> Result<(Vec<MergeRequest>, i64), Error> {
    let condition = "m.target_project_id = $1 AND ($2::varchar IS NULL OR m.state = $2)";
    let count = format!("SELECT count(*) FROM merge_requests m WHERE {condition}");
    let total = client.query_one(&count, &[&project, &state]).await?.get(0);
    let sql = format!("{SELECT} WHERE {condition} ORDER BY m.id DESC LIMIT $3 OFFSET $4");
    let rows = client.query(&sql, &[&project, &state, &limits.0, &limits.1]).await?;
    Ok((rows.iter().map(from_row).collect(), total))
}

/// The open merge request between two branches, if there is one.
pub async fn open_between(
    client: &impl GenericClient,
    project: i64,
    source: &str,
    target: &str,
) -> Result<Option<i32>, Error> {
    let sql = "SELECT iid FROM merge_requests
               WHERE target_project_id = $1 AND source_branch = $2 AND target_branch = $3 AND state = 'opened'";
    Ok(client.query_opt(sql, &[&project, &source, &target]).await?.map(|row| row.get(0)))
}

/// What a new merge request is made of.
#[derive(Debug)]
pub struct New<'a> {
    /// The project.
    pub project: i64,
    /// What it is about.
    pub title: &'a str,
    /// More about it.
    pub description: Option<&'a str>,
    /// Who makes it.
    pub author: i64,
    /// What is to be merged.
    pub source: &'a str,
    /// Where it is to go.
    pub target: &'a str,
    /// Whether the source goes when it is merged.
    pub remove_source: bool,
    /// The source's commit.
    pub head: &'a str,
}

/// Makes a merge request, which Sidekiq has yet to look at.
pub async fn create(client: &impl GenericClient, new: &New<'_>) -> Result<MergeRequest, Error> {
    let sql = "WITH counted AS (UPDATE projects SET last_merge_request_iid = last_merge_request_iid + 1 WHERE id = $1
                                RETURNING last_merge_request_iid)
               INSERT INTO merge_requests (target_project_id, iid, title, description, author_id, source_branch,
                                           target_branch, should_remove_source_branch, diff_head_sha)
               SELECT $1, last_merge_request_iid, $2, $3, $4, $5, $6, $7, $8 FROM counted RETURNING iid";
    let values: [&dyn crate::database::Value; 8] = [
        &new.project,
        &new.title,
        &new.description,
        &new.author,
        &new.source,
        &new.target,
        &new.remove_source,
        &new.head,
    ];
    let iid = client.query_one(sql, &values).await?.get(0);
    by_iid(client, new.project, iid)
        .await?
        .ok_or_else(|| Error::Statement("the merge request is gone".to_owned()))
}

/// Takes note of what is known about merging.
pub async fn checked(
    client: &impl GenericClient,
    id: i64,
    status: &str,
    error: Option<&str>,
    head: Option<&str>,
) -> Result<(), Error> {
    let sql = "UPDATE merge_requests SET merge_status = $2, merge_error = $3,
                      diff_head_sha = coalesce($4, diff_head_sha), prepared_at = coalesce(prepared_at, now())
               WHERE id = $1 AND state = 'opened'";
    client.execute(sql, &[&id, &status, &error, &head]).await?;
    Ok(())
}

/// Takes note of a merge.
pub async fn merged(client: &impl GenericClient, id: i64, commit: &str, user: i64) -> Result<(), Error> {
    let sql = "UPDATE merge_requests SET state = 'merged', merge_commit_sha = $2, merge_user_id = $3,
                      merged_at = now(), updated_at = now(), merge_error = NULL
               WHERE id = $1";
    client.execute(sql, &[&id, &commit, &user]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(state: &str, status: &str, error: Option<&str>) -> MergeRequest {
        MergeRequest {
            id: 1,
            iid: 1,
            project_id: 1,
            title: "A change".into(),
            description: None,
            author: (1, "root".into(), "Administrator".into()),
            merge_user: None,
            source_branch: "change".into(),
            target_branch: "main".into(),
            state: state.into(),
            merge_status: status.into(),
            merge_error: error.map(str::to_owned),
            head: None,
            merge_commit: None,
            remove_source: false,
            created_at: String::new(),
            updated_at: String::new(),
            prepared_at: None,
            merged_at: None,
        }
    }

    #[test]
    fn the_status_says_why() {
        assert_eq!(of("opened", "preparing", None).detailed_status(), "preparing");
        assert_eq!(of("opened", "preparing", None).public_status(), "checking");
        assert_eq!(of("opened", "checking", None).detailed_status(), "checking");
        assert_eq!(of("opened", "can_be_merged", None).detailed_status(), "mergeable");
        assert_eq!(of("opened", "cannot_be_merged", None).detailed_status(), "conflict");
        assert_eq!(of("opened", "cannot_be_merged", Some(NO_BRANCH)).detailed_status(), "commits_status");
        assert_eq!(of("merged", "can_be_merged", None).detailed_status(), "not_open");
        let draft = MergeRequest { title: "Draft: a change".into(), ..of("opened", "can_be_merged", None) };
        assert_eq!(draft.detailed_status(), "draft_status");
    }
}
