//! What a path may look like (docs: `user/reserved_names`).

/// Words that lead elsewhere than to a group.
const RESERVED: [&str; 12] = [
    "-",
    "admin",
    "api",
    "dashboard",
    "explore",
    "groups",
    "help",
    "oauth",
    "projects",
    "search",
    "uploads",
    "users",
];

/// Refuses a path that no group or project may have.
pub fn check(path: &str) -> Result<(), &'static str> {
    if RESERVED.contains(&path.to_ascii_lowercase().as_str()) {
        return Err("is a reserved name");
    }
    let plain = path.chars().all(|char| char.is_ascii_alphanumeric() || "_-.".contains(char));
    let start = path.starts_with(['-', '_', '.']);
    let kind = path.rsplit_once('.').map(|(_, kind)| kind.to_ascii_lowercase());
    let kind = kind.is_some_and(|kind| kind == "git" || kind == "atom");
    let end = kind || path.ends_with(['-', '_', '.']);
    if plain && !start && !end && !path.is_empty() && path.len() <= 255 {
        Ok(())
    } else {
        Err(
            "can only include non-accented letters, digits, '_', '-' and '.'. It must not start with '-', '_', \
             or '.', nor end with '-', '_', '.', '.git', or '.atom'.",
        )
    }
}

/// The path that a name gives when only a name is given.
pub fn slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let plain = lower.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' });
    let text: String = plain.collect();
    text.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_what_the_documentation_allows() {
        for good in ["a", "run-1a2b", "A.b_c", "2026"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a.git", "a b", "ä", "a-", "api", "Admin", "a/b"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_gives_a_path() {
        assert_eq!(slug("My Project (2)"), "my-project-2");
    }
}
