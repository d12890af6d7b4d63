//! Installing the private ansible-core, with a Python that only pretends.

use std::os::unix::fs::PermissionsExt;

use miette::Diagnostic as _;
use refarch::ansible::{self, Error};
use refarch::exit::ExitCode;

use super::harness::Harness;

/// Makes what `venv` and `pip` would leave behind; fails in pip while a file `broken` lies beside it.
const PYTHON: &str = r#"#!/bin/sh
case "$*" in
  -c*) echo "VERSION" ;;
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python3" ;;
  "-m pip install "*)
    echo "installing with index ${PIP_INDEX_URL:-none}"
    if [ -e "ROOT/broken" ]; then echo "no matching distribution" >&2; exit 1; fi
    printf '#!/bin/sh\necho "ansible-playbook [core 2.19.14]"\n' >"${0%/*}/ansible-playbook"
    chmod 755 "${0%/*}/ansible-playbook" ;;
  *) exit 9 ;;
esac
"#;

fn harness(version: &str) -> Harness {
    let harness = Harness::playing(&[]);
    for name in ["python3", "python3.11", "python3.12", "python3.13"] {
        let path = harness.root.join("bin").join(name);
        let script = PYTHON.replace("VERSION", version).replace("ROOT", harness.root.as_str());
        fs_err::write(&path, script).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    harness
}

#[tokio::test]
async fn installs_once_and_is_found_first() {
    let harness = harness("3.11");
    let cache = harness.root.join("cache");
    assert!(!ansible::is_current(&cache));
    let first = ansible::install(&harness.runner, &cache).await.unwrap();
    assert!(!first.was_current && ansible::is_current(&cache));
    assert_eq!(first.folder, cache.join("tools/ansible"));
    let log = harness.log("pip");
    assert!(log.contains("--require-hashes --only-binary :all: -r"), "{log}");
    let second = ansible::install(&harness.runner, &cache).await.unwrap();
    assert!(second.was_current);
    assert_eq!(harness.log("pip"), log, "pip was asked again");
    let options = ansible::Options { dir: harness.tree(), cache: cache.clone() };
    let client = ansible::Client::find(&harness.runner, options).await.unwrap();
    assert_eq!(client.program(), ansible::programs(&cache).join("ansible-playbook"));
    harness.assert_clean();
}

#[tokio::test]
async fn what_failed_says_why_and_can_be_repeated() {
    let harness = harness("3.13");
    let cache = harness.root.join("cache");
    fs_err::write(harness.root.join("broken"), "").unwrap();
    let error = ansible::install(&harness.runner, &cache).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::ToolMissing);
    let help = error.help().unwrap().to_string();
    assert!(help.contains("no matching distribution") && help.contains("pip.log"), "{help}");
    assert!(!ansible::is_current(&cache));
    fs_err::remove_file(harness.root.join("broken")).unwrap();
    ansible::install(&harness.runner, &cache).await.unwrap();
    assert!(ansible::is_current(&cache));
}

#[tokio::test]
async fn an_old_python_is_refused() {
    let harness = harness("3.9");
    let error = ansible::install(&harness.runner, &harness.root.join("cache")).await.unwrap_err();
    assert!(matches!(error, Error::PythonTooOld { .. }), "{error:?}");
    assert!(error.to_string().contains("3.9 ("), "{error}");
}

#[tokio::test]
async fn two_at_once_are_told_apart() {
    let harness = harness("3.11");
    let tools = harness.root.join("cache/tools");
    fs_err::create_dir_all(&tools).unwrap();
    let held = std::fs::File::create(tools.join(".lock")).unwrap();
    held.try_lock().unwrap();
    let error = ansible::install(&harness.runner, &harness.root.join("cache")).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Locked);
}
