//! Is the package of the spec installed, and held against upgrades?

use super::NodeFacts;
use crate::checks::question::Miss;
use crate::rollout::Package;

pub(super) fn judge(facts: &NodeFacts) -> Result<String, Miss> {
    let package = &facts.state.package;
    let Some(wanted) = &facts.wanted.package else { return other(package) };
    match &package.installed {
        None => Err(Miss::fail("the package is not installed", "install it with `refarch up`")),
        Some(installed) if installed != wanted => Err(Miss::fail(
            format!("gitlab-ee {installed}"),
            "set `gitlab.version` to what runs, or see with `zgrep gitlab-ee /var/log/dpkg.log*` on the node who changed it",
        )),
        Some(installed) if !package.held => Err(Miss::warn(
            format!("gitlab-ee {installed}, not held: the next `apt-get upgrade` replaces it"),
            "hold it again with `refarch up`, or with `apt-mark hold gitlab-ee` on the node",
        )),
        Some(installed) => Ok(format!("gitlab-ee {installed}, held")),
    }
}

/// A node without GitLab's package has one of the distribution's, of whichever version that keeps.
fn other(package: &Package) -> Result<String, Miss> {
    match &package.installed {
        None => Err(Miss::fail("the package is not installed", "install it with `refarch up`")),
        Some(installed) => Ok(format!("version {installed}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::facts;
    use super::*;
    use crate::events::Status;

    #[test]
    fn passes_on_the_version_of_the_spec() {
        assert_eq!(judge(&facts()).unwrap(), "gitlab-ee 18.11.2-ee.0, held");
    }

    #[test]
    fn fails_on_none_or_another_version_and_warns_when_not_held() {
        let mut facts = facts();
        facts.state.package.held = false;
        assert_eq!(judge(&facts).unwrap_err().status, Status::Warn);
        facts.state.package.installed = Some("18.11.3-ee.0".into());
        let miss = judge(&facts).unwrap_err();
        assert_eq!((miss.status, miss.saw.as_str()), (Status::Fail, "gitlab-ee 18.11.3-ee.0"));
        facts.state.package.installed = None;
        assert_eq!(judge(&facts).unwrap_err().status, Status::Fail);
    }
}
