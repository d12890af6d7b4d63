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
    next.refarch(&["up", "--yes"]).assert(
        6,
        &[
            "configure failed",
            &next.node(),
            "Refuse another package than the wanted one",
            "Nothing was installed",
            "ansible-playbook.log",
        ],
    );
    next.specify(spec);
    next.up();
    assert!(next.on_node("dpkg-query --show gitlab-ee").contains("19.3.0-ee.0"));

    next.specify(|text| text);
    next.refarch(&["up", "--yes"])
        .assert(9, &["runs GitLab 19.3.0-ee.0, which is newer than the 18.11.2-ee.0 that the spec asks for"]);
    assert!(next.on_node("dpkg-query --show gitlab-ee").contains("19.3.0-ee.0"));
    next.destroy().assert(0, &[]);
    next.assert_gone();
    run(&mut Deployment::lab(&["inspect", next.name])).assert(0, &["\"exists\": false"]);
}
