//! `idaas config schema`: the JSON Schema (2020-12) of `client-config.json`.
//!
//! It is stricter than the library in two ways, so that an editor marks a mistake: an unknown key, which the library
//! warns of, is a fault here, and a word has no white space around it. As for the library, `null` and a blank text count
//! as no key.

use serde_json::{Map, Value, json};

use super::keys::{Key, Kind, MILLISECONDS};
use super::methods::{METHODS, Method};

const AUTHN: &str = "authnConfiguration";

/// The parts of an endpoint, none of which holds a user or a password.
const WITH_SCHEME: &str = r"[A-Za-z]+://[^\s@#\\/?]*";
const WITHOUT_SCHEME: &str = r"([^\s@#\\/?:]*|\[[0-9A-Fa-f:.]*\])(:[0-9]+)?";
const PATH: &str = r"[/?][^\s#\\]*";

/// Further words that the vendor's format has for `clientDeployEnvironment`; they say nothing to a method that does not
/// read the key.
const FURTHER_PLACES: [&str; 6] =
    ["COMMON", "COMPUTER", "ALIBABA_CLOUD_ACK", "AWS_ESK", "HUAWEI_CLOUD_ECS", "CUSTOM"];

pub(crate) fn schema() -> Value {
    let mut root = object("");
    let head = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "client-config.json of Alibaba Cloud IDaaS, as tower-idaas reads it",
    });
    if let (Value::Object(root), Value::Object(head)) = (&mut root, head) {
        root.extend(head);
        if let Some(Value::Array(all)) = root.get_mut("allOf") {
            all.push(json!({ "if": has_method("PLUGIN"), "then": used("openApiEndpoint") }));
        }
    }
    root
}

/// The keys of a section: each in both spellings, the required ones, and no others but those that are ignored.
fn object(section: &str) -> Value {
    let mut properties = Map::new();
    for key in Key::of_section(section) {
        let mut value = value(key);
        // The library takes no default in the place of a blank scope.
        if let ("scope", Value::Object(value)) = (key.path, &mut value) {
            value.insert("pattern".to_owned(), json!("\\S"));
        }
        let snake = key.snake_name();
        if snake != key.name() {
            properties.insert(snake, value.clone());
        }
        properties.insert(key.name().to_owned(), value);
    }
    for ignored in ["$schema", "authenticationSubject", "humanAuthenticateClientId", "jwkEndpoint"] {
        properties.insert(ignored.to_owned(), json!(true));
    }
    let required = Key::of_section(section).filter(|key| key.is_required);
    let mut all: Vec<Value> = required.map(|key| used(key.name())).collect();
    if section == AUTHN {
        all.extend(METHODS.iter().map(of_method));
    }
    let mut schema = json!({
        "type": if section.is_empty() { json!("object") } else { json!(["object", "null"]) },
        "properties": properties,
        "patternProperties": { "^_": true },
        "additionalProperties": false,
    });
    if let Value::Object(schema) = &mut schema
        && !all.is_empty()
    {
        schema.insert("allOf".to_owned(), all.into());
    }
    schema
}

fn value(key: &Key) -> Value {
    let mut schema = match key.kind {
        Kind::Object => object(key.path),
        Kind::Text => json!({ "type": ["string", "null"] }),
        // An `@` in a path is none of a password.
        Kind::Endpoint => json!({
            "type": ["string", "null"],
            "pattern": format!("^\\s*({WITH_SCHEME}|{WITHOUT_SCHEME})({PATH})?\\s*$"),
        }),
        Kind::Word(words) => {
            let further: &[&str] =
                if key.name() == "clientDeployEnvironment" { &FURTHER_PLACES } else { &[] };
            let words: Vec<&str> = words.iter().chain(further).copied().collect();
            json!({ "anyOf": [{ "enum": words }, { "type": "null" }, { "type": "string", "pattern": "^\\s*$" }] })
        }
        Kind::Milliseconds => json!({
            "type": ["integer", "null"],
            "minimum": MILLISECONDS.start(),
            "maximum": MILLISECONDS.end(),
        }),
        Kind::Flag => json!({ "type": ["boolean", "null"] }),
    };
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".to_owned(), key.meaning.into());
    }
    schema
}

/// What a method needs, and which of its keys exclude each other.
fn of_method(method: &Method) -> Value {
    let mut all: Vec<Value> = method.needs.iter().map(|group| one_of(group)).collect();
    let pairs = method.reads.iter().filter(|group| group.len() > 1);
    all.extend(pairs.map(|group| json!({ "not": { "allOf": uses(group) } })));
    if !method.environments.is_empty() {
        let environments = json!({ "enum": method.environments });
        all.push(json!({ "properties": {
            "clientDeployEnvironment": environments,
            "client_deploy_environment": environments,
        } }));
    }
    json!({ "if": is_method(method.name), "then": { "allOf": all } })
}

fn one_of(group: &[&str]) -> Value {
    match group {
        [name] => used(name),
        group => json!({ "oneOf": uses(group) }),
    }
}

fn uses(group: &[&str]) -> Vec<Value> {
    group.iter().map(|name| used(name)).collect()
}

/// The key is there, in one of its spellings, and is not blank.
fn used(name: &str) -> Value {
    let spelled = |name: &str| json!({ "required": [name], "properties": { name: { "type": ["string", "object"], "pattern": "\\S" } } });
    let snake = Key::find(name).map(Key::snake_name).filter(|snake| snake != name);
    match snake {
        Some(snake) => json!({ "anyOf": [spelled(name), spelled(&snake)] }),
        None => spelled(name),
    }
}

/// Within `authnConfiguration`.
fn is_method(name: &str) -> Value {
    let spelled = |key: &str| json!({ "required": [key], "properties": { key: { "const": name } } });
    json!({ "anyOf": [spelled("authnMethod"), spelled("authn_method")] })
}

/// At the top level.
fn has_method(name: &str) -> Value {
    let spelled = |key: &str| json!({ "required": [key], "properties": { key: is_method(name) } });
    json!({ "anyOf": [spelled(AUTHN), spelled("authn_configuration")] })
}
