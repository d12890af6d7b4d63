//! The Ruby of the lab's hosts reads back what refarch writes into gitlab.rb, whatever characters are in it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use refarch::architecture::{self, Component};
use refarch::deployment::{self, Deployment};
use refarch::render::gitlab_rb::{self, Address, Piece, Settings, Value, write};
use refarch::spec;
use serde_json::json;

use super::machine::cache;

/// Texts that try to break out of a string, or that Ruby might read as something else.
fn texts() -> Vec<String> {
    let traps = [
        "",
        "'; exit 7 #",
        "\"; exit 7 #",
        "#{exit 7}",
        "#$0",
        "#@a",
        "a\n#{exit 7}\n'\"",
        "a\r\nb\rc",
        "\n__END__\nexit 7\n",
        "\\",
        "\\'",
        "\\\\n",
        "\\u{41}",
        "\u{0}\u{4}\u{1a}",
        "Größe",
        "🦀",
        "\u{202e}x\u{2028}",
        "<<~E\nE\n",
        "%w[a]",
        "=begin\n",
        "${HOME} $(id) `id`",
    ];
    let all = (1..=0x17f_u32).filter_map(char::from_u32).collect::<String>();
    traps.into_iter().map(str::to_owned).chain([all]).collect()
}

fn resolved(example: &str) -> Deployment {
    let parsed = spec::parse(example, "spec.yml").expect("valid").spec;
    let size = architecture::of_size(parsed.architecture).expect("a part of the program");
    deployment::resolve(&parsed, size)
}

/// What the lab's Ruby prints when it runs this program, which is JSON.
fn run(program: &str) -> serde_json::Value {
    let root = cache().join("lab/image/rootfs");
    let mut ruby = Command::new("chroot")
        .arg(root)
        // As `gitlab-ctl reconfigure` may be called: without a locale.
        .args(["/usr/bin/env", "-i", "LC_ALL=C", "PATH=/usr/bin:/bin", "ruby", "-w", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("chroot starts");
    ruby.stdin.take().expect("a pipe").write_all(program.as_bytes()).expect("written");
    let output = ruby.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn the_real_ruby_reads_back_every_text() {
    let node = resolved(include_str!("../../examples/lab-1k.yml")).nodes[0].clone();
    let settings = Settings::default().with(&["texts"], Value::from(texts())).expect("one key");
    let program = format!(
        "def texts(value) = @texts = value\n{}\nrequire 'json'\nputs JSON.generate(@texts, ascii_only: true)\n",
        write(&node, &settings, &|_| String::new())
    );
    assert_eq!(run(&program), json!(texts()));
}

/// gitlab.rb's own language, as far as refarch writes it: a name holds keys, or takes a value.
const LANGUAGE: &str = r#"
require 'json'
# What stands here is warned of, and gitlab.rb must not be.
$VERBOSE = nil
class Section < Hash
  def initialize = super { |hash, key| hash[key] = Section.new }
end
FOUND = Section.new
def self.method_missing(name, *given)
  given.empty? ? FOUND[name.to_s] : FOUND[name.to_s] = given.first
end
def self.respond_to_missing?(*) = true
# Every secret is its own name.
class Names
  def fetch(name) = "secret #{name}"
end
def JSON.parse(*) = Names.new
def File.read(*) = ''
$VERBOSE = true
"#;

fn address(address: &Address) -> String {
    match address {
        Address::Node(name) => name.to_string(),
        Address::Cidr(name) => format!("{name}/32"),
    }
}

/// What Ruby is to find where this value is written.
fn meant(value: &Value) -> serde_json::Value {
    match value {
        Value::Nil => json!(null),
        Value::Bool(value) => json!(value),
        Value::Integer(value) => json!(value),
        Value::Decimal(text) => serde_json::from_str(text).expect("a number"),
        Value::Text(text) => json!(text),
        Value::List(items) => items.iter().map(meant).collect(),
        Value::Map(entries) => entries.iter().map(|(key, value)| (key.clone(), meant(value))).collect(),
        Value::Secret(name) => json!(format!("secret {name}")),
        Value::Given(source) => json!(format!("secret {source}")),
        Value::Address(of) => json!(address(of)),
        Value::Joined(pieces) => {
            let text = |piece: &Piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Address(of) => address(of),
            };
            json!(pieces.iter().map(text).collect::<String>())
        }
    }
}

#[test]
fn the_real_ruby_reads_every_components_settings() {
    let examples = [
        include_str!("../../examples/lab-1k-settings.yml"),
        include_str!("../../examples/lab-2k.yml"),
        include_str!("../../examples/lab-3k.yml"),
        include_str!("../../examples/lab-10k.yml"),
    ];
    for deployment in examples.map(resolved) {
        let packaged = Component::ALL.into_iter().filter(|component| component.has_package());
        for node in packaged.filter_map(|of| deployment.nodes_of(of).next()) {
            let settings = gitlab_rb::settings(&deployment, node).expect("no key twice");
            let written = write(node, &settings, &address);
            let found = run(&format!("{LANGUAGE}\n{written}\nputs JSON.generate(FOUND)\n"));
            let mut wanted = json!({});
            for (path, value) in settings.iter() {
                let place = path.iter().fold(&mut wanted, |place, key| &mut place[key.as_str()]);
                *place = meant(value);
            }
            assert_eq!(found, wanted, "{}", node.name);
        }
    }
}
