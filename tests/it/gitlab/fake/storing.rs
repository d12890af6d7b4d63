//! What is stored and must come back: uploads, generic packages and LFS objects.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::answer::Answer;
use super::route::{Endpoint as E, Request};
use super::state::Project;
use super::switches::Lie;
use super::{Shared, about};

const OTHER_BYTES: &[u8] = b"these bytes are not the ones that were stored";
const LFS: &str = "application/vnd.git-lfs+json";

pub fn answer(shared: &Shared, request: &Request) -> Answer {
    let switches = shared.switches();
    let lies = |lie| switches.lies(lie);
    let mut state = shared.state();
    let Some(id) = state.project(&request.names[0]) else { return Answer::not_found("Project") };
    let path = state.project_path(&state.projects[&id]);
    let Some(project) = state.projects.get_mut(&id) else { return Answer::not_found("Project") };
    match request.endpoint {
        E::CreateUpload => upload(project, request, lies(Lie::UploadVanishes)),
        E::Upload => {
            let key = (request.names[1].clone(), request.names[2].clone());
            given(project.uploads.get(&key), lies(Lie::UploadOtherBytes))
        }
        E::PutPackage => {
            if !request.names[1..3].iter().all(|name| plain(name)) {
                return Answer::json(400, &json!({"error": "package_name is invalid"}));
            }
            project.packages.insert(package_key(request), request.body.to_vec());
            Answer::message(201, "201 Created")
        }
        E::Package => given(project.packages.get(&package_key(request)), lies(Lie::PackageOtherBytes)),
        E::LfsBatch => {
            let base = format!("{}/{path}.git/gitlab-lfs", shared.url);
            batch(project, request, &base)
        }
        E::LfsPut => lfs_put(project, request, lies(Lie::LfsVanishes)),
        E::LfsVerify => {
            let stored = request.parameter("oid").and_then(|oid| project.lfs.get(&oid));
            if stored.is_some() { Answer::empty(200) } else { Answer::not_found("LFS object") }
        }
        _ => given(project.lfs.get(&request.names[1]), lies(Lie::LfsOtherBytes)),
    }
}

fn plain(name: &str) -> bool {
    name.chars().all(|sign| sign.is_ascii_alphanumeric() || "._-+".contains(sign))
}

fn package_key(request: &Request) -> [String; 3] {
    [request.names[1].clone(), request.names[2].clone(), request.names[3].clone()]
}

fn given(stored: Option<&Vec<u8>>, other: bool) -> Answer {
    match stored {
        Some(_) if other => Answer::bytes(200, "application/octet-stream", OTHER_BYTES),
        Some(bytes) => Answer::bytes(200, "application/octet-stream", bytes.clone()),
        None => Answer::not_found("File"),
    }
}

fn upload(project: &mut Project, request: &Request, vanishes: bool) -> Answer {
    let Some((name, bytes)) = file_of_form(request) else { return Answer::missing("file") };
    let secret: String = hex(&Sha256::digest(&bytes)).chars().take(32).collect();
    if !vanishes {
        project.uploads.insert((secret.clone(), name.clone()), bytes);
    }
    let url = format!("/uploads/{secret}/{name}");
    let alt = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
    let answer = json!({
        "id": 5,
        "alt": alt,
        "url": url,
        "full_path": format!("/-/project/{}{url}", project.id),
        "markdown": format!("[{name}]({url})"),
    });
    Answer::json(201, &answer)
}

/// The part `file` of a form, by RFC 7578.
fn file_of_form(request: &Request) -> Option<(String, Vec<u8>)> {
    let kind = request.header("content-type")?;
    let boundary = kind.strip_prefix("multipart/form-data")?.split("boundary=").nth(1)?.trim_matches('"');
    let mark = format!("--{boundary}");
    let body = &request.body[..];
    let mut starts = positions(body, mark.as_bytes());
    let first = starts.next()?;
    let mut begin = first + mark.len() + 2;
    for end in starts {
        let part = &body[begin..end.checked_sub(2)?];
        let gap = positions(part, b"\r\n\r\n").next()?;
        let head = String::from_utf8_lossy(&part[..gap]).into_owned();
        if head.contains("name=\"file\"") {
            let name = head.split("filename=\"").nth(1)?.split('"').next()?;
            return Some((name.to_owned(), part[gap + 4..].to_vec()));
        }
        begin = end + mark.len() + 2;
    }
    None
}

fn positions<'a>(body: &'a [u8], wanted: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    body.windows(wanted.len())
        .enumerate()
        .filter(move |(_, window)| *window == wanted)
        .map(|(place, _)| place)
}

fn batch(project: &Project, request: &Request, base: &str) -> Answer {
    if !request.header("accept").is_some_and(|accepted| accepted.starts_with(LFS)) {
        return Answer::bytes(406, "text/plain", "the client must accept application/vnd.git-lfs+json");
    }
    let Ok(asked) = serde_json::from_slice::<Value>(&request.body) else {
        return Answer::message(400, "the batch is no JSON");
    };
    let upload = asked["operation"] == "upload";
    let authorization = about::token(request).map(|_| request.header("authorization").unwrap_or_default());
    let object = |wanted: &Value| {
        let (oid, size) = (wanted["oid"].as_str().unwrap_or_default(), wanted["size"].clone());
        let known = project.lfs.contains_key(oid);
        // The chunked coding is part of what GitLab asks of an upload, and clients are to send it so.
        let put = json!({
            "href": format!("{base}/objects/{oid}/{size}"),
            "header": {
                "Authorization": authorization,
                "Content-Type": "application/octet-stream",
                "Transfer-Encoding": "chunked",
            },
        });
        let verify = json!({
            "href": format!("{base}/verify"),
            "header": {"Authorization": authorization, "Content-Type": LFS},
        });
        let get =
            json!({"href": format!("{base}/objects/{oid}"), "header": {"Authorization": authorization}});
        match (upload, known) {
            (true, false) => {
                json!({"oid": oid, "size": size, "authenticated": true, "actions": {"upload": put, "verify": verify}})
            }
            (true, true) => json!({"oid": oid, "size": size, "authenticated": true}),
            (false, true) => {
                json!({"oid": oid, "size": size, "authenticated": true, "actions": {"download": get}})
            }
            (false, false) => {
                let message =
                    "Object does not exist on the server or you don't have permissions to access it";
                json!({"oid": oid, "size": size, "error": {"code": 404, "message": message}})
            }
        }
    };
    let objects: Vec<Value> = asked["objects"].as_array().into_iter().flatten().map(object).collect();
    let answer = json!({"transfer": "basic", "objects": objects, "hash_algo": "sha256"});
    Answer::bytes(200, LFS, answer.to_string())
}

fn lfs_put(project: &mut Project, request: &Request, vanishes: bool) -> Answer {
    let (oid, size) = (&request.names[1], &request.names[2]);
    if hex(&Sha256::digest(&request.body)) != *oid || request.body.len().to_string() != *size {
        return Answer::message(422, "SHA256 or size mismatch");
    }
    if !vanishes {
        project.lfs.insert(oid.clone(), request.body.to_vec());
    }
    Answer::empty(200)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
