//! The gitlab.rb keys that specs are checked against are those that were read from the package, in a shorter form.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

const PATH: &str = "src/spec/settings/gitlab-rb-keys.txt";

#[derive(Deserialize)]
struct Recorded {
    source: String,
    versions_read: Vec<String>,
    top_level: BTreeMap<String, Span>,
    keys: BTreeMap<String, BTreeMap<String, Span>>,
}

/// The first and the last version that has a name.
type Span = (String, String);

fn minor(version: &str) -> &str {
    version.rsplit_once('.').map_or(version, |(minor, _)| minor)
}

/// Names one after the other, in lines of at most 118 characters.
fn lines(text: &mut String, start: &str, names: &[&str]) {
    let mut line = start.to_owned();
    for name in names {
        if line.len() + name.len() > 118 {
            text.push_str(line.trim_end());
            text.push('\n');
            start.clone_into(&mut line);
        }
        line.push_str(name);
        line.push(' ');
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

fn compact(read: &Recorded) -> String {
    let versions: Vec<_> = read.versions_read.iter().map(|version| minor(version)).collect();
    let whole = (read.versions_read[0].clone(), read.versions_read[versions.len() - 1].clone());
    let span = |span: &Span| format!("{}..{}", minor(&span.0), minor(&span.1));
    let mut text = format!(
        "# The keys of gitlab.rb. Source: {}.\n# Made from lab/standin/data/gitlab-rb-keys.json by `UPDATE_EXPECT=1 cargo \
         test --test it setting_keys`.\n# Before a name or a colon: the first and the last version that has it, where it \
         isn't all of those read.\nversions {}\n",
        read.source,
        versions.join(" ")
    );
    for (name, of) in &read.top_level {
        let shown = if *of == whole { String::new() } else { format!(" {}", span(of)) };
        let _ = writeln!(text, "[{name}]{shown}");
        let mut by_span: BTreeMap<(bool, &Span), Vec<&str>> = BTreeMap::new();
        for (key, of) in read.keys.get(name).into_iter().flatten() {
            by_span.entry((*of != whole, of)).or_default().push(key);
        }
        for ((is_part, of), names) in by_span {
            let start = if is_part { format!("{}: ", span(of)) } else { String::new() };
            lines(&mut text, &start, &names);
        }
    }
    text
}

#[test]
fn the_short_form_says_what_was_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let json = std::fs::read_to_string(root.join("lab/standin/data/gitlab-rb-keys.json")).expect("the data");
    let wanted = compact(&serde_json::from_str(&json).expect("data of this shape"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(root.join(PATH), &wanted).expect("the file can be written");
    }
    let committed = std::fs::read_to_string(root.join(PATH)).unwrap_or_default();
    assert!(committed == wanted, "run `UPDATE_EXPECT=1 cargo test --test it setting_keys`");
}
