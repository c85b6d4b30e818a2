//! A tunnel through an HTTP proxy (`CONNECT`, RFC 9110 section 9.3.6).

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::wire::redact::Redactor;
use crate::wire::time;

/// The largest head of a proxy's response. Error pages that follow it are not read.
const MAX_HEAD: usize = 16 * 1024;
const MAX_FIELDS: usize = 256;
/// The most interim responses (1xx) before the final one.
const MAX_INTERIM: usize = 16;
const MAX_REASON: usize = 100;
/// What is left for the login and the host of the 262 bytes in which hyper-util writes all messages of a handshake.
pub(super) const MAX_SOCKS: usize = 249;

/// Why a proxy opens no tunnel.
#[derive(Debug, PartialEq)]
pub(super) enum TunnelError {
    /// The final response is not of class 2xx.
    Refused {
        status: StatusCode,
        reason: Option<String>,
        retry_after: Option<Duration>,
    },
    /// The response is not HTTP/1.
    NotHttp,
    HeadTooLong,
    TooManyInterim,
    /// The login and the name of the host are longer than a message of SOCKS5 gets here.
    TooLongForSocks,
    /// The proxy closed the connection before its response was complete.
    Closed,
    Io(std::io::ErrorKind),
}

/// Requests a tunnel to `authority`, host and port, and returns when it is open.
///
/// Any response of class 2xx opens it, and its `Content-Length` and `Transfer-Encoding` then have no meaning. Bytes
/// after the head are dropped: in TLS the client speaks first.
pub(super) async fn open<T>(
    io: &mut T,
    authority: &str,
    authorization: Option<&HeaderValue>,
) -> Result<(), TunnelError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = format!(
        "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {}\r\n",
        concat!("tower-idaas/", env!("CARGO_PKG_VERSION"))
    )
    .into_bytes();
    if let Some(authorization) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    // A proxy that refuses may close the connection before it has read the whole request; its response counts.
    let sent = async {
        io.write_all(&request).await?;
        io.flush().await
    };
    let sent: std::io::Result<()> = sent.await;

    let mut head = Vec::new();
    let mut interim = 0;
    loop {
        while let Some((length, response)) = parse(&head, authorization)? {
            match response {
                Ok(()) => return Ok(()),
                Err(TunnelError::Refused { status, .. })
                    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS =>
                {
                    interim += 1;
                    if interim > MAX_INTERIM {
                        return Err(TunnelError::TooManyInterim);
                    }
                    head.drain(..length);
                }
                Err(refused) => return Err(refused),
            }
        }
        if head.len() >= MAX_HEAD {
            return Err(TunnelError::HeadTooLong);
        }
        let mut piece = [0; 1024];
        let read = io.read(&mut piece).await;
        match read {
            Ok(0) => {
                return Err(sent.err().map_or(TunnelError::Closed, |cause| TunnelError::Io(cause.kind())));
            }
            Ok(length) => head.extend_from_slice(piece.get(..length).unwrap_or_default()),
            Err(cause) => return Err(TunnelError::Io(sent.err().unwrap_or(cause).kind())),
        }
    }
}

type Parsed = Option<(usize, Result<(), TunnelError>)>;

/// The first response in the buffer, once its head is complete, and the length of that.
fn parse(buffer: &[u8], authorization: Option<&HeaderValue>) -> Result<Parsed, TunnelError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let mut config = httparse::ParserConfig::default();
    config
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    let length = match config.parse_response(&mut response, buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(TunnelError::HeadTooLong),
        Err(_) => return Err(TunnelError::NotHttp),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(TunnelError::NotHttp)?;
    if status.is_success() {
        return Ok(Some((length, Ok(()))));
    }
    let fields = response.headers.iter().filter_map(|field| {
        Some((HeaderName::try_from(field.name).ok()?, HeaderValue::from_bytes(field.value).ok()?))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name, value);
    }
    let retry_after = time::retry_after(&headers, Clock::System.now().system_time());
    let reason = response.reason.and_then(|reason| plain(reason, authorization));
    let reason = reason.or_else(|| status.canonical_reason().map(str::to_owned));
    Ok(Some((length, Err(TunnelError::Refused { status, reason, retry_after }))))
}

/// A reason of plain words none of which is from the password. Any other reason may echo it.
fn plain(reason: &str, authorization: Option<&HeaderValue>) -> Option<String> {
    const LONGEST_WORD: usize = 20;
    let is_plain = |word: &str| {
        word.len() <= LONGEST_WORD && word.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
    };
    let reason = reason.trim();
    let is_reason = !reason.is_empty() && reason.len() <= MAX_REASON && reason.split(' ').all(is_plain);
    (is_reason && !echoes(reason, authorization)).then(|| reason.to_owned())
}

/// Whether the reason repeats a part of the credentials, encoded or not.
fn echoes(reason: &str, authorization: Option<&HeaderValue>) -> bool {
    let encoded = authorization.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let encoded = encoded.rsplit(' ').next().unwrap_or_default();
    let decoded = Zeroizing::new(STANDARD.decode(encoded).unwrap_or_default());
    let decoded = Zeroizing::new(String::from_utf8_lossy(&decoded).into_owned());
    let password = decoded.split_once(':').map_or("", |(_, password)| password);
    Redactor::new([encoded, password]).may_echo(reason)
}

/// Follows the proxy's name: "the proxy … refuses with 403 Forbidden".
impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { status, reason, .. } => {
                write!(f, "refused with {}", status.as_u16())?;
                match reason {
                    Some(reason) => write!(f, " {reason}"),
                    None => Ok(()),
                }
            }
            Self::NotHttp => f.write_str("sent something that is no HTTP response"),
            Self::HeadTooLong => write!(f, "sent a response head of more than {MAX_HEAD} bytes"),
            Self::TooManyInterim => write!(f, "sent more than {MAX_INTERIM} interim responses"),
            Self::TooLongForSocks => {
                write!(
                    f,
                    "cannot be given a user name, a password and a host name of more than {MAX_SOCKS} bytes in all"
                )
            }
            Self::Closed => f.write_str("closed the connection before its response was complete"),
            Self::Io(kind) => write!(f, "broke the connection off ({kind})"),
        }
    }
}

impl std::error::Error for TunnelError {}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;

    async fn opened(response: impl AsRef<[u8]>) -> Result<(), TunnelError> {
        opened_with(response, None).await
    }

    async fn opened_with(
        response: impl AsRef<[u8]>,
        authorization: Option<&HeaderValue>,
    ) -> Result<(), TunnelError> {
        let (mut ours, mut theirs): (DuplexStream, DuplexStream) = tokio::io::duplex(64 * 1024);
        theirs.write_all(response.as_ref()).await.unwrap();
        let opened = open(&mut ours, "idaas.example:443", authorization);
        let proxy = async {
            let mut request = [0; 256];
            let length = theirs.read(&mut request).await.unwrap();
            drop(theirs);
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        let (opened, request) = tokio::join!(opened, proxy);
        assert!(request.starts_with("CONNECT idaas.example:443 HTTP/1.1\r\nHost: idaas.example:443\r\n"));
        opened
    }

    #[tokio::test]
    async fn any_2xx_opens_the_tunnel_whatever_else_its_head_says() {
        for response in [
            "HTTP/1.1 200 Connection established\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\n",
            "HTTP/1.1 201 Created\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 204\r\n\r\n",
            "HTTP/1.1 299 \r\nA: b\r\n  folded\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert_eq!(opened(response).await, Ok(()), "{response}");
        }
    }

    #[tokio::test]
    async fn a_refusal_is_reported_with_its_status_its_reason_and_its_pause() {
        for (response, text, pause) in [
            ("407 Proxy Authentication Required\r\n\r\n", "407 Proxy Authentication Required", None),
            ("503 Too busy\r\nRetry-After: 7\r\n\r\n", "503 Too busy", Some(7)),
            ("503 \r\nRetry-After: 1.2\r\n\r\n", "503 Service Unavailable", Some(2)),
            ("503 \r\nRetry-After: 7 seconds\r\nRetry-After: 9\r\n\r\n", "503 Service Unavailable", Some(9)),
            ("503 \r\nRetry-After: 1e300\r\n\r\n", "503 Service Unavailable", Some(86_400)),
            ("429 pa55word\r\nretry-after: soon\r\n\r\n", "429 Too Many Requests", None),
            ("301 Moved\r\nLocation: http://x\r\n\r\n", "301 Moved", None),
            // Of another protocol there is nothing to wait for.
            ("101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", "101 Switching Protocols", None),
            (
                "503 x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:47 GMT\r\n\r\n",
                "503 x",
                Some(10),
            ),
        ] {
            let error = opened(format!("HTTP/1.1 {response}")).await.unwrap_err();
            assert_eq!(error.to_string(), format!("refused with {text}"));
            let TunnelError::Refused { retry_after, .. } = error else { panic!("{error}") };
            assert_eq!(retry_after, pause.map(Duration::from_secs), "{response}");
        }
    }

    #[tokio::test]
    async fn a_reason_of_words_from_the_password_is_not_reported() {
        let encoded = STANDARD.encode("user:correct horse battery");
        let authorization = HeaderValue::try_from(format!("Basic {encoded}")).unwrap();
        for (reason, expected) in [
            ("no correct horse battery here", "407 Proxy Authentication Required"),
            ("Horse-Battery", "407 Proxy Authentication Required"),
            ("wrong user", "407 wrong user"),
        ] {
            let response = format!("HTTP/1.1 407 {reason}\r\n\r\n");
            let error = opened_with(response, Some(&authorization)).await.unwrap_err();
            assert_eq!(error.to_string(), format!("refused with {expected}"));
        }
    }

    #[tokio::test]
    async fn what_is_no_response_is_called_what_it_is() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(MAX_HEAD));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(MAX_FIELDS + 1));
        let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(MAX_INTERIM + 1);
        for (response, expected) in [
            ("SSH-2.0-OpenSSH_9.6\r\n", TunnelError::NotHttp),
            ("\u{16}\u{3}\u{1}", TunnelError::NotHttp),
            ("HTTP/1.1 99 x\r\n\r\n", TunnelError::NotHttp),
            ("", TunnelError::Closed),
            ("HTTP/1.1 200 OK\r\nX: y\r\n", TunnelError::Closed),
            (&long, TunnelError::HeadTooLong),
            (&many, TunnelError::HeadTooLong),
            (&interim, TunnelError::TooManyInterim),
        ] {
            assert_eq!(opened(response).await, Err(expected), "{response:.40}");
        }
    }
}
