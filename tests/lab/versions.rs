//! The other GitLab version, a package that is not what the spec says, and the way back that there is not.

use super::deployment::Deployment;
use super::machine;
use super::process::run;

#[test]
fn gitlab_19_3_comes_up_once_its_package_is_the_right_one() {
    let next = Deployment::new("t-next");
    let spec = |text: String| text.replace("18.11.2", "19.3.0");
    let wrong = "gitlab-ee_19.3.0-ee.0_amd64.deb";
    let packages = machine::cache().join("lab/packages");
    std::fs::copy(packages.join("gitlab-ee_18.11.2-ee.0_amd64.deb"), next.folder().join(wrong))
        .expect("a copy");
    next.specify(|text| spec(text).replace("{standin: {}}", &format!("{{file: {{path: {wrong}}}}}")));
    next.refarch(&["up", "--yes"])
        .assert(4, &["1 thing not ready: package", "gitlab-ee 18.11.2-ee.0 for amd64", "nothing was made"]);
    // Who leaves the question out is stopped before anything is installed.
    next.refarch(&["up", "--yes", "--skip", "package", "--because", "to see what the node says"]).assert(
        6,
        &[
            "configure failed",
            &next.node(),
            "the package file is",
            "Nothing was installed",
            "ansible-playbook.log",
        ],
    );
    std::fs::write(next.folder().join("smtp"), "Gr\u{f6}\u{df}e#{1+1}'\"\\ hunter2\n").expect("a secret");
    let settings = "settings: {all: {gitlab_rails: {time_zone: Europe/Berlin, nginx: {client_max_body_size: 1g}, \
                    smtp_password: {secret: {file: smtp}}}}}\n";
    next.specify(|text| spec(text) + settings);
    next.up();
    assert!(next.on_node("dpkg-query --show gitlab-ee").contains("19.3.0-ee.0"));
    settings_are_delivered(&next);

    next.specify(|text| text);
    next.refarch(&["up", "--yes"])
        .assert(9, &["runs GitLab 19.3.0-ee.0, which is newer than the 18.11.2-ee.0 that the spec asks for"]);
    assert!(next.on_node("dpkg-query --show gitlab-ee").contains("19.3.0-ee.0"));
    next.destroy().assert(0, &[]);
    next.assert_gone();
    run(&mut Deployment::lab(&["inspect", next.name])).assert(0, &["\"exists\": false"]);
}

/// What the spec sets stands in gitlab.rb, a secret by its name only; without the secret, everything goes on that needs
/// none.
fn settings_are_delivered(next: &Deployment) {
    let rb = next.on_node("cat /etc/gitlab/gitlab.rb");
    for line in [
        "gitlab_rails['time_zone'] = 'Europe/Berlin'",
        "gitlab_rails['nginx']['client_max_body_size'] = '1g'",
        "gitlab_rails['smtp_password'] = secrets.fetch('file:smtp')",
    ] {
        assert!(rb.contains(line), "`{line}` is not in {rb}");
    }
    let read = "JSON.parse(File.read('/etc/gitlab/refarch-secrets.json')).fetch('file:smtp').bytes.sum";
    let sum: u32 = "Gr\u{f6}\u{df}e#{1+1}'\"\\ hunter2".bytes().map(u32::from).sum();
    assert_eq!(next.on_node(&format!("LC_ALL=C ruby -rjson -e \"puts {read}\"")).trim(), sum.to_string());
    std::fs::remove_file(next.folder().join("smtp")).expect("it was there");
    next.refarch(&["plan"]).assert(4, &["gitlab_rails.smtp_password", "there is no such file"]);
    next.refarch(&["verify", "--level", "health"]).assert(0, &[]);
}
