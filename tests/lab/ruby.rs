//! The Ruby of the lab's hosts reads back what refarch writes into gitlab.rb, whatever characters are in it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use refarch::render::gitlab_rb::{Settings, Value, write};
use refarch::{architecture, deployment, spec};

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

#[test]
fn the_real_ruby_reads_back_every_text() {
    let example = include_str!("../../examples/lab-1k.yml");
    let parsed = spec::parse(example, "lab-1k.yml").expect("valid").spec;
    let size = architecture::of_size(parsed.architecture).expect("a part of the program");
    let node = deployment::resolve(&parsed, size).nodes[0].clone();
    let settings = Settings::default().with(&["texts"], Value::from(texts())).expect("one key");
    let program = format!(
        "def texts(value) = @texts = value\n{}\nrequire 'json'\nputs JSON.generate(@texts, ascii_only: true)\n",
        write(&node, &settings, &|_| String::new())
    );
    let root = cache().join("lab/image/rootfs");
    let mut ruby = Command::new("chroot")
        .arg(root)
        // As `gitlab-ctl reconfigure` may be called: without a locale.
        .args(["/usr/bin/env", "-i", "LC_ALL=C", "PATH=/usr/bin:/bin", "ruby", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("chroot starts");
    ruby.stdin.take().expect("a pipe").write_all(program.as_bytes()).expect("written");
    let output = ruby.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", output.status);
    let read: Vec<String> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(read, texts());
}
