//! The same clients with the real programs: what was recorded still holds.

use camino::Utf8PathBuf;
use refarch::ansible::{self, Playbook};
use refarch::events::{Changes, Sender};
use refarch::process::{Ambient, Interrupts, Parts, Redactor, Runner};
use refarch::terraform::{self, PlanMode, Tool};
use tempfile::TempDir;

const MODULE: &str = r#"
resource "terraform_data" "thing" {
  input = "a thing"
}

output "thing" {
  value = terraform_data.thing.output
}
"#;

const PLAYBOOK: &str = "
- name: Do things
  hosts: all
  tasks:
    - name: Change something
      ansible.builtin.copy:
        content: done
        dest: '{{ playbook_dir }}/made'
        mode: '0600'
";

fn runner() -> (TempDir, Utf8PathBuf, Runner) {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(folder.path().canonicalize().unwrap()).unwrap();
    fs_err::create_dir(root.join("logs")).unwrap();
    // Of the surroundings only what finds the programs and the cache folder they were installed into.
    let ambient: Ambient = ["PATH", "HOME", "REFARCH_CACHE", "XDG_CACHE_HOME"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .collect();
    let runner = Runner::new(Parts {
        logs: root.join("logs"),
        redactor: Redactor::default(),
        events: Sender::nowhere(),
        interrupts: Interrupts::default(),
        ambient,
        lock: None,
    });
    (folder, root, runner)
}

#[tokio::test]
async fn terraform_makes_shows_and_removes() {
    let (_keep, root, runner) = runner();
    fs_err::write(root.join("main.tf"), MODULE).unwrap();
    let options = terraform::Options {
        tool: Tool::Terraform,
        dir: root.clone(),
        mirror: None,
        plugin_cache: root.join("plugins"),
    };
    let client = terraform::Client::find(&runner, options).await.expect("`make test` needs Terraform");
    client.init().await.unwrap();
    client.validate().await.unwrap();
    let planned = client.plan(PlanMode::Apply).await.unwrap();
    assert!(planned.has_changes && !client.show(&planned.file).await.unwrap().is_empty());
    assert_eq!(client.apply(planned.file).await.unwrap(), Changes { add: 1, change: 0, remove: 0 });
    assert_eq!(client.output().await.unwrap()["thing"], "a thing");
    let again = client.plan(PlanMode::Apply).await.unwrap();
    assert!(!again.has_changes && client.show(&again.file).await.unwrap().is_empty());
    let destroy = client.plan(PlanMode::Destroy).await.unwrap();
    assert_eq!(client.apply(destroy.file).await.unwrap(), Changes { add: 0, change: 0, remove: 1 });
}

#[tokio::test]
async fn ansible_changes_once() {
    let (_keep, root, runner) = runner();
    let cache = runner.ambient().cache().unwrap();
    for folder in ["callback", "modules"] {
        let from = Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("plugins").join(folder);
        let to = root.join("plugins").join(folder);
        fs_err::create_dir_all(&to).unwrap();
        for entry in from.read_dir_utf8().unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs_err::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    }
    fs_err::write(root.join("site.yml"), PLAYBOOK).unwrap();
    fs_err::write(root.join("ansible.cfg"), "[defaults]\ninventory = inventory.json\ngathering = explicit\n")
        .unwrap();
    let inventory = serde_json::json!({"all": {"hosts": {"here": {
        "ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}}}});
    fs_err::write(root.join("inventory.json"), inventory.to_string()).unwrap();
    let options = ansible::Options { dir: root.clone(), cache };
    let client =
        ansible::Client::find(&runner, options).await.expect("`make test` needs `refarch tools install`");
    let first = client.playbook(Playbook::new("site.yml")).await.unwrap().success().unwrap();
    let second = client.playbook(Playbook::new("site.yml")).await.unwrap().success().unwrap();
    assert_eq!((first.changed(), second.changed()), (1, 0));
    assert!(root.join("made").exists());
}
