//! Plain HTTP over reqwest to real servers: which hosts get a token, when the resolver leads every name to a stranger.

use std::net::{Ipv4Addr, SocketAddr};

use reqwest::Client;
use tower_idaas::{BoxError, ErrorKind, Idaas, SendError};
use tower_idaas_testing::{ProtectedApi, TestIdaas};

use crate::support::raw::{Manner, RawServer};

type Outcome = Result<(), BoxError>;

/// A client for whom each of these names has the address of this machine's own stranger.
fn misled(names: &[&str], port: u16) -> Client {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let client = Client::builder().no_proxy();
    names.iter().fold(client, |client, name| client.resolve(name, address)).build().unwrap()
}

fn port(api: &ProtectedApi) -> u16 {
    api.url().rsplit(':').next().and_then(|rest| rest.trim_end_matches('/').parse().ok()).unwrap()
}

async fn protected() -> Result<(TestIdaas, ProtectedApi, Idaas), BoxError> {
    let issuer = TestIdaas::start().await?;
    let api = issuer.api("api://test").plain_http().start().await?;
    let idaas = crate::support::builder(&issuer).build()?;
    Ok((issuer, api, idaas))
}

#[tokio::test]
async fn a_name_that_is_only_like_this_machines_gets_no_token_wherever_it_leads() -> Outcome {
    let (issuer, api, idaas) = protected().await?;
    let names = ["orders.localhost", "localhost.", "localhost.example.com", "127.0.0.1.nip.example"];
    let stranger = RawServer::start(Manner::Says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
    let http = misled(&names, stranger.port());
    for name in names {
        let url = format!("http://{name}:{}/", stranger.port());
        let Err(SendError::Token(error)) = idaas.send(http.get(&url)).await else { panic!("{url}") };
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Destination, false), "{url}: {error}");
    }
    assert_eq!((stranger.connections(), issuer.token_requests()), (0, 0));
    // This machine itself needs no permission, by whatever of its own names.
    for host in ["localhost", "127.0.0.1", "LOCALHOST"] {
        let url = format!("http://{host}:{}/", port(&api));
        let response = idaas.send(misled(&[], 0).get(url)).await?;
        assert!(response.status().is_success(), "{host}: {}", response.status());
    }
    Ok(())
}

#[tokio::test]
async fn plain_http_is_allowed_for_the_hosts_of_the_list_and_what_matches_none_is_no_entry() -> Outcome {
    let (_issuer, api, idaas) = protected().await?;
    let names = ["orders.svc.cluster.local", "stock.svc.cluster.local", "svc.cluster.local.evil.example"];
    let http = misled(&names, port(&api));
    let layer = idaas.layer().allow_plaintext("*.svc.cluster.local")?;
    for (name, is_allowed) in names.into_iter().zip([true, true, false]) {
        let sent = layer.send(http.get(format!("http://{name}:{}/", port(&api)))).await;
        match sent {
            Ok(response) => assert!(is_allowed && response.status().is_success(), "{name}"),
            Err(SendError::Token(error)) => {
                assert!(!is_allowed && error.kind() == ErrorKind::Destination, "{name}: {error}");
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
    for (entry, reason) in [
        ("http://orders:8080", "scheme"),
        ("10.0.0.0/8", "prefix"),
        ("*.com", "public suffix"),
        ("*", "`*`"),
        ("orders:99999", "port"),
        ("orders.internal.", "no host"),
    ] {
        let error = idaas.layer().allow_plaintext(entry).unwrap_err();
        assert_eq!(error.faults()[0].key(), "allow_plaintext", "{entry}: {error}");
        assert!(error.to_string().contains(reason), "{entry}: {error}");
    }
    Ok(())
}
