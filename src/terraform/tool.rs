//! Terraform or OpenTofu: which of the two a deployment takes. The one that made a state is kept.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Error;
use crate::process::{self, Ambient, is_program};
use crate::workdir::{PRIVATE, atomically};

/// The record of the tool, beside the state.
const RECORD: &str = "refarch-tool.json";
const VERSION: u64 = 1;

/// A program that understands Terraform's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Tool {
    /// Terraform.
    Terraform,
    /// OpenTofu.
    Tofu,
}

/// Which tool the user wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// By name, if at all.
    pub tool: Option<Tool>,
    /// Whether it may be another one than the one that made the state.
    pub switch: bool,
}

impl Tool {
    /// Both, in the order in which they are looked for.
    pub const ALL: [Self; 2] = [Self::Terraform, Self::Tofu];

    /// The program's name.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Terraform => "terraform",
            Self::Tofu => "tofu",
        }
    }

    /// The tool by its program's name.
    #[must_use]
    pub fn by_program(program: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.program() == program)
    }

    /// The registry that its provider addresses without a host lead to, by which a state or a lock file gives away
    /// who wrote it.
    const fn registry(self) -> &'static str {
        match self {
            Self::Terraform => "registry.terraform.io/",
            Self::Tofu => "registry.opentofu.org/",
        }
    }

    const fn install(self) -> &'static str {
        match self {
            Self::Terraform => {
                "Install Terraform 1.11 or newer (developer.hashicorp.com/terraform/install), and make sure that it is in `PATH`."
            }
            Self::Tofu => {
                "Install OpenTofu 1.11 or newer (opentofu.org) and make sure that it is in `PATH`, or build it with `make tofu`."
            }
        }
    }

    /// Finds the program: in `PATH`, else the OpenTofu that `make tofu` built.
    pub fn find(self, ambient: &Ambient) -> Result<Utf8PathBuf, process::Error> {
        let missing = match ambient.find(self.program(), self.install()) {
            Ok(program) => return Ok(program),
            Err(missing) => missing,
        };
        let built = ambient.cache().map(|cache| cache.join("tools/tofu/bin/tofu")).ok();
        built.filter(|built| self == Self::Tofu && is_program(built)).ok_or(missing)
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Terraform => "Terraform",
            Self::Tofu => "OpenTofu",
        })
    }
}

/// The tool to take for the state in `dir`: the one that made it, unless the user says that it may change; for a new
/// one the one that was asked for, else the first that is there.
pub fn choose(dir: &Utf8Path, wish: Wish, ambient: &Ambient) -> Result<Tool, Error> {
    let made_by = recorded(dir)?.or_else(|| betrayed(dir));
    match (made_by, wish.tool) {
        (Some(made_by), Some(asked)) if asked != made_by && !wish.switch => {
            Err(Error::OtherTool { made_by, asked, dir: dir.to_owned() })
        }
        (_, Some(asked)) => Ok(asked),
        (Some(made_by), None) => Ok(made_by),
        (None, None) => {
            let found = Tool::ALL.into_iter().find(|tool| tool.find(ambient).is_ok());
            // With neither, it is the first one that is missed.
            Ok(found.unwrap_or(Tool::Terraform))
        }
    }
}

/// Writes down which tool makes the state, before it makes anything.
pub fn record(dir: &Utf8Path, tool: Tool) -> Result<(), Error> {
    let path = dir.join(RECORD);
    let text = format!("{:#}\n", json!({ "version": VERSION, "tool": tool }));
    atomically(&path, text, PRIVATE).map_err(|error| Error::io("write", &path)(std::io::Error::other(error)))
}

fn recorded(dir: &Utf8Path) -> Result<Option<Tool>, Error> {
    let path = dir.join(RECORD);
    let text = match fs_err::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(Error::io("read", &path))?,
    };
    let value: Option<Value> = serde_json::from_slice(&text).ok();
    let known = value.filter(|value| value["version"] == VERSION);
    let tool = known.and_then(|value| serde_json::from_value(value["tool"].clone()).ok());
    tool.map(Some).ok_or(Error::UnknownTool { path })
}

/// Who wrote the lock file or the state of a refarch that kept no record, where a provider's address tells.
fn betrayed(dir: &Utf8Path) -> Option<Tool> {
    [super::client::LOCK_FILE, super::client::STATE].iter().find_map(|name| {
        let text = fs_err::read_to_string(dir.join(name)).ok()?;
        Tool::ALL.into_iter().find(|tool| text.contains(tool.registry()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitCode;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().into()).unwrap();
        (folder, path)
    }

    /// An environment in whose `PATH` these programs are.
    fn with(dir: &Utf8Path, programs: &[&str]) -> Ambient {
        use std::os::unix::fs::PermissionsExt;
        let bin = dir.join("bin");
        fs_err::create_dir_all(&bin).unwrap();
        for program in programs {
            fs_err::write(bin.join(program), "").unwrap();
            fs_err::set_permissions(bin.join(program), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let variables = [("PATH", bin.as_str()), ("REFARCH_CACHE", dir.as_str())];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect()
    }

    fn wish(tool: Option<Tool>, switch: bool) -> Wish {
        Wish { tool, switch }
    }

    #[test]
    fn a_new_deployment_takes_what_was_asked_for_or_what_is_there() {
        let (_keep, dir) = folder();
        let none = wish(None, false);
        assert_eq!(choose(&dir, none, &with(&dir, &[])).unwrap(), Tool::Terraform);
        assert_eq!(choose(&dir, none, &with(&dir, &["tofu"])).unwrap(), Tool::Tofu);
        let both = with(&dir, &["tofu", "terraform"]);
        assert_eq!(choose(&dir, none, &both).unwrap(), Tool::Terraform);
        assert_eq!(choose(&dir, wish(Some(Tool::Tofu), false), &both).unwrap(), Tool::Tofu);
    }

    #[test]
    fn the_tool_that_made_a_state_is_kept_until_the_user_says_so() {
        let (_keep, dir) = folder();
        let ambient = with(&dir, &["terraform", "tofu"]);
        for (made_by, other) in [(Tool::Tofu, Tool::Terraform), (Tool::Terraform, Tool::Tofu)] {
            record(&dir, made_by).unwrap();
            assert_eq!(choose(&dir, wish(None, false), &ambient).unwrap(), made_by);
            assert_eq!(choose(&dir, wish(Some(made_by), true), &ambient).unwrap(), made_by);
            let error = choose(&dir, wish(Some(other), false), &ambient).unwrap_err();
            assert_eq!(error.exit_code(), ExitCode::Refused);
            let text = format!("{error} {}", miette::Diagnostic::help(&error).unwrap());
            assert!(
                text.contains(&format!("was made by {made_by}")) && text.contains("--switch-tool`"),
                "{text}"
            );
            assert_eq!(choose(&dir, wish(Some(other), true), &ambient).unwrap(), other);
        }
    }

    #[test]
    fn an_older_state_tells_by_its_registry_and_else_not_at_all() {
        let asked = wish(Some(Tool::Terraform), false);
        for name in [".terraform.lock.hcl", "terraform.tfstate"] {
            let (_keep, dir) = folder();
            let ambient = with(&dir, &["terraform"]);
            fs_err::write(dir.join(name), "provider \"refarch.invalid/refarch/lab\"").unwrap();
            assert_eq!(choose(&dir, asked, &ambient).unwrap(), Tool::Terraform);
            fs_err::write(dir.join(name), "provider \"registry.opentofu.org/hashicorp/aws\"").unwrap();
            assert!(matches!(choose(&dir, asked, &ambient), Err(Error::OtherTool { .. })));
            assert_eq!(choose(&dir, wish(None, false), &ambient).unwrap(), Tool::Tofu);
        }
    }

    #[test]
    fn a_record_that_is_not_understood_is_no_guess() {
        let (_keep, dir) = folder();
        for text in ["", "{}", r#"{"version": 1, "tool": "other"}"#, r#"{"version": 2, "tool": "tofu"}"#] {
            fs_err::write(dir.join(RECORD), text).unwrap();
            let error = choose(&dir, wish(None, false), &with(&dir, &[])).unwrap_err();
            assert_eq!(error.exit_code(), ExitCode::Refused, "{text}");
        }
    }

    #[test]
    fn the_tofu_that_was_built_is_found_after_the_one_in_path() {
        let (_keep, dir) = folder();
        let ambient = with(&dir, &[]);
        assert!(Tool::Tofu.find(&ambient).unwrap_err().to_string().starts_with("find `tofu`"));
        let built = dir.join("tools/tofu/bin");
        fs_err::create_dir_all(&built).unwrap();
        let other = with(&built, &["tofu"]);
        fs_err::rename(built.join("bin/tofu"), built.join("tofu")).unwrap();
        drop(other);
        assert_eq!(Tool::Tofu.find(&ambient).unwrap(), built.join("tofu"));
        assert!(Tool::Terraform.find(&ambient).is_err());
        let ambient = with(&dir, &["tofu"]);
        assert_eq!(Tool::Tofu.find(&ambient).unwrap(), dir.join("bin/tofu"));
    }
}
