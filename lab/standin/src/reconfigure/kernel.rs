//! Kernel parameters: written where the settings allow it, and a refusal by the kernel is an error, as it
//! is for the package in a container.

use std::fs;
use std::path::{Path, PathBuf};

use super::Error;
use super::converge::{Owner, directory, file, link};
use crate::paths;
use crate::settings::Settings;

/// The parameters that the settings ask for.
#[must_use]
pub fn parameters(settings: &Settings) -> Vec<(&'static str, String)> {
    let number = |path: &[&str], default: u64| settings.number(path).unwrap_or(default);
    let semaphores = [("semmsl", 250), ("semmns", 32_000), ("semopm", 32), ("semmni", 275)]
        .map(|(key, default)| number(&["postgresql", key], default).to_string());
    vec![
        ("kernel.shmmax", number(&["postgresql", "shmmax"], 17_179_869_184).to_string()),
        ("kernel.shmall", number(&["postgresql", "shmall"], 4_194_304).to_string()),
        ("kernel.sem", semaphores.join(" ")),
        ("net.core.somaxconn", "2048".to_owned()),
    ]
}

/// Sets them, now and for later boots.
pub fn apply(settings: &Settings) -> Result<(), Error> {
    if settings.flag(&["package", "modify_kernel_parameters"]) == Some(false) {
        return Ok(());
    }
    for (key, value) in parameters(settings) {
        write(&proc_path(key), &value).map_err(|reason| Error::Kernel { key: key.to_owned(), reason })?;
        let name = format!("90-omnibus-gitlab-{key}.conf");
        let kept = format!("{}/{name}", paths::SYSCTL_ETC);
        directory("/etc/sysctl.d", Owner::ROOT, 0o755)?;
        file(&kept, &format!("{key} = {value}\n"), Owner::ROOT, 0o644)?;
        link(format!("/etc/sysctl.d/{name}"), &kept)?;
    }
    Ok(())
}

fn proc_path(key: &str) -> PathBuf {
    Path::new("/proc/sys").join(key.replace('.', "/"))
}

fn write(path: &Path, value: &str) -> std::io::Result<()> {
    fs::write(path, value)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::manifest::Version;

    #[test]
    fn parameters_follow_the_settings() {
        let set = json!({"postgresql": {"shmmax": 5}});
        let Value::Object(map) = set else { panic!("not a hash") };
        let wanted = parameters(&Settings::new(map, Version::new(18, 11, 2)));
        assert!(wanted.contains(&("kernel.shmmax", "5".to_owned())));
        assert_eq!(proc_path("kernel.sem"), Path::new("/proc/sys/kernel/sem"));
    }
}
