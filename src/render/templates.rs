//! The few Tera templates: the root module, `ansible.cfg` and `ssh_config`.

use std::sync::LazyLock;

use tera::{Context, Delimiters, Tera};

use super::Error;

const TEMPLATES: [(&str, &str); 3] = [
    ("main.tf", include_str!("templates/main.tf.tera")),
    ("ansible.cfg", include_str!("templates/ansible.cfg.tera")),
    ("ssh_config", include_str!("templates/ssh_config.tera")),
];

/// The templates as they were read once.
static READ: LazyLock<Result<Tera, tera::Error>> = LazyLock::new(read);

fn read() -> Result<Tera, tera::Error> {
    let mut tera = Tera::default();
    // `{{ }}` and `%{ }` belong to Ansible and Terraform and pass through untouched.
    tera.set_delimiters(Delimiters {
        block_start: "<%".into(),
        block_end: "%>".into(),
        variable_start: "<<".into(),
        variable_end: ">>".into(),
        comment_start: "<#".into(),
        comment_end: "#>".into(),
    })?;
    tera.autoescape_on(Vec::<&str>::new());
    tera.add_raw_templates(TEMPLATES.to_vec())?;
    Ok(tera)
}

/// Renders one template. A variable that the context lacks is an error.
pub(super) fn render(name: &'static str, context: &Context) -> Result<String, Error> {
    let failed = |error: &tera::Error| Error::Template { name: name.to_owned(), message: error.to_string() };
    let tera = READ.as_ref().map_err(failed)?;
    tera.render(name, context).map_err(|error| failed(&error))
}
