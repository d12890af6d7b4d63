//! `POST /api/graphql`: metadata, which is all that an instance is asked here. Any other field gets GraphQL's
//! own refusal.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::auth::Caller;
use super::{Api, instance};

/// Answers a query.
pub async fn answer(State(api): State<Api>, caller: Caller, Json(request): Json<Value>) -> Json<Value> {
    let query = request.get("query").and_then(Value::as_str).unwrap_or_default();
    // Whoever isn't known may see the schema, and null as its value.
    let metadata = if caller.0.is_some() { instance::metadata_of(&api) } else { Value::Null };
    let answered = parse(query).and_then(|asked| select(&asked, &json!({"metadata": metadata}), "Query"));
    Json(match answered {
        Ok(data) => json!({"data": data}),
        Err(message) => json!({"errors": [{"message": message}]}),
    })
}

/// A field and what is asked of it.
#[derive(Debug, PartialEq, Eq)]
struct Field<'q> {
    name: &'q str,
    fields: Vec<Field<'q>>,
}

/// The fields of a query without arguments, aliases or fragments.
fn parse(query: &str) -> Result<Vec<Field<'_>>, String> {
    let query = query.trim();
    let Some(start) = query.find('{') else { return Err("Unexpected end of document".to_owned()) };
    let operation = query[..start].split_whitespace().next().unwrap_or("query");
    if operation != "query" {
        return Err(format!("a {operation} is not answered here ({})", crate::paths::NOTICE));
    }
    let (fields, rest) = selection(&query[start + 1..])?;
    if rest.trim().is_empty() { Ok(fields) } else { Err("Expected one operation".to_owned()) }
}

/// What stands up to the closing brace, and what follows it.
fn selection(mut text: &str) -> Result<(Vec<Field<'_>>, &str), String> {
    let mut fields: Vec<Field<'_>> = Vec::new();
    loop {
        text = text.trim_start_matches(|char: char| char.is_whitespace() || char == ',');
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((fields, rest));
        }
        if let Some(inner) = text.strip_prefix('{') {
            let field = fields.last_mut().ok_or("Expected a field before {")?;
            (field.fields, text) = selection(inner)?;
            continue;
        }
        let end = text.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(text.len());
        if end == 0 {
            let found = text.chars().next().map_or_else(|| "end of document".to_owned(), String::from);
            return Err(format!("Unexpected {found}"));
        }
        fields.push(Field { name: &text[..end], fields: Vec::new() });
        text = &text[end..];
    }
}

fn select(asked: &[Field<'_>], value: &Value, kind: &str) -> Result<Value, String> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let mut found = Map::new();
    for field in asked {
        let name = field.name;
        if name == "__typename" {
            found.insert(name.to_owned(), json!(kind));
            continue;
        }
        let inner =
            value.get(name).ok_or_else(|| format!("Field '{name}' doesn't exist on type '{kind}'"))?;
        let kind = if name == "kas" { "Kas" } else { "Metadata" };
        let selected = if inner.is_object() { select(&field.fields, inner, kind)? } else { inner.clone() };
        found.insert(name.to_owned(), selected);
    }
    Ok(Value::Object(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(query: &str) -> Result<Value, String> {
        let metadata = json!({"version": "19.3.0-ee", "kas": {"enabled": false, "version": null}});
        select(&parse(query)?, &json!({"metadata": metadata}), "Query")
    }

    #[test]
    fn answers_what_it_is_asked() {
        let asked = ask("query { metadata { version kas { enabled } } }").expect("an answer");
        assert_eq!(asked, json!({"metadata": {"version": "19.3.0-ee", "kas": {"enabled": false}}}));
        assert_eq!(ask("{__typename}").expect("an answer"), json!({"__typename": "Query"}));
    }

    #[test]
    fn refuses_what_is_not_there() {
        let colour = ask("{ metadata { colour } }").expect_err("refused");
        assert_eq!(colour, "Field 'colour' doesn't exist on type 'Metadata'");
        assert!(ask("{ projects { nodes { id } } }").is_err());
        for broken in ["", "{ metadata { version }", "{ a(b: 1) }", "mutation { a }", "{ a } { b }"] {
            assert!(ask(broken).is_err(), "{broken}");
        }
    }
}
