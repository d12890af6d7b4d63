//! The pages that a person meets, which say what answers them.

use crate::paths::NOTICE;

/// The sign-in page.
#[must_use]
pub fn sign_in(version: &str) -> String {
    frame(
        "Sign in",
        &format!(
            "<p><strong>This is a {NOTICE}.</strong> It answers as GitLab {version} would, so that a topology \
             can be tried.</p>\n\
             <form id=\"new_user\" class=\"new_user\" action=\"/users/sign_in\" method=\"post\">\n\
             <label for=\"user_login\">Username or primary email</label>\n\
             <input id=\"user_login\" name=\"user[login]\" autocomplete=\"username\">\n\
             <label for=\"user_password\">Password</label>\n\
             <input id=\"user_password\" name=\"user[password]\" type=\"password\" \
             autocomplete=\"current-password\">\n\
             <button type=\"submit\">Sign in</button>\n\
             </form>"
        ),
    )
}

/// What the sign-in form gets.
#[must_use]
pub fn no_sessions() -> String {
    frame("Not implemented (501)", &format!("<p>501: nobody can sign in here. This is a {NOTICE}.</p>"))
}

/// What is not there.
#[must_use]
pub fn not_found() -> String {
    let text =
        format!("<p>404: Page not found.</p>\n<p>This is a {NOTICE}: few pages of GitLab are here.</p>");
    frame("Not Found (404)", &text)
}

/// What workhorse says when puma doesn't answer.
#[must_use]
pub fn bad_gateway() -> String {
    frame("GitLab is not responding (502)", &format!("<p>502: puma does not answer. This is a {NOTICE}.</p>"))
}

fn frame(title: &str, content: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title} · GitLab \
         ({NOTICE})</title></head>\n<body>\n<h1>GitLab: {NOTICE}</h1>\n{content}\n</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_says_what_it_is() {
        for page in [sign_in("19.3.0"), no_sessions(), not_found(), bad_gateway()] {
            assert!(page.contains("lab stand-in, not GitLab"));
        }
        assert!(sign_in("19.3.0").contains("<form"));
    }
}
