//! `idaas api-key`.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tower_idaas::Scope;
use tower_idaas::aliyun::ApiKey;

use crate::cache::{CacheArguments, Entry, Issued};
use crate::client::{ConfigArguments, now};
use crate::failure::{EXIT_CODES, Failure};
use crate::input;
use crate::output::print;

/// Prints an API key stored in IDaaS. What is printed on stdout is secret.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ApiKeyArguments {
    /// The identifier of the credential in IDaaS
    #[arg(value_parser = input::name)]
    name: String,
    #[command(flatten)]
    config: ConfigArguments,
    /// The scope of the token that IDaaS is called with [default: the configured one if its audience is
    /// urn:cloud:idaas:pam, else urn:cloud:idaas:pam|.all]
    #[arg(long, value_name = "SCOPE")]
    idaas_scope: Option<Scope>,
    /// How the key is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    cache: CacheArguments,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// The key alone, on one line
    #[default]
    Key,
    /// `Authorization: Bearer …`, for `curl -H @-`
    Header,
    /// One JSON object: name, api_key
    Json,
}

/// It has no `Debug`, because the key is secret.
#[derive(Deserialize, Serialize)]
struct Key(String);

pub(crate) async fn run(arguments: ApiKeyArguments) -> Result<(), Failure> {
    let ApiKeyArguments { name, config, idaas_scope, format, cache } = arguments;
    let mut key = config.client()?.api_key(&name)?;
    if let Some(scope) = &idaas_scope {
        key = key.with_idaas_scope(scope.clone());
    }
    let entry = Entry::new("api-key").with(key.name()).with_optional(idaas_scope.as_ref().map(Scope::as_str));
    let fetch = async {
        // IDaaS does not say when a key ends; the cache keeps it for as long as a service would.
        let expires_at = now() + ApiKey::LIFE;
        Ok(Issued { value: Key(key.key_text().await?.expose_secret().to_owned()), expires_at })
    };
    let Key(text) = cache.open(&config).await.get_or_fetch(&entry, fetch).await?;
    Ok(print(&match format {
        Format::Key => format!("{text}\n"),
        Format::Header => format!("Authorization: Bearer {text}\n"),
        Format::Json => format!("{:#}\n", json!({ "name": key.name(), "api_key": text })),
    })?)
}
