//! Plain HTTP to a service on the same host or link: no TLS, never through a proxy.

use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::transport::Transport;

/// A transport for the metadata services of clouds. It knows nothing of the proxy variables: a proxy would
/// tell of its own machine.
pub(crate) fn direct(connect_timeout: Duration, read_timeout: Duration) -> Transport {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(connect_timeout));
    connector.set_nodelay(true);
    // No connection is kept: the next request may come an hour later, and on another runtime.
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    Transport::new(client, connect_timeout, read_timeout)
}
