//! Small proxies, of HTTP and of SOCKS5, that tunnel to one place, whatever host is requested.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a client sent to open a tunnel: the target, and the value of `Proxy-Authorization`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tunnel {
    pub target: String,
    pub authorization: Option<String>,
}

#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    tunnels: Arc<Mutex<Vec<Tunnel>>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Answers every `CONNECT` with this status line's end, `200 OK` or `407 …`; a tunnel leads to the port.
    pub async fn start(status: &'static str, port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let tunnels = Arc::<Mutex<Vec<Tunnel>>>::default();
        let log = Arc::clone(&tunnels);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, status, port, Arc::clone(&log)));
            }
        });
        Self { address, tunnels, accepting }
    }

    /// A SOCKS5 proxy (RFC 1928), with this user name and password (RFC 1929) if there are such. The target that it
    /// logs is host and port, as it is asked for them.
    pub async fn start_socks(login: Option<(&'static str, &'static str)>, port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let tunnels = Arc::<Mutex<Vec<Tunnel>>>::default();
        let log = Arc::clone(&tunnels);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(socks(client, login, port, Arc::clone(&log)));
            }
        });
        Self { address, tunnels, accepting }
    }

    /// `http://127.0.0.1:port`, for `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same with a user and a password in it.
    pub fn url_with(&self, user: &str, password: &str) -> String {
        format!("http://{user}:{password}@{}", self.address)
    }

    pub fn tunnels(&self) -> Vec<Tunnel> {
        self.tunnels.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn tunnel(client: TcpStream, status: &str, port: u16, log: Arc<Mutex<Vec<Tunnel>>>) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        client.read_line(&mut line).await?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        lines.iter().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let request = lines.first().cloned().unwrap_or_default();
    let target = request.strip_prefix("CONNECT ").and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
    log.lock().unwrap().push(Tunnel {
        target: target.unwrap_or(&request).to_owned(),
        authorization: header("Proxy-Authorization"),
    });
    client.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await?;
    if status.starts_with('2') {
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        copy_bidirectional(&mut client, &mut server).await?;
    }
    Ok(())
}

async fn socks(
    mut client: TcpStream,
    login: Option<(&str, &str)>,
    port: u16,
    log: Arc<Mutex<Vec<Tunnel>>>,
) -> io::Result<()> {
    let text = async |client: &mut TcpStream| -> io::Result<String> {
        let mut text = vec![0; usize::from(client.read_u8().await?)];
        client.read_exact(&mut text).await?;
        Ok(String::from_utf8(text).unwrap())
    };
    assert_eq!(client.read_u8().await?, 5);
    text(&mut client).await?; // the methods that are offered
    let mut authorization = None;
    if let Some((user, password)) = login {
        client.write_all(&[5, 2]).await?;
        assert_eq!(client.read_u8().await?, 1);
        let given = (text(&mut client).await?, text(&mut client).await?);
        let is_right = given == (user.to_owned(), password.to_owned());
        authorization = Some(format!("{}:{}", given.0, given.1));
        client.write_all(&[1, u8::from(!is_right)]).await?;
        if !is_right {
            log.lock().unwrap().push(Tunnel { target: String::new(), authorization });
            return Ok(());
        }
    } else {
        client.write_all(&[5, 0]).await?;
    }
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    assert_eq!(request, [5, 1, 0, 3], "a connection to a host by its name");
    let host = text(&mut client).await?;
    let target = format!("{host}:{}", client.read_u16().await?);
    log.lock().unwrap().push(Tunnel { target, authorization });
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
