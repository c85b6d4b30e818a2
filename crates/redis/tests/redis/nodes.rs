//! Other ways to a Redis than one plain port: TLS, a socket, sentinels.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::SocketAddr;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tower_idaas::clock::ManualClock;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{Secret, SecretSource};
use tower_idaas_redis::{RedisStore, RedisStoreBuilder, SharedStore};

use super::client::{KEY, Outcome, TestSource, instance, instance_at, token};
use super::server::{PASSWORD, Server, free_address};

pub(crate) fn at(url: &str) -> RedisStoreBuilder {
    RedisStore::builder(SecretSource::value(Secret::new(url))).environment(ManualEnvironment::new())
}

pub(crate) fn share(redis: RedisStore) -> SharedStore {
    let keys = SecretSource::value(KEY.to_owned());
    SharedStore::new(redis, keys).namespace("test").timeout(Duration::from_secs(5))
}

pub(crate) fn launch(address: SocketAddr, arguments: &[&str]) -> Option<Server> {
    Server::launch(address, arguments.iter().map(ToString::to_string).collect())
}

/// An authority's certificate, and a server's with its key, as files in the folder.
fn write_certificates(folder: &std::path::Path) -> String {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let server = server.signed_by(&key, &authority).unwrap();
    std::fs::write(folder.join("root.pem"), authority.pem()).unwrap();
    std::fs::write(folder.join("server.pem"), server.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    authority.pem()
}

#[tokio::test]
async fn tls_is_spoken_and_the_server_verified() -> Outcome {
    let folder = tempfile::tempdir()?;
    let root = write_certificates(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let address = free_address();
    let port = address.port().to_string();
    let (certificate, key, root_file) = (path("server.pem"), path("key.pem"), path("root.pem"));
    let Some(_server) = launch(
        address,
        &[
            "--port",
            "0",
            "--tls-port",
            &port,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &root_file,
            "--tls-auth-clients",
            "no",
            "--requirepass",
            PASSWORD,
        ],
    ) else {
        return Ok(());
    };
    let url = format!("rediss://:{PASSWORD}@{address}/");
    let source = TestSource::new();
    for _ in 0..2 {
        let redis = at(&url).root_certificate(root.clone()).build()?;
        assert_eq!(token(&instance(&source, share(redis))).await?, "marker-token-1");
    }
    // Of an authority that is not trusted, and without TLS: misses.
    let stranger = write_certificates(tempfile::tempdir()?.path());
    for redis in [at(&url).root_certificate(stranger).build()?, at(&url.replace("rediss", "redis")).build()?]
    {
        token(&instance(&source, share(redis))).await?;
    }
    assert_eq!(source.fetches(), 3);
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_on_this_machine_is_enough() -> Outcome {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("redis.sock").display().to_string();
    let address = free_address();
    let port = address.port().to_string();
    let Some(_server) = launch(address, &["--port", &port, "--unixsocket", &socket]) else { return Ok(()) };
    let source = TestSource::new();
    for _ in 0..2 {
        let redis = at(&format!("unix://{socket}")).build()?;
        assert_eq!(token(&instance(&source, share(redis))).await?, "marker-token-1");
    }
    Ok(())
}

#[tokio::test]
async fn sentinels_know_the_master_and_a_new_one_after_a_failover() -> Outcome {
    let Some(master) = Server::start_with(&["--masterauth", PASSWORD]) else { return Ok(()) };
    let port = master.address.port().to_string();
    let replica = Server::start_with(&["--masterauth", PASSWORD, "--replicaof", "127.0.0.1", &port]).unwrap();
    let (folder, address) = (tempfile::tempdir()?, free_address());
    let sentinel = sentinel_of(&master, address, folder.path());
    // One sentinel is not there: the other one is queried.
    let sentinels = format!("redis://{},redis://idaas:its-password@{address}", free_address());
    let store = || {
        let url = format!("redis://:{PASSWORD}@any");
        at(&url).sentinels("mymaster", SecretSource::value(sentinels.clone())).build().unwrap()
    };
    let (source, clock) = (TestSource::new(), ManualClock::new());
    let idaas = instance_at(&clock, &source, share(store()));
    assert_eq!(token(&idaas).await?, "marker-token-1");
    assert_eq!(token(&instance_at(&clock, &source, share(store()))).await?, "marker-token-1");
    assert_eq!(master.keys().len(), 1);

    // The replica takes over, as it does in a failover, and the old master becomes its replica. No sentinel interferes
    // meanwhile.
    until(|| replica.keys().len() == 1).await;
    drop(sentinel);
    let _: String = replica.command(&["REPLICAOF", "NO", "ONE"]);
    let (ip, port) = (replica.address.ip().to_string(), replica.address.port().to_string());
    let _: String = master.command(&["REPLICAOF", &ip, &port]);
    // It refuses writes: that is a failure, and then the sentinels are queried again.
    idaas.token_for(&"api://b|read".parse()?).await?;
    let _sentinel = sentinel_of(&replica, address, folder.path());
    clock.advance(Duration::from_secs(60));
    idaas.token_for(&"api://c|read".parse()?).await?;
    assert_eq!(token(&instance_at(&clock, &source, share(store()))).await?, "marker-token-1");
    assert_eq!((source.fetches(), replica.keys().len()), (3, 2));
    Ok(())
}

/// A sentinel that watches this master, with a user that may ask where the master is.
fn sentinel_of(master: &Server, address: SocketAddr, folder: &std::path::Path) -> Server {
    let file = folder.join("sentinel.conf");
    let (ip, port) = (master.address.ip(), master.address.port());
    let text = format!(
        "sentinel monitor mymaster {ip} {port} 1\nsentinel auth-pass mymaster {PASSWORD}\n\
         user idaas on >its-password -@all +sentinel|get-master-addr-by-name\n"
    );
    std::fs::write(&file, text).unwrap();
    let own = address.port().to_string();
    launch(address, &[&file.display().to_string(), "--sentinel", "--port", &own]).unwrap()
}

pub(crate) async fn until(mut reached: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if reached() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not come to pass");
}
