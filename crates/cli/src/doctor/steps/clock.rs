//! How far this machine's clock is from the server's, by the `Date` of an answer.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Request;
use http::header::{DATE, HOST, USER_AGENT};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tower_idaas::BoxError;

use super::super::config_file::Endpoint;
use super::super::finding::{Finding, Step};
use super::super::shown;
use super::network::Stream;

const LIMIT: Duration = Duration::from_secs(10);
/// `Date` has whole seconds, and caches and gateways add a little.
const UNREMARKABLE: Duration = Duration::from_secs(5);
/// As long as an assertion lives.
const HARMFUL: Duration = Duration::from_secs(300);

pub(crate) async fn examine(stream: impl Stream, endpoint: &Endpoint) -> Finding {
    match timeout(LIMIT, ask(stream, endpoint)).await {
        Ok(Ok(Some(seen))) => judge(&seen),
        Ok(Ok(None)) => Finding::skipped(Step::Clock, "the server's answer has no `Date`"),
        Ok(Err(error)) => {
            Finding::skipped(Step::Clock, format!("no answer to HEAD: {}", shown::chain(&*error)))
        }
        Err(_) => Finding::skipped(Step::Clock, format!("no answer to HEAD within {LIMIT:?}")),
    }
}

struct Seen {
    date: SystemTime,
    sent: SystemTime,
    received: SystemTime,
}

/// Sends no credential: any answer has the date.
async fn ask(stream: impl Stream, endpoint: &Endpoint) -> Result<Option<Seen>, BoxError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let authority = endpoint.uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let request = Request::head(endpoint.uri.path())
        .header(HOST, authority)
        .header(USER_AGENT, "tower-idaas-doctor")
        .body(Empty::<Bytes>::new())?;
    let sent = SystemTime::now();
    let answer = async {
        let answer = sender.send_request(request).await;
        (answer, SystemTime::now())
    };
    tokio::pin!(answer, connection);
    let (answer, received) = tokio::select! {
        answered = &mut answer => answered,
        _ = &mut connection => answer.await,
    };
    let date = answer?.headers().get(DATE).and_then(|date| date.to_str().ok().map(str::to_owned));
    let date = date.and_then(|date| httpdate::parse_http_date(&date).ok());
    Ok(date.map(|date| Seen { date, sent, received }))
}

fn judge(seen: &Seen) -> Finding {
    let Seen { date, sent, received } = *seen;
    // The way there and back explains some of the difference.
    let (off, direction) = match (sent.duration_since(date), date.duration_since(received)) {
        (Ok(ahead), _) => (ahead, "ahead of"),
        (_, Ok(behind)) => (behind, "behind"),
        _ => (Duration::ZERO, "with"),
    };
    let facts = [("here", shown::time(received)), ("server", shown::time(date))];
    if off < UNREMARKABLE {
        return Finding::ok(Step::Clock, "agrees with the server's").facts(facts);
    }
    let summary = format!("this machine is {} {direction} the server", shown::duration(off));
    if off < HARMFUL {
        return Finding::ok(Step::Clock, summary)
            .facts(facts)
            .warn("let it be kept by NTP before it drifts further");
    }
    Finding::failed(Step::Clock, summary).facts(facts).advise(
        "what this machine signs looks expired or not yet valid to the server, and certificates and tokens are judged \
         by a wrong time here; the crate corrects its own assertions, other programs do not",
        "set the clock and keep it with NTP (`timedatectl set-ntp true`, `chronyc makestep`); in a virtual machine, \
         check its host",
    )
}
