//! `idaas oauth-token`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use tower_idaas::{BoxError, Scope};

use crate::bearer::{Bearer, BearerFormat};
use crate::cache::{CacheArguments, Entry, Issued};
use crate::client::ConfigArguments;
use crate::failure::{EXIT_CODES, Failure};
use crate::input;
use crate::output::print;

/// Prints the access token of a third party, which IDaaS gets there. What is printed on stdout is secret.
///
/// Where a user must consent at the third party first, the address for that is on stderr, and the exit code is 4. The
/// address is secret too: any holder can consent in the user's place.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct OauthTokenArguments {
    /// The identifier of the credential provider in IDaaS
    #[arg(value_parser = input::name)]
    provider: String,
    #[command(flatten)]
    config: ConfigArguments,
    /// The scope to request from the third party, in its own syntax [default: the provider's settings]
    #[arg(long)]
    scope: Option<String>,
    /// The provider's custom parameters: a JSON object of texts in this file, or on stdin with `-`. They are no
    /// arguments, because they may be secret
    #[arg(long, value_name = "FILE|-")]
    parameters: Option<PathBuf>,
    /// The scope of the token that IDaaS is called with [default: the configured one if its audience is
    /// urn:cloud:idaas:pam, else urn:cloud:idaas:pam|.all]
    #[arg(long, value_name = "SCOPE")]
    idaas_scope: Option<Scope>,
    /// How the token is printed
    #[arg(long, value_enum, default_value_t)]
    format: BearerFormat,
    #[command(flatten)]
    cache: CacheArguments,
}

pub(crate) async fn run(arguments: OauthTokenArguments) -> Result<(), Failure> {
    let OauthTokenArguments { provider, config, scope, parameters, idaas_scope, format, cache } = arguments;
    let mut token = config.client()?.oauth_token(&provider)?;
    let mut entry = Entry::new("oauth-token")
        .with(token.provider())
        .with_optional(idaas_scope.as_ref().map(Scope::as_str))
        .with_optional(scope.as_deref());
    if let Some(scope) = idaas_scope {
        token = token.with_idaas_scope(scope);
    }
    if let Some(scope) = scope {
        token = token.with_scope(scope);
    }
    if let Some(file) = parameters {
        for (name, value) in read_parameters(&file).await? {
            entry = entry.with(&name).with(&value);
            token = token.with_parameter(name, value);
        }
    }
    let fetch = async {
        let token = token.token().await?;
        let expires_at = token.expires_at();
        let scope = token.granted_scope().map(str::to_owned);
        Ok(Issued { value: Bearer { text: token.expose_token().to_owned(), expires_at, scope }, expires_at })
    };
    let token = cache.open(&config).await.get_or_fetch(&entry, fetch).await?;
    Ok(print(&token.formatted(format))?)
}

/// What is wrong is reported without the values.
async fn read_parameters(file: &Path) -> Result<BTreeMap<String, String>, BoxError> {
    let text = input::secret(file, "a JSON object with the custom parameters").await?;
    let parameters = serde_json::from_str(text.expose_secret());
    parameters.map_err(|_| {
        let origin = input::origin(file);
        format!("{origin} holds no JSON object of texts; expected {{\"name\": \"value\"}}").into()
    })
}
