//! A bearer token as `idaas token` and `oauth-token` print it.

use std::time::SystemTime;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::now;
pub(crate) use crate::doctor::display::time as timestamp;

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum BearerFormat {
    /// The token alone, on one line
    #[default]
    Token,
    /// `Authorization: Bearer …`, for `curl -H @-`
    Header,
    /// One JSON object: access_token, token_type, expires_in (seconds), expires_at, scope
    Json,
}

/// A token, and what is known of it. It has no `Debug`, because its text is secret.
#[derive(Deserialize, Serialize)]
pub(crate) struct Bearer {
    pub(crate) text: String,
    pub(crate) expires_at: SystemTime,
    pub(crate) scope: Option<String>,
}

impl Bearer {
    pub(crate) fn formatted(&self, format: BearerFormat) -> String {
        let Self { text, expires_at, scope } = self;
        match format {
            BearerFormat::Token => format!("{text}\n"),
            BearerFormat::Header => format!("Authorization: Bearer {text}\n"),
            BearerFormat::Json => {
                let left = expires_at.duration_since(now()).unwrap_or_default();
                let mut token = json!({
                    "access_token": text,
                    "token_type": "Bearer",
                    "expires_in": left.as_secs(),
                    "expires_at": timestamp(*expires_at),
                });
                if let (Some(scope), Value::Object(token)) = (scope, &mut token) {
                    token.insert("scope".to_owned(), scope.as_str().into());
                }
                format!("{token:#}\n")
            }
        }
    }
}
