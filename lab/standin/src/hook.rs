//! The hooks of every repository: git calls them in a push, and they ask Rails whether it may be and tell Rails
//! that it was. A Rails that can't be asked refuses every push.

use std::io::Read as _;

use serde_json::{Value, json};

use crate::config;
use crate::internal_api::InternalApi;
use crate::repositories::Actor;
use crate::terminal::{complain, say};

/// What a hook learns from its environment, by the names that GitLab documents for hooks of an administrator.
/// <https://docs.gitlab.com/administration/server_hooks/#environment-variables-available-to-server-hooks>
#[must_use]
pub fn environment(actor: &Actor) -> [(&'static str, &str); 5] {
    [
        ("GL_ID", &actor.id),
        ("GL_REPOSITORY", &actor.repository),
        ("GL_PROJECT_PATH", &actor.project_path),
        ("GL_USERNAME", &actor.username),
        ("GL_PROTOCOL", &actor.protocol),
    ]
}

/// One call of a hook.
struct Call {
    api: InternalApi,
    actor: Actor,
    changes: String,
}

impl Call {
    fn read() -> Result<Self, String> {
        let gitaly = config::gitaly().map_err(|error| error.to_string())?;
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let mut changes = String::new();
        std::io::stdin().read_to_string(&mut changes).map_err(|error| error.to_string())?;
        Ok(Self {
            api: InternalApi { url: gitaly.gitlab.url, secret: gitaly.gitlab.secret },
            actor: Actor {
                id: variable("GL_ID"),
                repository: variable("GL_REPOSITORY"),
                project_path: variable("GL_PROJECT_PATH"),
                username: variable("GL_USERNAME"),
                protocol: variable("GL_PROTOCOL"),
            },
            changes,
        })
    }

    fn post(&self, endpoint: &str, body: &Value, success: impl Fn(&Value) -> bool) -> Result<Value, String> {
        let answer = self.api.post(endpoint, body).map_err(|error| error.to_string())?;
        if answer.status == 200 && success(&answer.body) { Ok(answer.body) } else { Err(answer.reason()) }
    }

    fn pre_receive(&self) -> Result<(), String> {
        let allowed = allowed(&self.actor, &self.changes);
        self.post("/allowed", &allowed, |body| body["status"] == true)?;
        let counted = json!({"gl_repository": self.actor.repository});
        self.post("/pre_receive", &counted, |body| body["reference_counter_increased"] == true)?;
        Ok(())
    }

    fn post_receive(&self) -> Result<Value, String> {
        let news = json!({
            "gl_repository": self.actor.repository,
            "identifier": self.actor.id,
            "changes": self.changes,
        });
        self.post("/post_receive", &news, |_| true)
    }
}

/// The question whether a push may be.
fn allowed(actor: &Actor, changes: &str) -> Value {
    let mut question = json!({
        "action": "git-receive-pack",
        "gl_repository": actor.repository,
        "project": actor.project_path,
        "protocol": actor.protocol,
        "changes": changes,
    });
    let (kind, id) = actor.id.split_once('-').unwrap_or_default();
    match kind {
        "key" => question["key_id"] = json!(id),
        "user" => question["user_id"] = json!(id),
        _ => {}
    }
    question
}

/// Asks whether the push may be; what git's user reads begins with `GitLab:`.
#[must_use]
pub fn pre_receive() -> u8 {
    match Call::read().and_then(|call| call.pre_receive()) {
        Ok(()) => 0,
        Err(reason) => {
            complain(format!("GitLab: {reason}"));
            1
        }
    }
}

/// Tells that the push was, and shows its user what Rails has to say.
#[must_use]
pub fn post_receive() -> u8 {
    match Call::read().and_then(|call| call.post_receive()) {
        Ok(answer) => {
            let messages = answer["messages"].as_array().cloned().unwrap_or_default();
            for text in messages.iter().filter_map(|message| message["message"].as_str()) {
                say(format!("\n{text}\n"));
            }
            0
        }
        Err(reason) => {
            complain(format!("GitLab: {reason}"));
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_a_user_are_told_apart() {
        let actor = |id: &str| Actor { id: id.into(), ..Actor::default() };
        let key = allowed(&actor("key-7"), "a b refs/heads/main\n");
        assert_eq!((&key["key_id"], &key["user_id"]), (&json!("7"), &Value::Null));
        assert_eq!(allowed(&actor("user-1"), "")["user_id"], "1");
        assert_eq!(allowed(&actor(""), "")["key_id"], Value::Null);
    }
}
