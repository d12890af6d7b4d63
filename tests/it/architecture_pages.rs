//! The page of every size in `docs/architectures/`: what is figures in it follows from the data.

use std::fmt::Write as _;
use std::path::Path;

use refarch::architecture::{Architecture, Component, of_size};
use refarch::spec::Size;

const BEGIN: &str =
    "<!-- Figures: written by `UPDATE_EXPECT=1 cargo test --test it architecture_pages`. -->\n";
const END: &str = "<!-- End of the figures. -->\n";

/// What a component is for.
const fn purpose(component: Component) -> &'static str {
    match component {
        Component::AllInOne => "everything",
        Component::ExternalLb => "the way in for users (HAProxy)",
        Component::InternalLb => "the way to PgBouncer, Praefect and the internal API (HAProxy)",
        Component::Consul => "service discovery, by which Patroni decides",
        Component::Postgres => "GitLab's database",
        Component::Pgbouncer => "connections to the database's leader",
        Component::Redis => "queues, sessions, caches",
        Component::RedisCache => "caches",
        Component::RedisPersistent => "queues and sessions",
        Component::PraefectPostgres => "Praefect's database",
        Component::Praefect => "the router of the Gitaly Cluster",
        Component::Gitaly => "the repositories",
        Component::Sidekiq => "background jobs",
        Component::Rails => "web, API, Git over HTTP and SSH",
        Component::Monitor => "Prometheus",
        Component::ObjectStorage => "the lab's object storage",
    }
}

/// What the loss of one node of a component means.
fn loss(component: Component, nodes: u32) -> &'static str {
    let single = nodes == 1;
    match component {
        Component::AllInOne => "**everything stands still**; what it keeps is on its data disk",
        Component::ExternalLb => "**nobody reaches GitLab**: a single point of failure",
        Component::InternalLb => {
            "**GitLab stands still**, for nobody reaches the database: a single point of failure"
        }
        Component::Postgres | Component::Redis if single => {
            "**GitLab stands still**; what it keeps is on its data disk"
        }
        Component::Postgres => {
            "Patroni lets a replica lead; until then, for half a minute or so, nothing is written"
        }
        Component::Redis | Component::RedisCache | Component::RedisPersistent => {
            "the Sentinels let a replica lead; seconds without writing"
        }
        Component::Consul => "nothing: two of three decide",
        Component::Pgbouncer | Component::Praefect => "nothing: the internal load balancer leaves it out",
        Component::PraefectPostgres => {
            "**Git fails**, for Praefect asks it which replica is current: a single point of failure"
        }
        Component::Gitaly if single => "**no repositories**; what it keeps is on its data disk",
        Component::Gitaly => "nothing: every repository is on the other two",
        Component::Sidekiq if single => "jobs wait until it is back",
        Component::Sidekiq => "nothing: the others do its jobs",
        Component::Rails => "nothing: the load balancers leave it out",
        Component::Monitor => "no new metrics; GitLab serves on",
        Component::ObjectStorage => "no uploads, artifacts, packages and LFS",
    }
}

fn figures(architecture: &Architecture) -> String {
    let mut text = String::new();
    let mut line = |content: String| {
        text.push_str(&content);
        text.push('\n');
    };
    let rps = architecture.rps;
    line(String::new());
    line(format!("| {} | |", architecture.title));
    line("|---|---|".into());
    line(format!(
        "| requests a second | API {}, web {}, Git pull {}, Git push {} |",
        rps.api, rps.web, rps.pull, rps.push
    ));
    let available = if architecture.highly_available { "yes" } else { "no" };
    line(format!("| highly available | {available} |"));
    line(format!("| tiers | {} |", architecture.tiers.join(", ")));
    line(format!("| source | <{}>, read {} |", architecture.source.page, architecture.source.read));
    line(String::new());
    line(
        "| component | nodes | vCPU | memory | AWS | Google Cloud | Azure | data disk (ours) | for |".into(),
    );
    line("|---|---|---|---|---|---|---|---|---|".into());
    for (component, size) in &architecture.components {
        let types = &size.machine_types;
        let disk = size.disks.data_gb.map_or_else(String::new, |size| format!("{size} GB"));
        line(format!(
            "| `{component}` | {} | {} | {} GB | {} | {} | {} | {disk} | {} |",
            size.nodes,
            size.vcpu,
            size.memory_gb,
            types.aws,
            types.gcp,
            types.azure,
            purpose(*component)
        ));
    }
    let (nodes, vcpu, memory_gb) = architecture.totals();
    line(String::new());
    line(format!(
        "In sum, which is ours and not the documentation's: **{nodes} node{}, {vcpu} vCPU, {:.2} GB of memory**.",
        if nodes == 1 { "" } else { "s" },
        memory_gb
    ));
    line(String::new());
    line("| one lost node of | means |".into());
    line("|---|---|".into());
    for (component, size) in &architecture.components {
        line(format!("| `{component}` | {} |", loss(*component, size.nodes)));
    }
    line(String::new());
    text
}

#[test]
fn the_page_of_every_size_has_its_figures() {
    for size in Size::ALL {
        let architecture = of_size(*size).expect("the file is part of the program");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/architectures/{size}.md"));
        let page = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (before, rest) = page.split_once(BEGIN).expect("where the figures begin");
        let (committed, after) = rest.split_once(END).expect("where the figures end");
        let wanted = figures(&architecture);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            let mut page = String::new();
            write!(page, "{before}{BEGIN}{wanted}{END}{after}").expect("text can be written");
            std::fs::write(&path, page).expect("the page can be written");
        } else {
            assert!(committed == wanted, "run `UPDATE_EXPECT=1 cargo test --test it architecture_pages`");
        }
    }
}

/// What a page says of the lab is counted here again.
#[test]
fn the_page_of_every_size_names_its_example_and_the_number_of_hosts() {
    for size in Size::ALL {
        let page = format!("{}/docs/architectures/{size}.md", env!("CARGO_MANIFEST_DIR"));
        let page = std::fs::read_to_string(page).expect("a page");
        let (nodes, ..) = of_size(*size).expect("the file is part of the program").totals();
        let hosts = if *size == Size::OneK { nodes } else { nodes + 1 };
        let said = format!("{hosts} host{}", if hosts == 1 { "" } else { "s" });
        assert!(page.contains(&said), "{size}: the page doesn't say `{said}`");
        assert!(page.contains(&format!("examples/lab-{size}.yml")), "{size}");
    }
}
