//! `idaas token`.

use std::path::PathBuf;

use clap::Args;
use tower_idaas::{Scope, SubjectToken};

use crate::bearer::{Bearer, BearerFormat};
use crate::cache::{CacheArguments, Entry, Issued};
use crate::client::ConfigArguments;
use crate::failure::{EXIT_CODES, Failure};
use crate::input;
use crate::output::print;

/// Prints a bearer token. What is printed on stdout is secret.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct TokenArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The scope to request, `audience|permission` [default: the configured one]
    #[arg(long)]
    scope: Option<Scope>,
    /// How the token is printed
    #[arg(long, value_enum, default_value_t)]
    format: BearerFormat,
    /// Exchanges the access token in this file, or on stdin with `-`, for one on behalf of its subject
    #[arg(long, value_name = "FILE|-")]
    exchange: Option<PathBuf>,
    #[command(flatten)]
    cache: CacheArguments,
}

pub(crate) async fn run(arguments: TokenArguments) -> Result<(), Failure> {
    let TokenArguments { config, scope, format, exchange, cache } = arguments;
    let idaas = config.client()?;
    let subject = match exchange {
        Some(file) => Some(input::secret(&file, "the subject token").await?),
        None => None,
    };
    let entry = match &subject {
        Some(subject) => Entry::new("exchanged-token").with_secret(subject),
        None => Entry::new("token"),
    };
    let entry = entry.with_optional(scope.as_ref().map(Scope::as_str));
    let subject = subject.map(SubjectToken::access_token);
    let fetch = async {
        let token = match (&subject, &scope) {
            (Some(subject), Some(scope)) => idaas.exchange_for(subject, scope).await?,
            (Some(subject), None) => idaas.exchange(subject).await?,
            (None, Some(scope)) => idaas.token_for(scope).await?,
            (None, None) => idaas.token().await?,
        };
        let scope = token.granted_scope().unwrap_or(token.scope().as_str()).to_owned();
        let expires_at = token.expires_at();
        let value = Bearer { text: token.expose_token().to_owned(), expires_at, scope: Some(scope) };
        Ok(Issued { value, expires_at })
    };
    let token = cache.open(&config).await.get_or_fetch(&entry, fetch).await?;
    Ok(print(&token.formatted(format))?)
}
