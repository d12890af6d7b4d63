//! The JSON Schema of a spec, made from the types.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::types::{FORMAT, Spec};

/// The JSON Schema that editors and other programs check a spec with.
#[must_use]
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Spec>();
    schema.insert("title".to_owned(), json!("refarch spec"));
    // The format's number belongs to the file and not to what the file says, so the types don't have it.
    let format = json!({
        "description": "The format of this file.",
        "type": "integer",
        "const": FORMAT,
    });
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("refarch".to_owned(), format);
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.insert(0, json!("refarch"));
    }
    schema.to_value()
}

/// The schema as a file holds it.
#[must_use]
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}
