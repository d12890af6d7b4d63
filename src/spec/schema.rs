//! The JSON Schema of a spec, made from the types.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::demand::{self, RequestsPerSecond};
use super::types::{FORMAT, Size, Spec};

/// The JSON Schema that editors and other programs check a spec with.
#[must_use]
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let sizes = sizes(&mut generator);
    let mut schema = generator.into_root_schema_for::<Spec>();
    schema.insert("title".to_owned(), json!("refarch spec"));
    // The format's number belongs to the file and not to what the file says, so the types don't have it.
    let format = json!({
        "description": "The format of this file.",
        "type": "integer",
        "const": FORMAT,
    });
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("refarch".to_owned(), format);
        properties.extend(sizes);
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.insert(0, json!("refarch"));
    }
    let one_of = demand::KEYS.map(|key| json!({"required": [key]}));
    schema.insert("oneOf".to_owned(), json!(one_of));
    schema.to_value()
}

/// The three keys that say how large an installation is. A spec has one of them, which no struct can say.
fn sizes(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let size = generator.subschema_for::<Size>();
    let rps = generator.subschema_for::<RequestsPerSecond>();
    let described = |of: &Schema, description: &str| {
        let mut of = of.clone().to_value();
        of["description"] = json!(description);
        of
    };
    let users = "The number of users to choose the architecture for: the smallest that covers it.";
    let all = [
        described(
            &size,
            "The reference architecture to build, by its name; or `users` or `rps` in its place.",
        ),
        json!({"description": users, "type": "integer", "format": "uint32", "minimum": 1}),
        described(
            &rps,
            "The requests a second at the peak, to choose the architecture for: the smallest that covers all four.",
        ),
    ];
    demand::KEYS.iter().map(|key| (*key).to_owned()).zip(all).collect()
}

/// The schema as a file holds it.
#[must_use]
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}
