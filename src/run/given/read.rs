//! Reading what is given, from the environment and from files.

use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Flaw, Sources, Warning};
use crate::spec::{Place, SecretReference, SecretSource};

/// The largest file that is read: a certificate with its chain, or a key, is a few thousand bytes.
const MAX_BYTES: u64 = 256 * 1024;

/// The value behind a reference.
pub(super) fn secret(
    reference: &SecretReference,
    sources: Sources<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<SecretString, Flaw> {
    let place = &reference.place;
    match &reference.source {
        SecretSource::Env(name) => match sources.ambient.variable(name.as_str()) {
            Some(value) => Ok(value.into()),
            None => Err(Flaw::Variable { place: place.clone(), name: name.clone() }),
        },
        SecretSource::File(path) => {
            let path = sources.folder.join(path);
            let text = text(place, &path)?;
            warn_if_open(&path, warnings);
            let value: SecretString = without_line_end(&text).into();
            if value.expose_secret().is_empty() {
                return Err(Flaw::Content { place: place.clone(), path, what: "is empty" });
            }
            Ok(value)
        }
    }
}

/// A file that may be seen by all.
pub(super) fn public(path: &Utf8Path, key: &str, sources: Sources<'_>) -> Result<String, Flaw> {
    text(&Place { key: key.to_owned(), line: 0 }, &sources.folder.join(path))
}

fn text(place: &Place, path: &Utf8Path) -> Result<String, Flaw> {
    let failed = |error: std::io::Error| {
        let why = match error.kind() {
            ErrorKind::NotFound => "there is no such file".to_owned(),
            ErrorKind::PermissionDenied => "this user may not open it".to_owned(),
            ErrorKind::IsADirectory => "it is a folder".to_owned(),
            _ => error.to_string(),
        };
        Flaw::File { place: place.clone(), path: path.to_owned(), why }
    };
    let wrong = |what| Flaw::Content { place: place.clone(), path: path.to_owned(), what };
    let mut bytes = Vec::new();
    let file = fs_err::File::open(path).map_err(failed)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong("is too large to be meant"));
    }
    String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8 text"))
}

/// Editors and `echo` end a file with a line end that nobody means.
fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

fn warn_if_open(path: &Utf8Path, warnings: &mut Vec<Warning>) {
    let open = fs_err::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
    if open {
        warnings.push(Warning {
            message: format!("`{path}` holds a secret, and others on this machine may open it"),
            help: format!("close it by `chmod 600 {path}`"),
        });
    }
}
