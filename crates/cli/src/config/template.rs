//! `idaas config new`: a commented file for a method.

use std::fmt::Write;

use super::NewArguments;
use super::keys::{Key, Kind};
use super::methods::{METHODS, Method};

/// What is written in the place of placeholders.
#[derive(Debug, Default)]
pub(crate) struct Values {
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) scope: Option<String>,
}

impl From<NewArguments> for Values {
    fn from(arguments: NewArguments) -> Self {
        let NewArguments { method: _, instance_id, client_id, issuer, scope } = arguments;
        let issuer = issuer.map(|issuer| issuer.trim_end_matches('/').to_owned());
        Self { instance_id, client_id, issuer, scope: scope.map(|scope| scope.as_str().to_owned()) }
    }
}

impl Values {
    fn of(&self, key: &Key) -> Option<String> {
        match key.path {
            "idaasInstanceId" => self.instance_id.clone(),
            "clientId" => self.client_id.clone(),
            "issuer" => self.issuer.clone(),
            "tokenEndpoint" => self.issuer.as_ref().map(|issuer| format!("{issuer}/token")),
            "scope" => self.scope.clone(),
            _ => None,
        }
    }
}

/// JSON with comments on lines of their own: without them it is JSON for any reader.
pub(crate) fn text(method: &Method, values: &Values) -> String {
    let mut text = format!(
        "// client-config.json of Alibaba Cloud IDaaS, for method {}: {}.\n\
         // `idaas config explain KEY` explains a key, `idaas config check FILE` looks for faults.\n{{\n",
        method.name, method.meaning
    );
    for key in Key::of_section("").filter(|key| !matches!(key.kind, Kind::Object)) {
        let is_active = key.is_required
            || key.path == "scope"
            || key.path == "openApiEndpoint" && method.name == "PLUGIN";
        comment(&mut text, 1, key.meaning);
        line(&mut text, 1, key, &value(key, method, values), !is_active);
    }
    http(&mut text);
    authn(&mut text, method, values);
    text.push_str("}\n");
    text
}

fn http(text: &mut String) {
    comment(text, 1, "How token requests are sent; these are the defaults.");
    let keys: Vec<String> = Key::of_section("httpConfiguration")
        .filter(|key| matches!(key.kind, Kind::Milliseconds))
        .map(|key| format!("\"{}\": {}", key.name(), key.example))
        .collect();
    comment(text, 1, &format!("\"httpConfiguration\": {{ {} }},", keys.join(", ")));
}

fn authn(text: &mut String, method: &Method, values: &Values) {
    comment(text, 1, "How the client authenticates.");
    text.push_str("  \"authnConfiguration\": {\n");
    // What may be left out comes first: then the comma after each line is right whether or not it is a comment.
    text.push_str("    \"identityType\": \"CLIENT\",\n");
    let mut lines = |names: &[&str], is_optional: bool| {
        let keys = names.iter().filter_map(|name| Key::find(name));
        for (index, key) in keys.enumerate() {
            let is_alternative = index > 0;
            comment(text, 2, if is_alternative { "Or, in its place:" } else { key.meaning });
            if is_alternative {
                comment(text, 2, key.meaning);
            }
            line(text, 2, key, &value(key, method, values), is_optional || is_alternative);
        }
    };
    method.reads.iter().for_each(|group| lines(group, true));
    method.needs.iter().for_each(|group| lines(group, false));
    let others: Vec<&str> =
        METHODS.iter().map(|other| other.name).filter(|name| *name != method.name).collect();
    comment(text, 2, &format!("The method of authentication. Others: {}.", others.join(", ")));
    let _ = writeln!(text, "    \"authnMethod\": \"{}\"\n  }}", method.name);
}

fn value(key: &Key, method: &Method, values: &Values) -> String {
    if let Some(value) = values.of(key) {
        return serde_json::Value::from(value).to_string();
    }
    match (key.name(), method.environments) {
        ("clientDeployEnvironment", [first, ..]) => format!("\"{first}\""),
        _ => format!("\"{}\"", key.example),
    }
}

fn line(text: &mut String, depth: usize, key: &Key, value: &str, is_comment: bool) {
    let mark = if is_comment { "// " } else { "" };
    // Writing to a string does not fail.
    let _ = writeln!(text, "{:indent$}{mark}\"{}\": {value},", "", key.name(), indent = depth * 2);
}

/// On lines of bounded length.
fn comment(text: &mut String, depth: usize, comment: &str) {
    const WIDTH: usize = 100;
    let mut line = String::new();
    let mut end = |line: &mut String| {
        let _ = writeln!(text, "{:indent$}// {line}", "", indent = depth * 2);
        line.clear();
    };
    for word in comment.split(' ') {
        if !line.is_empty() && line.len() + word.len() >= WIDTH {
            end(&mut line);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    end(&mut line);
}
