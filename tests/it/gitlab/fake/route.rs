//! The calls that the fake knows, and how a path names one.

use std::collections::BTreeMap;

use hyper::HeaderMap;
use hyper::body::Bytes;
use serde_json::Value;

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    Front,
    SignIn,
    Readiness,
    Version,
    Metadata,
    Graphql,
    User,
    TokenSelf,
    RevokeSelf,
    ListGroups,
    CreateGroup,
    Group,
    DeleteGroup,
    Subgroups,
    GroupProjects,
    ListProjects,
    CreateProject,
    Project,
    DeleteProject,
    CreateDeployKey,
    DeployKeys,
    DeployKey,
    DeleteDeployKey,
    CreateUpload,
    Upload,
    PutPackage,
    Package,
    CreateIssue,
    ListIssues,
    Issue,
    UpdateIssue,
    CreateMergeRequest,
    ListMergeRequests,
    MergeRequest,
    Merge,
    Branch,
    Runners,
    Pipelines,
    Pipeline,
    PipelineJobs,
    Job,
    Trace,
    Artifact,
    GitRefs,
    GitUploadPack,
    GitReceivePack,
    LfsBatch,
    LfsPut,
    LfsGet,
    LfsVerify,
}

use Endpoint as E;

/// Method, path below the root, call. `:` takes one part, `*` the rest; the part `:.git` takes a path that ends so.
const CALLS: &[(&str, &str, Endpoint)] = &[
    ("GET", "", E::Front),
    ("GET", "users/sign_in", E::SignIn),
    ("GET", "-/readiness", E::Readiness),
    ("GET", "api/v4/version", E::Version),
    ("GET", "api/v4/metadata", E::Metadata),
    ("POST", "api/graphql", E::Graphql),
    ("GET", "api/v4/user", E::User),
    ("GET", "api/v4/personal_access_tokens/self", E::TokenSelf),
    ("DELETE", "api/v4/personal_access_tokens/self", E::RevokeSelf),
    ("GET", "api/v4/groups", E::ListGroups),
    ("POST", "api/v4/groups", E::CreateGroup),
    ("GET", "api/v4/groups/:", E::Group),
    ("DELETE", "api/v4/groups/:", E::DeleteGroup),
    ("GET", "api/v4/groups/:/subgroups", E::Subgroups),
    ("GET", "api/v4/groups/:/projects", E::GroupProjects),
    ("GET", "api/v4/projects", E::ListProjects),
    ("POST", "api/v4/projects", E::CreateProject),
    ("GET", "api/v4/projects/:", E::Project),
    ("DELETE", "api/v4/projects/:", E::DeleteProject),
    ("POST", "api/v4/projects/:/deploy_keys", E::CreateDeployKey),
    ("GET", "api/v4/projects/:/deploy_keys", E::DeployKeys),
    ("GET", "api/v4/projects/:/deploy_keys/:", E::DeployKey),
    ("DELETE", "api/v4/projects/:/deploy_keys/:", E::DeleteDeployKey),
    ("POST", "api/v4/projects/:/uploads", E::CreateUpload),
    ("GET", "api/v4/projects/:/uploads/:/:", E::Upload),
    ("PUT", "api/v4/projects/:/packages/generic/:/:/:", E::PutPackage),
    ("GET", "api/v4/projects/:/packages/generic/:/:/:", E::Package),
    ("POST", "api/v4/projects/:/issues", E::CreateIssue),
    ("GET", "api/v4/projects/:/issues", E::ListIssues),
    ("GET", "api/v4/projects/:/issues/:", E::Issue),
    ("PUT", "api/v4/projects/:/issues/:", E::UpdateIssue),
    ("POST", "api/v4/projects/:/merge_requests", E::CreateMergeRequest),
    ("GET", "api/v4/projects/:/merge_requests", E::ListMergeRequests),
    ("GET", "api/v4/projects/:/merge_requests/:", E::MergeRequest),
    ("PUT", "api/v4/projects/:/merge_requests/:/merge", E::Merge),
    ("GET", "api/v4/projects/:/repository/branches/:", E::Branch),
    ("GET", "api/v4/projects/:/runners", E::Runners),
    ("GET", "api/v4/projects/:/pipelines", E::Pipelines),
    ("GET", "api/v4/projects/:/pipelines/:", E::Pipeline),
    ("GET", "api/v4/projects/:/pipelines/:/jobs", E::PipelineJobs),
    ("GET", "api/v4/projects/:/jobs/:", E::Job),
    ("GET", "api/v4/projects/:/jobs/:/trace", E::Trace),
    ("GET", "api/v4/projects/:/jobs/:/artifacts/*", E::Artifact),
    ("GET", ":.git/info/refs", E::GitRefs),
    ("POST", ":.git/git-upload-pack", E::GitUploadPack),
    ("POST", ":.git/git-receive-pack", E::GitReceivePack),
    ("POST", ":.git/info/lfs/objects/batch", E::LfsBatch),
    ("PUT", ":.git/gitlab-lfs/objects/:/:", E::LfsPut),
    ("GET", ":.git/gitlab-lfs/objects/:", E::LfsGet),
    ("POST", ":.git/gitlab-lfs/verify", E::LfsVerify),
];

/// One request, understood.
#[derive(Debug)]
pub struct Request {
    pub endpoint: Endpoint,
    pub method: String,
    /// The path below the root.
    pub path: String,
    /// The parts of the path that name something, decoded.
    pub names: Vec<String>,
    pub query: BTreeMap<String, String>,
    pub raw_query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Request {
    /// A parameter, wherever it stands: JSON, form or query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let of_json = |value: Value| match value.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        };
        let in_json = serde_json::from_slice(&self.body).ok().and_then(of_json);
        let in_form = || {
            let form = self.header("content-type")?.starts_with("application/x-www-form-urlencoded");
            let mut pairs = url::form_urlencoded::parse(form.then_some(&self.body)?);
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        in_json.or_else(in_form).or_else(|| self.query.get(name).cloned())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether it asks the instance to change something.
    pub fn writes(&self) -> bool {
        let git_service = self.query.get("service").map(String::as_str);
        match self.endpoint {
            E::Graphql | E::GitUploadPack => false,
            E::GitRefs => git_service == Some("git-receive-pack"),
            E::LfsBatch => self.parameter("operation").as_deref() == Some("upload"),
            _ => self.method != "GET",
        }
    }
}

/// The call that a path names, and the names in it.
pub fn find(method: &str, path: &str) -> Option<(Endpoint, Vec<String>)> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let method = if method == "HEAD" { "GET" } else { method };
    CALLS
        .iter()
        .filter(|(known, ..)| *known == method)
        .find_map(|(_, pattern, endpoint)| Some((*endpoint, names(pattern, &parts)?)))
}

fn names(pattern: &str, parts: &[&str]) -> Option<Vec<String>> {
    if let Some(rest) = pattern.strip_prefix(":.git/") {
        let end = parts.iter().position(|part| part.strip_suffix(".git").is_some())?;
        let repository = parts[..=end].join("/");
        let repository = repository.trim_end_matches(".git").to_owned();
        return Some([vec![repository], names(rest, &parts[end + 1..])?].concat());
    }
    let mut left = parts.iter();
    let mut names = Vec::new();
    for wanted in pattern.split('/') {
        match (wanted, left.next()) {
            ("*", Some(first)) => {
                let rest: Vec<&str> = std::iter::once(first).chain(left.by_ref()).copied().collect();
                names.push(decoded(&rest.join("/")));
            }
            (":", Some(part)) => names.push(decoded(part)),
            (literal, Some(part)) if literal == *part => {}
            _ => return None,
        }
    }
    left.next().is_none().then_some(names)
}

/// Percent-decoding of a path, in which a plus is a plus.
fn decoded(part: &str) -> String {
    let escaped = part.replace('+', "%2B");
    url::form_urlencoded::parse(format!("k={escaped}").as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
