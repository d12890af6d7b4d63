//! refarch's own surroundings, read once, and what of them a child may see.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::Error;

/// What any program may need to find others, its user and the way out.
const EVERY_PROGRAM: [&str; 15] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "XDG_CACHE_HOME",
];

/// The environment that refarch was started with.
#[derive(Clone, Debug, Default)]
pub struct Ambient {
    variables: BTreeMap<String, String>,
}

impl Ambient {
    /// Reads the environment of this process; what isn't UTF-8 is left out.
    #[must_use]
    pub fn of_this_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of a variable, if it is set and not empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Finds a program in `PATH`; `install` says how to get it.
    pub fn find(&self, program: &str, install: &str) -> Result<Utf8PathBuf, Error> {
        let path = self.variable("PATH").unwrap_or_default();
        which::which_in(program, Some(path), "/")
            .ok()
            .and_then(|found| Utf8PathBuf::from_path_buf(found).ok())
            .ok_or_else(|| Error::missing(program, path, install))
    }

    /// The environment of a child: what every program needs, what this one may see, what it is given.
    pub(super) fn child(
        &self,
        allowed: &[&str],
        given: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let passed = EVERY_PROGRAM.iter().chain(allowed);
        passed
            .filter_map(|name| Some(((*name).to_owned(), self.variables.get(*name)?.clone())))
            .chain(std::iter::once(("LC_ALL".to_owned(), "C.UTF-8".to_owned())))
            .chain(given.clone())
            .collect()
    }

    /// The folder of things that outlive runs: `$REFARCH_CACHE`, else the user's cache folder.
    pub fn cache(&self) -> Result<Utf8PathBuf, Error> {
        let absolute = |path: &str| Some(Utf8PathBuf::from(path)).filter(|path| path.is_absolute());
        if let Some(path) = self.variable("REFARCH_CACHE") {
            return absolute(path).ok_or_else(|| Error::CacheNotAbsolute { path: path.to_owned() });
        }
        self.variable("XDG_CACHE_HOME")
            .and_then(absolute)
            .or_else(|| self.variable("HOME").and_then(absolute).map(|home| home.join(".cache")))
            .map(|cache| cache.join("refarch"))
            .ok_or(Error::NoCache)
    }
}

impl FromIterator<(String, String)> for Ambient {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self { variables: variables.into_iter().collect() }
    }
}

/// Whether a path is an executable file.
pub(crate) fn is_program(path: &Utf8Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs_err::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ambient(variables: &[(&str, &str)]) -> Ambient {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_child_sees_only_what_is_allowed() {
        let ambient = ambient(&[("PATH", "/bin"), ("TF_LOG", "trace"), ("SPECIAL", "1"), ("LC_ALL", "de")]);
        let given = BTreeMap::from([("TF_INPUT".to_owned(), "0".to_owned())]);
        let child: Vec<_> = ambient.child(&["SPECIAL"], &given).into_iter().collect();
        let wanted = [("LC_ALL", "C.UTF-8"), ("PATH", "/bin"), ("SPECIAL", "1"), ("TF_INPUT", "0")];
        assert_eq!(child, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn the_cache_folder_follows_its_variables() {
        let cache = |variables: &[(&str, &str)]| ambient(variables).cache().map(Utf8PathBuf::into_string);
        assert_eq!(cache(&[("REFARCH_CACHE", "/c"), ("HOME", "/h")]).unwrap(), "/c");
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]).unwrap(), "/x/refarch");
        assert_eq!(cache(&[("REFARCH_CACHE", ""), ("HOME", "/h")]).unwrap(), "/h/.cache/refarch");
        assert!(matches!(cache(&[("REFARCH_CACHE", "c")]), Err(Error::CacheNotAbsolute { .. })));
        assert!(matches!(cache(&[]), Err(Error::NoCache)));
    }

    #[test]
    fn a_missing_program_is_named_with_where_it_was_searched_and_what_to_do() {
        let error = ambient(&[("PATH", "/nowhere:/else")]).find("terraform", "install it").unwrap_err();
        assert_eq!(error.to_string(), "find `terraform`: it is in none of /nowhere, /else");
        assert_eq!(error.exit_code(), crate::exit::ExitCode::ToolMissing);
    }
}
