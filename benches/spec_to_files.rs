//! How long a spec takes to every file: read, checked, resolved and rendered. Prints the first, which also reads the
//! program's own data, and the fastest of a hundred, per example.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench says what it measured, and fails when it can't"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use refarch::render::{Identity, Inputs, LocalFile, render};
use refarch::{architecture, deployment, spec};

const ROUNDS: u32 = 100;

fn round(text: &str, identity: &Identity, file: &LocalFile) -> usize {
    let spec = spec::parse(text, "spec.yml").expect("an example").spec;
    let architecture = architecture::of_size(spec.architecture).expect("a part of the program");
    let deployment = deployment::resolve(&spec, architecture);
    let inputs = Inputs {
        deployment: &deployment,
        identity,
        bound: None,
        local_file: Some(file),
        known_disks: &BTreeMap::new(),
    };
    render(inputs).expect("no bug").iter().count()
}

fn main() {
    let identity = Identity {
        suffix: "abc123".into(),
        ssh_public_key: "ssh-ed25519 AAAA refarch".into(),
        work_directory: "/customers/acme/.refarch/demo".into(),
        lab_image: "/cache/lab/image".into(),
    };
    let file = LocalFile { path: "/cache/gitlab-ee.deb".into(), sha256: "0".repeat(64) };
    let examples = [
        ("lab-1k.yml", include_str!("../examples/lab-1k.yml")),
        ("lab-1k-settings.yml", include_str!("../examples/lab-1k-settings.yml")),
        ("lab-3k.yml", include_str!("../examples/lab-3k.yml")),
        ("lab-50k.yml", include_str!("../examples/lab-50k.yml")),
    ];
    for (name, text) in examples {
        let mut times: Vec<Duration> = Vec::new();
        let mut files = 0;
        for _ in 0..ROUNDS {
            let began = Instant::now();
            files = round(text, &identity, &file);
            times.push(began.elapsed());
        }
        let ms = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64() * 1000.0;
        let (first, fastest) = (ms(times.first().copied()), ms(times.into_iter().min()));
        println!(
            "{name} to {files} files: first {first:.2} ms, fastest {fastest:.2} ms (budget of a 1k 5 ms, of a 50k 20 ms)"
        );
    }
}
