//! A credential from the server at a URI that the environment names.

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use zeroize::Zeroizing;

use crate::aliyun::credential::file;
use crate::aliyun::credential::lookup::{
    FetchContext, Issuer, Lookup, NoCredential, Temporary, TemporarySource, redacted_uri,
};
use crate::aliyun::credential::temporary::{self, Clocks};
use crate::environment::Environment;
use crate::error::Error;
use crate::host::has_usable_port;
use crate::wire::call::ApiCall;
use crate::wire::percent;
use crate::wire::profile::{ApiProfile, Refusal};

const VARIABLE: &str = "ALIBABA_CLOUD_CREDENTIALS_URI";

/// Shorter parts of the URI are no secrets, and would redact half of a server's text.
const SHORTEST_SECRET: usize = 6;

pub(super) fn lookup(environment: &Environment) -> Result<Lookup, NoCredential> {
    let text = file::variable(VARIABLE, environment)?
        .ok_or_else(|| NoCredential::not_configured(format!("{VARIABLE} is not set")))?;
    let is_good = |uri: &Uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri
                .authority()
                .is_some_and(|authority| !authority.as_str().contains('@') && has_usable_port(authority))
    };
    match text.parse() {
        Ok(uri) if is_good(&uri) => {
            Ok(Lookup::Temporary(TemporarySource { from: Issuer::Uri(uri), provider: "credential_uri" }))
        }
        _ => {
            Err(NoCredential::failed(format!("{VARIABLE} is not a URI; expected `http://…` or `https://…`")))
        }
    }
}

/// Plain HTTP goes directly to its host, never through a proxy.
pub(super) async fn fetch(
    uri: &Uri,
    provider: &'static str,
    context: &FetchContext,
) -> Result<Temporary, Error> {
    let transport = match uri.scheme_str() {
        Some("https") => &context.channel.transport,
        _ => &context.direct,
    };
    let mut request = Request::new(Full::<Bytes>::default());
    *request.uri_mut() = uri.clone();
    let (endpoint, secrets) = (redacted_uri(uri), secrets(uri));
    let exposed = secrets.iter().map(|secret| secret.as_str());
    let call = ApiCall::new(&CredentialsUri, &endpoint, "", &context.channel.clock, exposed);
    let response = call.send(request, |request| transport.send(request, &endpoint)).await?;
    temporary::read(&response, &response.object, provider, Clocks::Both)
}

/// Path and query, whole and in parts: the server may echo any of them. Each part is included in decoded form too,
/// which matches an echo in every encoding.
fn secrets(uri: &Uri) -> Vec<Zeroizing<String>> {
    let whole = uri.path_and_query().map(|target| target.as_str());
    let pairs = uri.query().into_iter().flat_map(|query| query.split('&'));
    let values = pairs.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    let parts =
        whole.into_iter().chain(uri.query()).chain([uri.path()]).chain(uri.path().split('/')).chain(values);
    let parts = parts.flat_map(|part| [part.to_owned(), percent::decoded(part)]);
    parts.filter(|part| part.len() >= SHORTEST_SECRET).map(Zeroizing::new).collect()
}

#[derive(Debug)]
struct CredentialsUri;

impl ApiProfile for CredentialsUri {
    fn name(&self) -> &'static str {
        "the credentials URI"
    }

    fn contents(&self) -> [&'static str; 2] {
        ["a credential", "an error"]
    }

    fn is_transient(&self, _code: &str) -> bool {
        false
    }

    fn hint_of_unusable(&self) -> &'static str {
        "check the server there"
    }

    fn hint(&self, _refusal: &Refusal<'_>) -> String {
        "check the server there".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::ManualEnvironment;

    #[test]
    fn what_is_not_a_uri_is_refused_and_not_shown() {
        for text in [
            "hunter2",
            "http://h:99999/hunter2",
            "ftp://hunter2",
            "http://u:hunter2@h/",
            "http://",
            "/hunter2",
            "http://hunter2 x",
        ] {
            let environment = Environment::Manual(ManualEnvironment::from_iter([(VARIABLE, text)]));
            let Err(NoCredential::Failed(error)) = lookup(&environment) else { panic!("{text}") };
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn path_and_query_are_secret_whole_and_in_parts() {
        let uri = "http://h:1/v1/hunter%2Fsegment?key=hunter+%3Dvalue&flag-alone&n=1".parse().unwrap();
        let secrets = secrets(&uri);
        for secret in [
            "/v1/hunter%2Fsegment?key=hunter+%3Dvalue&flag-alone&n=1",
            "/v1/hunter%2Fsegment",
            "key=hunter+%3Dvalue&flag-alone&n=1",
            "hunter%2Fsegment",
            "hunter/segment",
            "hunter+%3Dvalue",
            "hunter =value",
            "flag-alone",
        ] {
            assert!(
                secrets.iter().any(|known| known.as_str() == secret),
                "{secret} is missing in {secrets:?}"
            );
        }
        assert!(secrets.iter().all(|secret| !["v1", "1", ""].contains(&secret.as_str())));
    }

    #[test]
    fn a_source_does_not_show_the_uris_path() {
        let environment = ManualEnvironment::from_iter([(VARIABLE, "http://h:1/hunter2?x=hunter2")]);
        let shown = format!("{:?}", lookup(&Environment::Manual(environment)).unwrap());
        assert!(shown.contains("http://h:1/…") && !shown.contains("hunter2"), "{shown}");
    }
}
