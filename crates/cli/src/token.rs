//! `idaas token`.

use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use serde_json::json;
use tower_idaas::environment::Environment;
use tower_idaas::{BoxError, Idaas, Secret, SecretSource, SubjectToken, Token};

use crate::arguments::{ConfigArguments, TokenArguments, TokenFormat};
use crate::failure::Failure;
use crate::output::print;

pub(crate) async fn run(arguments: TokenArguments) -> Result<(), Failure> {
    let TokenArguments { config, scope, format, exchange } = arguments;
    let idaas = client(config)?;
    let token = match (exchange, scope) {
        (Some(file), scope) => {
            let subject = SubjectToken::access_token(subject_token(&file).await?);
            match scope {
                Some(scope) => idaas.exchange_for(&subject, &scope).await?,
                None => idaas.exchange(&subject).await?,
            }
        }
        (None, Some(scope)) => idaas.token_for(&scope).await?,
        (None, None) => idaas.token().await?,
    };
    Ok(print(&shown(&token, format))?)
}

/// A client as the arguments say, or as a service here would find its configuration.
pub(crate) fn client(config: ConfigArguments) -> Result<Idaas, Failure> {
    Ok(match config.config {
        Some(path) => Idaas::from_file(path)?,
        None => Idaas::from_env()?,
    })
}

/// The subject token in the file, or on stdin.
async fn subject_token(file: &Path) -> Result<Secret, BoxError> {
    const LONGEST: u64 = 1 << 20;
    if file != Path::new("-") {
        return Ok(SecretSource::file(file).read(&Environment::Process).await?);
    }
    let mut text = String::new();
    std::io::stdin().take(LONGEST + 1).read_to_string(&mut text)?;
    let token = Secret::new(text.trim());
    match token.expose_secret().len() as u64 {
        0 => Err("stdin holds no token; write the subject token to it".into()),
        length if length > LONGEST => {
            Err("stdin holds more than 1 MiB; write the subject token to it".into())
        }
        _ => Ok(token),
    }
}

fn shown(token: &Token, format: TokenFormat) -> String {
    let text = token.expose_token();
    match format {
        TokenFormat::Token => format!("{text}\n"),
        TokenFormat::Header => format!("Authorization: Bearer {text}\n"),
        TokenFormat::Json => {
            let left = token.expires_at().duration_since(now()).unwrap_or_default();
            let token = json!({
                "access_token": text,
                "token_type": "Bearer",
                "expires_in": left.as_secs(),
                "expires_at": humantime::format_rfc3339_seconds(token.expires_at()).to_string(),
                "scope": token.granted_scope().unwrap_or(token.scope().as_str()),
            });
            format!("{token:#}\n")
        }
    }
}

fn now() -> SystemTime {
    tower_idaas::clock::Clock::System.now().system_time()
}
