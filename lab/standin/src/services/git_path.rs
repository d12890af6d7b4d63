//! Paths of Git's and LFS's requests: `/group/project.git/…`. Workhorse and Rails read them alike.

/// What is asked of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// The refs, before a fetch or a push.
    InfoRefs,
    /// A fetch.
    UploadPack,
    /// A push.
    ReceivePack,
    /// Where large files come from and go to.
    LfsBatch,
    /// One large file.
    LfsDownload {
        /// SHA-256 of its content.
        oid: String,
    },
    /// One large file on its way in.
    LfsUpload {
        /// SHA-256 of its content.
        oid: String,
        /// Its size in bytes.
        size: u64,
        /// Whether Workhorse asks if and where to.
        authorize: bool,
    },
}

/// The project's path and what is asked; none for any other request.
#[must_use]
pub fn parse(path: &str) -> Option<(&str, Endpoint)> {
    let (project, rest) = path.strip_prefix('/')?.split_once(".git/")?;
    if project.is_empty() {
        return None;
    }
    let endpoint = match rest {
        "info/refs" => Endpoint::InfoRefs,
        "git-upload-pack" => Endpoint::UploadPack,
        "git-receive-pack" => Endpoint::ReceivePack,
        "info/lfs/objects/batch" => Endpoint::LfsBatch,
        other => object(other.strip_prefix("gitlab-lfs/objects/")?)?,
    };
    Some((project, endpoint))
}

fn object(rest: &str) -> Option<Endpoint> {
    let mut parts = rest.split('/');
    let oid = parts.next().filter(|oid| is_oid(oid))?.to_owned();
    let Some(size) = parts.next() else { return Some(Endpoint::LfsDownload { oid }) };
    let size = size.parse().ok()?;
    let authorize = match parts.next() {
        None => false,
        Some("authorize") => true,
        Some(_) => return None,
    };
    parts.next().is_none().then_some(Endpoint::LfsUpload { oid, size, authorize })
}

/// Whether a text is the SHA-256 by which LFS names an object.
#[must_use]
pub fn is_oid(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Where git's requests without `.git` are sent.
#[must_use]
pub fn redirect(path: &str, query: &str) -> Option<String> {
    let project = path.strip_suffix("/info/refs")?;
    let service = query.starts_with("service=git-");
    let plain = service && project.len() > 1 && !project.contains(".git");
    plain.then(|| format!("{project}.git/info/refs?{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OID: &str = "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865";

    #[test]
    fn requests_of_git_and_lfs_are_known() {
        assert_eq!(parse("/a/b.git/info/refs"), Some(("a/b", Endpoint::InfoRefs)));
        assert_eq!(parse("/a/b/c.git/git-receive-pack"), Some(("a/b/c", Endpoint::ReceivePack)));
        assert_eq!(parse("/a/b.git/info/lfs/objects/batch"), Some(("a/b", Endpoint::LfsBatch)));
        let object = format!("/a/b.git/gitlab-lfs/objects/{OID}");
        let oid = OID.to_owned();
        assert_eq!(parse(&object), Some(("a/b", Endpoint::LfsDownload { oid: oid.clone() })));
        let upload = |authorize| Some(("a/b", Endpoint::LfsUpload { oid: oid.clone(), size: 5, authorize }));
        assert_eq!(parse(&format!("{object}/5")), upload(false));
        assert_eq!(parse(&format!("{object}/5/authorize")), upload(true));
    }

    #[test]
    fn other_requests_are_not() {
        for other in [
            "/a/b/info/refs",
            "/.git/info/refs",
            "/a/b.git/config",
            "/a/b.git/gitlab-lfs/objects/../../etc/passwd",
            "/a/b.git/gitlab-lfs/objects/4355/5",
            "/api/v4/projects",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_path_without_its_ending_leads_to_the_one_with() {
        let query = "service=git-upload-pack";
        assert_eq!(redirect("/a/b/info/refs", query), Some(format!("/a/b.git/info/refs?{query}")));
        assert_eq!(redirect("/a/b.git/info/refs", query), None);
        assert_eq!(redirect("/a/b/info/refs", ""), None);
    }
}
